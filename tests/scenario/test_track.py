#!/usr/bin/env python3
"""docs/examples/mixbot/lethe_track.py: it never raises into the app, never
blocks it, and counts what did not arrive. Against a recorder, no gateway."""
import os
import sys
import threading
import time
import unittest
from unittest import mock

from harness import ROOT, Recorder, main, wait_until

sys.path.insert(0, os.path.join(ROOT, "docs", "examples", "mixbot"))
import lethe_track  # noqa: E402

CALL_S = 1.0  # a call that does not wait for a network takes far less


class Hostile:
    """Details as an app under stress may hand them over."""

    def __bool__(self):
        raise RuntimeError("no truth")

    def __str__(self):
        raise RuntimeError("no text")


class Track(unittest.TestCase):
    def setUp(self):
        self.recorder = Recorder()
        self.addCleanup(self.recorder.close)
        # Waits between tries are the only slow thing here.
        for name, value in (("WAIT_S", 0.01), ("TIMEOUT_S", 0.3)):
            patch = mock.patch.object(lethe_track, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def tracker(self, url=None, **more):
        t = lethe_track.Tracker(url or "http://127.0.0.1:%d" % self.recorder.port, **more)
        self.addCleanup(t.close, 0)
        return t

    def actions(self):
        return [e["action"] for e in self.recorder.accepted()]

    def test_events_arrive_once_and_in_order(self):
        t = self.tracker(session_id="s", consent={"product": True})
        for i in range(120):
            t.track("a%d" % i, {"n": i})
        t.close()
        events = self.recorder.accepted()
        self.assertEqual([e["details"]["n"] for e in events], list(range(120)))
        self.assertEqual(len({e["id"] for e in events}), 120)
        self.assertTrue(all(e["session_id"] == "s" and e["consent"] == {"product": True}
                            for e in events))
        self.assertEqual(t.dropped, 0)
        self.assertEqual(self.recorder.requests[0]["path"], "/v1/events")

    def test_details_are_those_of_the_call(self):
        t = self.tracker()
        details = {"list": [1]}
        t.track("a", details)
        details["list"].append("later")
        details["more"] = "later"
        t.close()
        self.assertEqual(self.recorder.accepted()[0]["details"], {"list": [1]})

    def test_one_that_is_no_json_is_dropped_alone(self):
        loop = {}
        loop["self"] = loop
        bad = [loop, {"x": float("nan")}, {"x": float("inf")}, {"x": "\ud800"}, {"x": Hostile()},
               Hostile(), 7, "text", {("a", "b"): 1},
               {"x": "y" * lethe_track.EVENT_MAX}]
        t = self.tracker()
        t.track("before")
        for details in bad:
            t.track("bad", details)
        t.track(Hostile(), {})
        t.track("after", {"when": threading.Lock})  # text of what is no JSON type
        t.close()
        self.assertEqual(self.actions(), ["before", "after"])
        self.assertEqual(t.dropped, len(bad) + 1)

    def test_never_raises_when_the_system_fails(self):
        t = self.tracker()
        with mock.patch.object(lethe_track.uuid, "uuid4", side_effect=OSError("no entropy")):
            t.track("a")
        self.assertEqual(t.dropped, 1)
        with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("no threads")):
            t = lethe_track.Tracker("http://127.0.0.1:1")
        t.track("a")
        t.close()
        self.assertEqual(t.dropped, 1)

    def test_a_refused_event_costs_no_other(self):
        self.recorder.answer = lambda r: (400 if b'"bad"' in r["body"] else 200, [], b"")
        t = self.tracker()
        with mock.patch.object(lethe_track, "BATCH_MAX", 8):
            for action in ["a", "b", "bad", "c", "d", "bad", "e"]:
                t.track(action)
            t.close()
        self.assertEqual(self.actions(), ["a", "b", "c", "d", "e"])
        self.assertEqual(t.dropped, 2)

    def test_server_down(self):
        self.recorder.server.server_close()  # nobody listens there now
        t = self.tracker()
        for _ in range(3):
            t.track("a")
        start = time.monotonic()
        t.close(0.2)
        self.assertLess(time.monotonic() - start, 0.2 + CALL_S)
        self.assertEqual(t.dropped, 3)

    def test_server_back_after_a_failure(self):
        self.recorder.answer = lambda r: (503 if len(self.recorder.requests) < 2 else 200, [], b"")
        t = self.tracker()
        t.track("a")
        wait_until("the second try", self.recorder.accepted)
        t.close()
        first, second = [r["body"] for r in self.recorder.requests]
        self.assertEqual((first, t.dropped), (second, 0))

    def test_hanging_server_never_blocks(self):
        self.recorder.answer = "hang"
        t = self.tracker()
        start = time.monotonic()
        for _ in range(50):
            t.track("a")
        self.assertLess(time.monotonic() - start, CALL_S)
        wait_until("the request to hang", lambda: self.recorder.requests)
        start = time.monotonic()
        t.close(0.1)
        self.assertLess(time.monotonic() - start, 0.1 + CALL_S)
        self.assertEqual(t.dropped, 50)  # what is still on its way counts, once
        self.recorder.released.set()
        t._thread.join(30)
        self.assertEqual(t.dropped, 50)

    def test_full_queue_and_one_beyond(self):
        self.recorder.answer = "hang"
        with mock.patch.object(lethe_track, "QUEUE_MAX", 5), \
                mock.patch.object(lethe_track, "TIMEOUT_S", 60):
            t = self.tracker()
            t.track("on its way")
            wait_until("the first to leave", lambda: self.recorder.requests)
            for _ in range(5):
                t.track("queued")
            self.assertEqual(t.dropped, 0)
            t.track("one beyond")
            self.assertEqual(t.dropped, 1)
            t.close(0)
            self.assertEqual(t.dropped, 7)

    def test_after_close_events_are_dropped(self):
        t = self.tracker()
        t.close()
        t.track("a")
        t.close()
        self.assertEqual((t.dropped, self.recorder.requests), (1, []))

    def test_a_redirect_is_no_delivery(self):
        self.recorder.answer = (302, [("Location", "/elsewhere")], b"")
        t = self.tracker()
        t.track("a")
        t.close()
        self.assertEqual((t.dropped, len(self.recorder.requests)), (1, 1))


if __name__ == "__main__":
    main()
