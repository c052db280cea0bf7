#!/usr/bin/env python3
"""Delivery by the real binary: batches, retries, dead letters, pauses, limits,
names of files, retention (storage.md section 2, design.md section 10)."""
import json
import os
import sqlite3
import time
import unittest

from fakeclock import FakeClock
from harness import Gateway, event, main, wait_until

YES = {"product": True}


def numbered(n, **more):
    return event("Analysis Completed", details={"duration_s": n, "success": True},
                 consent=YES, **more)


def arrived(g):
    return sorted(e["details"]["duration_s"] for e in g.recorder.accepted())


def destination(g, name):
    return next(d for d in g.status()["destinations"] if d["name"] == name)


def records(g, act):
    return [json.loads(line)["d"]
            for line in g.run("audit", "search", "--act", act)[1].splitlines()]


class Case(unittest.TestCase):
    def send(self, g, *ns):
        self.assertEqual(g.post("/v1/events", [numbered(n) for n in ns]).status, 200)

    def deliver(self, g, *ns):
        wait_until("events %s" % (ns,), lambda: set(arrived(g)) >= set(ns))


class Network(Case):
    def test_connections_are_used_again(self):
        with Gateway() as g:
            for n in range(8):
                self.send(g, n)
                self.deliver(g, n)
            self.assertLessEqual(len({r["peer"] for r in g.recorder.requests}), 2)

    def test_many_events_are_few_batches(self):
        with Gateway() as g:
            self.send(g, *range(450))
            self.deliver(g, *range(450))
            self.assertEqual(arrived(g), list(range(450)))
            self.assertLessEqual(len(g.recorder.requests), 10)

    def test_retry_after_is_waited_for(self):
        with Gateway() as g:
            g.recorder.answer = lambda request: (503, [("Retry-After", "3")], b"")
            self.send(g, 1)
            wait_until("the first try", lambda: g.recorder.requests)
            start = time.monotonic()
            g.recorder.answer = 200
            self.deliver(g, 1)
            self.assertGreater(time.monotonic() - start, 2.5)
            self.assertEqual(len(g.recorder.requests), 2)

    def test_poison_alone_becomes_a_dead_letter_and_can_be_replayed(self):
        with Gateway() as g:
            g.recorder.answer = lambda r: (
                422 if any(e["details"]["duration_s"] == 13 for e in json.loads(r["body"]))
                else 200, [], b"")
            self.send(g, *range(10, 20))
            self.deliver(g, 10, 11, 12, 14, 15, 16, 17, 18, 19)
            wait_until("the dead letter", lambda: destination(g, "any")["dead"] == 1)
            dead = json.loads(g.run("spool", "dead", "--json")[1])
            self.assertEqual([(d["destination"], d["status"]) for d in dead], [("any", 422)])
            self.assertNotIn("13", g.run("spool", "dead")[1].split())
            g.recorder.answer = 200
            self.assertEqual(g.run("spool", "replay", "any")[0], 0)
            self.deliver(g, 13)
            wait_until("no dead letter", lambda: destination(g, "any")["dead"] == 0)
            found = wait_until("its record", lambda: records(g, "dead.replay"))
            self.assertEqual(found, [{"site": "mixbot", "destination": "any", "count": 1}])

    def test_a_refused_login_or_place_is_no_event_s_fault(self):
        with Gateway() as g:
            for status in (401, 404, 307):
                g.recorder.answer = status
                before = len(g.recorder.requests)
                self.send(g, status)
                wait_until("a try", lambda: len(g.recorder.requests) > before)
                wait_until("the failure to show",
                           lambda: destination(g, "any")["last_status"] == status)
                self.assertEqual(destination(g, "any")["dead"], 0)
                g.recorder.answer = 200
                self.assertEqual(g.run("reload")[0], 0)  # tries at once
                self.deliver(g, status)

    def test_one_that_hangs_blocks_no_other(self):
        with Gateway() as g:
            g.recorder.answer = "hang"
            for n in range(5):
                self.send(g, n)
            wait_until("five lines", lambda: len(g.file_lines()) == 5)
            wait_until("five rows", lambda: len(g.rows()) == 5)
            self.assertEqual(destination(g, "any")["waiting"], 5)
            g.kill()

    def test_pause_and_resume(self):
        with Gateway() as g:
            self.assertEqual(g.run("destination", "pause", "any")[0], 0)
            self.send(g, 1)
            self.assertEqual(g.run("reload")[0], 0)
            self.assertEqual(destination(g, "any")["state"], "paused")
            self.assertEqual(destination(g, "any")["waiting"], 1)
            wait_until("others go on", lambda: g.file_lines() and g.rows())
            self.assertEqual(g.recorder.requests, [])
            self.assertEqual(g.run("destination", "resume", "any")[0], 0)
            self.deliver(g, 1)
            self.assertEqual(destination(g, "any")["state"], "ok")
            wait_until("both records", lambda: len(records(g, "destination.pause")) == 1 and
                       len(records(g, "destination.resume")) == 1)

    def test_a_tighter_policy_reaches_what_waits(self):
        with Gateway() as g:
            self.assertEqual(g.run("destination", "pause", "any")[0], 0)
            self.send(g, 1, 2)
            g.post("/v1/events", event("DAW Selected", details={"daw": "Reaper"}, consent=YES))
            g.write_policy(g.read_policy().replace('"duration_s": {"number": {"round": 0.1',
                                                   '"duration_s": {"number": {"round": 10')
                           .replace('"version": "1"', '"version": "2"'))
            code, out, err = g.run("reload")
            self.assertEqual(code, 0, out + err)
            self.assertEqual(g.run("destination", "resume", "any")[0], 0)
            wait_until("the one whose rules stand", lambda: g.recorder.accepted())
            g.settled()
            self.assertEqual([e["action"] for e in g.recorder.accepted()], ["daw_selection"])
            self.assertEqual(destination(g, "any")["purged"], 2)
            self.assertIn(b"policy-changed", g.admin(
                "GET", "/metrics", headers={"Host": "localhost"}).body)


class Limits(Case):
    def test_a_full_spool_stops_intake_and_lets_go_by_itself(self):
        with Gateway({"limits": {"spool": "1MiB"}}) as g:
            g.recorder.answer = 503
            answer = None
            for n in range(2000):
                answer = g.post("/v1/events", numbered(n))
                if answer.status != 200:
                    break
            self.assertEqual(answer.status, 503)
            self.assertIn("retry-after", {k.lower() for k, _ in answer.headers})
            taken = n
            g.recorder.answer = 200
            self.assertEqual(g.run("reload")[0], 0)
            wait_until("what was taken", lambda: len(arrived(g)) >= taken)
            for n in range(500, 520):
                wait_until("room", lambda: g.post("/v1/events", numbered(n)).status == 200)
            g.settled()
            self.assertEqual(len(set(arrived(g))), taken + 20)


class Files(Case):
    def lines_of(self, g):
        found = {}
        for name in os.listdir(g.home):
            if name.endswith(".jsonl"):
                with open(os.path.join(g.home, name)) as f:
                    found[name] = len(f.readlines())
        return found

    def test_names_and_retention(self):
        with Gateway(start=False) as g:
            clock = FakeClock(g.folder)
            g.faketime = clock.path
            g.start()
            self.send(g, 1)
            wait_until("a line", lambda: len(g.file_lines()) == 1)
            first = "user_analytics.audience.%s.jsonl" % clock.now().strftime("%Y-%m-%d")
            self.assertEqual(self.lines_of(g), {first: 1})
            clock.move(days=1)
            g.post("/v1/events", numbered(2, timestamp=clock.text()))
            wait_until("a second line", lambda: len(g.file_lines()) == 2)
            second = "user_analytics.audience.%s.jsonl" % clock.now().strftime("%Y-%m-%d")
            self.assertEqual(self.lines_of(g), {first: 1, second: 1})
            self.expire(g, clock, first, second)

    def expire(self, g, clock, first, second):
        wait_until("two rows", lambda: len(g.rows()) == 2)
        reader = sqlite3.connect(os.path.join(g.home, "events.db"))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM user_actions").fetchone()
        clock.move(days=395, hours=20)  # 13 months have passed for the first alone
        self.assertEqual(g.run("retention", "run")[0], 0)
        wait_until("the first file to go", lambda: self.lines_of(g) == {second: 1})
        wait_until("the reader to be told",
                   lambda: "pending" in g.run("retention", "status")[1])
        reader.close()
        g.run("retention", "run")
        wait_until("the database to be clean",
                   lambda: "pending" not in g.run("retention", "status")[1])
        self.assertEqual(len(g.rows()), 1)
        wait_until("both records", lambda: len(records(g, "retention.delete")) == 2)
        self.assertEqual(
            sorted((d["site"], d["destination"], d["purpose"], d["files"], d["rows"])
                   for d in records(g, "retention.delete")),
            [("mixbot", "file", "audience", 1, 0), ("mixbot", "store", "audience", 0, 1)])
        self.assertEqual(g.stop(), 0)
        self.assertEqual(g.run("audit", "verify", "--rows")[0], 0)

    def test_columns_of_the_store(self):
        with Gateway() as g:
            g.post("/v1/events", event())
            row = wait_until("a row", g.rows)[0]
            for name in ("timestamp", "action", "details", "session_id"):
                self.assertTrue(row[name], name)
            self.assertEqual(row["action"], "file_upload")
            self.assertEqual(json.loads(row["details"])["file_extension"], "wav")


if __name__ == "__main__":
    main()
