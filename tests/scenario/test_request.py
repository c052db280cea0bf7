#!/usr/bin/env python3
"""The register of people's requests: terms, reminders, extension (R43, R44)."""
import json
import os
import shutil
import tempfile
import unittest

from fakeclock import FakeClock
from harness import Gateway, main, wait_until
from optouts import records

def call(g, *words):
    code, out, err = g.run("request", *words, "--json")
    return code, json.loads(out)


class Register(unittest.TestCase):
    def test_r44_a_request_from_its_opening_to_its_end(self):
        with Gateway() as g:
            self.assertEqual(call(g, "list"), (0, []))
            code, e = call(g, "open", "--kind", "erasure", "--ticket", "DPO-17")
            self.assertEqual(code, 0)
            self.assertRegex(e["id"], "^[0-9a-f]{8}$")
            self.assertEqual((e["outcome"], e["extended"], e["overdue"]), ("open", "none", False))
            self.assertEqual(g.status()["requests"], {"open": 1, "soon": 0, "overdue": 0})
            code, longer = call(g, "extend", e["id"], "--why", "complex")
            self.assertEqual((code, longer["extended"]), (0, "complex"))
            self.assertGreater(longer["due"], e["due"])
            self.assertEqual(call(g, "extend", e["id"], "--why", "many")[0], 1)  # once
            code, ended = call(g, "close", e["id"], "--outcome", "cannot-identify")
            self.assertEqual((code, ended["outcome"]), (0, "cannot-identify"))
            self.assertEqual(call(g, "close", e["id"], "--outcome", "done")[0], 1)
            self.assertEqual(call(g, "extend", e["id"], "--why", "many")[0], 1)
            self.assertEqual(call(g, "list"), (0, []))
            self.assertEqual([x["id"] for x in call(g, "list", "--all")[1]], [e["id"]])
            opened = records(g, "request.open")
            self.assertEqual([(r["kind"], r["extended"]) for r in opened],
                             [("erasure", "none"), ("erasure", "complex")])
            self.assertEqual([r["outcome"] for r in records(g, "request.close")],
                             ["cannot-identify"])
            code, out, err = g.run("audit", "search", "--act", "request.open")
            self.assertEqual(json.loads(out.splitlines()[0])["why"], "ticket:DPO-17")
            # it outlives the gateway
            g.restart()
            self.assertEqual(len(call(g, "list", "--all")[1]), 1)

    def test_r44_overdue_is_seen_in_status_exit_code_metric_and_log(self):
        folder = tempfile.mkdtemp(prefix="lethe-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        clock = FakeClock(folder)  # 2026-12-01
        with Gateway(faketime=clock.path) as g:
            call(g, "open", "--kind", "access", "--received", "2026-11-20")
            self.assertEqual(g.run("status")[0], 0)
            self.assertEqual(call(g, "list")[1][0]["due"], "2026-12-20T00:00:00Z")
            clock.move(days=13)
            wait_until("the reminder", lambda: b"due within a week count=1" in g.log)
            self.assertEqual(g.run("status")[0], 0)
            clock.move(days=7)
            wait_until("the alarm", lambda: b"requests of people are overdue count=1" in g.log)
            code, out, err = g.run("status")
            self.assertEqual(code, 1)
            self.assertIn("requests: 1 open, 0 due within a week, 1 overdue", out)
            code, out, err = g.run("request", "list")
            self.assertEqual(code, 1)
            self.assertIn("OVERDUE", out)
            self.assertIn(b"lethe_requests_overdue 1", g.admin("GET", "/metrics").body)
            call(g, "extend", call(g, "list")[1][0]["id"], "--why", "many")
            self.assertEqual(call(g, "list")[0], 0)
            self.assertEqual(call(g, "list")[1][0]["due"], "2027-02-20T00:00:00Z")

    def test_r43_what_names_a_person_has_no_place_in_it(self):
        with Gateway() as g:
            for words in (["--kind", "gossip"], ["--kind", "access", "--ticket", "jane@example.org"],
                          ["--kind", "access", "--ticket", "x" * 33], ["--kind", "access", "--ticket", ""],
                          [], ["--kind", "access", "--received", "tomorrow"],
                          ["--kind", "access", "--received", "2999-01-01"],
                          ["--kind", "access", "--received", "2018-05-24"]):
                self.assertEqual(call(g, "open", *words)[0], 3, words)
            self.assertEqual(call(g, "open", "--kind", "access", "--ticket", "x" * 32)[0], 0)
            self.assertEqual(call(g, "open", "--kind", "access", "--received", "2018-05-25")[0], 0)
            self.assertEqual(call(g, "close", "00000000", "--outcome", "done")[0], 3)
            self.assertEqual(call(g, "close", "00000000", "--outcome", "open")[0], 3)
            self.assertEqual(call(g, "extend", "00000000", "--why", "lazy")[0], 3)
            self.assertEqual(g.run("request", "close")[0], 3)
            self.assertEqual(os.stat(os.path.join(g.state, "rights.db")).st_mode & 0o777, 0o600)

    def test_r44_apps_may_open_for_their_site_officers_do_the_rest(self):
        with Gateway() as g:
            def asks(role, command, body, *more):
                token = json.loads(g.run("token", "add", "--role", role, *more, "--json")[1])["token"]
                return g.admin("POST", "/api/request/" + command, body,
                               {"Authorization": "Bearer " + token}).status
            self.assertEqual(asks("app", "open", {"kind": "access", "site": "mixbot"}, "--site", "mixbot"), 200)
            self.assertEqual(asks("app", "list", {}), 403)
            self.assertEqual(asks("operator", "open", {"kind": "access"}), 403)
            self.assertEqual(asks("officer", "list", {}), 200)


if __name__ == "__main__":
    main()
