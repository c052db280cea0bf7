#!/usr/bin/env python3
"""What the two sides see of each other: nothing. R18 and R50 for the client,
R1 for the backend, R56 for the device, R61, R62 and R64 for the browser's
own signals."""
import http.client
import json
import os
import re
import socket
import time
import unittest

from harness import PATIENCE_S, Gateway, Recorder, event, main, wait_until

MIB = 1048576
PRIVACY_HEADERS = {"set-cookie", "etag", "last-modified", "accept-ch", "critical-ch", "alt-svc",
                   "server", "date", "via", "location", "link", "refresh", "report-to", "nel",
                   "reporting-endpoints", "expect-ct", "public-key-pins",
                   "strict-transport-security", "www-authenticate", "server-timing"}


def raw_post(body, *headers, path="/v1/events"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n" % (
        path, len(body), "".join(h + "\r\n" for h in headers))).encode() + body


def numbered(n, **more):
    """Event number n: its number is the file size in MiB, which may leave."""
    body = event(**more)
    body["details"]["file_size"] = n * MIB
    return body


def numbers(events):
    return sorted(e["details"]["file_size"] // MIB for e in events)


def mixbot(change):
    path = os.path.join(os.path.dirname(__file__), "..", "..", "policy", "profiles",
                        "mixbot.json")
    with open(path) as f:
        policy = json.loads(re.sub(r"//[^\n\"]*(\"[^\n]*)?$", "", f.read(), flags=re.M))
    change(policy)
    return json.dumps(policy)


class Answers(unittest.TestCase):
    """R50: equal byte for byte, whoever asks."""

    PEOPLE = {  # name: (event, headers)
        "allowed": (lambda: event(session="yes", consent={"product": True}), ()),
        "no consent": (lambda: event(session="yes"), ()),
        "denied": (lambda: event(session="yes", consent="denied"), ()),
        "opted out": (lambda: event(session="gone", consent={"product": True}), ()),
        "opted out by device": (lambda: event(session="yes", device_id="gone too"), ()),
        "cookie": (lambda: event(session="yes"), ("Cookie: lethe_optout=1",)),
        "gpc": (lambda: event(session="yes"), ("Sec-GPC: 1",)),
        "dnt": (lambda: event(session="yes"), ("DNT: 1",)),
        "unknown event": (lambda: event(action="Never Heard Of"), ()),
        "too many ids": (lambda: event(session="yes", user_id="u", device_id="d", group_id="g"),
                         ()),
        "long ago": (lambda: event(session="yes", timestamp="2001-01-01T00:00:00Z"), ()),
    }

    def answers(self, g, *more):
        """{answer: [who got it]}"""
        seen = {}
        for _ in range(2):
            for who, (make, headers) in self.PEOPLE.items():
                raw = g.raw(raw_post(make(), *(headers + more)))
                seen.setdefault(raw, []).append(who)
        return seen

    def opt_out(self, g):
        self.assertEqual(g.post("/v1/optout", {"session_id": "gone"}).status, 200)
        self.assertEqual(g.post("/v1/optout", {"device_id": "gone too"}).status, 200)

    def test_r50_equal_bytes_for_allowed_denied_and_opted_out(self):
        with Gateway() as g:
            self.opt_out(g)
            for more in ((), ("Origin: http://localhost:3000",), ("Origin: https://no.example",)):
                seen = self.answers(g, *more)
                self.assertEqual(len(seen), 1, seen)
                self.assertTrue(next(iter(seen)).startswith(b"HTTP/1.1 200 OK\r\n"))
            # a batch in which one is opted out counts what was received
            batch = [make() for make, _ in self.PEOPLE.values()]
            answer = g.post("/v1/events", batch)
            self.assertEqual(answer.json(), {"status": "ok", "received": len(batch)})
            # nor does the opt-out tell whether the id was known
            first = g.post("/v1/optout", {"session_id": "gone"})
            never = g.post("/v1/optout", {"session_id": "never seen"})
            for answer in (first, never):
                answer.body = re.sub(rb'"receipt":"[^"]+"', b'"receipt":"-"', answer.body)
            self.assertEqual((first.status, first.headers, first.body),
                             (never.status, never.headers, never.body))
            for path, bodies in (("/v1/optin", ({"receipt": "lo1-" + "A" * 43},
                                                {"receipt": "nonsense"})),):
                seen = {g.raw(raw_post(b, path=path)) for b in bodies}
                self.assertEqual(len(seen), 1, seen)

    def test_r50_a_batch_is_too_large_whoever_it_is_of(self):
        """Events times destinations, at the limit and one beyond."""
        names = ["any", "b", "c", "d", "e", "f"]
        def change(policy):
            for name in names[1:]:
                policy["destinations"][name] = dict(policy["destinations"]["any"])
        with Gateway({"limits": {"body": "8MiB"}}, mixbot(change), start=False) as g:
            g.conf["sites"][0]["destinations"] = [
                {"name": n, "type": "http", "url": g.recorder.url} for n in names]
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.start()
            self.opt_out(g)
            most = 40960 // len(names)
            for count, status in ((most, 200), (most + 1, 413)):
                seen = {g.raw(raw_post([make()] * count)) for make in (
                    self.PEOPLE[who][0] for who in ("allowed", "no consent", "opted out"))}
                self.assertEqual(len(seen), 1, [s[:200] for s in seen])
                self.assertTrue(next(iter(seen)).startswith(b"HTTP/1.1 %d " % status), seen)

    # One small event that leaves as about 200 KiB, and one beyond 256 KiB.
    LONG = "x" * 60
    ANY = 2  # the third destination of the policy

    @classmethod
    def growing(cls, lists):
        def change(policy):
            policy["events"]["growing"] = {
                "purpose": ["audience", "product"],
                "fields": {"l%d[]" % k: {"enum": [cls.LONG], "map": {"a": cls.LONG}}
                           for k in range(lists)}}
        return mixbot(change)

    def grown(self, lists, **more):
        return event("growing", details={"l%d" % k: ["a"] * 256 for k in range(lists)}, **more)

    def people(self, body, count):
        """The answer to each, by who sends `count` of them."""
        consent = {"consent": {"product": True}}
        return {"allowed": [dict(body, session_id="yes", **consent)] * count,
                "no consent": [dict(body, session_id="yes")] * count,
                "denied": [dict(body, session_id="yes", consent="denied")] * count,
                "opted out": [dict(body, session_id="gone", **consent)] * count}

    def equal_and_too_large(self, lists, count):
        """Answers equal; (events sent, events dropped as too large) to `any`."""
        with Gateway(policy=self.growing(lists)) as g:
            self.opt_out(g)
            seen = {}
            for who, batch in self.people(self.grown(lists), count).items():
                seen.setdefault(g.raw(raw_post(batch)), []).append(who)
            self.assertEqual(len(seen), 1, [s[:200] for s in seen])
            self.assertTrue(next(iter(seen)).startswith(b"HTTP/1.1 200 OK\r\n"), seen)
            g.settled()
            metrics = g.admin("GET", "/metrics").body.decode()
            dropped = sum(int(n) for n in re.findall(
                r'lethe_events_total{site="mixbot",destination="any",'
                r'outcome="dropped",reason="too-large"} (\d+)', metrics))
            def rows():
                found = g.run("audit", "search", "--reason", "too-large", "--format", "jsonl")[1]
                return sum(json.loads(row)["destinations"] >> self.ANY & 1
                           for row in found.splitlines())
            wait_until("a row of each that was dropped", lambda: rows() == dropped)
            return len(g.recorder.accepted()), dropped

    def test_r50_one_event_that_grows_too_large_is_dropped_and_answered_alike(self):
        self.assertEqual(self.equal_and_too_large(12, 1), (1, 0))
        self.assertEqual(self.equal_and_too_large(20, 1), (0, 1))

    def test_r50_a_batch_that_grows_too_large_is_answered_alike(self):
        sent, dropped = self.equal_and_too_large(12, 100)
        self.assertEqual(sent + dropped, 100)
        self.assertGreater(sent, 30)  # 8 MiB of them
        self.assertGreater(dropped, 50)

    def test_r50_equal_bytes_while_the_disk_is_full(self):
        with Gateway() as g:
            self.opt_out(g)
            g.conf["limits"]["disk_free"] = "1TiB"
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.restart()
            wait_until("a full disk", lambda: g.post("/v1/events", event()).status == 503)
            seen = self.answers(g)
            self.assertEqual(len(seen), 1, seen)
            self.assertTrue(next(iter(seen)).startswith(b"HTTP/1.1 503 "), seen)
            self.assertIn(b"\r\nRetry-After: ", next(iter(seen)))

    def test_r18_nothing_of_the_backend_reaches_the_client(self):
        other = Recorder()
        def answer(request):
            return 302, [("Location", other.url), ("Set-Cookie", "id=1"), ("ETag", '"x"'),
                         ("Accept-CH", "Sec-CH-UA"), ("X-Backend", "yes")], b"backend body"
        recorder = Recorder(answer)
        try:
            with Gateway() as plain, Gateway(recorder=recorder) as g:
                self.opt_out(g)
                wanted = self.answers(plain)
                self.assertEqual(set(self.answers(g)), set(wanted))
                wait_until("an upload", lambda: recorder.requests)
                # the next answers, now that the backend has spoken
                self.assertEqual(set(self.answers(g)), set(wanted))
                self.assertEqual(len(wanted), 1)
                wait_until("more uploads", lambda: len(recorder.requests) > 1)
                self.assertEqual(other.requests, [])  # no redirect is followed
                for r in recorder.requests:  # and no cookie is kept
                    self.assertNotIn("cookie", [n.lower() for n, _ in r["headers"]])
                    self.assertNotIn("if-none-match", [n.lower() for n, _ in r["headers"]])
        finally:
            recorder.close()
            other.close()


class Backend(unittest.TestCase):
    def test_r1_no_address_reaches_the_backend(self):
        spots = ["203.0.113.77", "198.51.100.23", "2001:db8:dead:beef::1", "::ffff:203.0.113.77",
                 "[2001:db8:dead:beef::1]:4711", "203.0.113.77:4711", "3405803853", "0xCB00714D"]
        names = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP",
                 "Via", "X-Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP",
                 "X-Original-Forwarded-For"]
        payload = ["_uip", "uip", "ip", "$ip", "ip_override", "remote_addr"]
        with Gateway(start=False) as g:
            g.conf["listen"][0]["trusted_proxies"] = ["127.0.0.0/8"]
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.start()
            for n, spot in enumerate(spots):
                body = numbered(n + 1, consent={"product": True}, context={"ip": spot})
                body.update({k: spot for k in payload})
                body["details"].update({k: spot for k in payload})
                data = raw_post(body, *["%s: %s" % (name, spot) for name in names])
                with socket.create_connection(("127.0.0.1", g.port), PATIENCE_S,
                                              source_address=("127.0.0.7", 0)) as s:
                    s.sendall(data)
                    self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200"))
            wait_until("all events", lambda: numbers(g.recorder.accepted())
                       == list(range(1, len(spots) + 1)))
            got = g.recorder.bytes().lower()
            for spot in spots + ["127.0.0.7", "203.0.113", "198.51.100", "dead:beef",
                                 "cb00714d"]:
                self.assertNotIn(spot.lower().encode(), got)
            for r in g.recorder.requests:
                self.assertEqual({n.lower() for n, _ in r["headers"]} - {
                    "host", "content-type", "content-length", "user-agent", "accept"}, set())
                self.assertEqual(r["peer"][0], "127.0.0.1")
                agent = [v for n, v in r["headers"] if n.lower() == "user-agent"]
                self.assertTrue(all(v.startswith("lethe") for v in agent), agent)


class Device(unittest.TestCase):
    """R56: nothing is set or read on the device but the person's own no."""

    def test_r56_no_answer_sets_anything_but_the_form_s(self):
        with Gateway() as g:
            form = "Content-Type: application/x-www-form-urlencoded"
            asked = [raw_post(event(), path="/v1/events"), raw_post(b"{"),
                     raw_post({"session_id": "s"}, path="/v1/optout"),
                     raw_post({"receipt": "r"}, path="/v1/optin"),
                     raw_post({"user_id": "u"}, path="/v1/optin"),
                     raw_post(b"", form, "Origin: https://evil.example", path="/v1/optin"),
                     raw_post(b"a=b", form), raw_post(b"x", path="/nothing")]
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "TRACE"):
                for path in ("/", "/healthz", "/v1/events", "/v1/optout", "/v1/optin", "/nothing",
                             "/favicon.ico", "/v1/optout?session_id=s"):
                    asked.append(("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                  "Origin: http://localhost:1\r\nCookie: a=b; lethe_optout=1\r\n"
                                  "If-None-Match: \"x\"\r\n\r\n" % (method, path)).encode())
            for data in asked:
                head = g.raw(data).split(b"\r\n\r\n")[0].decode().split("\r\n")
                self.assertNotEqual(head[0], "")
                names = {h.split(":")[0].lower() for h in head[1:]}
                self.assertEqual(names & PRIVACY_HEADERS, set(), data)
                self.assertIn("Cache-Control: no-store", head)
            answer = g.raw(raw_post(b"", form, path="/v1/optout")).decode()
            cookies = re.findall(r"^Set-Cookie: (.*)\r$", answer, re.M)
            self.assertEqual(len(cookies), 1)
            value, *flags = cookies[0].split("; ")
            self.assertEqual(value, "lethe_optout=1")
            self.assertIn("SameSite=Lax", flags)
            self.assertIn("Path=/", flags)
            self.assertTrue(answer.startswith("HTTP/1.1 303 "))
            self.assertIn("\r\nLocation: /privacy\r\n", answer)
            # the same for everybody: it holds no identifier
            self.assertEqual(g.raw(raw_post(b"id=7", form, path="/v1/optout")).decode(), answer)

    def test_the_flag_is_lifted_only_from_the_same_origin(self):
        with Gateway() as g:
            form = "Content-Type: application/x-www-form-urlencoded"
            for origin, status in (("http://x", 303), ("https://x", 403), ("http://y", 403),
                                   ("null", 403), ("http://x:81", 403), ("http://xx", 403),
                                   ("http://localhost:1", 403)):
                answer = g.raw(raw_post(b"", form, "Origin: " + origin, path="/v1/optin")).decode()
                self.assertEqual(int(answer.split(" ")[1]), status, origin)
                self.assertEqual("Set-Cookie: lethe_optout=; Path=/; Max-Age=0" in answer,
                                 status == 303)
            answer = g.raw(raw_post(b"", form, path="/v1/optin"))
            self.assertTrue(answer.startswith(b"HTTP/1.1 403"))

    def test_the_state_shows_only_this_browser_s_flag(self):
        with Gateway() as g:
            def state(path="/v1/optout", **headers):
                answer = g.get(path, {n.replace("_", "-"): v for n, v in headers.items()})
                return answer.status, answer.body
            no, yes = (200, b'{"opted_out":false}'), (200, b'{"opted_out":true}')
            self.assertEqual(state(), no)
            g.post("/v1/optout", {"session_id": "s", "user_id": "u"})
            for path in ("?session_id=s", "?user_id=u", "?lethe_optout=1"):
                self.assertEqual(state("/v1/optout" + path), no)
            self.assertEqual(state(Cookie="session_id=s; lethe_optout=0"), no)
            for value in ("lethe_optout=11", "lethe_optout=", "xlethe_optout=1",
                          "lethe_optout=1x", 'lethe_optout="1"', "LETHE_OPTOUT=1"):
                self.assertEqual(state(Cookie=value), no, value)
            self.assertEqual(state(Cookie="lethe_optout=1"), yes)
            self.assertEqual(state(Cookie="a=b; lethe_optout=1;c=d"), yes)


class Signals(unittest.TestCase):
    def settle(self, g, last):
        """Send an event that everybody gets, wait for it: what was to come
        before it has come."""
        g.post("/v1/events", numbered(last, consent={"product": True}))
        wait_until("the last event", lambda: last in numbers(g.recorder.accepted()) and
                   last in numbers(g.file_lines()))
        g.settled()

    YES = (("1",), ("0", "1"), ("1", "0"), ("1", "1"), (" 1 ",), ("", "1"))
    NO = (("0",), ("true",), ("1,0",), ("1;x",), ("1, 1",), ("01",), ("1.0",), ('"1"',), ("",),
          ("?1",), ("0", "0"), ("1 1",))

    def test_r61_sec_gpc_only_exact_one(self):
        with Gateway() as g:  # Mixbot: gpc denies what needs consent
            forms = self.YES + self.NO
            for n, values in enumerate(forms, 1):
                data = raw_post(numbered(n, consent={"product": True}),
                                *["Sec-GPC: " + v for v in values])
                self.assertTrue(g.raw(data).startswith(b"HTTP/1.1 200"))
            self.settle(g, 99)
            with_gpc = len(self.YES)
            self.assertEqual(numbers(g.recorder.accepted()),
                             list(range(with_gpc + 1, len(forms) + 1)) + [99])
            self.assertEqual(numbers(g.file_lines()), list(range(1, len(forms) + 1)) + [99])

    def test_r62_forwarded_under_gpc_apart_and_with_the_signal(self):
        def change(policy):
            policy["signals"]["gpc"] = "ignore"
            for d in policy["destinations"].values():
                d["deviations"] = {"R49": "the site's own choice comes after the signal"}
        with Gateway(policy=mixbot(change)) as g:
            # hold deliveries, so that all of them wait together
            self.assertEqual(g.run("destination", "pause", "any")[0], 0)
            for n in range(1, 41):
                headers = ["Sec-GPC: 1"] if n % 2 else ["Sec-GPC: 0"] if n % 4 else []
                g.raw(raw_post(numbered(n, consent={"product": True}), *headers))
            g.raw(raw_post(numbered(41, consent={"product": True}, context={"gpc": True})))
            body = json.dumps(numbered(42, consent={"product": True})).encode()
            g.raw(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"%x\r\n%s\r\n0\r\nSec-GPC: 1\r\n\r\n" % (len(body), body))
            self.assertEqual(g.run("destination", "resume", "any")[0], 0)
            wait_until("all events", lambda: len(g.recorder.accepted()) == 42)
            for r in g.recorder.requests:
                signals = [v for n, v in r["headers"] if n.lower() == "sec-gpc"]
                under = [n % 2 == 1 for n in numbers(json.loads(r["body"]))]
                self.assertEqual(signals, ["1"] if all(under) else [])
                self.assertEqual(len(set(under)), 1)  # never mixed
            self.assertGreater(len(g.recorder.requests), 1)

    def test_r64_dnt_denies_and_its_absence_is_no_consent(self):
        with Gateway() as g:
            n = 0
            for values, consent, want in (
                    (["1"], {"product": True}, ()), (["1"], None, ()),
                    (["0", "1"], {"product": True}, ()),
                    (["0"], None, ("file",)), ([], None, ("file",)),
                    (["null"], {"product": True}, ("file", "any")),
                    (["0"], {"product": True}, ("file", "any"))):
                n += 1
                more = {"consent": consent} if consent else {}
                g.raw(raw_post(numbered(n, **more), *["DNT: " + v for v in values]))
            g.post("/v1/events", numbered(8, consent={"product": True}, context={"dnt": "1"}))
            g.post("/v1/events", numbered(9, consent={"product": True}, context={"dnt": True}))
            self.settle(g, 99)
            self.assertEqual(numbers(g.file_lines()), [4, 5, 6, 7, 99])
            self.assertEqual(numbers(g.recorder.accepted()), [6, 7, 99])


if __name__ == "__main__":
    main()
