#!/usr/bin/env python3
"""R60: an opt-out outlives reload, restart, kill -9, rotation and a clock set
back."""
import json
import unittest

from fakeclock import FakeClock
from harness import PATIENCE_S, Gateway, Recorder, main, wait_until
from optouts import arrived, everywhere, numbered, numbers, opt_out


class Survives(unittest.TestCase):
    def test_r60_reload_restart_kill_with_events_waiting(self):
        recorder = Recorder(503)
        with Gateway(recorder=recorder) as g:
            g.post("/v1/events", [numbered(1, "gone"), numbered(2)])
            wait_until("a try", lambda: recorder.requests)
            wait_until("the local ones", lambda: all(
                arrived(g)[d] == [1, 2] for d in ("store", "file")))
            opt_out(g, session_id="gone", user_id="u")
            steps = [("reload", lambda: g.run("reload", check=True)), ("restart", g.restart),
                     ("kill -9", lambda: (g.kill(), g.start()))]
            wanted, n = [2], 10
            for what, step in steps:
                before = len(recorder.requests)
                step()
                for r in recorder.requests[before:]:
                    self.assertNotIn(1, numbers(json.loads(r["body"])), what)
                g.post("/v1/events", [numbered(n, "gone"), numbered(n + 1),
                                      numbered(n + 2, "x", user_id="u")])
                wanted.append(n + 1)
                n += 10
            before = len(recorder.requests)
            recorder.answer = 200
            wait_until("all others", lambda: numbers(recorder.accepted()) == wanted)
            g.settled()
            self.assertEqual(numbers(recorder.accepted()), wanted)
            # 1: before the opt-out; a crash may have left a line there twice
            self.assertEqual(sorted(set(arrived(g)["file"])), [1] + wanted)
            self.assertEqual(arrived(g)["store"], [1] + wanted)
        recorder.close()

    def test_r60_an_opt_out_whose_200_came_just_before_the_kill(self):
        recorder = Recorder("hang")
        with Gateway(recorder=recorder) as g:
            for n in range(1, 4):
                g.post("/v1/events", [numbered(2 * n, "gone%d" % n), numbered(2 * n + 1)])
                opt_out(g, session_id="gone%d" % n)
                g.kill()
                g.start()
                before = len(recorder.requests)
                wait_until("a try", lambda: len(recorder.requests) > before)
                got = [k for r in recorder.requests[before:]
                       for k in numbers(json.loads(r["body"]))]
                self.assertFalse({2, 4, 6} & set(got), got)
            recorder.answer = 200
            recorder.released.set()
            wait_until("the others", lambda: set(numbers(recorder.accepted())) >= {3, 5, 7})
        recorder.close()

    def test_r60_rotation_and_a_clock_set_back(self):
        recorder = Recorder(503)
        g = Gateway(start=False, recorder=recorder)
        clock = FakeClock(g.folder)
        g.faketime = clock.path
        try:
            g.start()

            def next_rotation():
                return json.loads(g.run("keys", "status", "--json")[1])["next_ms"]
            g.post("/v1/events", [numbered(1, "gone", timestamp=clock.text()),
                                  numbered(2, timestamp=clock.text())])
            wait_until("a try", lambda: recorder.requests)
            for _ in range(2):  # two rotations; the old epoch's fragments still wait
                before = next_rotation()
                clock.move(hours=20)
                wait_until("a rotation", lambda: next_rotation() > before)
            opt_out(g, session_id="gone")
            tries = len(recorder.requests)
            recorder.answer = 200
            # Each 503 has doubled the wait for the next try.
            wait_until("the other one", lambda: numbers(recorder.accepted()) == [2],
                       seconds=4 * PATIENCE_S)
            for n, move in ((10, {"hours": 24}), (20, {"hours": 24}), (30, {"hours": -96})):
                clock.move(**move)
                g.post("/v1/events", [numbered(n, "gone", timestamp=clock.text()),
                                      numbered(n + 1, timestamp=clock.text())])
                wait_until("the other one", lambda: n + 1 in numbers(recorder.accepted()))
            g.restart()
            g.post("/v1/events", numbered(40, "gone", timestamp=clock.text()))
            g.settled()
            self.assertEqual(numbers(recorder.accepted()), [2, 11, 21, 31])
            self.assertEqual(arrived(g)["file"], [1, 2, 11, 21, 31])
            self.assertGreater(tries, 0)
        finally:
            g.close()
            recorder.close()

    def test_a_lifted_opt_out_is_remembered_for_what_may_still_be_late(self):
        """retention.spool (72 h) and 7 days: events of that time stay out."""
        g = Gateway(start=False)
        clock = FakeClock(g.folder)
        g.faketime = clock.path
        try:
            g.start()
            receipt = opt_out(g, session_id="late")
            clock.move(hours=1)
            then = clock.text()
            clock.move(hours=1)
            self.assertEqual(g.post("/v1/optin", {"receipt": receipt}).status, 200)
            clock.move(minutes=1)
            g.post("/v1/events", numbered(1, "late", timestamp=clock.text()))
            self.assertTrue(everywhere(g, [1]), arrived(g))  # or it expires
            for n, move in ((2, {"days": 9}), (3, {"hours": 23, "minutes": 58}),
                            (4, {"minutes": 2})):
                clock.move(**move)
                g.post("/v1/events", numbered(n, "late", timestamp=then))
            self.assertTrue(everywhere(g, [1, 4]), arrived(g))
        finally:
            g.close()


if __name__ == "__main__":
    main()
