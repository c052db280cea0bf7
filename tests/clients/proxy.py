"""proxy.py - between an SDK and the gateway: hands every byte on unchanged,
keeps what it saw, and makes chosen requests fail.

    proxy.fault = lambda request: None       # hand on
                                  (port)     # to another gateway: a sick one
                                  "before"   # reset, the gateway never saw it
                                  "after"    # the gateway got it, its answer is lost
"""

import socket
import socketserver
import struct
import threading

PATIENCE_S = 20


class Stream:
    """A socket, read by lines and lengths; what was read is kept as bytes."""

    def __init__(self, sock):
        self.sock, self.file = sock, sock.makefile("rb")

    def head(self):
        """(bytes, first line, [(name, value)]), or None at the end."""
        raw = first = self.file.readline(65537)
        headers = []
        while first:
            line = self.file.readline(65537)
            raw += line
            if line in (b"\r\n", b"\n", b""):
                return raw, first.decode("latin-1").strip(), headers
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip().lower(), value.strip()))
        return None

    def body(self, headers):
        """(bytes on the wire, the body itself)."""
        fields = dict(headers)
        if "chunked" in fields.get("transfer-encoding", ""):
            raw = body = b""
            while True:
                line = self.file.readline(1024)
                size = int(line.split(b";")[0], 16)
                piece = self.file.read(size)
                raw += line + piece + self.file.readline(1024)
                body += piece
                if size == 0:
                    return raw, body
        body = self.file.read(int(fields.get("content-length", 0)))
        return body, body


class Proxy:
    def __init__(self, gateway_port):
        """`gateway_port`: callable, as the gateway may be restarted."""
        self.gateway_port, self.fault = gateway_port, lambda request: None
        self.requests = []  # dicts: method, path, headers, body, answer, fate
        self.lock = threading.Lock()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    proxy.serve(self.request)
                except (OSError, ValueError):
                    pass  # the client or the gateway hung up

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, sock):
        client = Stream(sock)
        while True:
            head = client.head()
            if head is None:
                return
            raw, line, headers = head
            wire, body = client.body(headers)
            method, path = line.split(" ")[:2]
            request = {"method": method, "path": path, "headers": headers,
                       "body": body, "answer": None, "fate": None}
            with self.lock:
                request["fate"] = self.fault(request)
                self.requests.append(request)
            if request["fate"] == "before":
                request["answer"] = "reset"
                return reset(sock)
            port = request["fate"] if isinstance(request["fate"], int) else self.gateway_port()
            try:
                answer = ask(port, raw + wire, request)
            except OSError:  # nobody listens: as if it were not there
                request["answer"] = "reset"
                return reset(sock)
            if request["fate"] == "after":
                return reset(sock)
            sock.sendall(answer)

    def seen(self):
        """Requests that are over, preflights left out."""
        with self.lock:
            return [r for r in self.requests
                    if r["answer"] is not None and r["method"] != "OPTIONS"]

    def busy(self):
        """Some request has no answer yet."""
        with self.lock:
            return any(r["answer"] is None for r in self.requests)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def ask(port, data, request):
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as upstream:
        upstream.sendall(data)
        gateway = Stream(upstream)
        head = gateway.head()
        if head is None:
            raise ConnectionResetError
        raw, line, headers = head
        wire, body = gateway.body(headers) if " 204" not in line else (b"", b"")
        request["answer"] = (int(line.split(" ")[1]), headers, body)
        return raw + wire
