#!/usr/bin/env python3
"""Law 3, R60: an opt-out list that is older than the log says, another
gateway's or gone opts everyone out, until the right one is back or the loss
is accepted."""
import os
import shutil
import unittest

from harness import Gateway, Recorder, main, wait_until
from optouts import arrived, destination, everywhere, numbered, numbers, opt_out, records


def copy_list(g, to):
    """The opt-out list's files, of a gateway that is stopped."""
    os.makedirs(to, exist_ok=True)
    for path in list_files(g):
        shutil.copy2(path, to)


def restore_list(g, source):
    for path in list_files(g):
        os.remove(path)
    for name in os.listdir(source):
        folder = g.state if name.startswith("optout.db") else g.home
        shutil.copy2(os.path.join(source, name), folder)


def list_files(g):
    names = [os.path.join(g.home, "optout-journal")] + [
        os.path.join(g.state, "optout.db" + end) for end in ("", "-wal", "-shm")]
    return [n for n in names if os.path.exists(n)]


class Untrusted(unittest.TestCase):
    def health(self, g):
        return g.status()["optout_list"]

    def nothing_leaves(self, g, n, already):
        answer = g.post("/v1/events", [numbered(n, "anyone"), numbered(n + 1, "yesterday")])
        self.assertEqual((answer.status, answer.json()), (200, {"status": "ok", "received": 2}))
        g.settled()
        self.assertEqual(arrived(g), already)

    def test_r60_yesterdays_store_lets_nothing_out(self):
        with Gateway(config={"epoch_store": "memory"}) as g:
            opt_out(g, session_id="yesterday")
            g.stop()
            old = os.path.join(g.folder, "yesterday")
            copy_list(g, old)
            g.start()
            opt_out(g, session_id="today")
            g.post("/v1/events", [numbered(1, "today"), numbered(2)])
            self.assertTrue(everywhere(g, [2]))
            already = arrived(g)
            g.stop()
            fresh = os.path.join(g.folder, "today")
            copy_list(g, fresh)
            restore_list(g, old)
            # as often as it is started: the log must not forget how new it was
            for n in (10, 20, 30):
                g.start()
                self.assertEqual(self.health(g), "rollback")
                self.nothing_leaves(g, n, already)
                self.assertEqual(g.admin("GET", "/readyz").status, 503)
                self.assertEqual(g.post("/v1/optout", {"session_id": "s"}).status, 503)
                wait_until("its record", lambda: records(g, "optout.rollback"))
                g.stop() if n != 20 else g.kill()
            self.assertEqual(len(records(g, "optout.rollback")), 3)
            # the right list again: as if nothing had been
            restore_list(g, fresh)
            g.start()
            self.assertEqual(self.health(g), "sound")
            g.post("/v1/events", [numbered(40, "today"), numbered(41)])
            self.assertTrue(everywhere(g, [2, 41]))

    def test_r60_missing_or_foreign_until_the_loss_is_accepted(self):
        recorder = Recorder(503)
        with Gateway(recorder=recorder) as g:
            code, out, err = g.run("subject", "accept-loss")
            self.assertEqual(code, 1)
            self.assertIn("sound", out + err)
            opt_out(g, session_id="today")
            g.post("/v1/events", [numbered(1, "waits")])
            wait_until("a try", lambda: recorder.requests)
            g.stop()
            tries = len(recorder.requests)
            os.remove(os.path.join(g.home, "optout-journal"))
            g.start()
            self.assertEqual(self.health(g), "missing")
            recorder.answer = 200
            g.post("/v1/events", [numbered(2)])
            g.post("/v1/optout", {"session_id": "meanwhile"})
            self.assertEqual(len(recorder.requests), tries)  # what waits is held
            code, out, err = g.run("subject", "accept-loss")
            self.assertEqual(code, 0, out + err)
            self.assertEqual(self.health(g), "sound")
            loss = records(g, "optout.loss")
            self.assertEqual([(d["health"], d["purged"]) for d in loss], [("missing", 1)])
            # the store alone had it; and what was said meanwhile counts
            g.post("/v1/events", [numbered(10, "today"), numbered(11, "meanwhile"), numbered(12)])
            wait_until("new events", lambda: numbers(recorder.accepted()) == [12])
            # a new opt-out reaches what waits, although numbers began again
            recorder.answer = 503
            g.post("/v1/events", [numbered(20, "late"), numbered(21)])
            wait_until("a try", lambda: destination(g, "any")["state"] != "ok")
            opt_out(g, session_id="late")
            recorder.answer = 200
            wait_until("the other one", lambda: numbers(recorder.accepted()) == [12, 21])
            g.restart()
            self.assertEqual(self.health(g), "sound")
            self.assertEqual(numbers(recorder.accepted()), [12, 21])
            # another gateway's list
            g.stop()
            with Gateway(start=False) as other:
                for name in ("optout-journal", "state/optout.db"):
                    shutil.copy2(os.path.join(other.home, name), os.path.join(g.home, name))
            for end in ("-wal", "-shm"):
                if os.path.exists(os.path.join(g.state, "optout.db" + end)):
                    os.remove(os.path.join(g.state, "optout.db" + end))
            g.start()
            self.assertEqual(self.health(g), "foreign")
            g.post("/v1/events", numbered(30))
            g.settled()
            self.assertEqual(numbers(recorder.accepted()), [12, 21])
        recorder.close()


if __name__ == "__main__":
    main()
