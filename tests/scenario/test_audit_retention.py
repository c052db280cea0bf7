#!/usr/bin/env python3
"""Retention of the audit log itself, on the real gateway under a clock that is
moved: what goes is ordered and signed first, a gateway starts on what is left,
the published roots stay those of all records ever, and an officer can hold."""
import json
import os
import shutil
import tempfile
import unittest

import tlog
from fakeclock import FIRST_DAY, FakeClock
from harness import Gateway, main, wait_until

DAILY = 300  # records a day: a segment each


def policy(text, rows, records):
    for key, old, new in (("rows", "P14D", rows), ("records", "P12M", records)):
        was = '"audit_%s": "%s"' % (key, old)
        if was not in text:
            raise AssertionError("the example policy says another " + was)
        text = text.replace(was, '"audit_%s": "%s"' % (key, new))
    return text


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lethe-keep-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.clock = FakeClock(self.folder, FIRST_DAY)
        self.lines = {}  # number -> line, of all that was ever seen

    def gateway(self, rows="P2D", records="P5D"):
        self.g = Gateway(folder=self.folder, start=False, faketime=self.clock.path)
        self.addCleanup(self.g.close)
        self.example = self.g.read_policy()
        self.g.write_policy(policy(self.example, rows, records))
        self.audit = os.path.join(self.g.state, "audit")
        self.g.start()
        self.officer = json.loads(self.g.run(
            "token", "add", "--role", "officer", "--json")[1])["token"]
        return self.g

    def look(self):
        """Remember each record before it goes."""
        for line in tlog.records(self.audit):
            self.lines[json.loads(line)["i"]] = line

    def records(self, act):
        self.look()
        return [r for r in map(json.loads, (self.lines[i] for i in sorted(self.lines)))
                if r["act"] == act]

    def fill(self, count=DAILY):
        for _ in range(count):  # each is a record, which nothing waits for
            answer = self.g.admin("POST", "/api/subject/status", {"ids": ["someone"]}, {
                "Authorization": "Bearer " + self.officer})
            self.assertEqual(answer.status, 200)

    def day(self, count=1):
        for _ in range(count):
            before = self.events()
            self.assertEqual(self.g.post("/v1/events", [
                {"timestamp": self.clock.text(), "session_id": "s", "action": "page_view",
                 "details": {}}]).status, 200)
            self.fill()
            wait_until("the event's batch", lambda: self.events() > before)
            self.clock.move(days=1)

    def events(self):
        return sum(r["d"]["in"] for r in self.records("batch"))

    def first(self, part):
        return int(min(n for n in os.listdir(os.path.join(self.audit, part))
                       if n.endswith((".jsonl", ".rows"))).split(".")[0])

    def facts(self):
        out = json.loads(self.g.run("retention", "status", "--json")[1])
        return {x["audit"]: x for x in out if "audit" in x}

    def run_retention(self):
        """Twice: the policy in force may have to be loaded again in between."""
        for _ in range(2):
            before = self.facts()
            self.look()
            self.assertEqual(self.g.run("audit", "prune")[0], 0)
            wait_until("what is ordered to go", lambda: all(
                x["last_run_ms"] > before[layer]["last_run_ms"] and not x["pending"]
                for layer, x in self.facts().items()))

    def assert_root(self):
        """The published checkpoint is over all records ever, though some are gone."""
        def signed():
            with open(os.path.join(self.audit, "checkpoint"), encoding="utf-8") as f:
                return tlog.parse(f.read())
        self.look()
        _, size, root = signed()
        self.look()
        self.assertEqual(sorted(self.lines)[:size], list(range(size)))
        self.assertEqual(tlog.root([tlog.leaf(self.lines[i]) for i in range(size)]), root)
        return size


class Retention(Case):
    def test_ordered_signed_gone_and_the_log_goes_on(self):
        g = self.gateway()
        self.day(9)
        self.run_retention()
        first = self.first("seg")
        self.assertGreater(self.first("rows"), first)
        self.assertGreater(first, 0)
        with open(os.path.join(self.audit, "minimum-index")) as f:
            self.assertEqual(f.read(), "%d\n" % first)
        self.assertFalse([n for part in ("seg", "rows")
                          for n in os.listdir(os.path.join(self.audit, part))
                          if n.endswith(".pruning")])
        # The policy that the start loaded was in the way, and was loaded again.
        again = [r for r in self.records("policy.load") if r["why"] == "ret:records"]
        self.assertTrue(again)
        self.assertEqual({r["d"]["pol"] for r in again}, {again[0]["d"]["old"]})
        orders = self.records("audit.prune")
        for layer, keep in (("rows", "P2D"), ("records", "P5D")):
            mine = [r for r in orders if r["d"]["layer"] == layer]
            self.assertTrue(mine, layer)
            at, totals = 0, {"in": 0, "fwd": 0, "mod": 0, "drop": 0}
            for r in mine:  # each begins where the one before ended
                d = r["d"]
                self.assertEqual((d["from"], d["cum0"], d["keep"]), (at, totals, keep))
                load = json.loads(self.lines[d["pol"]])
                self.assertEqual((load["act"], load["d"]["keep"][layer]), ("policy.load", keep))
                for i in range(d["from"], d["to"]):
                    self.assertLess(json.loads(self.lines[i])["t"], d["cutoff"])
                self.assertLessEqual(d["size"], r["i"])
                at, totals = d["to"], d["cum1"]
            self.assertEqual(at, self.first("seg" if layer == "records" else "rows"))
        # audit_rows and audit_records write audit.prune alone.
        self.assertFalse([r for r in self.records("retention.delete")
                          if "audit" in json.dumps(r["d"])])
        self.assert_root()

        code, out, _ = g.run("retention", "status")
        self.assertIn("audit log, rows: last run ", out)
        self.assertIn("audit log, records: last run ", out)
        self.assertEqual(code, 0, out)

        size = self.assert_root()
        g.restart()
        self.day(2)
        wait_until("a later checkpoint", lambda: self.assert_root() > size)
        recovered = [r for r in self.records("gate.recovered")]
        self.assertEqual(recovered, [])
        g.kill()
        g.start()
        self.assertFalse([r for r in self.records("gate.recovered") if r["d"].get("lost")])
        self.assert_root()

    def test_verify_takes_what_was_ordered_and_nothing_else(self):
        g = self.gateway()
        self.day(8)  # policies of the first days go, too: later orders name them
        self.run_retention()
        g.stop()
        code, out, err = g.run("audit", "verify")
        self.assertEqual(code, 0, out + err)
        self.assertIn("sound", out)
        self.assertIn("deleted by order", out)
        for part, ending in (("rows", ".rows"), ("seg", ".jsonl")):
            path = os.path.join(self.audit, part, "%012d%s" % (self.first(part), ending))
            os.rename(path, path + ".aside")
            code, out, err = g.run("audit", "verify")
            self.assertEqual(code, 1, out + err)
            self.assertIn("GAP NOT AUTHORISED", out)
            os.rename(path + ".aside", path)
        self.assertEqual(g.run("audit", "verify")[0], 0)

    def test_what_nobody_ordered_stops_the_start(self):
        g = self.gateway()
        self.day(4)
        self.run_retention()
        g.stop()
        os.unlink(os.path.join(self.audit, "rows", "%012d.rows" % self.first("rows")))
        with self.assertRaises(AssertionError):
            g.start()
        self.assertIn(b"a record in it is damaged", g.log)

    def test_a_dry_run_says_what_would_go(self):
        g = self.gateway("P14D", "P12M")
        self.day(2)
        for running in (True, False):
            if not running:
                g.stop()
            code, out, err = g.run("audit", "prune", "--dry-run", "--json")
            self.assertEqual(code, 0, err)
            plans = {p["layer"]: p for p in json.loads(out)}
            self.assertEqual(plans["rows"]["keep"], "P14D")
            self.assertEqual((plans["rows"]["files"], plans["records"]["files"]), (0, 0))
            self.assertIn("nothing is due", g.run("audit", "prune", "--dry-run")[1])
        self.assertEqual(g.run("audit", "prune")[0], 1)

    def test_a_shorter_policy_counts_from_its_load_on(self):
        g = self.gateway("P14D", "P12M")
        self.day(4)
        self.run_retention()
        self.assertEqual(self.first("rows"), 0)
        g.write_policy(policy(self.example, "P1D", "P12M").replace(
            '"version": "', '"version": "shorter-', 1))
        self.run_retention()  # written, not loaded
        self.assertEqual(self.first("rows"), 0)
        self.assertEqual(g.run("reload")[0], 0)
        self.run_retention()
        self.assertGreater(self.first("rows"), 0)
        order = self.records("audit.prune")[0]
        self.assertEqual(order["d"]["keep"], "P1D")
        self.assertGreater(order["d"]["pol"], 4 * DAILY)


class Holds(Case):
    def test_a_hold_stops_it_until_it_is_lifted(self):
        g = self.gateway()
        self.day(1)
        code, out, err = g.run("audit", "hold", "set", "--from",
                               self.clock.now().strftime("%Y-%m-%dT00:00:00Z"),
                               "--why", "ticket:DPO-9", "--json")
        self.assertEqual(code, 0, err)
        hold = json.loads(out)["id"]
        self.assertRegex(hold, "^[0-9a-f]{8}$")
        self.day(4)
        self.run_retention()
        held = self.first("rows")
        self.assertLessEqual(held, 2 * DAILY)
        facts = self.facts()["rows"]
        self.assertTrue(facts["held"])
        self.assertEqual(facts["overdue_ms"], 0)
        self.assertIn(", held", g.run("retention", "status")[1])
        listed = json.loads(g.run("audit", "hold", "list", "--json")[1])
        self.assertEqual([(h["id"], h["to"], h["why"]) for h in listed],
                         [(hold, None, "ticket:DPO-9")])

        g.restart()  # it is in the log, not in memory
        self.run_retention()
        self.assertEqual(self.first("rows"), held)
        g.stop()
        self.assertIn(hold, g.run("audit", "hold", "list")[1])
        g.start()
        self.assertEqual(g.run("audit", "hold", "lift", "00000000", "--why", "tkt:1")[0], 3)
        code, out, err = g.run("audit", "hold", "lift", hold, "--why", "ticket:DPO-9")
        self.assertEqual(code, 0, out + err)
        self.run_retention()
        self.assertGreater(self.first("rows"), held)
        self.assertEqual([(r["who"], r["why"], r["d"]["state"], r["d"]["id"])
                          for r in self.records("audit.hold")],
                         [("adm:local", "ticket:DPO-9", "set", hold),
                          ("adm:local", "ticket:DPO-9", "lift", hold)])

    def test_what_a_hold_must_say(self):
        g = self.gateway()
        ask = ["audit", "hold"]
        for more in ([], ["set"], ["set", "--from", "2026-12-01T00:00:00Z"],
                     ["set", "--why", "ticket:1"], ["set", "--from", "today", "--why", "tkt:1"],
                     ["set", "--from", "2026-12-01T00:00:00Z", "--why", "because"],
                     ["set", "--from", "2026-12-01T00:00:00Z", "--to", "2026-11-01T00:00:00Z",
                      "--why", "tkt:1"], ["lift"], ["lift", "0"], ["list", "0"], ["keep"]):
            code, out, err = g.run(*ask, *more)
            self.assertEqual((code, out), (3, ""), (more, err))
        self.assertEqual(g.run(*ask, "list")[1], "no holds\n")


if __name__ == "__main__":
    main()
