#!/usr/bin/env python3
"""Mixpanel coming in, as its libraries were recorded (tests/data/captures),
and the Python library's request and reading of the answer."""
import base64
import json
import unittest
import urllib.parse

from harness import main, wait_until
from vendors import PLANTED, Vendors, capture, mixbot, replay, tell_and_sweep

TOKEN = "MPTOKEN123"


def gateway(policy=None, **more):
    return Vendors(policy or mixbot(asserted=True), keys=[TOKEN], **more)


def recorded(name):
    """Every event that a recording holds, whatever form it came in."""
    for r in capture(name):
        where = r["body"] if "data=" in r.get("body", "") else r["path"].partition("?")[2]
        data = where.partition("data=")[2].partition("&")[0]
        if not data:
            continue
        data = urllib.parse.unquote(data)
        if data[0] not in "[{":
            data = base64.b64decode(data).decode()
        found = json.loads(data)
        yield from found if isinstance(found, list) else [found]


def made_by_the_sdk(name):
    """Identifiers and event ids that the library itself made."""
    keys = ("$device_id", "$insert_id")
    found = set()
    for e in recorded(name):
        found.update(str(e.get("properties", e).get(k, "")) for k in keys)
    return sorted(t for t in found if len(t) >= 12)


class Story(unittest.TestCase):
    maxDiff = None

    def told(self, name):
        return tell_and_sweep(self, gateway(), name, PLANTED + made_by_the_sdk(name),
                              lambda r: not r["path"].startswith("/flags"))

    def check_story(self, lines):
        self.assertEqual(sorted(lines), ["analysis_completion", "daw_selection",
                                         "feedback_download", "file_upload",
                                         "genre_detection", "page_view"])
        self.assertEqual(lines["file_upload"]["details"],
                         {"file_extension": "wav", "file_size": 48234496,
                          "file_type": "audio/wav"})
        self.assertEqual(lines["genre_detection"]["details"],
                         {"confidence": 0.9, "genre": "Drum & Bass"})
        self.assertEqual(lines["page_view"]["context"]["url"], "/upload")

    def test_R4_R12_mixpanel_node(self):
        answers, lines = self.told("mixpanel-node")
        self.check_story(lines)
        self.assertEqual({a.status for a in answers}, {200})
        for a, r in zip(answers, capture("mixpanel-node")):
            want = b'{"status":1,"error":null}' if "verbose=1" in r["path"] else b"1"
            self.assertEqual(a.body, want)

    def test_R4_R12_mixpanel_browser(self):
        answers, lines = self.told("mixpanel-browser")
        self.check_story(lines)
        self.assertEqual({(a.status, a.body) for a in answers},
                         {(200, b'{"status":1,"error":null}'), (200, b"1")})
        self.assertEqual(lines["page_view"]["context"]["user_agent"], "Chrome 156 / Linux")

    def test_without_asserted_consent_only_our_own_get_it(self):
        with gateway(mixbot()) as v:
            replay(v.gateway, "mixpanel-node", lambda r: r["run"].endswith(".ok"))
            wait_until("the file", lambda: len(v.gateway.file_lines()) >= 6)
            v.gateway.settled()
            self.assertEqual((v.mp.requests, v.ga.requests, v.gateway.recorder.requests),
                             ([], [], []))

    def test_retries_are_the_same_events(self):
        with gateway() as v:
            first = lambda r: r["run"].endswith("browser.default.ok.cred")
            for _ in range(3):
                replay(v.gateway, "mixpanel-browser", first)
            v.gateway.settled()
            ids = [e["properties"]["$insert_id"] for e in v.mixpanel_events()]
            self.assertEqual(len(ids), 3 * len(set(ids)))
            self.assertGreaterEqual(len(set(ids)), 6)


class Python(unittest.TestCase):
    """mixpanel for Python: form data=JSON, verbose=1, ip=0."""

    def send(self, g, path, message):
        body = urllib.parse.urlencode({"data": json.dumps(message), "verbose": 1, "ip": 0})
        answer = g.post(path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        said = json.loads(answer.body)
        # what the library does with it: both members must be there
        return said["status"] == 1, said["error"]

    def test_its_request_and_what_it_reads(self):
        # mp.track("sess_1", ...): the session's id is the distinct id
        policy = mixbot(asserted=True)
        policy["identifiers"]["session"] = {"pseudonym": {}, "from": ["distinct_id"]}
        with gateway(policy) as v:
            g = v.gateway
            event = {"event": "DAW Selected", "properties": {
                "token": TOKEN, "distinct_id": "sess_1", "time": 1795340564, "mp_lib": "python",
                "$lib_version": "4.10.1", "$insert_id": "0123456789abcdef", "daw": "Reaper"}}
            self.assertEqual(self.send(g, "/track", event), (True, None))
            self.assertEqual(self.send(g, "/engage", {
                "$token": TOKEN, "$distinct_id": "sess_1", "$set": {"$name": "Jane"}}),
                (True, None))
            wait_until("the line", lambda: len(g.file_lines()) == 1)
            self.assertRegex(g.file_lines()[0]["session_id"], "^[a-z2-7]{26}$")
            self.assertEqual(self.send(g, "/track", {"event": 1}), (False, "bad_request"))
            event["properties"]["token"] = "nobody"
            self.assertEqual(self.send(g, "/track", event), (False, "not_found"))
            # read from elsewhere, looked up like every other
            event["properties"]["token"] = TOKEN
            self.assertEqual(g.post("/v1/optout", {"session_id": "sess_1"}).status, 200)
            self.assertEqual(self.send(g, "/track", event), (True, None))
            g.settled()
            self.assertEqual(len(g.file_lines()), 1)


class OptOuts(unittest.TestCase):
    EVENT = {"event": "DAW Selected", "properties": {
        "token": TOKEN, "daw": "Reaper", "$device_id": "d9531fa8-954b-465d-9ef9-1f537c3c18c1",
        "distinct_id": "user-48213", "$user_id": "user-48213", "session_id": "sess_1",
        "$anon_distinct_id": "$device:aa531fa8-954b-465d-9ef9-1f537c3c18c1"}}

    def test_by_each_identifier_in_the_form_of_cookie_or_getter(self):
        for text in ("user-48213", "sess_1", "d9531fa8-954b-465d-9ef9-1f537c3c18c1",
                     "$device:d9531fa8-954b-465d-9ef9-1f537c3c18c1",
                     "$device:aa531fa8-954b-465d-9ef9-1f537c3c18c1"):
            with self.subTest(text), gateway() as v:
                g = v.gateway
                self.assertEqual(g.post("/track", self.EVENT).status, 200)
                wait_until("one", lambda: len(v.ga_events()) == len(v.mixpanel_events()) == 1)
                self.assertEqual(g.post("/v1/optout", {"device_id": text}).status, 200)
                before = {k: len(b) for k, b in v.everything_sent().items()}
                for path in ("/track", "/import/", "/track?verbose=1"):
                    self.assertEqual(g.post(path, self.EVENT).status, 200)
                g.settled()
                self.assertEqual({k: len(b) for k, b in v.everything_sent().items()}, before)
                self.assertLessEqual(len(g.file_lines()), 1)


class NotUnderstood(unittest.TestCase):
    def test_law_11_what_the_answer_cannot_say_is_in_the_log(self):
        with gateway() as v:
            g = v.gateway
            events = [{"event": "DAW Selected", "properties": {"token": TOKEN, "daw": "Reaper"}},
                      {"event": 1}, {"event": "x", "properties": {"distinct_id": []}}]
            self.assertEqual(g.post("/track", events).body, b"1")

            def refused():
                lines = g.run("audit", "search", "--act", "batch")[1].splitlines()
                return sum(n for line in lines
                           for status, n in json.loads(line)["d"].get("ref", []) if status == 400)
            wait_until("the batch", lambda: refused() == 2)


class Sites(unittest.TestCase):
    def test_tokens_must_agree(self):
        with gateway() as v:
            g = v.gateway
            events = [{"event": "DAW Selected", "properties": {"token": t, "daw": "Reaper"}}
                      for t in (TOKEN, "another")]
            self.assertEqual(g.post("/track", events[:1]).status, 200)
            self.assertEqual(g.post("/track", events).status, 404)
            wait_until("the first", lambda: len(g.file_lines()) == 1)
            g.settled()
            self.assertEqual(len(g.file_lines()), 1)  # nothing of the batch was taken


if __name__ == "__main__":
    main()
