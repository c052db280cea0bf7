#!/usr/bin/env python3
"""GA4's tags and Measurement Protocol and Universal Analytics coming in, as
their SDKs were recorded (tests/data/captures)."""
import json
import unittest

from harness import main, wait_until
from vendors import PLANTED, Vendors, mixbot, replay, tell_and_sweep

SDK_IDS = ["1234567890.1700000000", "3766784638705182", "5935356605623315",
           "3f0c6d1e-9b1a-4c55-8d2e-6a7b8c9d0e1f"]


def universal():
    """Universal Analytics has no parameters of one's own: its label and value
    are what the policy makes of them."""
    policy = mixbot(asserted=True)
    events = policy["events"]
    events["file_upload"]["fields"]["file_name"]["from"] = ["el"]
    events["file_upload"]["fields"]["file_size"]["from"] = ["ev"]
    events["daw_selection"]["fields"]["daw"]["from"] = ["el"]
    return policy


def gateway(policy=None):
    return Vendors(policy or mixbot(asserted=True), keys=["G-MIXBOT01", "UA-1234567-1"])


class Story(unittest.TestCase):
    maxDiff = None

    def told(self, name, policy=None):
        answers, events = tell_and_sweep(self, gateway(policy), name, PLANTED + SDK_IDS)
        return {a.status for a in answers}, events

    def test_ga4mp(self):
        statuses, lines = self.told("ga4mp-node")
        self.assertEqual(statuses, {204})
        self.assertEqual(sorted(lines), ["analysis_completion", "daw_selection",
                                         "feedback_download", "file_upload",
                                         "genre_detection", "page_view"])
        self.assertEqual(lines["file_upload"]["details"],
                         {"file_extension": "wav", "file_size": 48234496,
                          "file_type": "audio/wav"})
        self.assertEqual(lines["genre_detection"]["details"],
                         {"confidence": 0.9, "genre": "Drum & Bass"})
        self.assertEqual(lines["analysis_completion"]["details"],
                         {"duration_s": 42.7, "success": True})
        self.assertEqual(lines["page_view"]["context"]["url"], "/upload")

    def test_minimal_analytics(self):
        statuses, lines = self.told("minimal-analytics-ga4")
        self.assertEqual(statuses, {204})
        self.assertIn("file_upload", lines)
        self.assertNotIn("login", lines)
        self.assertEqual(lines["page_view"]["context"]["user_agent"], "Chrome 156 / Linux")

    def test_universal_analytics(self):
        statuses, lines = self.told("universal-analytics", universal())
        self.assertEqual(statuses, {200})
        self.assertEqual(lines["file_upload"]["details"],
                         {"file_extension": "wav", "file_size": 48234496})
        self.assertEqual(lines["daw_selection"]["details"], {"daw": "Ableton Live"})

    def test_without_asserted_consent_only_our_own_get_it(self):
        with gateway(mixbot()) as v:
            replay(v.gateway, "ga4mp-node")
            wait_until("the file", lambda: len(v.gateway.file_lines()) == 6)
            v.gateway.settled()
            self.assertEqual((v.mp.requests, v.ga.requests, v.gateway.recorder.requests),
                             ([], [], []))

    def test_r65_consent_mode_opens_and_closes(self):
        with gateway(mixbot()) as v:
            g = v.gateway
            for gcs, times in (("G111", 1), ("G101", 2), ("G110", 3), ("G100", 4), ("x", 5)):
                for _ in range(times):
                    self.assertEqual(g.get("/g/collect?tid=G-MIXBOT01&en=daw_selected&cid=1.2&"
                                           "ep.daw=Reaper&gcs=" + gcs).status, 204)
            # G111 and G101 grant analytics; G100 is not even for ourselves
            wait_until("google", lambda: len(v.ga_events()) == 3)
            wait_until("the file", lambda: len(g.file_lines()) == 11)
            g.settled()
            self.assertEqual(len(v.ga_events()), 3)
            rows = lambda: g.run("audit", "search", "--reason", "consent-mode",
                                 "--json")[1].splitlines()
            wait_until("the rows", lambda: len(rows()) == 12)

    def test_sites_are_found_by_measurement_id(self):
        with gateway(mixbot()) as v:
            g = v.gateway
            g.conf["sites"][0]["keys"] = ["G-ONE", "UA-1-1"]
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            self.assertEqual(g.run("reload")[0], 0)
            self.assertEqual(g.get("/g/collect?en=x&tid=G-ONE").status, 204)
            self.assertEqual(g.get("/g/collect?en=x&tid=G-TWO").status, 404)
            self.assertEqual(g.post("/g/collect?tid=G-ONE", "en=x&tid=G-TWO").status, 404)
            self.assertEqual(g.post("/mp/collect?measurement_id=G-ONE",
                                    {"events": [{"name": "x"}]}).status, 204)
            self.assertEqual(g.post("/batch", "t=timing&tid=UA-1-1").status, 200)


class OptOuts(unittest.TestCase):
    def test_by_each_identifier_in_the_form_of_cookie_or_getter(self):
        cases = [("cid", "12.34"), ("uid", "Jane@Example.com"), ("sid", "1700000000"),
                 ("ep.session_id", "sess_1")]
        query = "tid=G-MIXBOT01&en=daw_selected&ep.daw=Reaper&" + "&".join(
            "%s=%s" % c for c in cases)
        for kind, text in cases:
            with self.subTest(kind), gateway() as v:
                g = v.gateway
                self.assertEqual(g.get("/g/collect?" + query).status, 204)
                wait_until("one", lambda: len(v.ga_events()) == 1)
                said = text.lower() if "@" in text else text
                self.assertEqual(g.post("/v1/optout", {"device_id": said}).status, 200)
                before = {k: len(b) for k, b in v.everything_sent().items()}
                for _ in range(3):
                    self.assertEqual(g.get("/g/collect?" + query).status, 204)
                g.settled()
                self.assertEqual({k: len(b) for k, b in v.everything_sent().items()}, before)
                self.assertLessEqual(len(g.file_lines()), 1)


if __name__ == "__main__":
    main()
