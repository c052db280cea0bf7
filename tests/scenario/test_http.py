#!/usr/bin/env python3
"""The public listener as its clients see it: every refusal with its fixed
body, request smuggling, connections, CORS, which site, TLS."""
import gzip
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time
import unittest

from harness import PATIENCE_S, Gateway, event, main, wait_until

ERRORS = {  # status: (enum, message)
    400: ("bad_request", "The request cannot be understood."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is no such thing."),
    405: ("method_not_allowed", "This path has no such method."),
    408: ("timeout", "The request took too long to arrive."),
    413: ("too_large", "The body is too large."),
    414: ("target_too_long", "The address is too long."),
    415: ("unsupported_type", "The body has a form that is not read here."),
    429: ("too_many_requests", "Too many requests. Try again later."),
    431: ("headers_too_large", "The headers are too large."),
    501: ("not_implemented", "This transfer coding is not read here."),
    503: ("unavailable", "Not possible at present. Try again later."),
    505: ("version", "Only HTTP/1.0 and HTTP/1.1 are spoken here."),
}
EVENTS = "POST /v1/events HTTP/1.1\r\nHost: x\r\n"


def parse(data):
    """The answers in a byte stream: [(status, headers, body)]."""
    answers = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        length = int(dict(headers).get("Content-Length", 0))
        answers.append((int(lines[0].split(" ")[1]), headers, rest[:length]))
        data = rest[length:]
    return answers


def post(body, *headers, path="/v1/events"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n" % (
        path, len(body), "".join(h + "\r\n" for h in headers))).encode() + body


class Case(unittest.TestCase):
    def error(self, answer, status, close=None):
        """`answer` is the fixed answer of this error, and nothing else."""
        got, headers, body = answer
        self.assertEqual(got, status, body)
        enum, message = ERRORS[status]
        self.assertEqual(body, ('{"error":"%s","message":"%s"}' % (enum, message)).encode())
        names = dict(headers)
        self.assertEqual(names["Content-Type"], "application/json")
        self.assertEqual("Retry-After" in names, status in (429, 503))
        self.assertNotIn("Server", names)
        self.assertNotIn("Set-Cookie", names)
        self.assertNotIn("ETag", names)
        if close is not None:
            self.assertEqual(names.get("Connection") == "close", close, headers)


class Statuses(Case):
    @classmethod
    def setUpClass(cls):
        cls.g = Gateway({"limits": {"body": "64KiB", "inflated": "256KiB",
                                    "request_time": "PT1S"}})

    @classmethod
    def tearDownClass(cls):
        cls.g.close()

    def one(self, data):
        answers = parse(self.g.raw(data))
        self.assertEqual(len(answers), 1, answers)
        return answers[0]

    def test_unknown_paths_and_methods(self):
        for status, line in ((404, "GET /"), (404, "GET /v1/event"), (404, "GET /v1/events/"),
                             (404, "POST /s/nobody/v1/events"), (404, "GET /metrics"),
                             (404, "GET /api/status"), (404, "POST /readyz"),
                             (405, "GET /v1/events"), (405, "PUT /v1/events"),
                             (405, "DELETE /v1/events")):
            self.error(self.one((line + " HTTP/1.1\r\nHost: x\r\n\r\n").encode()), status)

    def test_a_wrong_method_is_told_the_right_ones(self):
        for line, allow in (("PUT /healthz", "GET, HEAD, OPTIONS"), ("HEAD /v1/events", "POST, OPTIONS"),
                            ("GET /s/mixbot/v1/events", "POST, OPTIONS"),
                            ("GET /v1/optin", "POST, OPTIONS"), ("HEAD /track", "GET, POST, OPTIONS"),
                            ("PUT /v1/optout", "GET, HEAD, POST, OPTIONS")):
            raw = self.g.raw((line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").encode())
            self.assertTrue(raw.startswith(b"HTTP/1.1 405 "), raw)
            self.assertIn(("\r\nAllow: %s\r\n" % allow).encode(), raw)

    def test_bodies_that_are_not_understood(self):
        for body in (b"", b" ", b"{", b"[]x", b'"x"', b"[1,2]", b'{"a":1,"a":2}', b"\xff",
                     b'{"action":1}', b'{"action":""}', b'[{"details":{}}]', b"null"):
            self.error(self.one(post(body)), 400)

    def test_an_empty_array_holds_nothing(self):
        status, _, body = self.one(post(b"[]"))
        self.assertEqual((status, json.loads(body)), (200, {"status": "ok", "received": 0}))

    def test_some_understood(self):
        body = [event(), {"no": "action"}, event(), 7]
        status, _, answer = self.one(post(body))
        self.assertEqual((status, json.loads(answer)), (200, {
            "status": "partial", "received": 4, "understood": 2, "bad": [1, 3]}))

    def test_at_most_twenty_bad_positions_are_told(self):
        body = [{"no": "action"}] * 25 + [event()]
        answer = json.loads(self.one(post(body))[2])
        self.assertEqual((answer["received"], answer["understood"], answer["bad"]),
                         (26, 1, list(range(20))))

    def test_body_limit(self):
        room = 65536 - len(json.dumps(event(pad="")))
        self.assertEqual(self.one(post(event(pad="x" * room)))[0], 200)
        self.error(self.one(post(event(pad="x" * (room + 1)))), 413, close=True)
        # said, not sent
        self.error(self.one((EVENTS + "Content-Length: 65537\r\n\r\n").encode()), 413)
        self.error(self.one((EVENTS + "Content-Length: 9223372036854775807\r\n\r\n").encode()), 413)

    def test_chunked_body_limit(self):
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        data = (EVENTS + "Transfer-Encoding: chunked\r\n\r\n").encode()
        self.error(self.one(data + chunk * 2 + b"0\r\n\r\n"), 413, close=True)

    def test_long_targets_and_heads(self):
        self.error(self.one(b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: x\r\n\r\n"), 414, True)
        self.error(self.one(b"GET /" + b"a" * 8191 + b" HTTP/1.1\r\nHost: x\r\n\r\n"), 404)
        many = "".join("X-%d: y\r\n" % i for i in range(64))
        self.error(self.one(("GET /healthz HTTP/1.1\r\nHost: x\r\n" + many + "\r\n").encode()), 431)
        wide = "X: " + "y" * 16384 + "\r\n"
        self.error(self.one(("GET /healthz HTTP/1.1\r\nHost: x\r\n" + wide + "\r\n").encode()), 431)

    def test_codings_and_versions(self):
        self.error(self.one(post(event(), "Content-Encoding: br")), 415)
        self.error(self.one(post(event(), "Content-Encoding: gzip, gzip")), 415)
        self.error(self.one((EVENTS + "Transfer-Encoding: gzip\r\n\r\n").encode()), 501, True)
        self.error(self.one(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"), 505, True)

    def test_slow_clients_get_408(self):
        for sent in (b"POST /v1/ev", EVENTS.encode(), post(event())[:-3],
                     (EVENTS + "Transfer-Encoding: chunked\r\n\r\n5\r\nab").encode()):
            with socket.create_connection(("127.0.0.1", self.g.port), PATIENCE_S) as s:
                s.sendall(sent)
                got = b""
                while True:
                    piece = s.recv(4096)
                    if not piece:
                        break
                    got += piece
            self.error(parse(got)[0], 408, close=True)

    def test_smuggling_shapes_end_with_400(self):
        inner = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        shapes = (
            EVENTS + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            EVENTS + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
            EVENTS + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
            EVENTS + "Content-Length: 5, 5\r\n\r\nabcde",
            EVENTS + "Content-Length: +5\r\n\r\nabcde",
            EVENTS + "Content-Length: 0x5\r\n\r\nabcde",
            EVENTS + "Content-Length: -1\r\n\r\n",
            EVENTS + "Content-Length: 5 5\r\n\r\nabcde",
            EVENTS + "Content-Length:\r\n\r\nabcde",
            EVENTS + "Content-Length : 5\r\n\r\nabcde",
            EVENTS + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            EVENTS + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
            EVENTS + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            EVENTS + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n",
            EVENTS + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            EVENTS + "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            EVENTS + "X\0: y\r\n\r\n", EVENTS + "X: \0y\r\n\r\n", EVENTS + ": y\r\n\r\n",
            EVENTS + "Host: y\r\n\r\n", "POST /v1/events HTTP/1.1\r\n\r\n",
            "POST /v1/events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST  /v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /v1/events\tHTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /v1/events HTTP/1.1 \r\nHost: x\r\n\r\n",
            "POST /v1/events HTTP/1.1\nHost: x\n\n",
            "POST http://a@b/v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
            EVENTS.replace("Host: x", "Host: a b") + "\r\n",
            EVENTS.replace("Host: x", "Host: a,b") + "\r\n",
            EVENTS.replace("Host: x", "Host: a/b") + "\r\n",
            EVENTS + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
            EVENTS + "Transfer-Encoding: chunked\r\n\r\n5 \r\nabcde\r\n0\r\n\r\n",
            EVENTS + "Transfer-Encoding: chunked\r\n\r\n5\nabcde\r\n0\r\n\r\n",
            EVENTS + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeX\r\n0\r\n\r\n",
            EVENTS + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na",
            EVENTS + "Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
            EVENTS + "Transfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n",
        )
        for shape in shapes:
            answers = parse(self.g.raw((shape + inner).encode()))
            self.assertEqual(len(answers), 1, shape)  # nothing behind it is read
            self.error(answers[0], 400, close=True)

    def test_other_unknown_codings_are_no_smuggling_either(self):
        for value in ("identity", "chunked, identity", "gzip, chunked", "xchunked"):
            answers = parse(self.g.raw((EVENTS + "Transfer-Encoding: %s\r\n\r\n0\r\n\r\n"
                                        % value + "GET / HTTP/1.1\r\n\r\n").encode()))
            self.assertEqual(len(answers), 1)
            self.error(answers[0], 501, close=True)

    def test_keep_alive(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.g.port, timeout=PATIENCE_S)
        connection.connect()
        local = connection.sock.getsockname()
        for method, path, status in (("GET", "/healthz", 200), ("GET", "/nothing", 404),
                                     ("POST", "/v1/events", 400), ("GET", "/v1/events", 405),
                                     ("GET", "/healthz", 200)):
            connection.request(method, path, b"{" if method == "POST" else None)
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, status)
            self.assertEqual(connection.sock.getsockname(), local)
        connection.close()

    def test_http_1_0(self):
        answers = parse(self.g.raw(b"GET /healthz HTTP/1.0\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n"))
        self.assertEqual([a[0] for a in answers], [200])
        answers = parse(self.g.raw(
            b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n"))
        self.assertEqual([a[0] for a in answers], [200, 200])

    def test_pipelining_keeps_the_order(self):
        batch = b"".join(post([event()] * n) if n % 3 else b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                         for n in range(1, 31))
        answers = parse(self.g.raw(batch))
        self.assertEqual([a[0] for a in answers], [200 if n % 3 else 404 for n in range(1, 31)])
        self.assertEqual([json.loads(a[2])["received"] for a in answers if a[0] == 200],
                         [n for n in range(1, 31) if n % 3])

    def test_head_is_get_without_a_body(self):
        for path in ("/healthz", "/v1/optout"):
            get = self.one(("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path).encode())
            raw = self.g.raw(("HEAD %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                              % path).encode())
            head, _, body = raw.partition(b"\r\n\r\n")
            self.assertEqual(body, b"")
            self.assertEqual(int(head.split(b" ")[1]), get[0])
            self.assertIn(b"Content-Length: %d" % len(get[2]), head)

    def test_expect_continue(self):
        with socket.create_connection(("127.0.0.1", self.g.port), PATIENCE_S) as s:
            body = json.dumps(event()).encode()
            s.sendall((EVENTS + "Content-Length: %d\r\nExpect: 100-continue\r\n\r\n"
                       % len(body)).encode())
            self.assertEqual(s.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(body)
            self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 200 "))

    def test_gzip(self):
        body = gzip.compress(json.dumps(event()).encode())
        self.assertEqual(self.one(post(body, "Content-Encoding: gzip"))[0], 200)
        self.assertEqual(self.one(post(body, "Content-Type: text/plain"))[0], 200)
        self.error(self.one(post(body[:-4], "Content-Encoding: gzip")), 400)
        self.error(self.one(post(body + b"x", "Content-Encoding: gzip")), 400)
        self.error(self.one(post(b"plain", "Content-Encoding: gzip")), 400)

    def test_gzip_bombs_are_stopped(self):
        for size in (256 << 10, 1 << 20, 32 << 20):
            bomb = gzip.compress(json.dumps(event(pad="0" * size)).encode())
            if len(bomb) <= 65536:
                self.error(self.one(post(bomb, "Content-Encoding: gzip")), 413)
        room = (256 << 10) - len(json.dumps(event(pad="")))
        fits = gzip.compress(json.dumps(event(pad="0" * room)).encode())
        self.assertEqual(self.one(post(fits, "Content-Encoding: gzip"))[0], 200)

    def test_chunked(self):
        body = json.dumps(event()).encode()
        data = (EVENTS + "Transfer-Encoding: Chunked\r\n\r\n").encode()
        for i in range(len(body)):
            data += b"1;a=b\r\n" + body[i:i + 1] + b"\r\n"
        data += b"000\r\nX-Trailer: y\r\n\r\n"
        self.assertEqual(self.one(data)[0], 200)

    def test_the_bytes_may_come_one_by_one(self):
        with socket.create_connection(("127.0.0.1", self.g.port), PATIENCE_S) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for b in post(event()):
                s.sendall(bytes([b]))
            self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 200 "))

    def test_percent_encoding_of_the_path(self):
        self.assertEqual(self.one(post(event(), path="/v1/%65vents"))[0], 200)
        self.assertEqual(self.one(post(event(), path="/s/mixbot/v1/events"))[0], 200)
        self.assertEqual(self.one(post(event(), path="http://x/v1/events"))[0], 200)
        for path in ("/v1%2fevents", "//v1/events", "/v1/../v1/events", "/V1/events",
                     "/v1/events%c0%af", "/%2e%2e/v1/events"):
            self.error(self.one(post(event(), path=path)), 404)
        for path in ("/v1/events%00", "/v1/events%0a", "/v1/%", "/v1/%zz"):
            self.error(self.one(post(event(), path=path)), 400)


ORIGIN = "https://mixbot.example"


class Cors(Case):
    @classmethod
    def setUpClass(cls):
        cls.g = Gateway(start=False, config={"limits": {"body": "64KiB"}})
        cls.g.conf["sites"][0]["origins"] = [ORIGIN, "http://localhost:*",
                                             "https://*.apps.example"]
        save(cls.g)
        cls.g.start()

    @classmethod
    def tearDownClass(cls):
        cls.g.close()

    def cors(self, headers):
        return {n: v for n, v in headers if n.startswith("Access-Control-") or n == "Vary"}

    def allowed(self, origin):
        return {"Vary": "Origin", "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Credentials": "true",
                "Access-Control-Expose-Headers": "Retry-After"}

    def ask(self, data):
        return parse(self.g.raw(data))[0]

    def test_listed_origins(self):
        for origin in (ORIGIN, "http://localhost:3000", "https://a.apps.example"):
            for path, body in (("/v1/events", event()), ("/v1/optout", {"session_id": "s"}),
                               ("/v1/optin", {"receipt": "r"})):
                status, headers, _ = self.ask(post(body, "Origin: " + origin, path=path))
                self.assertEqual((status, self.cors(headers)), (200, self.allowed(origin)))

    def test_only_where_pages_have_to_do(self):
        for path in ("/healthz", "/nothing", "/", "/v1/event"):
            for method in ("GET", "POST", "OPTIONS"):
                _, headers, _ = self.ask(("%s %s HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n" % (
                    method, path, ORIGIN)).encode())
                self.assertEqual(set(self.cors(headers)) - {"Vary"}, set(), (method, path))

    def test_two_origins_are_none(self):
        got = self.ask(post(event(), "Origin: " + ORIGIN, "Origin: https://evil.example"))
        self.error(got, 400)
        self.assertEqual(set(self.cors(got[1])) - {"Vary"}, set())

    def test_unlisted_origins_get_no_headers_and_are_taken(self):
        for origin in ("https://evil.example", "http://mixbot.example", ORIGIN + ":8443",
                       "https://mixbot.example.evil.example", "null", "https://apps.example",
                       "https://evilapps.example", "http://localhost.evil.example:1"):
            status, headers, _ = self.ask(post(event(), "Origin: " + origin))
            self.assertEqual((status, self.cors(headers)), (200, {"Vary": "Origin"}), origin)
        status, headers, _ = self.ask(post(event()))
        self.assertEqual((status, self.cors(headers)), (200, {"Vary": "Origin"}))

    def test_on_errors_too(self):
        for data, status in ((post(b"{", "Origin: " + ORIGIN), 400),
                             (post(b"{}", "Origin: " + ORIGIN, "X-Write-Key: no"), 404),
                             # refused before the body was there, or read
                             (EVENTS.encode() + b"Content-Length: 65537\r\nOrigin: "
                              + ORIGIN.encode() + b"\r\n\r\n", 413),
                             (post(b"\x1f\x8b\x08", "Origin: " + ORIGIN), 400),
                             (post(b"{}", "Origin: " + ORIGIN, "Content-Encoding: br"), 415),
                             (EVENTS.encode() + b"Transfer-Encoding: chunked\r\nOrigin: "
                              + ORIGIN.encode() + b"\r\n\r\nfffffff\r\n", 413),
                             (EVENTS.encode() + b"Transfer-Encoding: chunked\r\nOrigin: "
                              + ORIGIN.encode() + b"\r\n\r\nx\r\n", 400),
                             (b"GET /v1/events HTTP/1.1\r\nHost: x\r\nOrigin: "
                              + ORIGIN.encode() + b"\r\n\r\n", 405)):
            got = self.ask(data)
            self.error(got, status)
            self.assertEqual(self.cors(got[1]), self.allowed(ORIGIN))

    def test_preflight_is_a_constant(self):
        seen = set()
        for path in ("/v1/events", "/v1/optout", "/v1/optin", "/s/mixbot/v1/events"):
            for wish in ("", "Access-Control-Request-Headers: x-evil, authorization\r\n",
                         "Access-Control-Request-Method: DELETE\r\n"):
                raw = self.g.raw(("OPTIONS %s HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n%s"
                                  "Connection: close\r\n\r\n" % (path, ORIGIN, wish)).encode())
                seen.add(raw)
        self.assertEqual(len(seen), 1, seen)
        status, headers, body = parse(seen.pop())[0]
        cors = self.cors(headers)
        self.assertEqual((status, body), (204, b""))
        self.assertEqual(cors["Access-Control-Allow-Origin"], ORIGIN)
        self.assertEqual(cors["Access-Control-Allow-Methods"], "GET, POST, OPTIONS")
        self.assertEqual(cors["Access-Control-Max-Age"], "7200")
        self.assertIn("content-type", cors["Access-Control-Allow-Headers"].lower())
        self.assertNotIn("evil", cors["Access-Control-Allow-Headers"])

    def test_preflight_of_others_says_nothing(self):
        for origin in ("Origin: https://evil.example\r\n", ""):
            got = self.ask((EVENTS + origin + "Content-Length: 65537\r\n\r\n").encode())
            self.error(got, 413)
            self.assertEqual(self.cors(got[1]), {"Vary": "Origin"})
            status, headers, _ = self.ask(("OPTIONS /v1/events HTTP/1.1\r\nHost: x\r\n%s\r\n"
                                           % origin).encode())
            self.assertEqual(status, 204)
            self.assertEqual(set(self.cors(headers)) - {"Vary"}, set())


def save(g):
    with open(g.conf_path, "w") as f:
        json.dump(g.conf, f, indent=1)


def two_sites(**more):
    """A gateway with mixbot and a second site; each has its own file."""
    g = Gateway(start=False, config=more)
    first = g.conf["sites"][0]
    first.update(hosts=["a.example"], origins=["https://a.example"], keys=["key-a", "other-a"])
    first["destinations"] = [{"name": "file", "type": "jsonl", "path": "a.jsonl"}]
    second = dict(first, id="00000000000000b0", name="second", hosts=["b.example"],
                  origins=["https://b.example"], keys=["key-b"])
    second["destinations"] = [{"name": "file", "type": "jsonl", "path": "b.jsonl"}]
    g.conf["sites"].append(second)
    save(g)
    return g


class Sites(Case):
    @classmethod
    def setUpClass(cls):
        cls.g = two_sites()
        cls.g.start()

    @classmethod
    def tearDownClass(cls):
        cls.g.close()

    def lines(self, site):
        found = []
        for name in sorted(os.listdir(self.g.home)):
            if name.startswith(site + ".") and name.endswith(".jsonl"):
                with open(os.path.join(self.g.home, name)) as f:
                    found += f.readlines()
        return len(found)

    def send(self, *headers, path="/v1/events", body=None):
        data = post(body or event(), *headers, path=path)
        for h in headers:
            if h.startswith("Host:"):
                data = data.replace(b"Host: x\r\n", b"", 1)
        return parse(self.g.raw(data))[0]

    HINTS = {
        "a": (("/s/mixbot/v1/events",), ("X-Write-Key: key-a",), ("Authorization: Bearer key-a",),
              ("Host: a.example",), ("Host: A.Example:8080",), ("Origin: https://a.example",)),
        "b": (("/s/second/v1/events",), ("/s/00000000000000b0/v1/events",),
              ("X-Write-Key: key-b",), ("Host: b.example",), ("Origin: https://b.example",)),
    }

    def try_hints(self, *hints):
        path = [h for h in hints if h.startswith("/")]
        return self.send(*[h for h in hints if not h.startswith("/")],
                         path=path[0] if path else "/v1/events")

    def test_each_hint_leads_to_its_site(self):
        self.g.settled()
        before = {s: self.lines(s) for s in "ab"}
        for site, hints in self.HINTS.items():
            for (hint,) in hints:
                self.assertEqual(self.try_hints(hint)[0], 200, hint)
        self.assertEqual(self.try_hints("/v1/events?key=key-b")[0], 200)
        wait_until("lines of both", lambda: self.lines("a") == before["a"] + 6
                   and self.lines("b") == before["b"] + 6)

    def test_hints_that_disagree_take_nothing(self):
        self.g.settled()
        before = [self.lines(s) for s in "ab"]
        for (a,) in self.HINTS["a"]:
            for (b,) in self.HINTS["b"]:
                kinds = [h[0] if h[0] in "/HO" else "key" for h in (a, b)]
                if kinds[0] == kinds[1]:
                    continue
                self.error(self.try_hints(a, b), 400)
        # two keys of two sites
        self.error(self.send("X-Write-Key: key-a", path="/v1/events?key=key-b"), 400)
        self.error(self.send("X-Write-Key: key-a", "X-Write-Key: key-b"), 400)
        self.error(self.send(path="/v1/events?key=key-a&key=key-b"), 400)
        self.error(self.try_hints("X-Write-Key: key-a", "Authorization: Bearer key-b"), 400)
        for path in ("optout", "optin"):
            self.error(self.send("X-Write-Key: key-b", path="/s/mixbot/v1/" + path,
                                 body={"session_id": "s"}), 400)
        batch = [event() for _ in range(5)]
        self.error(self.send("Origin: https://a.example", path="/s/second/v1/events",
                             body=batch), 400)
        # an opt-out of the wrong site would be none at all
        self.error(self.send("Origin: https://a.example", path="/s/second/v1/optout",
                             body={"session_id": "s"}), 400)
        self.g.settled()
        self.assertEqual([self.lines(s) for s in "ab"], before)

    def test_no_hint_or_an_unknown_one(self):
        self.error(self.send(), 404)
        self.error(self.send("Origin: https://c.example"), 404)
        for hint in ("X-Write-Key: key-c", "Authorization: Bearer key-c"):
            self.error(self.send("Host: a.example", hint), 404)
        self.error(self.send("X-Write-Key: key-a", path="/v1/events?key=key-c"), 404)
        self.error(self.send("X-Write-Key: key-c", path="/v1/optout", body={"user_id": "u"}), 404)
        self.error(self.send(path="/s/third/v1/events"), 404)
        self.error(self.send("Host: a.example", path="/s/third/v1/events"), 404)

    def test_a_host_that_is_nobodys_is_no_hint(self):
        self.assertEqual(self.send("Host: c.example", "X-Write-Key: key-a")[0], 200)

    def test_several_keys_of_one_site_agree(self):
        self.assertEqual(self.send("X-Write-Key: key-a", "Authorization: Bearer other-a",
                                   path="/v1/events?key=other-a&key=key-a")[0], 200)

    def test_an_opt_out_finds_its_site_by_a_key_too(self):
        for hint, path in (("X-Write-Key: key-a", "/v1/optout"), ("X-A: b", "/v1/optout?key=key-a")):
            self.assertEqual(self.send(hint, path=path, body={"session_id": "s"})[0], 200)

    def test_cors_only_for_the_site_found(self):
        def allowed(answer):
            return dict(answer[1]).get("Access-Control-Allow-Origin")
        self.assertEqual(allowed(self.send("Origin: https://a.example")), "https://a.example")
        for path, want in (("/s/mixbot/v1/events", "https://a.example"),
                           ("/s/second/v1/events", None), ("/v1/events", "https://a.example")):
            raw = self.g.raw(("OPTIONS %s HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n"
                              % path).encode())
            self.assertEqual(allowed(parse(raw)[0]), want, path)

    def test_one_site_s_opt_out_is_not_the_other_s(self):
        self.g.settled()
        before = [self.lines(s) for s in "ab"]
        self.assertEqual(self.send(path="/s/mixbot/v1/optout", body={"session_id": "same"})[0], 200)
        for site in ("mixbot", "second"):
            self.send(path="/s/%s/v1/events" % site, body=event(session="same"))
        wait_until("the other site's line", lambda: self.lines("b") == before[1] + 1)
        self.g.settled()
        self.assertEqual(self.lines("a"), before[0])


class Limits(Case):
    def rates(self, g, address, count, path="/v1/events", body=None):
        """Statuses of `count` requests that came through the proxy."""
        statuses = []
        for _ in range(count):
            raw = g.raw(post(body or event(), "X-Forwarded-For: " + address, path=path))
            answer = parse(raw)[0]
            if answer[0] == 429:
                self.error(answer, 429)
            statuses.append(answer[0])
        return statuses

    def test_rate_per_client_behind_a_trusted_proxy(self):
        config = {"limits": {"rate": {"optout": 2, "events": 3}}}
        with Gateway(config, start=False) as g:
            g.conf["listen"][0]["trusted_proxies"] = ["127.0.0.1"]
            save(g)
            g.start()
            self.assertEqual(self.rates(g, "203.0.113.1", 5), [200] * 3 + [429] * 2)
            self.assertEqual(self.rates(g, "203.0.113.2", 4), [200] * 3 + [429])
            # what the client claims in front of the proxy's word counts nothing
            self.assertEqual(self.rates(g, "9.9.9.9, 203.0.113.2", 1), [429])
            # a /64 is one subscriber
            self.assertEqual(self.rates(g, "2001:db8::1", 3), [200] * 3)
            self.assertEqual(self.rates(g, "2001:db8::2", 1), [429])
            self.assertEqual(self.rates(g, "2001:db8:0:1::2", 1), [200])
            optout = {"session_id": "x"}
            self.assertEqual(self.rates(g, "203.0.113.3", 3, "/v1/optout", optout),
                             [200, 200, 429])

    def test_rate_without_a_trusted_proxy(self):
        with Gateway({"limits": {"rate": {"events": 2}}}) as g:
            got = [self.rates(g, "203.0.113.%d" % n, 1)[0] for n in range(4)]
            self.assertEqual(got, [200, 200, 429, 429])

    def test_connection_limit(self):
        """One number for all workers and listeners: at it and one beyond."""
        listen = [{"address": "127.0.0.1:0", "trusted_proxies": [], "tls": None}] * 2
        g = Gateway({"workers": 3, "limits": {"connections": 3}}, start=False)
        self.addCleanup(g.close)
        g.conf["listen"] = listen
        save(g)
        with g:
            g.start()
            ports = [int(p) for p in re.findall(rb"listening port=(\d+)", g.log)][:2]
            held = [socket.create_connection(("127.0.0.1", ports[i % 2]), PATIENCE_S)
                    for i in range(3)]
            for s in held:
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 200"))
            for port in ports:
                self.error(parse(g.raw(b"", port))[0], 503, close=True)
            # the way of the operator has a number of its own
            self.assertEqual(g.admin("GET", "/healthz", headers={"Host": "localhost"}).status, 200)
            held.pop().close()
            wait_until("room for one more", lambda: parse(g.raw(
                b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))[0][0] == 200)
            for s in held:
                s.close()

    def test_full_spool_answers_503_with_retry_after(self):
        with Gateway({"limits": {"disk_free": "1TiB"}}) as g:
            def full():
                answer = parse(g.raw(post(event())))[0]
                return answer if answer[0] == 503 else None
            self.error(wait_until("the disk to count as full", full), 503)
            # the way out stays open
            self.assertEqual(g.post("/v1/optout", {"session_id": "s"}).status, 200)
            self.assertEqual(g.admin("GET", "/readyz", headers={"Host": "localhost"}).status, 503)

    def test_who_cannot_be_admitted_is_not_read(self):
        """A flood must not cost the gateway the reading of its bodies."""
        bad, first = b'{"action": ', "/s/mixbot/track"  # a body that holds the key must be read
        with two_sites(limits={"rate": {"events": 1}}) as g:
            g.start()
            self.assertEqual(parse(g.raw(post(bad, path=first)))[0][0], 400)
            self.assertEqual(parse(g.raw(post(bad, path=first)))[0][0], 429)
        with two_sites(limits={"disk_free": "1TiB"}) as g:
            g.start()

            def full():
                return parse(g.raw(post(event(), path="/s/mixbot/v1/events")))[0][0] == 503
            wait_until("the disk to count as full", full)
            self.assertEqual(parse(g.raw(post(bad, path=first)))[0][0], 503)
            # hints outside the body tell whom it is counted for
            for path, more in (("/s/second/track", ()), ("/track", ("Origin: https://b.example",))):
                self.assertEqual(parse(g.raw(post(bad, *more, path=path)))[0][0], 503)
            page = g.admin("GET", "/metrics", headers={"Host": "localhost"}).body.decode()
            self.assertRegex(page, r'lethe_requests_total\{site="second",[^}]*status="503"\} 2')


def certificate(folder, name):
    """A key and a self-signed certificate for localhost; returns its serial."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    for path in (cert, key):
        if os.path.exists(path):
            os.unlink(path)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key


class Tls(Case):
    def connect(self, port, **more):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for key, value in more.items():
            setattr(context, key, value)
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        return context.wrap_socket(plain, server_hostname="localhost")

    def get(self, port, data=b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            **more):
        with self.connect(port, **more) as s:
            s.sendall(data)
            got = b""
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                got += piece
            return parse(got)[0], s.getpeercert(binary_form=True), s.version()

    def test_tls_and_a_new_certificate_by_reload(self):
        with Gateway(start=False) as g:
            certificate(g.home, "first")
            tls = {"certificate": "cert.pem", "key": {"file": "key.pem"}}
            g.conf["listen"][0]["tls"] = tls
            g.conf["admin"]["tls"] = tls
            save(g)
            g.start()
            ports = (g.port, g.admin_port)
            answer, first, version = self.get(g.port)
            self.assertEqual((answer[0], version), (200, "TLSv1.3"))
            big = post(event(pad="x" * 100000, consent={"product": True}), "Connection: close")
            self.assertEqual(self.get(g.port, big)[0][0], 200)
            self.assertEqual(self.get(g.port, maximum_version=ssl.TLSVersion.TLSv1_2)[2],
                             "TLSv1.2")
            # plain text to a TLS port, and half a handshake, harm nobody
            self.assertNotIn(b"HTTP", g.raw(b"GET / HTTP/1.1\r\n\r\n"))
            self.assertNotIn(b"HTTP", g.raw(b"\x16\x03\x01\x02"))
            old = self.connect(g.port)
            certificate(g.home, "second")
            self.assertEqual(g.run("reload")[0], 0)
            for port in ports:
                self.assertNotEqual(self.get(port)[1], first, port)
            # whoever was connected stays connected
            old.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertTrue(old.recv(1000).startswith(b"HTTP/1.1 200"))
            old.close()
            second = self.get(g.port)[1]
            with open(os.path.join(g.home, "cert.pem"), "w") as f:
                f.write("no certificate\n")
            code, out, err = g.run("reload")
            self.assertEqual(code, 1)
            self.assertIn("certificate", out + err)
            self.assertIn("the old", out + err)
            for port in ports:
                self.assertEqual(self.get(port)[1], second)

    def test_a_reload_changes_all_certificates_or_none(self):
        with Gateway(start=False) as g:
            names = ("one", "two", "admin")
            tls = {}
            for name in names:
                os.mkdir(os.path.join(g.home, name))
                certificate(os.path.join(g.home, name), name)
                tls[name] = {"certificate": name + "/cert.pem", "key": {"file": name + "/key.pem"}}
            g.conf["listen"] = [{"address": "127.0.0.1:0", "trusted_proxies": [], "tls": tls[n]}
                                for n in ("one", "two")]
            g.conf["admin"]["tls"] = tls["admin"]
            save(g)
            g.start()
            ports = [int(p) for p in re.findall(rb"listening port=(\d+)", g.log)]
            self.assertEqual(len(ports), 3)
            before = [self.get(port)[1] for port in ports]
            # one of them is bad: whichever it is, all stay
            for broken in names:
                for name in names:
                    certificate(os.path.join(g.home, name), name)
                with open(os.path.join(g.home, broken, "cert.pem"), "w") as f:
                    f.write("no certificate\n")
                code, out, _ = g.run("reload")
                self.assertEqual(code, 1)
                self.assertIn("certificate", out)
                self.assertEqual([self.get(port)[1] for port in ports], before, broken)
            # all are good, but what comes after them fails
            certificate(os.path.join(g.home, "admin"), "admin")
            more = json.loads(json.dumps(g.conf["sites"][0]))
            more.update(id="00112233445566778899", name="another", keys=[], origins=[],
                        destinations=[])
            os.mkdir(os.path.join(g.state, "sites.new"))  # the site cannot enter the state
            conf = json.loads(json.dumps(g.conf))
            conf["sites"].append(more)
            with open(g.conf_path, "w") as f:
                json.dump(conf, f)
            code, out, _ = g.run("reload")
            self.assertEqual(code, 1, out)
            self.assertIn("stay in force", out)
            self.assertEqual([self.get(port)[1] for port in ports], before)
            os.rmdir(os.path.join(g.state, "sites.new"))
            self.assertEqual(g.run("reload")[0], 0)
            after = [self.get(port)[1] for port in ports]
            for old, new in zip(before, after):
                self.assertNotEqual(old, new)

    def test_the_opt_out_cookie_is_secure_over_tls(self):
        with Gateway(start=False) as g:
            certificate(g.home, "first")
            g.conf["listen"][0]["tls"] = {"certificate": "cert.pem", "key": {"file": "key.pem"},
                                          "min": "1.3"}
            save(g)
            g.start()
            form = post(b"", "Content-Type: application/x-www-form-urlencoded",
                        "Connection: close", path="/v1/optout")
            answer = self.get(g.port, form)[0]
            self.assertEqual(answer[0], 303)
            self.assertIn("; Secure", dict(answer[1])["Set-Cookie"])
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.get(g.port, maximum_version=ssl.TLSVersion.TLSv1_2)


if __name__ == "__main__":
    main()
