"""witness.py - a witness (C2SP tlog-witness) and a log's signer in Python's own
words, with openssl for Ed25519; shares nothing with the gateway. The witness
can be told to fail in every way that witnesses do."""
import base64
import hashlib
import http.server
import os
import ssl
import subprocess
import tempfile
import threading

import tlog

PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
PUBLIC = bytes.fromhex("302a300506032b6570032100")
ED25519, COSIGNATURE = 1, 4
DASH = "\u2014"


class Key:
    """A signer of notes: name, kind, and a seed of 32 bytes."""

    def __init__(self, name, kind, seed):
        self.name, self.kind = name, kind
        self.der = PRIVATE + seed
        done = self._openssl(["pkey", "-pubout", "-outform", "DER"], b"")
        self.public = done[len(PUBLIC):]
        self.id = key_id(name, kind, self.public)

    def _openssl(self, words, data):
        with tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as text:
            key.write(self.der)
            key.flush()
            text.write(data)
            text.flush()
            if words[0] == "pkeyutl":
                words = words + ["-in", text.name, "-inkey", key.name, "-keyform", "DER"]
            else:
                words = words + ["-in", key.name, "-inform", "DER"]
            return subprocess.run(["openssl"] + words, check=True,
                                  capture_output=True).stdout

    @property
    def vkey(self):
        return "%s+%s+%s" % (self.name, self.id.hex(), base64.b64encode(
            bytes([self.kind]) + self.public).decode())

    def raw(self, data):
        return self._openssl(["pkeyutl", "-sign", "-rawin"], data)

    def line(self, text, time_s=0):
        """The signature line over a checkpoint's text."""
        if self.kind == COSIGNATURE:
            blob = time_s.to_bytes(8, "big") + self.raw(
                b"cosignature/v1\ntime %d\n" % time_s + text.encode())
        else:
            blob = self.raw(text.encode())
        return "%s %s %s\n" % (DASH, self.name, base64.b64encode(self.id + blob).decode())


def key_id(name, kind, public):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def verify(vkey, note):
    """Is there a line by this key, and is each such line its signature? For a
    cosignature its time, else True; None if it has not signed."""
    name, hex_id, code = vkey.split("+", 2)
    kind, public = base64.b64decode(code)[0], base64.b64decode(code)[1:]
    text, lines = tlog.split_note(note)
    found = None
    for line in lines:
        dash, who, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        if dash != DASH or who != name or blob[:4].hex() != hex_id:
            continue
        data, signature = text.encode(), blob[4:]
        found = True
        if kind == COSIGNATURE:
            found = int.from_bytes(blob[4:12], "big")
            data, signature = b"cosignature/v1\ntime %d\n" % found + data, blob[12:]
        with tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as body, \
                tempfile.NamedTemporaryFile() as sig:
            for f, content in ((key, PUBLIC + public), (body, data), (sig, signature)):
                f.write(content)
                f.flush()
            good = subprocess.run(
                ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key.name, "-keyform",
                 "DER", "-rawin", "-in", body.name, "-sigfile", sig.name],
                capture_output=True).returncode == 0
        if not good:
            raise AssertionError("not the signature of " + name)
    return found


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def consistent(old, old_root, size, root, proof):
    """RFC 9162 section 2.1.4.2, step by step."""
    if old == 0:
        return not proof
    if old == size:
        return not proof and old_root == root
    if not proof:
        return False
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while fn & 1 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == old_root and sr == root and sn == 0


class Witness:
    """Knows one log by its verifier key. `fault` is None, or what it does
    instead: see FAULTS. `asked` counts requests, `seen` is what it signed last."""

    def __init__(self, log_vkey, seed=bytes(range(32, 64)), name="witness.example.org/w1",
                 time_s=1795338042, tls=None):
        self.key = Key(name, COSIGNATURE, seed)
        self.log_vkey, self.origin = log_vkey, log_vkey.split("+")[0]
        self.time_s = time_s
        self.seen = (0, None)
        self.asked, self.bodies, self.paths = 0, [], []
        self.fault = None
        self.released = threading.Event()
        self.lock = threading.Lock()
        witness = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with witness.lock:
                    witness.asked += 1
                    witness.bodies.append(body)
                    witness.paths.append(self.path)
                    status, kind, answer = witness.answer(body)
                if status is None:
                    witness.released.wait(60)
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # who hangs up is no error of ours

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "%s://127.0.0.1:%d/w" % (self.scheme, self.port)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, body):
        if self.fault is not None:
            return FAULTS[self.fault](self, body)
        return self.check(body)

    def check(self, body):
        plain = "text/plain; charset=utf-8"
        head, _, note = body.decode().partition("\n\n")
        lines = head.split("\n")
        if not lines[0].startswith("old ") or len(lines) > 64:
            return 400, plain, b""
        old = int(lines[0][4:])
        proof = [base64.b64decode(x, validate=True) for x in lines[1:]]
        origin, size, root = tlog.parse(note)
        if origin != self.origin:
            return 404, plain, b""
        try:
            if not verify(self.log_vkey, note):
                return 403, plain, b""
        except AssertionError:
            return 403, plain, b""
        if old > size:
            return 400, plain, b""
        if old != self.seen[0] or (old == size and root != self.seen[1]):
            return 409, "text/x.tlog.size", b"%d\n" % self.seen[0]
        if not consistent(old, self.seen[1], size, root, proof):
            return 422, plain, b""
        self.seen = (size, root)
        self.time_s += 1
        return 200, plain, self.key.line(tlog.split_note(note)[0], self.time_s).encode()

    def lie(self, body, key, text=None, time_s=None):
        note = body.decode().partition("\n\n")[2]
        line = key.line(text or tlog.split_note(note)[0],
                        self.time_s if time_s is None else time_s)
        return 200, "text/plain", line.encode()


def other_key(w):
    """Says it is `w`, by name and id, and is not."""
    key = Key(w.key.name, COSIGNATURE, bytes(range(64, 96)))
    key.id = w.key.id
    return key


FAULTS = {
    "silent": lambda w, b: (None, None, None),
    "500": lambda w, b: (500, "text/plain", b"oops"),
    "403": lambda w, b: (403, "text/plain", b""),
    "404": lambda w, b: (404, "text/plain", b""),
    "422": lambda w, b: (422, "text/plain", b""),
    "302": lambda w, b: (302, "text/plain", b""),
    "409 of the same": lambda w, b: (409, "text/x.tlog.size",
                                     b.split(b"\n")[0][4:] + b"\n"),
    "409 always": lambda w, b: (409, "text/x.tlog.size", b"%d\n" % (w.asked % 5)),
    "409 far": lambda w, b: (409, "text/x.tlog.size", b"18446744073709551615\n"),
    "409 without": lambda w, b: (409, "text/x.tlog.size", b""),
    "409 words": lambda w, b: (409, "text/x.tlog.size", b"seven\n"),
    "empty": lambda w, b: (200, "text/plain", b""),
    "garbage": lambda w, b: (200, "text/plain", b"<html>hello</html>\n"),
    "no end": lambda w, b: (200, "text/plain", w.lie(b, w.key)[2][:-1]),
    "long": lambda w, b: (200, "text/plain", b"x" * 16385),
    "lies": lambda w, b: w.lie(b, other_key(w)),
    "other witness": lambda w, b: w.lie(b, Key("other/w", COSIGNATURE, bytes(32))),
    "other log": lambda w, b: w.lie(b, w.key, "gw2.example.eu/audit\n1\n%s\n"
                                    % base64.b64encode(bytes(32)).decode()),
    "no time": lambda w, b: w.lie(b, w.key, time_s=0),
    "true, then a lie": lambda w, b: (200, "text/plain",
                                      w.lie(b, w.key)[2] + w.lie(b, other_key(w))[2]),
}


class Log:
    """A log's folder that grows by our own hand: segment and checkpoint."""

    def __init__(self, folder, origin="gw1.example.eu/audit", seed=bytes(range(32))):
        self.folder, self.origin = folder, origin
        self.key = Key(origin, ED25519, seed)
        self.lines = []
        os.makedirs(os.path.join(folder, "seg"), exist_ok=True)

    def grow(self, count, word="x"):
        more = [b'{"i":%d,"w":"%s"}' % (len(self.lines) + k, word.encode())
                for k in range(count)]
        self.lines += more
        self.write()

    def write(self):
        with open(os.path.join(self.folder, "seg", "000000000000.jsonl"), "wb") as f:
            f.write(b"".join(line + b"\n" for line in self.lines))
        root = tlog.root([tlog.leaf(x) for x in self.lines])
        text = tlog.text(self.origin, len(self.lines), root)
        self.note = text + "\n" + self.key.line(text)
        path = os.path.join(self.folder, "checkpoint")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(self.note)
        os.replace(path + ".new", path)
