"""harness.py - the real gateway in a folder of its own, and a recording
backend, for scenario tests. Servers on 127.0.0.1, port 0, ended by their own
pid. Waiting is polling with a bound, never a sleep that hopes.

    with Gateway() as g:                    # init, serve, wait until ready
        g.post("/v1/events", {...})         # -> Answer(status, headers, body)
        g.events("http")                    # what the recorder got, parsed
"""

import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("LETHE_BUILD", os.path.join(ROOT, "build"))
LETHE = os.path.join(BUILD, "lethe")
# Sanitizers and shared machines are slow: bounds, not expectations.
PATIENCE_S = float(os.environ.get("LETHE_PATIENCE", "20"))


def wait_until(what, check, seconds=PATIENCE_S):
    """Poll `check` until it is true and return its value; fail after a bound."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %.0f s in vain for: %s" % (seconds, what))
        time.sleep(0.01)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "Answer(%d, %r)" % (self.status, self.body[:200])


class Recorder:
    """An HTTP backend that keeps every byte it gets. `answer` may be a status,
    a callable(request) -> (status, headers, body), or "hang" (accept, read,
    never answer) or "reset"."""

    def __init__(self, answer=200):
        self.answer = answer
        self.requests = []  # dicts: method, path, headers, body, peer
        self.lock = threading.Lock()
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                request = {"method": self.command, "path": self.path,
                           "headers": list(self.headers.items()), "body": body,
                           "peer": self.client_address, "answered": None}
                with recorder.lock:
                    recorder.requests.append(request)
                answer = recorder.answer
                if callable(answer):
                    answer = answer(request)
                if answer == "hang":
                    recorder.released.wait(PATIENCE_S * 3)
                    self.close_connection = True
                    return
                if answer == "reset":
                    self.connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    self.close_connection = True
                    return
                status, headers, body = (answer, [], b"") if isinstance(answer, int) else answer
                request["answered"] = status
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST
            do_PUT = do_POST

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass  # a cut transfer is no error of the recorder

        self.released = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return "http://127.0.0.1:%d/events" % self.port

    def accepted(self):
        """Events of the requests that were answered with 2xx, in order."""
        with self.lock:
            requests = list(self.requests)
        events = []
        for r in requests:
            if r["answered"] is not None and 200 <= r["answered"] < 300:
                events += json.loads(r["body"])
        return events

    def bytes(self):
        with self.lock:
            return b"\n".join(
                r["path"].encode() + b"\n" + b"\n".join(
                    (n + ": " + v).encode("latin-1") for n, v in r["headers"])
                + b"\n" + r["body"] for r in self.requests)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


class Gateway:
    """A gateway with the Mixbot policy and three destinations: `store`
    (SQLite), `file` (JSON Lines) and `any` (HTTP, the recorder)."""

    def __init__(self, config=None, policy=None, env=None, start=True, folder=None,
                 recorder=None, faketime=None, wrap=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="lethe-test-")
        os.chmod(self.folder, 0o700)
        self.runtime = os.path.join(self.folder, "run")
        self.recorder = recorder or Recorder()
        self.own_recorder = recorder is None
        self.env = dict(os.environ, **(env or {}))
        self.env.pop("RUNTIME_DIRECTORY", None)
        self.faketime = faketime
        self.wrap = wrap or []
        self.process = None
        self.port = self.admin_port = None
        self.log = b""
        self.home = os.path.join(self.folder, "gw")
        self.conf_path = os.path.join(self.home, "lethe.json")
        if not os.path.exists(self.conf_path):
            self.run("init", self.home, check=True)
            self.write_config(config or {})
            if policy is not None:
                self.write_policy(policy)
        if start:
            self.start()

    # -- files ------------------------------------------------------------

    def write_config(self, changes):
        with open(self.conf_path) as f:
            text = f.read()
        conf = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
        conf["listen"] = [{"address": "127.0.0.1:0", "trusted_proxies": [], "tls": None}]
        conf["admin"] = {"address": "127.0.0.1:0", "hosts": ["localhost"], "tls": None}
        conf["epoch_store"] = "memory"
        conf["limits"] = {"disk_free": "1MiB", "rate": {"optout": 0, "events": 0}}
        conf["sites"][0]["destinations"].append(
            {"name": "any", "type": "http", "url": self.recorder.url})
        merge(conf, changes)
        with open(self.conf_path, "w") as f:
            json.dump(conf, f, indent=1)
        self.conf = conf
        self.site_id = conf["sites"][0]["id"]

    def write_policy(self, text):
        with open(os.path.join(self.home, "policy", "mixbot.json"), "w") as f:
            f.write(text)

    def read_policy(self):
        with open(os.path.join(self.home, "policy", "mixbot.json")) as f:
            return f.read()

    @property
    def state(self):
        return os.path.join(self.home, "state")

    # -- process ----------------------------------------------------------

    def start(self, wait=True):
        command = self.wrap + [LETHE, "serve", "--config", self.conf_path]
        env = dict(self.env)
        if self.faketime:
            env["LD_PRELOAD"] = " ".join(asan_library() + [faketime_library()])
            env["FAKETIME_TIMESTAMP_FILE"] = self.faketime
            env["FAKETIME_NO_CACHE"] = "1"
            env["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
            # Else waits until a monotonic time end at once.
            env["FAKETIME_FORCE_MONOTONIC_FIX"] = "0"
        self.log = b""
        self.port = None
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=env)
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        if wait:
            wait_until("the gateway to be ready",
                       lambda: b"serve: ready" in self.log or self._died())
            ports = re.findall(rb"listening port=(\d+)", self.log)
            if not ports:
                raise AssertionError("the gateway did not start:\n" + self.log.decode())
            self.port = int(ports[0])
            if len(ports) > 1:
                self.admin_port = int(ports[-1])

    def _died(self):
        if self.process.poll() is None:
            return False
        self.reader.join(2)
        return True

    def _read_log(self):
        process = self.process
        for line in process.stdout:
            self.log += line

    def stop(self, number=signal.SIGTERM):
        """Returns the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(PATIENCE_S * 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the gateway did not stop:\n" + self.log.decode())
        self.reader.join(5)
        self.process.stdout.close()
        self.process = None
        if b"Sanitizer" in self.log or b"runtime error:" in self.log:
            raise AssertionError("a sanitizer's report:\n" + self.log.decode(errors="replace"))
        return code

    def kill(self):
        self.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def run(self, *words, stdin=b"", check=False, env=None):
        """A lethe command; returns (exit code, stdout, stderr) as text."""
        words = list(words)
        if words and words[0] not in ("init", "version", "policy", "minimise"):
            words += ["--config", self.conf_path]
        done = subprocess.run([LETHE] + words, input=stdin, capture_output=True,
                              env=env or self.env, timeout=PATIENCE_S * 3)
        if check and done.returncode != 0:
            raise AssertionError("lethe %s: exit %d\n%s%s" % (
                " ".join(words), done.returncode, done.stdout.decode(), done.stderr.decode()))
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def status(self):
        code, out, err = self.run("status", "--json")
        if not out:
            raise AssertionError("no status: " + err)
        return json.loads(out)

    # -- requests ---------------------------------------------------------

    def request(self, method, path, body=None, headers=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port,
                                                timeout=PATIENCE_S)
        try:
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            all_headers = {"Content-Type": "application/json"} if body is not None else {}
            all_headers.update(headers or {})
            connection.request(method, path, body=body, headers=all_headers)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def post(self, path, body, headers=None):
        return self.request("POST", path, body, headers)

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def admin(self, method, path, body=None, headers=None):
        return self.request(method, path, body, headers, port=self.admin_port)

    def raw(self, data, port=None):
        """Bytes to the socket, everything that comes back until it closes."""
        with socket.create_connection(("127.0.0.1", port or self.port), PATIENCE_S) as s:
            s.sendall(data)
            try:
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the gateway was quicker to close
            got = b""
            while True:
                try:
                    piece = s.recv(65536)
                except ConnectionResetError:
                    break
                if not piece:
                    break
                got += piece
            return got

    # -- what arrived -----------------------------------------------------

    def settled(self):
        """Wait until nothing waits for any destination that works."""
        def nothing_waits():
            return all(d["waiting"] == 0 or d["state"] != "ok"
                       for d in self.status()["destinations"])
        wait_until("deliveries to settle", nothing_waits)

    def file_lines(self):
        lines = []
        for name in sorted(os.listdir(self.home)):
            if name.startswith("user_analytics.") and name.endswith(".jsonl"):
                with open(os.path.join(self.home, name)) as f:
                    lines += [json.loads(line) for line in f]
        return lines

    def rows(self):
        import sqlite3
        path = os.path.join(self.home, "events.db")
        if not os.path.exists(path):
            return []
        db = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
        db.row_factory = sqlite3.Row
        try:
            return [dict(r) for r in db.execute("SELECT * FROM user_actions ORDER BY rowid")]
        finally:
            db.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        try:
            if self.process is not None:
                self.stop()
        finally:
            if self.own_recorder:
                self.recorder.close()
            if self.own_folder and not os.environ.get("LETHE_KEEP"):
                shutil.rmtree(self.folder, ignore_errors=True)


def merge(into, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def is_sanitized(*marks):
    """Whether the binary under test was built by `make asan` or `make tsan`."""
    with open(LETHE, "rb") as f:
        text = f.read()
    return any(m in text for m in marks or (b"__asan_init", b"__tsan_init"))


def asan_library():
    """What has to stand before any other library that is preloaded."""
    if not is_sanitized(b"__asan_init"):
        return []
    done = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, check=True)
    return [os.path.realpath(done.stdout.decode().strip())]


def faketime_library():
    if is_sanitized(b"__tsan_init"):
        raise unittest.SkipTest("libfaketime takes the waits that TSan has to see")
    for path in ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
                 "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"):
        if os.path.exists(path):
            return path
    raise unittest.SkipTest("libfaketime is not installed")


def event(action="File Uploaded", session="sess-1", **more):
    body = {"timestamp": "%s" % time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "session_id": session, "action": action,
            "details": {"file_name": "My Demo (feat. Jane).wav", "file_size": 5242881,
                        "file_type": "audio/wav"}}
    body.update(more)
    return body


def main():
    """Run the tests of the calling script and end with the plain count."""
    program = unittest.main(exit=False, verbosity=2 if "-v" in sys.argv else 1)
    r = program.result
    bad = len(r.failures) + len(r.errors)
    # A class that is skipped as a whole counts once, and has run nothing.
    print("%d passed, %d failed" % (max(0, r.testsRun - bad - len(r.skipped)), bad)
          + (", %d skipped" % len(r.skipped) if r.skipped else ""))
    sys.exit(1 if bad else 0)
