#!/usr/bin/env python3
"""R40: from the log alone, what happened to every event, why, and under which
policy and build. R59: what cannot be written down is not forwarded."""
import collections
import json
import os
import re
import shutil
import threading
import unittest

from harness import Gateway, event, main, wait_until

YES = {"product": True}


def search(g, *words):
    code, out, err = g.run("audit", "search", *words)
    if code != 0:
        raise AssertionError(out + err)
    return [json.loads(line) for line in out.splitlines()]


class Reconcile(unittest.TestCase):
    def test_r40_a_hundred_mixed_events_are_a_hundred_decisions(self):
        kinds = [lambda n: event("Analysis Completed", session="s%d" % n, consent=YES,
                                 details={"duration_s": n, "success": True}),
                 lambda n: event("Analysis Completed", session="s%d" % n,
                                 details={"duration_s": n, "success": True}),
                 lambda n: event("Analysis Completed", session="s%d" % n, consent="denied",
                                 details={"duration_s": n, "success": True}),
                 lambda n: event("Nobody Declared This", session="s%d" % n),
                 lambda n: event("Analysis Completed", session="out", consent=YES)]
        with Gateway() as g:
            self.assertEqual(g.post("/v1/optout", {"session_id": "out"}).status, 200)
            for n in range(100):
                self.assertEqual(g.post("/v1/events", kinds[n % 5](n)).status, 200)
            for body in (b"{", b"[]x", b'{"action":1}'):
                self.assertEqual(g.post("/v1/events", body).status, 400)
            g.settled()

            def decided():
                batches = [r["d"] for r in search(g, "--act", "batch")]
                told = sum(n for d in batches for _, n in d["ref"])
                return batches if sum(d["in"] for d in batches) == 100 and told == 3 else None
            batches = wait_until("100 decisions and what was refused", decided)
            rows = search(g, "--rows")
            page = g.admin("GET", "/metrics").body.decode()
            metric = sum(int(m) for m in re.findall(
                r'^lethe_events_total\{site="mixbot",destination="any",outcome="(?:cleared|dropped)"[^}]*\} (\d+)$',
                page, re.M))
            log = search(g)

        # the totals, three ways: batches, rows, metrics
        total = {k: sum(d[k] for d in batches) for k in ("in", "fwd", "mod", "drop")}
        self.assertEqual(total["in"], total["fwd"] + total["mod"] + total["drop"])
        self.assertEqual(sum(n for d in batches for _, _, n in d["by"]), 100)
        self.assertEqual(batches[-1]["cum"], total)
        self.assertEqual(metric, 100)
        first = {}
        for row in rows:
            first.setdefault(row["ev"], row)
        self.assertEqual(len(first), 100)
        acts = collections.Counter(r["act"] for r in first.values())
        self.assertEqual(acts["dropped"], total["drop"])
        self.assertEqual(acts["cleared"] + acts["cleared-minimised"],
                         total["fwd"] + total["mod"])
        # why: every dropped event has a reason, and the person's is theirs
        self.assertNotIn("none", [r["reason"] for r in first.values()
                                  if r["act"] == "dropped"])
        reasons = collections.Counter(r["reason"] for r in first.values()
                                      if r["act"] == "dropped")
        self.assertEqual(reasons["unknown-event"], 20)
        self.assertEqual(reasons["opted-out"], 20)
        # what was refused before any decision is counted, too
        refused = sum(n for r in log if r["act"] == "batch"
                      for status, n in r["d"]["ref"] if status == 400)
        self.assertEqual(refused, 3)
        # under which policy, which build
        loads = {r["i"]: r["d"]["pol"] for r in log if r["act"] == "policy.load"}
        for d in batches:
            if "site" in d:
                self.assertRegex(loads[d["pol"]], "^[0-9a-f]{64}$")
        self.assertTrue(log[0]["d"]["ver"])
        # where it went: cleared = the sum of what became of it
        last = [r for r in log if r["act"] == "delivery"]
        for d in last:
            for to in d["d"]["to"]:
                self.assertEqual(to["cleared"], sum(to[k] for k in (
                    "accepted", "refused", "swept", "expired", "purged", "dead", "waiting")))


class FailClosed(unittest.TestCase):
    """Never more forwarded than is in the log."""

    def forwarded_and_audited(self, harm):
        g = Gateway()
        self.addCleanup(g.close)
        audit = os.path.join(g.state, "audit")

        def send(n):
            try:
                return g.post("/v1/events", event(
                    "Analysis Completed", session="s%d" % n, consent=YES,
                    details={"duration_s": n, "success": True})).status
            except OSError:
                return None
        for n in range(20):
            self.assertEqual(send(n), 200)
        g.settled()
        kept = os.path.join(g.folder, "kept")
        harm(audit, kept)
        answers = [send(n) for n in range(20, 40)]
        wait_until("the gateway to refuse or end", lambda: send(0) != 200)
        g.process.wait(40) if send(0) is None else None
        return g, kept, answers

    def test_r59_a_deleted_folder(self):
        def harm(audit, kept):
            shutil.copytree(audit, kept)
            shutil.rmtree(audit)
        g, kept, answers = self.forwarded_and_audited(harm)
        self.assertEqual(g.stop(), 1, g.log)
        self.assertIn(b"audit", g.log)
        # The journal has every row that was acknowledged: put back what was
        # there, and nothing is missing.
        shutil.rmtree(os.path.join(g.state, "audit"), ignore_errors=True)
        shutil.copytree(kept, os.path.join(g.state, "audit"))
        self.audited(g, answers)

    def test_r59_files_that_were_replaced(self):
        def harm(audit, kept):
            shutil.copytree(audit, kept)
            for kind in ("seg", "rows"):
                folder = os.path.join(audit, kind)
                for name in os.listdir(folder):
                    os.unlink(os.path.join(folder, name))
                    shutil.copyfile(os.path.join(kept, kind, name),
                                    os.path.join(folder, name))
        g, kept, answers = self.forwarded_and_audited(harm)
        self.assertEqual(g.stop(), 1, g.log)
        self.audited(g, answers)

    def audited(self, g, answers):
        g.start()
        g.settled()
        wait_until("the rows", lambda: len({r["ev"] for r in search(g, "--rows")}) >=
                   20 + answers.count(200))
        audited = len({r["ev"] for r in search(g, "--rows")})
        forwarded = len({json.dumps(e, sort_keys=True) for e in g.recorder.accepted()})
        self.assertLessEqual(forwarded, audited)
        self.assertGreaterEqual(forwarded, 20 + answers.count(200))
        self.assertEqual(g.run("audit", "verify", "--rows")[0], 0)


if __name__ == "__main__":
    main()
