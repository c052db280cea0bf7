#!/usr/bin/env python3
"""Outside witnesses: what is asked of them, and that nothing they do wrong gets
into what we keep, or goes unseen. The witness is witness.py, another hand's."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import tlog
from fakeclock import FakeClock
from harness import BUILD, ROOT, Gateway, event, main, wait_until
from witness import FAULTS, Key, Log, Witness, verify

COSIGNS, SILENT = "cosigns", "does not answer"
REFUSES, UNREADABLE = "refuses", "answers what no witness does"
WRONG = "gave a signature that is not its own"
MORE = "KNOWS MORE RECORDS THAN THIS LOG HAS"
ANOTHER = "SIGNED ANOTHER LOG UNDER THIS NAME"

SAID = {
    "500": SILENT, "403": REFUSES, "404": REFUSES, "422": ANOTHER, "302": REFUSES,
    "409 of the same": REFUSES, "409 always": REFUSES, "409 far": MORE,
    "409 without": UNREADABLE, "409 words": UNREADABLE, "empty": WRONG,
    "garbage": UNREADABLE, "no end": UNREADABLE, "long": UNREADABLE, "lies": WRONG,
    "other witness": WRONG, "other log": WRONG, "no time": WRONG, "true, then a lie": WRONG,
}


class Rounds:
    """The client, a round at a time."""

    def __init__(self, folder, *witnesses, ca="-"):
        words = [folder]
        for i, w in enumerate(witnesses):
            words += ["w%d" % i, w.url, w.key.vkey, ca]
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "fault", "witness_rounds")] + words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def round(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.anchored = answer["anchored"]
        return answer["witnesses"]

    def one(self):
        return self.round()[0]

    def end(self):
        """Returns what it logged."""
        _, log = self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            raise AssertionError("exit %d: %s" % (self.process.returncode, log.decode()))
        return log.decode()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lethe-witness-")
        self.log = Log(self.folder)
        self.opened = []

    def tearDown(self):
        for w in self.opened:
            w.close()
        shutil.rmtree(self.folder)

    def witness(self, **more):
        w = Witness(self.log.key.vkey, **more)
        self.opened.append(w)
        return w

    def cosigned(self):
        path = os.path.join(self.folder, "cosigned")
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as f:
            return f.read()


class Good(Case):
    def test_each_round_the_newest_checkpoint_is_cosigned(self):
        w = self.witness()
        c = Rounds(self.folder, w)
        for count in (1, 2, 300, 1, 255, 700):
            self.log.grow(count)
            size = len(self.log.lines)
            facts = c.one()
            self.assertEqual((facts["state"], facts["status"], facts["size"]),
                             (COSIGNS, 200, size))
            self.assertEqual(c.anchored, [["w0", size]])
            note = self.cosigned()
            self.assertTrue(note.startswith(self.log.note))
            self.assertEqual(verify(w.key.vkey, note), w.time_s)
            self.assertTrue(verify(self.log.key.vkey, note))
        self.assertEqual(w.asked, 6)  # no question twice
        self.assertEqual(set(w.paths), {"/w/add-checkpoint"})
        # Nothing new: it is asked all the same, and signs a newer time.
        self.assertEqual(c.one()["state"], COSIGNS)
        self.assertEqual(facts["failed"], 0)
        self.assertEqual(c.end(), "")

    def test_after_a_restart_it_tells_where_it_was(self):
        w = self.witness()
        self.log.grow(300)
        c = Rounds(self.folder, w)
        c.one()
        c.end()
        self.log.grow(300)
        c = Rounds(self.folder, w)
        self.assertEqual(c.one()["state"], COSIGNS)
        self.assertEqual(w.asked, 3)
        self.assertTrue(w.bodies[1].startswith(b"old 0\n\n"))
        self.assertTrue(w.bodies[2].startswith(b"old 300\n"))
        c.end()

    def test_several_sign_the_same_checkpoint(self):
        many = [self.witness(name="w%d" % i, seed=bytes([i]) * 32) for i in range(8)]
        self.log.grow(40)
        c = Rounds(self.folder, *many)
        many[3].fault = "500"
        facts = c.round()
        self.assertEqual([f["state"] for f in facts],
                         [SILENT if i == 3 else COSIGNS for i in range(8)])
        note = self.cosigned()
        for i, w in enumerate(many):
            self.assertEqual(verify(w.key.vkey, note), None if i == 3 else w.time_s)
        self.assertEqual(len(tlog.split_note(note)[1]), 8)
        c.end()

    def test_nothing_is_asked_before_anything_is_signed(self):
        w = self.witness()
        c = Rounds(self.folder, w)
        self.assertEqual(c.one()["state"], "was not asked yet")
        self.log.write()  # the checkpoint of no records
        self.assertEqual(c.one()["state"], "was not asked yet")
        self.assertEqual(w.asked, 0)
        self.log.grow(3)
        self.assertEqual(c.one()["state"], COSIGNS)
        c.end()

    def test_tls_with_its_own_authority_and_no_other(self):
        certificate, key = os.path.join(self.folder, "c.pem"), os.path.join(self.folder, "k.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=w",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate,
                        "-keyout", key], check=True, capture_output=True)
        w = self.witness(tls=(certificate, key))
        self.log.grow(3)
        c = Rounds(self.folder, w)
        self.assertEqual(c.one()["state"], "has a certificate that does not hold")
        c.end()
        self.assertEqual(w.asked, 0)
        c = Rounds(self.folder, w, ca=certificate)
        self.assertEqual(c.one()["state"], COSIGNS)
        c.end()


class Faults(Case):
    def test_every_fault_is_seen_and_nothing_of_it_is_kept(self):
        for fault, state in SAID.items():
            with self.subTest(fault):
                w = self.witness()
                self.log.grow(7)
                c = Rounds(self.folder, w)
                self.assertEqual(c.one()["state"], COSIGNS)
                before = self.cosigned()
                w.fault = fault
                self.log.grow(5)
                for failed in (1, 2):
                    facts = c.one()
                    self.assertEqual((facts["state"], facts["failed"]), (state, failed))
                    self.assertEqual(c.anchored, [])
                self.assertLessEqual(w.asked, 5)  # at most twice a round
                self.assertEqual(self.cosigned(), before)
                w.fault = None
                self.assertEqual(c.one()["state"], COSIGNS)
                self.assertEqual(verify(w.key.vkey, self.cosigned()), w.time_s)
                lines = c.end().splitlines()
                # Once when it begins, once when it is over.
                self.assertEqual(len(lines), 2, lines)
                self.assertIn("error" if state in (WRONG, MORE, ANOTHER) else "warn", lines[0])
                self.assertIn("a witness cosigns again", lines[1])

    def test_the_table_is_whole(self):
        self.assertEqual(set(SAID) | {"silent"}, set(FAULTS))

    def test_a_dead_one_is_told_and_found_again(self):
        w = self.witness()
        self.log.grow(7)
        c = Rounds(self.folder, w)
        c.one()
        w.close()
        self.opened.remove(w)
        facts = c.one()
        self.assertEqual((facts["state"], facts["status"], facts["failed"]), (SILENT, 0, 1))
        c.end()

    def test_a_slow_one_ends_by_our_patience(self):
        w = self.witness()
        w.fault = "silent"
        self.log.grow(7)
        c = Rounds(self.folder, w)
        self.assertEqual(c.one()["state"], SILENT)
        c.end()

    def test_a_log_put_back_is_found_out(self):
        w = self.witness()
        self.log.grow(20)
        c = Rounds(self.folder, w)
        c.one()
        c.end()
        self.log.lines = self.log.lines[:15]
        self.log.write()
        c = Rounds(self.folder, w)
        facts = c.one()
        self.assertEqual((facts["state"], facts["status"]), (MORE, 409))
        # Grown again, it is another log, and stays one.
        self.log.grow(10, "y")
        for _ in range(2):
            self.assertEqual(c.one()["state"], ANOTHER)
        self.log.lines = self.log.lines[:20]
        self.log.write()
        self.assertEqual(c.one()["state"], ANOTHER)  # the very size
        self.assertIn("error", c.end())

    def test_a_rewritten_log_is_found_out(self):
        w = self.witness()
        self.log.grow(20)
        c = Rounds(self.folder, w)
        c.one()
        self.log.lines[3] = b'{"i":3,"w":"z"}'
        self.log.grow(1)
        facts = c.one()
        self.assertEqual((facts["state"], facts["status"]), (ANOTHER, 422))
        c.end()

    def test_another_origin_and_another_key_are_refused(self):
        w = self.witness()
        other = Log(self.folder, origin="gw2.example.eu/audit")
        other.grow(4)
        c = Rounds(self.folder, w)
        facts = c.one()
        self.assertEqual((facts["state"], facts["status"]), (REFUSES, 404))
        forged = Log(self.folder, seed=bytes(range(1, 33)))
        forged.grow(4)
        facts = c.one()
        self.assertEqual((facts["state"], facts["status"]), (REFUSES, 403))
        c.end()

    def test_a_hole_in_the_log_is_no_proof(self):
        w = self.witness()
        self.log.grow(300)
        c = Rounds(self.folder, w)
        c.one()
        self.log.grow(300)
        with open(os.path.join(self.folder, "seg", "000000000000.jsonl"), "wb") as f:
            f.write(b"\n".join(self.log.lines[:400]) + b"\n")
        facts = c.one()
        self.assertEqual(facts["state"], "was not asked: the proof could not be made")
        self.assertEqual(w.asked, 1)
        c.end()


def vkey_of(g):
    with open(os.path.join(g.home, "signer", "log.vkey"), encoding="ascii") as f:
        return f.read().strip()


class InTheGateway(unittest.TestCase):
    def setUp(self):
        self.g = Gateway(start=False)
        self.audit = os.path.join(self.g.state, "audit")
        self.w = Witness(vkey_of(self.g))

    def tearDown(self):
        self.g.close()
        self.w.close()

    def start(self, *witnesses):
        with open(self.g.conf_path, encoding="utf-8") as f:
            conf = json.load(f)
        conf["audit"] = dict(conf.get("audit") or {}, witnesses=[
            {"name": "dpo", "url": w.url, "key": w.key.vkey} for w in witnesses])
        with open(self.g.conf_path, "w", encoding="utf-8") as f:
            json.dump(conf, f)
        self.g.start()

    def state(self, state):
        def look():
            facts = self.g.status()["witnesses"]
            return facts[0] if facts and facts[0]["state"] == state else None
        return wait_until("the witness: " + state, look)

    def metric(self, name):
        page = self.g.admin("GET", "/metrics").body.decode()
        for line in page.splitlines():
            if line.startswith(name + '{witness="dpo"} '):
                return float(line.split(" ")[1])
        return None

    def test_it_cosigns_and_that_is_told_everywhere(self):
        self.start(self.w)
        facts = self.state(COSIGNS)
        self.assertEqual(facts["failed"], 0)
        path = os.path.join(self.audit, "cosigned")
        wait_until("the cosignature", lambda: os.path.exists(path))
        with open(path, encoding="utf-8") as f:
            note = f.read()
        self.assertEqual(verify(self.w.key.vkey, note), self.w.time_s)
        self.assertTrue(verify(vkey_of(self.g), note))
        size = tlog.parse(note)[1]

        def anchors():
            return [r for r in map(json.loads, tlog.records(self.audit))
                    if r["act"] == "cp.anchor"]
        wait_until("cp.anchor", anchors)
        self.assertEqual(anchors()[0]["d"], {"to": "dpo", "size": size})
        self.assertEqual(self.metric("lethe_witness_failures"), 0)
        self.assertLess(self.metric("lethe_witness_age_seconds"), 60)
        _, text, _ = self.g.run("status")
        self.assertRegex(text, r"(?m)^witness dpo: cosigns; %d records cosigned \d+ s ago$" % size)
        code, out, err = self.g.run("audit", "verify")
        self.assertNotEqual(code, 1, out + err)

    def test_a_silent_one_holds_up_neither_log_nor_stop(self):
        self.w.fault = "silent"
        self.start(self.w)
        wait_until("a question", lambda: self.w.asked)
        self.assertEqual(self.g.post("/v1/events", event()).status, 200)
        self.assertEqual(self.g.stop(), 0)

    def test_a_failure_is_warned_once_and_counted(self):
        self.w.fault = "403"
        self.start(self.w)
        facts = self.state(REFUSES)
        self.assertEqual((facts["status"], facts["cosigned"], facts["size"]), (403, 0, 0))
        self.assertEqual(self.metric("lethe_witness_failures"), 1)
        self.assertEqual(self.g.log.count(b"a witness has not cosigned"), 1)
        _, text, _ = self.g.run("status")
        self.assertIn("witness dpo: refuses (status 403)\n", text)
        self.assertFalse(os.path.exists(os.path.join(self.audit, "cosigned")))

    def test_witnesses_change_at_a_restart_only(self):
        self.start()
        self.assertEqual(self.g.status()["witnesses"], [])
        with open(self.g.conf_path, encoding="utf-8") as f:
            conf = json.load(f)
        conf["audit"]["witnesses"] = [
            {"name": "dpo", "url": self.w.url, "key": self.w.key.vkey}]
        with open(self.g.conf_path, "w", encoding="utf-8") as f:
            json.dump(conf, f)
        code, out, err = self.g.run("reload")
        self.assertEqual(code, 1)
        self.assertIn("audit changed: that needs a restart", out + err)


class Public(unittest.TestCase):
    """GET /audit/checkpoint: the same for everybody, for an hour."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lethe-test-")
        self.clock = FakeClock(self.folder)
        self.clock.move(minutes=10)
        self.g = Gateway(folder=self.folder, faketime=self.clock.path)

    def tearDown(self):
        self.g.close()
        shutil.rmtree(self.folder)

    def get(self, method="GET"):
        return self.g.request(method, "/audit/checkpoint")

    def first(self):
        wait_until("a checkpoint", lambda: self.get().status == 200)
        return self.get().body

    def test_it_stays_for_an_hour_and_over_a_restart(self):
        first = self.first()
        for _ in range(20):
            self.assertEqual(self.g.post("/v1/events", event()).status, 200)
        self.g.restart()
        self.assertEqual(self.get().body, first)
        self.clock.move(minutes=45)
        self.assertEqual(self.get().body, first)
        self.clock.move(minutes=10)
        wait_until("the next one", lambda: self.get().body != first)
        note = self.get().body.decode()
        self.assertTrue(verify(vkey_of(self.g), note))
        self.assertGreater(tlog.parse(note)[1], tlog.parse(first.decode())[1])

    def test_what_it_says_and_who_may_ask(self):
        first = self.first()
        answer = self.get()
        headers = {n.lower(): v for n, v in answer.headers}
        self.assertEqual(headers["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(headers["cache-control"], "public, max-age=300")
        self.assertNotIn("set-cookie", headers)
        self.assertNotIn("access-control-allow-origin", headers)
        self.assertEqual(self.get("HEAD").status, 200)
        self.assertEqual(self.get("POST").status, 405)
        self.assertEqual(self.g.get("/s/mixbot/audit/checkpoint").body, first)
        self.assertEqual(self.g.get("/audit/checkpoint/").status, 404)
        origin = {"Origin": "https://mixbot.example"}
        self.assertNotIn("access-control-allow-origin", {
            n.lower() for n, _ in self.g.get("/audit/checkpoint", origin).headers})

    def test_a_day_has_its_checkpoint(self):
        self.first()
        folder = os.path.join(self.g.state, "audit", "cp")
        wait_until("the day's", lambda: os.path.exists(os.path.join(folder, "2026-12-01.txt")))
        with open(os.path.join(folder, "2026-12-01.txt"), encoding="utf-8") as f:
            day = f.read()
        self.assertTrue(verify(vkey_of(self.g), day))
        self.clock.move(hours=12)
        wait_until("the next day's",
                   lambda: os.path.exists(os.path.join(folder, "2026-12-02.txt")))
        with open(os.path.join(folder, "2026-12-01.txt"), encoding="utf-8") as f:
            self.assertEqual(f.read(), day)


class Vectors(unittest.TestCase):
    def test_our_own_signer_agrees_with_the_vectors(self):
        with open(os.path.join(ROOT, "tests", "data", "audit", "log7", "checkpoint"),
                  encoding="utf-8") as f:
            note = f.read()
        log = Key("gw1.example.eu/audit", 1, bytes(range(32)))
        w = Key("witness.example.org/w1", 4, bytes(range(32, 64)))
        text, lines = tlog.split_note(note)
        self.assertEqual(lines[0] + "\n", log.line(text))
        self.assertEqual(lines[1] + "\n", w.line(text, 1795338042))
        self.assertEqual(verify(w.vkey, note), 1795338042)


if __name__ == "__main__":
    main()
