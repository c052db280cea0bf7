#!/usr/bin/env python3
"""Mixpanel and GA4 as destinations: what they get, what their answers do, and
that nobody can join what two of them got."""
import json
import re
import time
import unittest

from harness import PATIENCE_S, event, main, wait_until
from vendors import SECRET, TOKEN, Vendors, mixbot

STORY = [
    ("File Uploaded", {"file_name": "My Demo (Jane Doe).wav", "file_size": 48211234,
                       "file_type": "audio/wav"}),
    ("DAW Selected", {"daw": "ableton live"}),
    ("Genre Detected", {"genre": "Drum & Bass", "confidence": 0.87}),
    ("Analysis Completed", {"duration_s": 42.71, "success": True}),
    ("Feedback Downloaded", {"format": "pdf"}),
]


def tell(g, consent=None, sessions=("sess_7f3a9c1e52",), **more):
    for session in sessions:
        for action, details in STORY:
            body = {"session_id": session, "device_id": "dev-" + session, "action": action,
                    "details": details,
                    "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
            if consent:
                body["consent"] = consent
            body.update(more)
            assert g.post("/v1/events", body).status == 200


class WhatTheyGet(unittest.TestCase):
    maxDiff = None

    def test_the_story_as_mixpanel_and_google_get_it(self):
        with Vendors() as v:
            g = v.gateway
            tell(g, {"product": True})
            wait_until("mixpanel", lambda: len(v.mixpanel_events()) == 5)
            wait_until("google", lambda: len(v.ga_events()) == 5)
            request = v.mp.requests[0]
            self.assertEqual(request["path"], "/import?strict=1&ip=0")
            self.assertIn(("Authorization", "Basic bXAtdG9rZW4tZm9yLXRlc3RzOg=="),
                          request["headers"])
            events = v.mixpanel_events()
            self.assertEqual([e["event"] for e in events],
                             ["file_upload", "daw_selection", "genre_detection",
                              "analysis_completion", "feedback_download"])
            ids = {e["properties"]["distinct_id"] for e in events}
            self.assertEqual(len(ids), 1)
            self.assertEqual(len({e["properties"]["$insert_id"] for e in events}), 5)
            first = events[0]["properties"]
            self.assertEqual(first.pop("time") % 60000, 0)
            self.assertEqual(first.pop("distinct_id"), first["device_id"])
            for name in ("device_id", "session_id", "$insert_id"):
                self.assertRegex(first.pop(name), "^[a-z2-7]{26}$")
            self.assertEqual(first, {"ip": 0, "file_size": 48234496, "file_type": "audio/wav",
                                     "file_extension": "wav"})

            self.assertEqual(v.ga.requests[0]["path"],
                             "/mp/collect?measurement_id=G-OUT&api_secret=" + SECRET)
            for r in v.ga_requests():
                self.assertRegex(r["client_id"], r"^[1-9]\d*\.[1-9]\d*$")
                self.assertEqual(r["timestamp_micros"] % 60000000, 0)
                self.assertEqual(r["consent"], {"ad_user_data": "DENIED",
                                                "ad_personalization": "DENIED"})
                self.assertIs(r["non_personalized_ads"], True)
                self.assertLessEqual(len(r["events"]), 25)
            first = v.ga_events()[0]
            self.assertEqual(first["name"], "file_upload")
            params = first["params"]
            self.assertRegex(params.pop("event_id"), "^[a-z2-7]{26}$")
            self.assertGreater(params.pop("session_id"), 0)
            self.assertEqual(params, {"engagement_time_msec": 1, "file_type": "audio/wav",
                                      "file_size": "10485760-52428800"})

    def test_without_consent_neither_gets_anything(self):
        with Vendors() as v:
            tell(v.gateway)
            wait_until("our own file", lambda: len(v.gateway.file_lines()) == 5)
            v.gateway.settled()
            self.assertEqual((v.mp.requests, v.ga.requests), ([], []))
            code, out, err = v.gateway.run("status")
            self.assertEqual(out.count("all 5 events since the start lacked the consent"), 3)
            tell(v.gateway, {"product": True})
            wait_until("mixpanel", lambda: len(v.mixpanel_events()) == 5)
            self.assertNotIn("lacked the consent", v.gateway.run("status")[1])

    def test_asserted_consent_opens_both(self):
        with Vendors(mixbot(asserted=True)) as v:
            tell(v.gateway)
            wait_until("mixpanel", lambda: len(v.mixpanel_events()) == 5)
            wait_until("google", lambda: len(v.ga_events()) == 5)

    def test_one_client_a_request_and_25_events_at_most(self):
        sessions = ["s%d" % i for i in range(4)]
        with Vendors(mixbot(asserted=True)) as v:
            for session in sessions:
                batch = [event("DAW Selected", session, details={"daw": "Reaper"},
                               timestamp="2026-11-25T00:00:10Z", id="%s-%d" % (session, i))
                         for i in range(60)]
                self.assertEqual(v.gateway.post("/v1/events", batch).status, 200)
            wait_until("all of them", lambda: len(v.ga_events()) == 240)
            clients = {}
            for r in v.ga_requests():
                self.assertLessEqual(len(r["events"]), 25)
                clients.setdefault(r["client_id"], []).extend(r["events"])
            self.assertEqual([len(e) for e in clients.values()], [60] * 4)

    def test_track_has_the_token_in_each_event(self):
        with Vendors(mixbot(asserted=True), api="track") as v:
            tell(v.gateway)
            wait_until("mixpanel", lambda: len(v.mixpanel_events()) == 5)
            self.assertEqual(v.mp.requests[0]["path"], "/track?verbose=1&ip=0")
            for e in v.mixpanel_events():
                self.assertEqual(e["properties"]["token"], TOKEN)


class TheirAnswers(unittest.TestCase):
    def waiting(self, v, name):
        rows = {d["name"]: d for d in v.gateway.status()["destinations"]}
        return rows[name]

    def test_only_what_import_did_not_take_goes_again(self):
        with Vendors(mixbot(asserted=True)) as v:
            v.refuse = ["genre_detection"]
            tell(v.gateway, sessions=["a", "b", "c"])
            wait_until("dead letters", lambda: self.waiting(v, "mp")["dead"] == 3)
            got = [e["properties"]["$insert_id"] for e in v.mixpanel_events()]
            self.assertEqual((len(got), len(set(got))), (12, 12))
            v.refuse = []
            code, out, err = v.gateway.run("spool", "replay", "mp")
            self.assertEqual(code, 0, out + err)
            wait_until("the rest", lambda: len(
                {e["properties"]["$insert_id"] for e in v.mixpanel_events()}) == 15)

    def test_a_wrong_token_kills_no_event(self):
        with Vendors(mixbot(asserted=True)) as v:
            answer, v.mp.answer = v.mp.answer, 401
            tell(v.gateway)
            wait_until("tries", lambda: len(v.mp.requests) >= 2)
            row = self.waiting(v, "mp")
            self.assertEqual((row["dead"], row["waiting"]), (0, 5))
            v.mp.answer = answer
            wait_until("mixpanel", lambda: len(v.mixpanel_events()) == 5)

    def test_destination_test_asks_the_validation_address(self):
        with Vendors() as v:
            v.ga.answer = lambda r: (200, [], b'{"validationMessages":[]}')
            words = ("destination", "test", "ga")
            code, out, err = v.gateway.run(*words)
            self.assertEqual(code, 0, out + err)
            self.assertTrue(v.ga.requests[0]["path"].startswith("/debug/mp/collect?"))
            v.ga.answer = lambda r: (200, [], b'{"validationMessages":[{"description":"no"}]}')
            code, out, err = v.gateway.run(*words)
            self.assertEqual(code, 1, out + err)


class Check(unittest.TestCase):
    def test_check_says_what_a_shape_takes(self):
        policy = mixbot()
        policy["pseudonyms"]["bits"] = 100
        policy["destinations"]["ga"].pop("visitor")
        for d in policy["destinations"].values():
            d.pop("profile")
        v = Vendors(policy)
        try:
            code, out, err = v.gateway.run("check")
            self.assertEqual(code, 0, out + err)
            self.assertIn("destination ga: pseudonyms of 100 bits are asked for, its form "
                          "carries 62", err)
            self.assertIn("destination ga: without \"visitor\"", err)
            self.assertEqual(err.count("warning: site"), 2)
            policy["context"]["time"] = "drop"
            policy["destinations"]["mp"].pop("release", None)
            v.gateway.write_policy(json.dumps(policy))
            code, out, err = v.gateway.run("check")
            self.assertEqual(code, 1, out + err)
            self.assertIn("drops the time for the destination mp", err)
        finally:
            v.gateway.close()
            v.mp.close()
            v.ga.close()


class NobodyCanJoin(unittest.TestCase):
    def test_law_8_two_destinations_of_10000_events_share_nothing(self):
        with Vendors(mixbot(asserted=True)) as v:
            g = v.gateway
            when = time.time() - 600
            for batch in range(20):
                events = [{"session_id": "sess-%d" % (n % 70), "device_id": "dev-%d" % (n % 90),
                           "user_id": "user-%d" % n, "id": "ev-%d" % n, "action": "DAW Selected",
                           "timestamp": when + n * 0.0371,
                           "details": {"daw": "Reaper"}}
                          for n in range(batch * 500, batch * 500 + 500)]
                self.assertEqual(g.post("/v1/events", events).status, 200)
            # asking the recorders while thousands of requests come would slow them
            wait_until("deliveries", lambda: all(
                d["waiting"] == 0 for d in g.status()["destinations"]), 6 * PATIENCE_S)
            seen = {"mp": v.mixpanel_events(), "ga": v.ga_requests(),
                    "any": g.recorder.accepted(), "file": g.file_lines()}
            self.assertEqual([len(v.ga_events()) if name == "ga" else len(events)
                              for name, events in seen.items()], [10000] * 4)
            words = {}
            for name, events in seen.items():
                text = json.dumps(events)
                for moment in re.findall(r"\d\d:\d\d:\d\d[^\"]*", text):
                    self.assertRegex(moment, "^\\d\\d:\\d\\d:00Z$", name)
                words[name] = set(re.findall(r'[a-z2-7]{26}|\b\d{5,}\b(?!Z)', text))
                # 10,000 event ids; 70 to 160 identifiers
                self.assertGreater(len(words[name]), 10060, name)
            minutes = {str(int((when + n * 0.0371) // 60) * 60 * scale)
                       for n in range(0, 10001) for scale in (1000, 1000000)}
            names = sorted(words)
            for i, a in enumerate(names):
                for b in names[i + 1:]:
                    self.assertEqual(words[a] & words[b] - minutes, set(), (a, b))


if __name__ == "__main__":
    main()
