#!/usr/bin/env python3
"""Reading the audit log: who reads is in the log first; filters and formats
of `lethe audit search` (docs/audit.md)."""
import csv
import io
import json
import os
import shutil
import unittest

from harness import Gateway, event, main, wait_until

YES = {"product": True}


def search(g, *words):
    code, out, err = g.run("audit", "search", *words)
    if code != 0:
        raise AssertionError("exit %d: %s" % (code, err))
    return [json.loads(line) for line in out.splitlines()]


def reads(g):
    return [r["d"] for r in search(g, "--act", "audit.read")]


class Recorded(unittest.TestCase):
    def test_a_search_is_recorded_before_it_shows_anything(self):
        with Gateway() as g:
            self.assertEqual(reads(g), [])  # what was there when it was asked
            self.assertEqual(reads(g), [{"of": "records", "by": ["act"], "count": 0}])
            search(g, "--receipt", "00000000000000ff", "--from", "2026-01-01T00:00:00Z",
                   "--destination", "store", "--site", "mixbot", "--rule", "3",
                   "--reason", "gpc")
            self.assertIn({"of": "rows", "by": ["time", "rule", "reason", "site",
                                                "destination", "receipt"], "count": 0}, reads(g))
            search(g, "--who", "adm:local", "--outcome", "ok", "--act", "audit.read")
            self.assertIn({"of": "records", "by": ["act", "who", "outcome"], "count": 4}, reads(g))
            self.assertEqual(g.run("audit", "export", "--act", "gate.start")[0], 0)
            self.assertEqual(search(g, "--act", "audit.read")[-1]["why"], "ticket:export")

    def test_no_value_of_a_search_is_in_the_log(self):
        with Gateway() as g:
            search(g, "--receipt", "5ec1e70000c0ffee", "--act", "cleared")
            code, out, err = g.run("audit", "search")
            self.assertNotIn("c0ffee", out)

    def test_a_search_that_cannot_be_recorded_shows_nothing(self):
        """The gateway is there but does not answer: its socket's other end is
        ours, and closes."""
        import socket
        import threading
        with Gateway() as g:
            g.stop()
            path = os.path.join(g.state, "control.sock")
            with socket.socket(socket.AF_UNIX) as s:
                here = os.getcwd()
                os.chdir(g.state)
                try:
                    s.bind("control.sock")
                finally:
                    os.chdir(here)
                s.listen(1)

                def hang_up():
                    connection, _ = s.accept()
                    connection.close()
                thread = threading.Thread(target=hang_up, daemon=True)
                thread.start()
                code, out, err = g.run("audit", "search")
                thread.join(5)
            os.unlink(path)
            self.assertEqual((code, out), (1, ""))
            self.assertIn("would not record this search", err)

    def test_what_is_done_without_a_gateway_is_recorded_by_the_next_start(self):
        with Gateway() as g:
            g.stop()
            code, out, err = g.run("audit", "search", "--act", "gate.start")
            self.assertEqual(code, 0)
            self.assertEqual(len(out.splitlines()), 1)
            self.assertIn("next start records this search", err)
            g.run("subject", "optout", stdin=b"someone\nsomeone else\n", check=True)
            code, out, err = g.run("subject", "status", stdin=b"someone\n\nanother\n")
            self.assertEqual((code, out), (0, "identifier 1: opted out\nidentifier 2: not opted out\n"))
            g.start()
            acts = [(r["act"], r["who"], sorted(r["d"])) for r in search(g)
                    if r["act"] in ("audit.read", "optout.set", "subject.read")]
            self.assertEqual(acts[:4], [
                ("audit.read", "adm:local", ["at", "by", "count", "of"]),
                ("optout.set", "adm:local", ["at", "sent", "sub"]),
                ("optout.set", "adm:local", ["at", "sent", "sub"]),
                ("subject.read", "adm:local", ["at", "ids"])])
            self.assertFalse(os.path.exists(os.path.join(g.state, "audit-pending")))
            g.restart()
            self.assertEqual(len(search(g, "--act", "optout.set")), 2)
            self.assertEqual(g.run("audit", "verify", "--rows")[0], 0)

    def test_without_a_place_for_the_note_nothing_is_shown(self):
        with Gateway() as g:
            g.stop()
            os.mkdir(os.path.join(g.state, "audit-pending"))
            code, out, err = g.run("audit", "search")
            self.assertEqual((code, out), (1, ""))
            self.assertIn("nothing is shown", err)
            code, out, err = g.run("subject", "status", stdin=b"someone\n")
            self.assertEqual((code, out), (1, ""))
            os.rmdir(os.path.join(g.state, "audit-pending"))

    def test_verify_shows_no_contents_and_is_no_reading(self):
        with Gateway() as g:
            g.run("audit", "verify", "--rows")
            copy = os.path.join(g.folder, "copy")
            shutil.copytree(os.path.join(g.state, "audit"), copy)
            g.run("audit", "verify", copy)
            self.assertEqual(reads(g), [])


class Filters(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.g = Gateway()
        for body in (event(session="a"), event(session="b", consent=YES),
                     event("Analysis Completed", session="c", consent=YES,
                           details={"duration_s": 1, "success": True})):
            cls.g.post("/v1/events", body)
        wait_until("the rows", lambda: len(search(cls.g, "--rows")) >= 3)

    @classmethod
    def tearDownClass(cls):
        cls.g.close()

    def destinations(self):
        return search(self.g, "--act", "policy.load")[-1]["d"]["dst"]

    def test_by_receipt(self):
        for row in search(self.g, "--rows"):
            found = search(self.g, "--receipt", row["ev"])
            self.assertIn(row, found)
            self.assertEqual({r["ev"] for r in found}, {row["ev"]})
        self.assertEqual(search(self.g, "--receipt", "0123456789abcdef"), [])
        for bad in ("1", "0123456789abcdeg", "0123456789abcdef0", "0123456789ABCDEF",
                    "0" * 16, "-123456789abcdef"):
            code, out, err = self.g.run("audit", "search", "--receipt", bad)
            self.assertEqual((code, out), (3, ""), bad)

    def test_by_destination(self):
        names = self.destinations()
        rows = search(self.g, "--rows")
        for k, name in enumerate(names):
            self.assertEqual(search(self.g, "--rows", "--destination", name),
                             [r for r in rows if r["destinations"] >> k & 1], name)
        self.assertEqual(search(self.g, "--rows", "--destination", "nobody"), [])
        self.g.run("destination", "pause", "any", check=True)
        self.g.run("destination", "resume", "any", check=True)
        found = search(self.g, "--destination", "any")
        self.assertIn("destination.pause", [r["act"] for r in found])
        found = search(self.g, "--destination", "any", "--site", "mixbot")
        self.assertIn("destination.pause", [r["act"] for r in found])
        self.assertEqual(search(self.g, "--destination", "any", "--site", "other"), [])
        self.assertNotIn("gate.start", [r["act"] for r in found])

    def test_formats(self):
        g = self.g
        rows = search(g, "--rows", "--format", "jsonl")
        self.assertEqual(search(g, "--rows", "--json"), rows)
        table = list(csv.DictReader(io.StringIO(
            g.run("audit", "search", "--rows", "--format", "csv")[1])))
        self.assertEqual([r["ev"] for r in table], [r["ev"] for r in rows])
        text = g.run("audit", "search", "--rows", "--format", "text")[1].splitlines()
        self.assertEqual(len(text), len(rows))
        for line, row in zip(text, rows):
            self.assertIn("receipt " + row["ev"], line)
            self.assertIn(" %s " % row["act"], line)
        records = list(csv.DictReader(io.StringIO(
            g.run("audit", "search", "--act", "policy.load", "--format", "csv")[1])))
        self.assertEqual(json.loads(records[0]["d"])["dst"], self.destinations())
        text = g.run("audit", "search", "--act", "gate.start", "--format", "text")[1]
        self.assertRegex(text, r"^0 20\S+Z gate.start gw:\S+ boot ok \{")
        self.assertEqual(g.run("audit", "search", "--format", "xml")[0], 3)
        self.assertEqual(g.run("audit", "search", "--json", "--format", "csv")[0], 3)

    def test_pages_are_stable(self):
        g = self.g
        for words in ((), ("--rows",)):
            for order in ((), ("--reverse",)):
                # What is written meanwhile is behind all that is paged through.
                to = ("--to", search(g)[-1]["t"])
                whole = search(g, *words, *order, *to)
                seen, after = [], ()
                for _ in range(len(whole) + 1):
                    code, out, err = g.run("audit", "search", *words, *order, *to, *after,
                                           "--limit", "1")
                    self.assertEqual(code, 0, err)
                    if not out:
                        break
                    seen.append(json.loads(out))
                    place = err.split("--after ")[1].strip()
                    self.assertEqual(place, ".".join(str(seen[-1][k]) for k in ("i", "row")
                                                     if k in seen[-1]))
                    after = ("--after", place)
                self.assertEqual(seen, whole)
                self.assertGreater(len(whole), 2)
        for bad in ("x", "1.", "1.x", ".1", "-1", "9007199254740992", "1.4294967295", "1.2.3"):
            self.assertEqual(g.run("audit", "search", "--rows", "--after", bad)[0], 3, bad)
        self.assertEqual(g.run("audit", "search", "--after", "1.2")[0], 3)
        self.assertEqual(g.run("audit", "search", "--limit", "1000000001")[0], 3)
        self.assertEqual(g.run("audit", "search", "--limit", "1000000000")[0], 0)

    def test_counts(self):
        rows = search(self.g, "--rows", "--act", "dropped")
        code, out, err = self.g.run("audit", "search", "--rows", "--act", "dropped", "--count")
        self.assertEqual((code, out), (0, "%d\n" % len(rows)))
        code, out, err = self.g.run("audit", "search", "--rows", "--act", "dropped", "--count",
                                    "--json")
        self.assertEqual(json.loads(out), {"count": len(rows)})

    def test_records_by_who_and_outcome(self):
        self.assertEqual(search(self.g, "--outcome", "failed"), [])
        self.assertEqual({r["act"] for r in search(self.g, "--who", "adm:local")} - {
            "audit.read", "destination.pause", "destination.resume"}, set())
        for bad in (("--outcome", "good"), ("--rows", "--outcome", "ok"),
                    ("--receipt", "0123456789abcdef", "--who", "adm:local")):
            self.assertEqual(self.g.run("audit", "search", *bad)[0], 3, bad)

    def test_export_is_never_text(self):
        code, out, err = self.g.run("audit", "export", "--act", "none", "--format", "csv")
        self.assertEqual((code, out), (0, "i,t,act,who,why,out,d\n"))
        self.assertEqual(self.g.run("audit", "export", "--format", "text")[0], 3)
        code, out, err = self.g.run("audit", "export", "--rows")
        self.assertEqual([json.loads(r) for r in out.splitlines()], search(self.g, "--rows"))

    def test_times_are_from_then_on_and_before_then(self):
        records = search(self.g)
        middle = records[len(records) // 2]["t"]
        before = search(self.g, "--to", middle)
        self.assertEqual([r["i"] for r in before],
                         [r["i"] for r in records if r["t"] < middle])
        after = search(self.g, "--from", middle)
        self.assertEqual(after[0]["t"], middle)


class Person(unittest.TestCase):
    def ask(self, g, ids, *words):
        code, out, err = g.run("audit", "search", "--ids", "-", *words, stdin=ids)
        return code, [json.loads(line) for line in out.splitlines()], err

    def test_a_person_is_found_while_the_day_key_lives(self):
        with Gateway() as g:
            for session in ("anna@example.org", "ben", "ben"):
                g.post("/v1/events", event(session=session))
            wait_until("the rows", lambda: len(search(g, "--rows")) >= 3)
            events = {r["ev"] for r in search(g, "--rows")}
            self.assertEqual(len(events), 3)
            code, anna, err = self.ask(g, b"Anna@example.org\n")
            self.assertEqual((code, len({r["ev"] for r in anna}), err), (0, 1, ""))
            code, ben, err = self.ask(g, b"\nben\n")
            self.assertEqual((code, len({r["ev"] for r in ben})), (0, 2))
            self.assertEqual(self.ask(g, b"ben\n", "--limit", "1")[1], ben[:1])
            code, both, err = self.ask(g, b"anna@example.org\nben\n")
            self.assertEqual({r["ev"] for r in both}, events)
            self.assertEqual(self.ask(g, b"nobody\n")[:2], (0, []))
            asked = [r["d"] for r in search(g, "--act", "subject.read")]
            self.assertEqual([d["ids"] for d in asked], [1, 1, 1, 2, 1])
            self.assertIn({"of": "rows", "by": ["person"], "count": len(ben)}, reads(g))
            self.assertNotIn("anna", g.run("audit", "search")[1])

    def test_without_keys_nobody_can_be_identified(self):
        with Gateway(config={"audit": {"subject_search": "PT0S"}}) as g:
            g.post("/v1/events", event(session="anna"))
            wait_until("the rows", lambda: len(search(g, "--rows")) >= 1)
            code, out, err = self.ask(g, b"anna\n")
            self.assertEqual((code, out), (2, []))
            self.assertIn("cannot identify", err)
            g.stop()
            code, out, err = self.ask(g, b"anna\n")
            self.assertEqual((code, out), (1, []))
            self.assertIn("cannot identify", err)

    def test_identifiers_have_limits(self):
        with Gateway() as g:
            self.assertEqual(self.ask(g, b"\n\n")[0], 3)
            self.assertEqual(self.ask(g, b"x\n" * 8)[0], 0)
            self.assertEqual(self.ask(g, b"x\n" * 9)[0], 3)
            self.assertEqual(self.ask(g, b"x" * 1024 + b"\n")[0], 0)
            self.assertEqual(self.ask(g, b"x" * 1025 + b"\n")[0], 3)

    def test_only_officers_may_look_for_people(self):
        with Gateway() as g:
            for role, want in (("auditor", 1), ("operator", 1), ("officer", 0)):
                code, out, err = g.run("token", "add", "--role", role, "--label", role, "--json")
                path = os.path.join(g.folder, role)
                with open(path, "w") as f:
                    f.write(json.loads(out)["token"] + "\n")
                os.chmod(path, 0o600)
                self.assertEqual(self.ask(g, b"x\n", "--token-file", path)[0], want, role)


if __name__ == "__main__":
    main()
