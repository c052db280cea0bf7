#!/usr/bin/env python3
"""R57, the canary sweep: a unique random mark in every input position, in
every fate an event can have; afterwards no trace of any mark in anything that
the gateway wrote, sent, logged or answered."""
import base64
import gzip
import json
import os
import re
import socket
import time
import unittest
import urllib.parse

import canaries
from canaries import Canaries
from harness import PATIENCE_S, Gateway, Recorder, is_sanitized, main, wait_until
from vendors import mixbot

BODY_MAX = 65536
DESTINATIONS = ("any", "down", "hang", "reset", "dead", "gone")


def policy_with(names):
    """The Mixbot policy in which every destination of `names` is like `any`."""
    policy = mixbot()
    policy["optout_identifiers"] = ["account.number"]
    for name in names:
        policy["destinations"][name] = dict(policy["destinations"]["any"])
    return json.dumps(policy)


def request(head, body=b"", length=True):
    head = "\r\n".join(head).encode("latin-1")
    if length:
        head += b"\r\nContent-Length: %d" % len(body)
    return head + b"\r\nConnection: close\r\n\r\n" + body


def nested(mark, depth):
    inner = {mark("details key at depth 20"): mark("details value at depth 20")}
    for _ in range(depth):
        inner = {"deep": inner}
    return inner


def full_event(mark, number, **more):
    """An event with a mark wherever a client may write something."""
    body = {
        "action": "File Uploaded",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "id": mark("event id"), "session_id": mark("session id"),
        "device_id": mark("device id"), "user_id": number("user id"),
        "group_id": mark("group id"),
        "consent": {"product": True, mark("consent key"): True,
                    "marketing": mark("consent value")},
        "details": {
            "file_name": mark("file name") + ".wav",
            "file_type": mark("file type"), "file_size": 5242881,
            mark("details key"): mark("details value"),
            "account": {"number": mark("account number")},
            "list": [mark("details list"), {"e-mail": mark("mail") + "@x.test"}],
            "deep": nested(mark, 18),
        },
        "context": {
            "url": "https://%s.example/%s?%s=%s#%s" % tuple(
                mark("context url " + p) for p in ("host", "path", "key", "value", "fragment")),
            "referrer": "https://%s.example/%s" % (mark("referrer host"), mark("referrer path")),
            "title": mark("title"), "user_agent": mark("context user agent"),
            "language": mark("language"), "screen": mark("screen"),
            "campaign": mark("campaign"), "ip": mark("context ip"),
            mark("context key"): mark("context value"),
        },
        mark("event key"): mark("event value"),
        "nested": {mark("event deep key"): [mark("event deep value")]},
    }
    body.update(more)
    return body


def full_head(mark, path="/v1/events"):
    return [
        "POST %s?%s=%s&utm_source=%s HTTP/1.1" % (
            path, mark("query key"), mark("query value"), mark("utm")),
        "Host: %s.example" % mark("host"),
        "Content-Type: application/json; charset=%s" % mark("content type"),
        "User-Agent: Mozilla/5.0 (%s) Firefox/120.0" % mark("user agent"),
        "Accept-Language: %s" % mark("accept-language"),
        "Referer: https://%s.example/%s" % (mark("referer host"), mark("referer path")),
        "Origin: https://%s.example" % mark("origin"),
        "Cookie: %s=%s; sid=%s" % (mark("cookie name"), mark("cookie value"), mark("sid")),
        "X-Forwarded-For: %s, 203.0.113.9" % mark("x-forwarded-for"),
        "Forwarded: for=%s" % mark("forwarded"),
        "X-Real-IP: %s" % mark("x-real-ip"),
        "Via: 1.1 %s" % mark("via"),
        "Authorization: Basic %s" % mark("basic authorization"),
        "X-%s: %s" % (mark("header name"), mark("header value")),
        "Traceparent: 00-%s" % mark("traceparent"),
        "Sec-CH-UA: %s" % mark("sec-ch-ua"),
    ]


class Planting:
    """Sends every shape of request and keeps every answer."""

    def __init__(self, g):
        self.g, self.marks, self.answers = g, Canaries(), []

    def marker(self, case):
        return lambda where: self.marks.new(case + ": " + where)

    def numberer(self, case):
        return lambda where: int(self.marks.number(case + ": " + where))

    def send(self, data, status, case, port=None):
        answer = self.g.raw(data, port)
        got = int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else None
        if got != status:
            raise AssertionError("%s: %r instead of %r: %r" % (
                case, got, status, answer[:300]))
        self.answers.append(answer)
        return answer

    def event(self, case, status=200, change=None, head=None, **more):
        mark = self.marker(case)
        body = full_event(mark, self.numberer(case), **more)
        if change:
            change(body, mark)
        heads = full_head(mark) + (head(mark) if head else [])
        self.send(request(heads, json.dumps(body).encode()), status, case)
        return body


def plant_fates(p):
    """Allowed, denied in each way, opted out, failed."""
    for n in range(4):
        p.event("allowed %d" % n)
    p.event("no consent", consent={p.marks.new("no consent: consent key"): True})
    p.event("denied", consent="denied")
    p.event("denied by a word", consent=p.marks.new("consent word"))
    p.event("gpc", head=lambda m: ["Sec-GPC: 1"])
    p.event("gpc mark", head=lambda m: ["Sec-GPC: " + m("gpc"), "DNT: " + m("dnt")])
    p.event("opt-out cookie", head=lambda m: ["Cookie: lethe_optout=1"])
    p.event("unknown event", action=p.marks.new("unknown action"))
    p.event("bad timestamp", 400, timestamp=p.marks.new("timestamp"))
    p.event("bad action", 400, action={p.marks.new("action key"): 1})
    p.event("bad details", 400, details=p.marks.new("details as text"))
    p.event("bad session", 400, session_id=[p.marks.new("session in a list")])
    p.event("too many ids", details={"account": {"number": p.marks.new("account")}})


def plant_optouts(p):
    """Opt-outs, receipts, and events of the people who opted out."""
    for kind in ("session_id", "device_id", "user_id"):
        case = "opted out by " + kind
        mark = p.marker(case)
        person = mark("identifier")
        body = json.dumps({kind: person, "ids": {mark("a kind of its own"): mark("another id")}})
        answer = p.send(request(full_head(mark, "/v1/optout"), body.encode()), 200, case)
        receipt = json.loads(answer.split(b"\r\n\r\n", 1)[1])["receipt"]
        p.answers.pop()  # its own answer is where it may stand
        p.marks.add(receipt, case + ": receipt")
        p.event(case, **{kind: person})
        if kind == "session_id":
            p.send(request(full_head(mark, "/v1/optin"),
                           json.dumps({"receipt": receipt}).encode()), 200, case)
    mark = p.marker("optin")
    p.send(request(full_head(mark, "/v1/optout"), json.dumps(
        {"session_id": mark("id"), mark("optout key"): mark("optout value")}).encode()),
           400, "unknown key")
    p.send(request(full_head(mark, "/v1/optin"), json.dumps(
        {"receipt": mark("false receipt")}).encode()), 200, "false receipt")
    p.send(request(full_head(mark, "/v1/optin"), json.dumps(
        {"user_id": mark("optin without a token")}).encode()), 403, "optin by id")
    p.send(request([h for h in full_head(mark, "/v1/optin") if "Basic" not in h]
                   + ["Authorization: Bearer " + mark("bearer")], json.dumps(
                       {"user_id": mark("optin with a false token")}).encode()),
           403, "optin by a false token")
    for path in ("/v1/optout", "/v1/optin"):
        for body in ('{"session_id": ["%s"]}', '["%s"]', '"%s"', '{"%s', '%s',
                     '{"receipt": {"%s": 1}}'):
            p.send(request(full_head(mark, path), (body % mark("bad body")).encode()),
                   400, path + " " + body)
    form = [h for h in full_head(mark, "/v1/optout") if "Content-Type" not in h]
    p.send(request(form + ["Content-Type: application/x-www-form-urlencoded"],
                   ("a=%s" % mark("form")).encode()), 303, "form")


def plant_bodies(p):
    """Bodies in each form, whole and broken."""
    def post(case, body, status, *head, keep=("Content-Type",)):
        mark = p.marker(case)
        heads = [h for h in full_head(mark) if not head or not h.startswith(keep)]
        p.send(request(heads + list(head), body(mark)), status, case)

    def doc(mark, case="body"):
        return json.dumps(full_event(mark, lambda w: int(p.marks.number(w)))).encode()

    post("array", lambda m: b"[" + doc(m) + b"," + doc(m) + b"]", 200)
    post("lines", lambda m: doc(m) + b"\n" + doc(m) + b"\n", 200)
    post("partial lines", lambda m: doc(m) + b"\n{" + m("broken line").encode() + b"\n", 200)
    post("gzip", lambda m: gzip.compress(doc(m)), 200, "Content-Encoding: gzip",
         keep=("none",))
    post("bad gzip", lambda m: b"\x1f\x8b\x08" + m("gzip").encode(), 400)
    post("bad coding", doc, 415, "Content-Encoding: " + p.marks.new("coding"), keep=("none",))
    post("bad utf-8", lambda m: b'{"action":"' + m("utf-8").encode() + b'\xff"}', 400)
    post("bad utf-8 in a key", lambda m: b'{"action":"x","details":{"%s\xc3\x28":1}}' %
         m("utf-8 key").encode(), 400)
    post("bad utf-8 in a line", lambda m: doc(m) + b'\n{"action":"%s\xed\xa0\x80"}\n' %
         m("utf-8 line").encode(), 200)
    post("cut json", lambda m: b'{"action":"' + m("cut").encode(), 400)
    post("repeated key", lambda m: b'{"action":"%s","action":"%s"}' % (
        m("first").encode(), m("second").encode()), 400)
    post("nul", lambda m: b'{"action":"%s\0"}' % m("nul").encode(), 400)
    post("too deep", lambda m: b'{"action":"x","details":' + b'{"a":' * 200 +
         b'"%s"' % m("deep").encode() + b"}" * 201, 413)
    mark = p.marker("multipart")
    boundary = mark("boundary")
    post("multipart", lambda m: (
        '--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s.wav"\r\n\r\n%s\r\n--%s--\r\n'
        % (boundary, m("part name"), m("part file"), m("part"), boundary)).encode(),
         400, "Content-Type: multipart/form-data; boundary=" + boundary)
    big = p.marker("oversized")
    p.send(request(full_head(big), json.dumps(full_event(
        big, p.numberer("oversized"), filler="x" * BODY_MAX)).encode()), 413, "oversized")
    post("bomb", lambda m: gzip.compress(m("bomb").encode() + b" " * (1 << 21)), 413,
         "Content-Encoding: gzip", keep=("none",))


def plant_chunks(p):
    mark = p.marker("chunked")
    body = json.dumps(full_event(mark, p.numberer("chunked"))).encode()

    def send(case, status, pieces, trailer=b""):
        head = full_head(mark) + ["Transfer-Encoding: chunked"]
        p.send(request(head, length=False) + b"".join(pieces) + trailer, status, case)

    ext = mark("chunk extension").encode()
    send("chunked", 200, [b"%x;%s=%s\r\n" % (len(body), ext, ext), body,
                          b"\r\n0;%s\r\n" % ext],
         b"X-%s: %s\r\nSec-GPC: %s\r\n\r\n" % tuple(
             mark("trailer " + w).encode() for w in ("name", "value", "gpc")))
    send("bad chunk size", 400, [mark("chunk size").encode() + b"\r\n"])
    send("long extension", 400, [b"5;" + mark("long extension").encode() * 20 + b"\r\n"])
    send("bad trailer", 400, [b"0\r\n", mark("bad trailer").encode() + b"\r\n\r\n"])


def plant_broken_http(p):
    mark = p.marker("broken http")
    for status, line in (
            (404, "GET /%s HTTP/1.1"), (404, "POST /s/%s/v1/events HTTP/1.1"),
            (405, "DELETE /v1/events?%s HTTP/1.1"), (405, "PUT /v1/events?%s HTTP/1.1"),
            (404, "%s / HTTP/1.1"), (400, "GET /%s\xff HTTP/1.1"),
            (400, "GET /healthz?%s\xff=%s HTTP/1.1"), (400, "GET /%%zz%s HTTP/1.1"), (400, "GET %s HTTP/1.1"),
            (400, "GET http://%s@x/ HTTP/1.1"), (400, "GET / %s HTTP/1.1"),
            (400, "GET / %s"), (400, "%s"), (414, "GET /" + "%s" * 400 + " HTTP/1.1"),
            (204, "OPTIONS /%s HTTP/1.1")):
        filled = line.replace("%s", mark(line.split(" ")[0] + " line")).replace("%%", "%")
        p.send(request([filled, "Host: x"]), status, line)
    for status, field in (
            (200, "X-A: %s\xff"), (200, "Cookie: %s\xff=%s\xc3\x28"), (400, "X-\xff%s: a"),
            (400, "%s"), (400, " folded %s"), (400, "X-A : %s"), (400, "X-A: %s\0"),
            (400, "Content-Length: %s"), (400, "Host: %s"), (501, "Transfer-Encoding: %s"),
            (417, "Expect: %s"), (431, "X-Long: " + "%s" * 800), (400, "X-A: %s\nX-B: b")):
        filled = field.replace("%s", mark("field " + field[:12]))
        p.send(request(["GET /healthz HTTP/1.1", "Host: y", filled], length=False), status, field)
    for head in ("X-Write-Key: %s", "Authorization: Bearer %s"):
        heads = [h for h in full_head(mark) if not h.startswith("Authorization")]
        p.send(request(heads + [head % mark("write key")], b"{}"), 404, head)
    p.send(request(["POST /v1/events?key=%s HTTP/1.1" % mark("query write key"),
                    "Host: x"], b"{}"), 404, "query key")
    for data in (mark("no http").encode(), b"\x16\x03\x01" + mark("tls hello").encode() + b"\n"):
        p.answers.append(p.g.raw(data))
    slow = request(full_head(mark), json.dumps(full_event(mark, p.numberer("slow"))).encode())
    for part in (slow[:300], slow[:-9]):  # and then nothing more
        with socket.create_connection(("127.0.0.1", p.g.port), PATIENCE_S) as s:
            s.sendall(part)
            p.answers.append(s.recv(65536))
        assert p.answers[-1].startswith(b"HTTP/1.1 408 "), p.answers[-1]
    cut = full_head(mark)
    p.answers.append(p.g.raw(request(cut, b"x" * 10)[:-5]))  # the client hangs up


def plant_overload(p):
    """The disk counts as full: taken is nothing, but what people say no to."""
    for case, status in (("disk full", b"503"), ("over its rate", b"429")):
        def refused():
            mark = p.marker(case)
            p.answers.append(p.g.raw(request(full_head(mark), json.dumps(
                full_event(mark, p.numberer(case))).encode())))
            return p.answers[-1].startswith(b"HTTP/1.1 " + status)
        wait_until(case, refused)
    mark = p.marker("opt-out on a full disk")
    answer = p.send(request(full_head(mark, "/v1/optout"), json.dumps(
        {"session_id": mark("identifier")}).encode()), 200, "opt-out on a full disk")
    p.marks.add(json.loads(answer.split(b"\r\n\r\n", 1)[1])["receipt"], "full: receipt")
    p.answers.pop()


def plant_admin(p):
    mark, port = p.marker("admin"), p.g.admin_port
    for status, line in ((404, "GET /%s HTTP/1.1"), (401, "POST /api/%s HTTP/1.1"),
                         (400, "GET /%%zz%s HTTP/1.1")):
        p.send(request([line.replace("%s", mark("line")).replace("%%", "%"),
                        "Host: localhost", "X-A: " + mark("header")]), status, line, port)
    p.send(request(["GET /metrics HTTP/1.1", "Host: " + mark("host")]), 403, "host", port)
    p.send(request(["GET /metrics HTTP/1.1", "Host: localhost",
                    "Origin: https://" + mark("origin")]), 403, "origin", port)
    p.send(request(["POST /api/status HTTP/1.1", "Host: localhost",
                    "Authorization: Bearer " + mark("token")],
                   mark("body").encode()), 401, "token", port)


def plant_commands(p):
    """Identifiers come on standard input; results on standard output."""
    g, mark = p.g, p.marker("command")
    person = mark("subject optout")
    code, out, err = g.run("subject", "optout", "--json", stdin=person.encode() + b"\n")
    assert code == 0, err
    p.marks.add(json.loads(out)["receipts"][0], "command: receipt")
    for words, text in ((("subject", "status"), person),
                        (("subject", "status"), mark("subject status")),
                        (("subject", "optin"), mark("subject optin")),
                        (("subject", "optin"), mark("long") * 100),
                        (("minimise", "--policy", os.path.join(
                            g.home, "policy", "mixbot.json")), json.dumps(
                                full_event(mark, p.numberer("minimise"))))):
        code, out, err = g.run(*words, stdin=text.encode() + b"\n")
        p.answers.append((out + err).encode())


def what_the_gateway_says(g):
    """Everything that can be asked."""
    said = {"log": g.log}
    if g.process is not None:
        for path in ("/metrics", "/readyz", "/healthz"):
            answer = g.admin("GET", path, headers={"Host": "localhost"})
            said[path] = str(answer.headers).encode() + answer.body
        for kind in ("cmdline", "environ"):
            with open("/proc/%d/%s" % (g.process.pid, kind), "rb") as f:
                said[kind] = f.read()
        for words in (("status", "--json"), ("status",), ("spool", "status", "--json"),
                      ("spool", "dead", "--json"), ("spool", "dead"),
                      ("destination", "list", "--json"), ("keys", "status", "--json"),
                      ("retention", "status", "--json"), ("site", "list", "--json"),
                      ("token", "list", "--json")):
            said[" ".join(words)] = "".join(map(str, g.run(*words))).encode()
    for words in (("audit", "search"), ("audit", "search", "--rows"),
                  ("audit", "search", "--rows", "--format", "csv"),
                  ("audit", "search", "--format", "text"), ("audit", "verify", "--rows")):
        said[" ".join(words)] = "".join(map(str, g.run(*words))).encode()
    return said


class Sweep(unittest.TestCase):
    maxDiff = None  # every hit, when there are some

    def test_r57_the_sweep_itself_finds_every_form(self):
        marks = Canaries()
        mark = marks.new("planted")
        # what an implementation might do to it, made without forms()
        import hashlib
        raw = mark.encode()
        for spoiled in (
                b"x" + raw + b"y", raw.lower(), raw.upper(), raw[3:], raw[:-2],
                urllib.parse.quote("<" + mark + ">").encode(),
                base64.b64encode(b"a" + raw), base64.b64encode(b"ab" + raw + b"zz"),
                base64.urlsafe_b64encode(b"abc" + raw), raw.hex().encode(),
                mark.encode("utf-16-le"), mark[::-1].encode("utf-16-le"), raw[::-1],
                mark.encode("utf-16-be"), mark[::-1].encode("utf-16-be"),
                hashlib.sha512(raw).hexdigest().encode(), hashlib.sha3_256(raw).digest(),
                hashlib.blake2s(raw).digest(),
                hashlib.md5(raw).digest(), hashlib.sha1(raw).hexdigest().encode(),
                base64.b64encode(hashlib.sha256(raw).digest()),
                hashlib.blake2b(raw, digest_size=16).digest(),
                hashlib.sha256(raw.lower()).hexdigest().upper().encode()):
            hits = canaries.sweep(marks, {"x": b"\0" * 5000 + b"<" + spoiled + b">" + b"\0" * 99})
            self.assertTrue(hits, spoiled)
        self.assertEqual(canaries.sweep(marks, {"x": os.urandom(100000)}), [])

    def test_r57_canary_sweep(self):
        recorders = {"any": Recorder(), "down": Recorder(503), "hang": Recorder("hang"),
                     "reset": Recorder("reset"), "dead": Recorder(400), "gone": Recorder()}
        recorders["gone"].close()  # nobody listens there
        config = {"limits": {"body": "64KiB", "inflated": "1MiB", "request_time": "PT2S"},
                  "log": {"level": "debug"}}
        g = Gateway(config, policy_with(DESTINATIONS), start=False, recorder=recorders["any"])
        with g:
            for name in DESTINATIONS[1:]:
                g.conf["sites"][0]["destinations"].append(
                    {"name": name, "type": "http", "url": recorders[name].url,
                     "timeout": "PT1S"})
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.start()
            self.check_process(g)
            p = Planting(g)
            for plant in (plant_fates, plant_optouts, plant_bodies, plant_chunks,
                          plant_broken_http, plant_admin, plant_commands):
                plant(p)
            wait_until("an accepted upload", lambda: len(recorders["any"].accepted()) >= 8)
            wait_until("dead letters", lambda: json.loads(
                g.run("spool", "dead", "--json")[1]))
            for name in DESTINATIONS[1:-1]:
                wait_until("an upload to " + name, lambda: recorders[name].requests)
            wait_until("file and store", lambda: g.rows() and g.file_lines())
            self.check_open_files(g)
            self.look(p, recorders, g, "while it runs")
            log = g.log
            self.assertEqual(g.stop(), 0)
            self.look(p, recorders, g, "after a stop")
            g.start()
            p.event("after a restart")
            g.kill()
            log += g.log
            g.start()  # recovery
            p.event("after a recovery")
            g.settled()
            log += g.log
            self.look(p, recorders, g, "after a recovery", {"logs": log})
            self.assertEqual(g.stop(), 0)
            g.conf["limits"].update(disk_free="1TiB", rate={"optout": 0, "events": 5})
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.start()
            plant_overload(p)
            self.look(p, recorders, g, "while the disk is full")
            g.stop()
        for name, r in recorders.items():
            if name != "gone":
                r.close()

    def check_process(self, g):
        """R35: no core dumps; keys in locked memory. R32: nothing in argv."""
        with open("/proc/%d/limits" % g.process.pid) as f:
            core = [line for line in f if line.startswith("Max core file size")][0]
        self.assertEqual(core.split()[4:6], ["0", "0"])
        if is_sanitized():
            return  # a sanitizer makes mlock() do nothing
        with open("/proc/%d/status" % g.process.pid) as f:
            locked = int(re.search(r"VmLck:\s+(\d+)", f.read()).group(1))
        self.assertGreater(locked, 0)

    def check_open_files(self, g):
        """What it writes lies where the sweep looks."""
        folder = "/proc/%d/fd" % g.process.pid
        for fd in os.listdir(folder):
            try:
                target = os.readlink(os.path.join(folder, fd))
            except FileNotFoundError:
                continue
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/sys/")):
                self.assertTrue(target.startswith(g.folder), target)

    def look(self, p, recorders, g, when, more=None):
        haystacks = dict(more or {})
        haystacks.update(what_the_gateway_says(g))
        haystacks.update(canaries.files_under(g.folder))
        for name, r in recorders.items():
            haystacks["recorder " + name] = r.bytes()
        for i, answer in enumerate(p.answers):
            haystacks["answer %d" % i] = answer
        for name in ("recorder any", "events.db", "user_analytics"):
            self.assertTrue(any(b"file_upload" in data for full, data in haystacks.items()
                                if name in full), "the sweep does not see " + name)
        hits = canaries.sweep(p.marks, haystacks)
        self.assertEqual(hits, [], "%s: %d marks in %d places" % (
            when, len(p.marks.known), len(haystacks)))


if __name__ == "__main__":
    main()
