#!/usr/bin/env python3
"""What time does to a running gateway: epochs end (R5, R27), stored data goes
(R39), what waits and what is dead expires. The wall clock is moved under the
real binary; the monotonic clock stays."""
import datetime
import json
import os
import shutil
import sqlite3
import tempfile
import unittest

from fakeclock import FIRST_DAY, FakeClock
from harness import Gateway, Recorder, main, wait_until

DAY = datetime.timedelta(days=1)
ROTATION = FIRST_DAY.replace(hour=4) + DAY  # 04:00Z is Mixbot's


class Case(unittest.TestCase):
    def gateway(self, clock_at=FIRST_DAY, change=None, config=None, answer=200):
        folder = tempfile.mkdtemp(prefix="lethe-time-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.clock = FakeClock(folder, clock_at)
        self.recorder = Recorder(answer)
        self.addCleanup(self.recorder.close)
        g = Gateway(folder=folder, start=False, faketime=self.clock.path,
                    recorder=self.recorder, config=config)
        self.addCleanup(g.close)
        if change is not None:
            text = g.read_policy()
            for old, new in change.items():
                self.assertIn(old, text)
                text = text.replace(old, new)
            g.write_policy(text)
        g.start()
        return g

    def event(self, session="visitor", **more):
        return dict({"timestamp": self.clock.text(), "session_id": session,
                     "action": "page_view", "consent": {"product": True}, "details": {}}, **more)

    def post(self, g, *events):
        self.assertEqual(g.post("/v1/events", list(events)).status, 200)

    def go_to(self, g, when):
        """The wall clock there, and the rotations on the way done."""
        before = next_rotation(g)
        self.clock.set(when)
        wait_until("the rotation", lambda: next_rotation(g) > before)


def next_rotation(g):
    return json.loads(g.run("keys", "status", "--json")[1])["next_ms"]


def seen(g):
    """destination -> [(session, device)], in order of arrival."""
    return {name: [(e["session_id"], e.get("device_id")) for e in events]
            for name, events in (("any", g.recorder.accepted()), ("file", g.file_lines()),
                                 ("store", g.rows()))}


def have(g, count):
    wait_until("%d events everywhere" % count,
               lambda: all(len(s) == count for s in seen(g).values()))
    return seen(g)


class Epochs(Case):
    def test_r5_equal_within_the_epoch_and_different_after_it(self):
        g = self.gateway()
        self.post(g, self.event())
        have(g, 1)
        self.clock.move(hours=1)
        self.post(g, self.event())
        have(g, 2)
        self.go_to(g, ROTATION + datetime.timedelta(seconds=2))
        self.post(g, self.event())
        for name, ((first, _), (second, _), (third, _)) in have(g, 3).items():
            self.assertEqual(first, second, name)
            self.assertNotEqual(second, third, name)

    def test_r5_a_clock_set_back_does_not_open_the_old_epoch_again(self):
        g = self.gateway()
        self.post(g, self.event())
        have(g, 1)
        self.go_to(g, ROTATION + datetime.timedelta(seconds=2))
        self.post(g, self.event())
        have(g, 2)
        self.clock.set(FIRST_DAY)
        self.post(g, self.event())
        for name, events in have(g, 3).items():
            self.assertNotIn(events[0], events[1:], name)

    def test_r27_one_hit_never_mixes_epochs(self):
        g = self.gateway()
        self.post(g, self.event(device_id="device"))
        # One person all the time over the rotation: two pairs, not three.
        count, after = 1, 0
        before = next_rotation(g)
        self.clock.set(ROTATION - datetime.timedelta(seconds=1))
        while after < 20:
            self.post(g, *[self.event(device_id="device") for _ in range(5)])
            count += 5
            after += next_rotation(g) > before
        for name, events in have(g, count).items():
            self.assertEqual(len(set(events)), 2, name)
            for part in zip(*set(events)):
                self.assertEqual(len(set(part)), 2, name)
            # and nothing goes back to the first one
            old = [e == events[0] for e in events]
            self.assertEqual(old, sorted(old, reverse=True), name)

    def test_r27_the_old_secret_is_gone_from_file_state_and_memory(self):
        shm = tempfile.mkdtemp(prefix="lethe-r27-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, shm, ignore_errors=True)
        runtime = os.path.join(shm, "now")
        g = self.gateway(config={"epoch_store": {"runtime": runtime}})
        path = os.path.join(runtime, os.listdir(runtime)[0])
        self.post(g, self.event())
        have(g, 1)
        old = secrets(path)
        self.assertEqual(len(old), 3)  # a destination each
        pid = g.process.pid
        self.assertTrue(all(in_memory(pid, s) for s in old), "the search finds what is there")
        self.go_to(g, ROTATION + datetime.timedelta(seconds=2))
        self.post(g, self.event())
        have(g, 2)
        new = secrets(path)
        self.assertEqual(len(new), 3)
        self.assertFalse(set(old) & set(new))
        for secret in old:
            for name in files_under(g.home, runtime):
                with open(name, "rb") as f:
                    self.assertNotIn(secret, f.read(), name)
            self.assertFalse(in_memory(pid, secret))


def secrets(path):
    """Secrets of live slots, as epoch_file.h lays them out."""
    with open(path, "rb") as f:
        data = f.read()
    return [data[at + 48:at + 80] for at in range(128, len(data) - 127, 128)
            if int.from_bytes(data[at:at + 8], "little") == 1]


def files_under(*folders):
    return [os.path.join(at, name) for folder in folders for at, _, names in os.walk(folder)
            for name in names if os.path.isfile(os.path.join(at, name))]


def in_memory(pid, secret):
    """Whether any writable page of the process holds it."""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            start, end = (int(x, 16) for x in span.split("-"))
            if not mode.startswith("rw") or end - start > 1 << 30:
                continue
            try:
                mem.seek(start)
                if secret in mem.read(end - start):
                    return True
            except OSError:
                continue  # guard pages
    return False


def retention(g):
    code, out, err = g.run("retention", "status", "--json")
    return {r["destination"]: r for r in json.loads(out)}


class Retention(Case):
    """R39: Mixbot keeps for 13 months."""

    LATER = FIRST_DAY.replace(year=2028, month=1, day=1) + 2 * DAY

    def test_r39_rows_and_whole_files_go_when_their_time_has_come(self):
        g = self.gateway()
        self.post(g, self.event(session="early"))
        first = have(g, 1)
        day_file = os.path.join(g.home, "user_analytics.audience.2026-12-01.jsonl")
        self.assertTrue(os.path.exists(day_file))
        # a day before its time everything is still there
        self.go_to(g, self.LATER - 3 * DAY)
        self.post(g, self.event(session="late"))
        self.assertEqual(g.run("retention", "run")[0], 0)
        have(g, 2)
        self.assertTrue(os.path.exists(day_file))
        # then the clock alone is enough: nobody asks
        self.go_to(g, self.LATER)
        wait_until("the old file to go", lambda: not os.path.exists(day_file))
        wait_until("the old row to go", lambda: len(g.rows()) == 1)
        self.assertEqual(len(g.file_lines()), 1)
        wait_until("the figures", lambda: all(
            retention(g)[name]["oldest_ms"] > FIRST_DAY.timestamp() * 1000 + 86400000
            for name in ("store", "file")))
        for name, facts in retention(g).items():
            self.assertEqual((facts["pending"], facts["overdue_ms"]), (False, 0), name)
        # not in the database's free pages, not in its log
        gone = [x.encode() for x in first["store"][0] if x]
        for name in files_under(g.home):
            if os.path.basename(name).startswith("events.db"):
                with open(name, "rb") as f:
                    text = f.read()
                for x in gone:
                    self.assertNotIn(x, text, name)

    def test_r39_rows_that_a_reader_still_holds_are_pending_and_shown(self):
        g = self.gateway()
        self.post(g, self.event())
        gone = have(g, 1)["store"][0][0].encode()
        reader = sqlite3.connect("file:%s?mode=ro" % os.path.join(g.home, "events.db"), uri=True,
                                 isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        self.assertEqual(reader.execute("SELECT count(*) FROM user_actions").fetchone(), (1,))
        self.go_to(g, self.LATER)
        wait_until("pending", lambda: retention(g)["store"]["pending"])
        self.assertIn("pending: a reader holds", g.run("retention", "status")[1])
        reader.execute("COMMIT")
        self.assertEqual(g.run("retention", "run")[0], 0)
        wait_until("done", lambda: not retention(g)["store"]["pending"])
        with open(os.path.join(g.home, "events.db"), "rb") as f:
            self.assertNotIn(gone, f.read())
        self.assertEqual(os.path.getsize(os.path.join(g.home, "events.db-wal")), 0)


def totals(g, name="any"):
    return next(d for d in json.loads(g.run("destination", "list", "--json")[1])
                if d["name"] == name)


def dead(g):
    return json.loads(g.run("spool", "dead", "--json")[1])


def exceptions(g):
    """{(act, reason)} of the audit's rows."""
    rows = [json.loads(l) for l in g.run("audit", "search", "--rows")[1].splitlines()]
    return {(r["act"], r["reason"]) for r in rows}


class Expiry(Case):
    """What waits expires with retention.spool, dead letters with .dead; both
    are counted, in the log, and gone for good."""

    def test_r39_what_waits_longer_than_the_spool_keeps_is_never_sent(self):
        g = self.gateway(answer=503)
        self.post(g, self.event(session="old"))
        wait_until("a first try", lambda: g.recorder.requests)
        self.go_to(g, FIRST_DAY + datetime.timedelta(hours=71))
        self.post(g, self.event(session="young"))
        self.assertEqual(totals(g)["expired"], 0)
        self.clock.set(FIRST_DAY + datetime.timedelta(hours=73))
        wait_until("the old one to expire", lambda: totals(g)["expired"] == 1)
        with g.recorder.lock:
            g.recorder.requests.clear()
        g.recorder.answer = 200
        g.run("destination", "resume", "any")
        wait_until("the young one", lambda: g.recorder.accepted())
        g.settled()
        self.assertEqual(len(g.recorder.accepted()), 1)
        t = totals(g)
        self.assertEqual((t["accepted"], t["expired"], t["waiting"]), (1, 1, 0))
        # its key died with it: only today's epochs have one
        wait_until("the old key to go", lambda: json.loads(
            g.run("keys", "status", "--json")[1])["spool_keys"] <= 3)
        self.assertEqual(g.stop(), 0)
        self.assertIn(("expired", "expired-waiting"), exceptions(g))

    def test_r39_dead_letters_go_after_their_time(self):
        g = self.gateway(answer=400)
        self.post(g, self.event(session="refused"))
        wait_until("the dead letter", lambda: dead(g))
        self.assertEqual(dead(g)[0]["expires_ms"] // 86400000,
                         (FIRST_DAY + 7 * DAY).timestamp() // 86400)
        self.go_to(g, FIRST_DAY + 7 * DAY - datetime.timedelta(hours=1))
        g.recorder.answer = 200
        self.assertEqual(len(dead(g)), 1)
        self.go_to(g, FIRST_DAY + 7 * DAY + datetime.timedelta(hours=20))
        wait_until("it to go", lambda: not dead(g))
        self.assertEqual(g.run("spool", "replay", "any"), (0, "any: done, 0 events\n", ""))
        g.settled()
        self.assertEqual(g.recorder.accepted(), [])
        self.assertEqual((totals(g)["dead"], totals(g)["expired"]), (0, 1))
        self.assertEqual(g.stop(), 0)
        self.assertIn(("expired", "expired-waiting"), exceptions(g))

    def test_r39_both_expire_while_the_gateway_is_off(self):
        g = self.gateway(answer=400)
        self.post(g, self.event(session="refused"))
        wait_until("the dead letter", lambda: dead(g))
        g.recorder.answer = 503
        self.post(g, self.event(session="waits"))
        g.stop()
        self.clock.set(FIRST_DAY + 8 * DAY)
        g.recorder.answer = 200
        g.start()
        wait_until("both to expire", lambda: totals(g)["expired"] == 2)
        self.assertEqual((dead(g), g.recorder.accepted()), ([], []))


if __name__ == "__main__":
    main()
