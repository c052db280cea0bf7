#!/usr/bin/env python3
"""R58 with the real binary: a log that the gateway wrote, changed by somebody
who can write its files; `lethe audit verify --rows` must end with 1 and name
the first bad record. A log put back whole, with its signature, is found by
whoever kept a checkpoint elsewhere."""
import base64
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import unittest

from fakeclock import FakeClock
from harness import LETHE, PATIENCE_S, Gateway, event, main, wait_until

YES = {"product": True}
PLACES = int(os.environ.get("LETHE_TAMPER_PLACES", "12"))


class Tamper(unittest.TestCase):
    days = 2

    @classmethod
    def setUpClass(cls):
        """Two days, so that the log has two segments: the first ends at a
        number divisible by 256, and searches make records."""
        cls.random = random.Random(58)
        cls.folder = tempfile.mkdtemp(prefix="lethe-tamper-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.clock = clock = FakeClock(cls.folder)
        cls.g = g = Gateway(faketime=clock.path)
        cls.addClassCleanup(g.close)  # when the rest of this fails, too
        cls.send(clock, 0)
        for day in range(1, cls.days):
            clock.move(days=1)
            wait_until("another segment", lambda: cls.segments() > day or
                       g.run("audit", "search", "--limit", "1", check=True) is None,
                       seconds=6 * PATIENCE_S)  # 250 commands, each a process
            cls.send(clock, day)
        g.stop()
        cls.original = os.path.join(g.folder, "original")
        cls.signer = cls.find_signer(g)
        shutil.copytree(os.path.join(g.state, "audit"), cls.original)

    @classmethod
    def send(cls, clock, day):
        """Three batches with rows, one after the other."""
        for n in range(3):
            cls.g.post("/v1/events", [
                event("Analysis Completed", session="s%d" % k, consent=YES,
                      timestamp=clock.text(), details={"duration_s": k, "success": True})
                for k in range(5)] + [
                event("Nobody Declared This", timestamp=clock.text(), session="x")])
            wait_until("batch %d" % n, lambda: cls.decisions() >= 6 * (3 * day + n + 1))

    @classmethod
    def decisions(cls):
        code, out, err = cls.g.run("audit", "verify", "--rows", "--json")
        return json.loads(out)["decisions"]

    @classmethod
    def segments(cls):
        return len(os.listdir(os.path.join(cls.g.state, "audit", "seg")))

    @staticmethod
    def find_signer(g):
        with open(g.conf_path) as f:
            conf = json.load(f)
        return os.path.join(os.path.dirname(g.conf_path),
                            conf.get("signer", {}).get("dir", "signer"))

    def setUp(self):
        self.copy = os.path.join(self.g.folder, "copy")
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.original, self.copy)

    def path(self, kind, k=0):
        folder = os.path.join(self.copy, kind)
        return os.path.join(folder, sorted(os.listdir(folder))[k])

    def lines(self, k=0):
        with open(self.path("seg", k), "rb") as f:
            return f.read().splitlines(keepends=True)

    def save(self, lines, k=0):
        with open(self.path("seg", k), "wb") as f:
            f.write(b"".join(lines))

    def verify(self, *more):
        code, out, err = self.g.run("audit", "verify", self.copy, "--rows", "--json", *more)
        self.assertEqual(err, "")
        return code, json.loads(out)

    def assert_sound(self):
        code, report = self.verify()
        self.assertEqual((code, report["verdict"]), (0, "sound"), report)
        self.assertIn("signed by gw1.example/audit", report["message"])

    def without_key(self, *more):
        """Whoever has a copy of the folder and nothing else."""
        done = subprocess.run([LETHE, "audit", "verify", self.copy, "--json", *more],
                              capture_output=True, env=self.g.env)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def assert_bad(self, index, what):
        code, report = self.verify()
        self.assertEqual((code, report["verdict"]), (1, "tampered"), (what, report))
        self.assertEqual(report["bad_index"], index, (what, report))
        self.assertIn(str(index), report["message"])

    def places(self, count, of):
        return self.random.sample(range(count), min(of, count))

    # -- the cases --------------------------------------------------------

    def test_untouched_is_sound(self):
        self.assert_sound()
        self.assertEqual(len(os.listdir(os.path.join(self.copy, "seg"))), 2)

    def test_never_sound_without_key_signature_or_witness(self):
        code, report = self.without_key()
        self.assertEqual(code, 2)
        self.assertIn("no key was given", report["message"])
        with open(os.path.join(self.signer, "log.vkey")) as f:
            key = f.read().strip()
        self.assertEqual(self.without_key("--key", key)[0], 0)
        self.assertEqual(self.without_key("--key", key[:-2] + "A=")[0], 3)
        policy = os.path.join(self.g.folder, "policy")
        witness = "witness.example.org/w1+f3c080b6+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
        for text, want in (("log %s\nquorum none\n", 0),
                           ("log %s\nwitness w W\nquorum w\n", 2),
                           ("log %s\nwitness w W\ngroup g any w\nquorum g\n", 2),
                           ("log %s\n", 3), ("log %s\nquorum w\n", 3), ("quorum none", 3)):
            with open(policy, "w") as f:
                f.write(text.replace("W", witness) % key if "%s" in text else text)
            self.assertEqual(self.without_key("--policy", policy)[0], want, text)
        os.unlink(os.path.join(self.copy, "checkpoint"))
        code, report = self.without_key("--key", key)
        self.assertEqual(code, 2)
        self.assertIn("not signed", report["message"])

    def test_a_signature_changed_or_of_another(self):
        path = os.path.join(self.copy, "checkpoint")
        with open(path) as f:
            good = f.read()
        for at in [k for k, c in enumerate(good) if c.isalnum() and good[k + 1] != "="]:
            with open(path, "w") as f:
                f.write(good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1:])
            self.assertEqual(self.verify()[0], 1, at)

    def test_an_edited_count(self):
        lines = self.lines()
        batches = [i for i, line in enumerate(lines)
                   if b'"act":"batch"' in line and b'"in":0' not in line]
        for i in batches[:PLACES]:
            for key in (b"in", b"mod", b"drop", b"n"):
                edited = list(lines)
                edited[i] = re.sub(rb'"%s":(\d+)' % key,
                                   lambda m: b'"%s":%d' % (key, int(m[1]) + 1),
                                   lines[i], count=1)
                self.save(edited)
                self.assert_bad(i, key)

    def test_an_edited_reason(self):
        """Dropped for another reason than it was: the rows know."""
        lines = self.lines()
        i = next(i for i, line in enumerate(lines) if re.search(rb'"by":\[\[', line))
        lines[i] = re.sub(rb'"by":\[\[(\d+),(\d+),',
                          lambda m: b'"by":[[%s,%d,' % (m[1], int(m[2]) + 1), lines[i])
        self.save(lines)
        self.assert_bad(i, "reason")

    def test_an_edited_time(self):
        lines = self.lines()
        i = next(i for i, line in enumerate(lines) if b'"act":"batch"' in line and i > 3)
        lines[i] = re.sub(rb'"t":"(\d{4})', b'"t":"2020', lines[i], count=1)
        self.save(lines)
        self.assert_bad(i, "time")

    def test_a_deleted_record(self):
        lines = self.lines()
        for i in self.places(len(lines) - 1, PLACES):
            self.save(lines[:i] + lines[i + 1:])
            self.assert_bad(i, "deleted")

    def test_deleted_and_renumbered(self):
        """Counts and times do not close over the hole of a batch."""
        lines = self.lines()
        for i in [i for i, line in enumerate(lines)
                  if b'"act":"batch"' in line and b'"in":0' not in line][:3]:
            rest = []
            for line in lines[i + 1:]:
                m = re.match(rb'\{"v":1,"i":(\d+)', line)
                rest.append(b'{"v":1,"i":%d' % (int(m[1]) - 1) + line[m.end():])
            self.save(lines[:i] + rest)
            code, report = self.verify()
            self.assertEqual((code, report["bad_index"]), (1, i), report)

    def test_two_records_in_the_other_order(self):
        lines = self.lines()
        for i in self.places(len(lines) - 1, PLACES):
            swapped = list(lines)
            swapped[i], swapped[i + 1] = lines[i + 1], lines[i]
            self.save(swapped)
            self.assert_bad(i, "reordered")

    def test_an_inserted_record(self):
        lines = self.lines()
        for i in self.places(len(lines) - 1, PLACES):
            self.save(lines[:i + 1] + [lines[i]] + lines[i + 1:])
            self.assert_bad(i + 1, "doubled")
            self.save(lines[:i] + [b"{}\n"] + lines[i:])
            self.assert_bad(i, "not a record")

    def test_a_cut_in_the_middle(self):
        """The end of a segment that is not the newest."""
        lines = self.lines()
        self.save(lines[:-1])
        self.assert_bad(len(lines) - 1, "cut line")
        self.save(lines[:-1] + [lines[-1][:-7]])
        self.assert_bad(len(lines) - 1, "cut bytes")

    def test_a_changed_row(self):
        with open(self.path("rows"), "rb") as f:
            rows = f.read()
        self.assertGreater(len(rows), 0)
        starts = self.batch_starts()
        for at in self.places(len(rows), PLACES * 4):
            changed = bytearray(rows)
            changed[at] ^= 1 << self.random.randrange(8)
            with open(self.path("rows"), "wb") as f:
                f.write(changed)
            self.assert_bad(max(i for start, i in starts if start <= at), at)

    def batch_starts(self):
        """[(byte where its rows start, index)] of batches with rows."""
        starts, at = [], 0
        for line in self.lines():
            record = json.loads(line)
            if record["act"] == "batch" and record["d"]["n"] > 0:
                starts.append((at, record["i"]))
                at += 32 * record["d"]["n"]
        return starts

    def test_rows_cut_or_gone(self):
        with open(self.path("rows"), "rb") as f:
            rows = f.read()
        last = self.batch_starts()[-1][1]
        for size in (len(rows) - 1, len(rows) - 32):
            with open(self.path("rows"), "wb") as f:
                f.write(rows[:size])
            self.assert_bad(last, size)
        os.unlink(self.path("rows"))
        self.assert_bad(self.batch_starts()[0][1], "no rows file")

    def test_segments_change_places(self):
        first, second = self.path("seg", 0), self.path("seg", 1)
        os.rename(first, first + ".away")
        os.rename(second, first)
        os.rename(first + ".away", second)
        self.assert_bad(0, "swapped")

    def test_the_first_segment_is_gone(self):
        count = len(self.lines())
        os.unlink(self.path("seg", 0))
        os.unlink(self.path("rows", 0))
        self.assert_bad(0, "first segment")
        index = os.path.join(self.copy, "minimum-index")
        for text in ("%d\n" % (count - 256), "%d" % count, "%d\n" % (count + 256), ""):
            with open(index, "w") as f:
                f.write(text)
            self.assert_bad(0, text)
        with open(index, "w") as f:
            f.write("%d\n" % count)
        self.assert_bad(0, "minimum-index alone orders nothing")
        self.assertIn("GAP NOT AUTHORISED", self.verify()[1]["message"])

    def test_another_installations_log(self):
        """The second segment of another gateway behind our first."""
        lines = self.lines(1)
        foreign = [re.sub(rb'"cum":\{"in":(\d+)', b'"cum":{"in":7\\1', line)
                   for line in lines]
        self.save(foreign, 1)
        first = next(json.loads(line)["i"] for line in lines if b'"cum"' in line)
        self.assert_bad(first, "foreign")

    # -- with a checkpoint kept elsewhere -----------------------------------

    def all_lines(self):
        return [line for k in range(2) for line in self.lines(k)]

    def checkpoint(self, size, origin=None, root=None):
        """A checkpoint as its definition has it, made without Lethe."""
        lines = self.all_lines()
        start = json.loads(lines[0])
        text = "%s\n%d\n%s\n" % (
            origin or start["d"]["origin"], size,
            root or base64.b64encode(tree([line[:-1] for line in lines[:size]])).decode())
        path = os.path.join(self.g.folder, "kept")
        with open(path, "w") as f:
            f.write(text)
        return path

    def assert_since(self, kept, code, says):
        got, report = self.verify("--since", kept)
        self.assertEqual(got, code, report)
        self.assertIn(says, report["message"])

    def test_the_checkpoint_is_the_tree_of_the_lines(self):
        path = os.path.join(self.g.folder, "head")
        if os.path.exists(path):
            os.unlink(path)
        code, report = self.verify("--checkpoint", path)
        self.assertEqual(code, 0)
        with open(path) as f, open(self.checkpoint(len(self.all_lines()))) as g:
            text = f.read()
            self.assertEqual(text, g.read())
        self.assertEqual(text.split("\n")[2], report["root"])
        self.assert_since(path, 0, "begins with the records of the older checkpoint")
        code, out, err = self.g.run("audit", "verify", self.copy, "--checkpoint", path)
        self.assertEqual(code, 1)  # an older one is never written over
        self.assertIn("is there already", err)

    def test_every_older_checkpoint_is_a_beginning(self):
        count = len(self.all_lines())
        for size in [0, 1, 2, 255, 256, 257, count - 1] + self.places(count, PLACES):
            self.assert_since(self.checkpoint(size), 0, "begins with the records")

    def test_a_cut_tail(self):
        """The newest records gone, at the line's end: a checkpoint tells."""
        lines, first = self.lines(1), len(self.lines(0))
        for left in range(len(lines) - 1, 0, -1):
            self.save(lines[:left], 1)
            self.assert_bad(first + left, "cut")
            self.assertIn("cut off", self.verify()[1]["message"])

    def test_free_text_and_a_history_written_anew(self):
        """Names, reasons and numbers that no sum binds."""
        kept = self.checkpoint(len(self.all_lines()))
        for k in range(2):
            lines = self.lines(k)
            for i in self.places(len(lines), PLACES):
                anew = list(lines)
                anew[i] = re.sub(rb'"who":"[a-z]+:', b'"who":"ops:', lines[i])
                self.save(anew, k)
                if k == 0:  # its hashes lie in a full tile: the record is named
                    self.assert_bad(i, "who")
                    self.assertIn("not the record that was signed", self.verify()[1]["message"])
                os.rename(os.path.join(self.copy, "checkpoint"), os.path.join(self.copy, "away"))
                self.assert_since(kept, 1, "not the record" if k == 0 else "are not those")
                os.rename(os.path.join(self.copy, "away"), os.path.join(self.copy, "checkpoint"))
            self.save(lines, k)

    def test_an_old_copy_put_back(self):
        kept = self.checkpoint(len(self.all_lines()))
        for kind in ("seg", "rows"):
            os.unlink(self.path(kind, 1))
        os.unlink(os.path.join(self.copy, "checkpoint"))  # of then, which had its own
        self.assertEqual(self.without_key()[0], 2)
        self.assertEqual(self.without_key("--since", kept)[0], 1)
        self.assert_since(kept, 1, "is missing")

    def test_another_logs_checkpoint(self):
        count = len(self.all_lines())
        self.assert_since(self.checkpoint(count, origin="gw2.example.eu/audit"), 1,
                          "of another log")
        other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        self.assert_since(self.checkpoint(count, root=other), 1, "are not those")

    def test_what_is_no_checkpoint(self):
        path = self.checkpoint(3)
        with open(path) as f:
            good = f.read()
        origin, size, root, _ = good.split("\n")
        for text in ("", good[:-1], good + "x\n", good + "\n", "\n3\n%s\n" % root,
                     "%s\n03\n%s\n" % (origin, root), "%s\n-3\n%s\n" % (origin, root),
                     "%s\n3\n%s\n" % (origin, root[:-2] + "B="), good.replace("\n", "\r\n"),
                     "%s\n3\n%s\n" % (origin, root[:-1])):
            with open(path, "w", newline="") as f:
                f.write(text)
            code, out, err = self.g.run("audit", "verify", self.copy, "--since", path)
            self.assertEqual((code, out), (3, ""), text)
        code, out, err = self.g.run("audit", "verify", self.copy, "--since", path + ".none")
        self.assertEqual((code, out), (3, ""))


def tree(leaves):
    """RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


if __name__ == "__main__":
    main()
