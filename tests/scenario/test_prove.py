#!/usr/bin/env python3
"""Proofs to take away: `audit prove`, `audit check`, and the lines by which
docs/audit.md lets anybody check a decision without either."""
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from harness import LETHE, ROOT, Gateway, event, main, wait_until
from test_audit_retention import Case
from test_receipts import asking, plus, receipt_of, token

YES = {"product": True}


def lines_by_hand():
    """The shell block of docs/audit.md, as it stands."""
    with open(os.path.join(ROOT, "docs", "audit.md"), encoding="utf-8") as f:
        part = f.read().split("### A decision by hand", 1)[1]
    return re.search(r"^```sh\n(.*?)^```", part, re.M | re.S).group(1)


def by_hand(folder, shell="sh"):
    with tempfile.TemporaryDirectory() as place:
        for name in ("decision.tlog-proof", "log.vkey"):
            shutil.copy(os.path.join(folder, name), place)
        done = subprocess.run([shell, "-c", lines_by_hand()], cwd=place, capture_output=True,
                              text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def send(g, app, body):
    return receipt_of(g.post("/v1/events", body, asking(app)))


def prove(g, *words, to="decision.tlog-proof", stdin=b""):
    """Prove into a new folder, once it is signed; the folder."""
    folder = os.path.join(g.folder, "proof-%d" % len(os.listdir(g.folder)))
    os.mkdir(folder)
    out = os.path.join(folder, to)

    def once():
        code, text, err = g.run("audit", "prove", *words, "--out", out, stdin=stdin)
        if code == 0:
            return True
        # Not decided on disk, or not signed: within a second or two.
        if "last second" in err or "covered" in err or "signed yet" in err:
            return False
        raise AssertionError("exit %d: %s" % (code, err))
    wait_until("a proof", once)
    shutil.copy(os.path.join(g.home, "signer", "log.vkey"), folder)
    return folder


def check(g, folder, *more, files=None, key=True):
    files = files or sorted(n for n in os.listdir(folder) if n.endswith(".tlog-proof"))
    words = [os.path.join(folder, n) for n in files] + list(more)
    if key:
        words += ["--key", os.path.join(folder, "log.vkey")]
    done = subprocess.run([LETHE, "audit", "check"] + words, capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout, done.stderr


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


class Decisions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.g = Gateway()
        cls.app = token(cls.g, "app")
        cls.receipt = send(cls.g, cls.app, [event(session="a", consent=YES),
                                            event(session="b", consent="denied"),
                                            event("Never Heard Of", session="c")])
        cls.folder = prove(cls.g, "--receipt", cls.receipt)

    @classmethod
    def tearDownClass(cls):
        cls.g.close()

    def facts(self, folder, *more):
        code, out, err = check(self.g, folder, "--json", *more)
        self.assertEqual(code, 0, out + err)
        return json.loads(out)["proofs"]

    def test_it_says_what_was_decided(self):
        self.assertEqual(sorted(os.listdir(self.folder)), [
            "decision-policy.tlog-proof", "decision.tlog-proof", "log.vkey"])
        policy, decision = self.facts(self.folder)
        self.assertEqual(policy["record"]["act"], "policy.load")
        d = decision["decision"]
        self.assertEqual((d["act"], d["site"], d["reason"], d["source"], d["receipt"]),
                         ("cleared-minimised", "mixbot", "none", "plain", self.receipt))
        self.assertEqual(d["destinations"], ["store", "file", "any"])
        self.assertIn("identifier", d["classes"])
        code, out, err = check(self.g, self.folder)
        self.assertEqual(code, 0)
        for words in ("proved: the log gw1.example/audit holds this decision", "site          mixbot",
                      "allowed to go, with fields stripped or replaced",
                      "destinations  store, file, any", "receipt       " + self.receipt):
            self.assertIn(words, out)

    def test_each_event_of_a_batch(self):
        for k, reason in ((1, "consent-denied"), (2, "unknown-event")):
            folder = prove(self.g, "--receipt", plus(self.receipt, k))
            d = self.facts(folder)[1]["decision"]
            self.assertEqual((d["act"], d["reason"]), ("dropped", reason))

    def test_without_the_policys_proof_destinations_are_numbers(self):
        code, out, err = check(self.g, self.folder, "--json", files=["decision.tlog-proof"])
        self.assertEqual(json.loads(out)["proofs"][0]["decision"]["destinations"], [0, 1, 2])

    def test_from_standard_input_to_standard_output(self):
        code, out, err = self.g.run("audit", "prove", "--receipt", "-",
                                    stdin=self.receipt.encode() + b"\n")
        self.assertEqual(code, 0, err)
        self.assertTrue(out.startswith("c2sp.org/tlog-proof@v1\nextra "))

    def test_by_hand_with_the_lines_of_the_document(self):
        for shell in ("sh", "bash"):
            code, out = by_hand(self.folder, shell)
            self.assertEqual(code, 0, out)
            self.assertIn("Signature Verified Successfully", out)
            self.assertIn("act 2, reason 0, rule ", out)
            self.assertIn("receipt " + self.receipt, out)

    def changed(self, change, name="decision.tlog-proof"):
        """A copy of the folder, with one file changed."""
        folder = os.path.join(self.g.folder, "changed-%d" % len(os.listdir(self.g.folder)))
        shutil.copytree(self.folder, folder)
        path = os.path.join(folder, name)
        write(path, change(read(path)))
        return folder

    def changed_extra(self, change):
        def whole(data):
            lines = data.split(b"\n")
            extra = base64.b64decode(lines[1][6:])
            lines[1] = b"extra " + base64.b64encode(change(extra))
            return b"\n".join(lines)
        return self.changed(whole)

    def test_whatever_is_changed_is_found_here_and_by_hand(self):
        def flip(mark, offset=0):
            def change(data):
                at = data.index(mark) + len(mark) + offset
                new = b"1" if data[at:at + 1] != b"1" else b"2"
                return data[:at] + new + data[at + 1:]
            return change
        spoilt = {
            "a count of the record": self.changed_extra(flip(b'"in":')),
            "the record's site": self.changed_extra(flip(b'"site":"')),
            "the row": self.changed_extra(flip(b" of 3 ", 9)),
            "the row's place": self.changed_extra(flip(b"row ")),
            "the number of rows": self.changed_extra(flip(b" of ")),
            "the row's path": self.changed_extra(lambda e: e[:-45]),
            "a hash more": self.changed_extra(lambda e: e + e[-45:]),
            "the index": self.changed(flip(b"\nindex ")),
            "the size": self.changed(flip(b"gw1.example/audit\n")),
            "a hash of the path": self.changed(lambda d: re.sub(
                rb"(\nindex \d+\n)[^\n]", lambda m: m.group(1) + (
                    b"A" if m.group(0)[-1:] != b"A" else b"B"), d)),
            "the origin": self.changed(lambda d: d.replace(b"gw1.example/audit", b"gw2.example/audit")),
            "no signature": self.changed(lambda d: d[:d.index("—".encode())]),
            "the signature": self.changed(flip("— gw1.example/audit ".encode(), 20)),
        }
        for what, folder in spoilt.items():
            code, out, err = check(self.g, folder, files=["decision.tlog-proof"])
            self.assertEqual(code, 1, what + "\n" + out + err)
            self.assertNotEqual(by_hand(folder)[0], 0, what)

    def test_by_another_logs_key(self):
        with Gateway() as other:
            theirs = os.path.join(other.home, "signer", "log.vkey")
            folder = self.changed(lambda d: read(theirs), "log.vkey")
        code, out, err = check(self.g, folder)
        self.assertEqual(code, 1)
        self.assertIn("not signed by this key", out)
        self.assertNotEqual(by_hand(folder)[0], 0)

    def test_without_a_key_nothing_is_proved(self):
        code, out, err = check(self.g, self.folder, key=False)
        self.assertEqual(code, 2)
        self.assertIn("who signed that was not checked", out)
        self.assertNotIn("proved:", out)

    def test_a_witness_that_has_not_cosigned(self):
        with open(os.path.join(ROOT, "tests/data/audit/vectors.json")) as f:
            vectors = json.load(f)
        code, out, err = check(self.g, self.folder, "--witness", vectors["witness_vkey"])
        self.assertEqual(code, 2)
        self.assertIn("has not cosigned", out)
        folder = os.path.join(self.g.folder, "vector")
        os.mkdir(folder)
        write(os.path.join(folder, "d.tlog-proof"), vectors["decision_proof"].encode())
        write(os.path.join(folder, "log.vkey"), vectors["vkey"].encode() + b"\n")
        write(os.path.join(folder, "w"), b"\n" + vectors["witness_vkey"].encode() + b"\n")
        code, out, err = check(self.g, folder, "--witness", os.path.join(folder, "w"))
        self.assertEqual(code, 0, out)

    def test_the_key_of_the_config(self):
        code, out, err = self.g.run("audit", "check",
                                    os.path.join(self.folder, "decision.tlog-proof"))
        self.assertEqual(code, 0, out + err)

    def test_once_more_by_a_later_checkpoint(self):
        old = os.path.join(self.folder, "decision.tlog-proof")
        size = self.facts(self.folder)[1]["size"]
        wait_until("a larger checkpoint", lambda: int(read(os.path.join(
            self.g.state, "audit", "checkpoint")).split(b"\n")[1]) > size)
        folder = prove(self.g, "--again", old)
        new = self.facts(folder)[0]
        self.assertGreater(new["size"], size)
        self.assertEqual(new["decision"]["receipt"], self.receipt)
        self.assertEqual(by_hand(folder)[0], 0)

    def test_a_whole_record(self):
        folder = prove(self.g, "--record", "0")
        self.assertEqual(self.facts(folder)[0]["record"]["act"], "gate.start")
        self.assertNotEqual(by_hand(folder)[0], 0)  # it is of decisions

    def test_what_is_not_there(self):
        for words, code, said in (
                (("--receipt", "0123456789abcdef"), 1, "is not in the log"),
                (("--record", "99999999"), 2, "not covered by a signed checkpoint"),
                (("--record", "-1"), 3, "no number"), (("--record", "x"), 3, "no number"),
                (("--receipt", "x"), 3, "16 digits"), (("--receipt", "-"), 3, "16 digits"),
                ((), 3, "one of --receipt"),
                (("--record", "1", "--receipt", self.receipt), 3, "one of --receipt"),
                (("--again", "/nonexistent"), 3, "cannot be read"),
                (("--again", self.g.conf_path), 3, "no proof"),
                (("--person", "/nonexistent"), 3, "cannot be read")):
            got, out, err = self.g.run("audit", "prove", *words)
            self.assertEqual((got, out), (code, ""), words)
            self.assertIn(said, err, words)

    def test_never_over_another_file(self):
        path = os.path.join(self.folder, "decision.tlog-proof")
        before = read(path)
        code, out, err = self.g.run("audit", "prove", "--receipt", self.receipt, "--out", path)
        self.assertEqual(code, 1)
        self.assertIn("is there already", err)
        self.assertEqual(read(path), before)

    def test_check_is_no_reader_of_anything_else(self):
        for bad in (b"", b"x", b"c2sp.org/tlog-proof@v1\n", read(self.g.conf_path), b"\0" * 200000):
            folder = self.changed(lambda d: bad)
            code, out, err = check(self.g, folder, files=["decision.tlog-proof"])
            self.assertEqual(code, 1, bad[:40])
        code, out, err = check(self.g, self.folder, files=["nosuch.tlog-proof"])
        self.assertEqual(code, 1)
        code, out, err = check(self.g, self.folder, "--key", "x", key=False)
        self.assertEqual(code, 3)
        self.assertEqual(self.g.run("audit", "check")[0], 3)

    def test_one_wrong_proof_spoils_the_verdict(self):
        folder = self.changed_extra(lambda e: e[:-45])
        code, out, err = check(self.g, folder, "--json")
        self.assertEqual(code, 1)
        self.assertEqual([p["verdict"] for p in json.loads(out)["proofs"]], ["proved", "wrong"])

    def test_who_proves_is_recorded_and_needs_the_role(self):
        reads = lambda: [json.loads(line)["d"] for line in self.g.run(
            "audit", "search", "--act", "audit.read")[1].splitlines()]
        before = len(reads())
        self.g.run("audit", "prove", "--receipt", self.receipt)
        self.g.run("audit", "prove", "--record", "0")
        after = reads()[before:]
        asked = [(d["of"], d["by"]) for d in after]
        self.assertIn(("rows", ["receipt"]), asked)
        self.assertIn(("records", ["record"]), asked)
        for role, good in (("auditor", True), ("officer", True), ("operator", False),
                           ("app", False)):
            path = os.path.join(self.g.folder, "token-" + role)
            with open(path, "w") as f:
                os.chmod(path, 0o600)
                f.write(token(self.g, role))
            code, out, err = self.g.run("audit", "prove", "--record", "0", "--token-file", path)
            self.assertEqual((code, out != ""), (0, True) if good else (1, False), role + err)


class People(unittest.TestCase):
    def test_an_opt_outs_receipt_is_proved_for_years(self):
        with Gateway() as g:
            def opt_out(**who):
                return g.post("/v1/optout", who).json()["receipt"]

            def mine(receipt, who):
                path = os.path.join(g.folder, "mine")
                with open(path, "w") as f:
                    f.write("%s\n%s\n" % (receipt, who))
                return path
            jane, joe = opt_out(user_id="Jane@Example.org"), opt_out(session_id="joe")
            path = mine(jane, "jane@example.ORG")  # as she knows it
            folder = prove(g, "--person", path)
            code, out, err = check(g, folder, "--person", path)
            self.assertEqual(code, 0, out + err)
            self.assertIn("optout.set", out)
            self.assertIn("holds the commitment of this receipt", out)
            for receipt, who in ((jane, "joe"), (joe, "jane@example.org"), (joe, "joe")):
                code, out, err = check(g, folder, "--person", mine(receipt, who))
                self.assertEqual(code, 1, out)
            self.assertEqual(g.run("audit", "prove", "--person", mine(jane, "nobody"))[0], 1)
            for bad in ("lo1-short\njoe\n", jane + "\n", jane + "\n\n", "", jane + "\na\nb\n"):
                with open(path, "w") as f:
                    f.write(bad)
                code, out, err = g.run("audit", "prove", "--person", path)
                self.assertEqual((code, out), (3, ""), bad)
                self.assertNotIn(jane, err)
            # Without the gateway, the opt-out list and its key.
            mine(jane, "jane@example.org")
            g.stop()
            shutil.rmtree(g.state)
            shutil.rmtree(os.path.join(g.home, "keys"))
            self.assertEqual(check(g, folder, "--person", path)[0], 0)


class Logs(unittest.TestCase):
    def test_of_a_log_written_under_load(self):
        with Gateway() as g:
            app = token(g, "app")
            stop = threading.Event()

            def load():
                while not stop.is_set():
                    g.post("/v1/events", [event(session="s%d" % i, consent=YES)
                                          for i in range(200)])
            threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
            for t in threads:
                t.start()
            try:
                receipts = [send(g, app, [event(consent=YES), event("Nothing")])
                            for _ in range(5)]
                folders = [prove(g, "--receipt", plus(r, k)) for r in receipts for k in (0, 1)]
            finally:
                stop.set()
                for t in threads:
                    t.join(20)
            for folder in folders:
                self.assertEqual(check(g, folder)[0], 0)
                code, out = by_hand(folder)
                self.assertEqual(code, 0, out)
            rows = [int(re.search(r"row \d+ of (\d+) ", base64.b64decode(read(os.path.join(
                f, "decision.tlog-proof")).split(b"\n")[1][6:]).decode()).group(1))
                for f in folders]
            self.assertGreater(max(rows), 200)  # among many

    def test_without_a_running_gateway(self):
        with Gateway() as g:
            receipt = send(g, token(g, "app"), event())
            wait_until("the row", lambda: g.run("audit", "search", "--receipt", receipt)[1])
            g.stop()
            code, out, err = g.run("audit", "prove", "--receipt", receipt)
            self.assertEqual(code, 0, err)
            self.assertIn("next start records", err)

    def test_all_rows_of_an_event(self):
        """Purged while it waited: the later row is proved, too."""
        with Gateway() as g:
            g.run("destination", "pause", "any", check=True)
            receipt = send(g, token(g, "app"), event(consent=YES))
            wait_until("the row", lambda: g.run("audit", "search", "--receipt", receipt)[1])
            g.run("spool", "purge", "any", check=True)
            wait_until("both rows", lambda: len(g.run(
                "audit", "search", "--receipt", receipt)[1].splitlines()) == 2)
            folder = prove(g, "--receipt", receipt)
            self.assertIn("decision-2.tlog-proof", os.listdir(folder))
            code, out, err = check(g, folder, "--json")
            self.assertEqual(code, 0, out + err)
            acts = [p["decision"]["act"] for p in json.loads(out)["proofs"] if "decision" in p]
            self.assertEqual(sorted(acts), ["cleared-minimised", "purged"])

    def test_what_was_deleted_is_proved_by_who_kept_it(self):
        """The first 256 records are gone, as pruning leaves a log: tiles stay."""
        with Gateway() as g:
            receipt = send(g, token(g, "app"), event(consent=YES))
            old = prove(g, "--receipt", receipt)
            g.run("subject", "optout", stdin=b"".join(b"someone %d\n" % i for i in range(400)),
                  check=True)
            g.stop()
            audit = os.path.join(g.state, "audit")
            lines = read(os.path.join(audit, "seg", "000000000000.jsonl")).split(b"\n")
            self.assertGreater(len(lines), 300)
            self.assertTrue(os.path.exists(os.path.join(audit, "tile", "0", "000")))
            os.unlink(os.path.join(audit, "seg", "000000000000.jsonl"))
            os.unlink(os.path.join(audit, "rows", "000000000000.rows"))
            write(os.path.join(audit, "seg", "000000000256.jsonl"), b"\n".join(lines[256:]))
            self.assertEqual(check(g, old)[0], 0)
            folder = prove(g, "--again", os.path.join(old, "decision.tlog-proof"))
            code, out, err = check(g, folder, "--json")
            self.assertEqual(code, 0)
            self.assertGreater(json.loads(out)["proofs"][0]["size"], 400)
            self.assertEqual(by_hand(folder)[0], 0)
            code, out, err = g.run("audit", "prove", "--record", "0")
            self.assertEqual((code, out), (2, ""))
            self.assertIn("deleted by retention", err)


class Pruned(Case):
    def test_by_hand_before_and_after_the_log_was_pruned(self):
        g = self.gateway()
        app = token(g, "app")
        receipt = receipt_of(g.post("/v1/events", [
            {"timestamp": self.clock.text(), "session_id": "s", "action": "page_view",
             "details": {}}], asking(app)))
        old = prove(g, "--receipt", receipt)
        self.assertEqual(by_hand(old)[0], 0)
        self.day(9)
        self.run_retention()
        self.assertGreater(self.first("seg"), 0)
        self.assertEqual(check(g, old)[0], 0)
        self.assertEqual(by_hand(old)[0], 0)
        for words in (("--receipt", receipt), ("--record", "0")):
            code, out, err = g.run("audit", "prove", *words)
            self.assertEqual((code, out), (2, ""), err)
            self.assertIn("retention", err)
        folder = prove(g, "--again", os.path.join(old, "decision.tlog-proof"))
        size = lambda f: json.loads(check(g, f, "--json", files=["decision.tlog-proof"])[1])[
            "proofs"][0]["size"]
        self.assertGreater(size(folder), size(old) + 256)
        code, out = by_hand(folder)
        self.assertEqual(code, 0, out)
        self.assertIn("receipt " + receipt, out)


if __name__ == "__main__":
    main()
