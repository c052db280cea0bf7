#!/usr/bin/env python3
"""Nine kinds of tampering at a hundred places each, on a log that a gateway
wrote and its signer signed: each must be found by `lethe audit verify` with
the log's public key, and the first bad record named right where it can be
known. Ends with `tamper N found N`.

tamper.py BUILD [PLACES [SEED]]"""
import json
import os
import random
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "scenario"))
os.environ["LETHE_BUILD"] = os.path.abspath(sys.argv[1])

from harness import LETHE  # noqa: E402
import test_audit_tamper  # noqa: E402

TILE = 256  # records before the last multiple of it have their hashes on disk


class Install(test_audit_tamper.Tamper):
    days = 3

    @classmethod
    def decisions(cls):
        """Called while the log grows: keep what a backup would have."""
        path = os.path.join(cls.g.state, "audit", "checkpoint")
        if os.path.exists(path):
            with open(path) as f:
                text = f.read()
            cls.kept[int(text.split("\n")[1])] = text
        return super().decisions()

    @classmethod
    def segments(cls):
        cls.decisions()
        return super().segments()


class First(Install):
    kept = {}


class Second(Install):
    kept = {}


class Log:
    """A log in memory: what an attacker has read and will write."""

    def __init__(self, install):
        self.folder = install.original
        self.kept = install.kept
        self.key = os.path.join(install.signer, "log.vkey")
        self.seg, self.rows = {}, {}
        for part, to in (("seg", self.seg), ("rows", self.rows)):
            for name in sorted(os.listdir(os.path.join(self.folder, part))):
                if name.endswith((".jsonl", ".rows")):
                    with open(os.path.join(self.folder, part, name), "rb") as f:
                        to[int(name[:12])] = f.read()
        self.lines = b"".join(self.seg[k] for k in sorted(self.seg)).splitlines(True)
        with open(os.path.join(self.folder, "checkpoint")) as f:
            self.checkpoint = f.read()
        self.size = int(self.checkpoint.split("\n")[1])
        assert self.size == len(self.lines), "a clean stop signs the end"

    def starts(self):
        return sorted(self.seg)

    def cut(self, lines):
        """Lines back into the files they came from."""
        starts = self.starts() + [1 << 50]
        out = {}
        for k, first in enumerate(starts[:-1]):
            part = lines[first:starts[k + 1]]
            if part or first == 0:
                out[first] = b"".join(part)
        return out

    def in_segment(self, first, lines_of_it):
        seg = dict(self.seg)
        seg[first] = b"".join(lines_of_it)
        return seg

    def segment_of(self, index):
        return max(k for k in self.seg if k <= index)

    def of(self, first):
        return self.seg[first].splitlines(True)


class Attack:
    def __init__(self, log, other, dice, work):
        self.log, self.other, self.dice, self.work = log, other, dice, work

    def write(self, seg=None, rows=None, checkpoint=None):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.log.folder, self.work)
        for part, ending, files in (("seg", ".jsonl", seg), ("rows", ".rows", rows)):
            if files is None:
                continue
            for name in os.listdir(os.path.join(self.work, part)):
                if name.endswith(ending):
                    os.unlink(os.path.join(self.work, part, name))
            for first, data in files.items():
                with open(os.path.join(self.work, part, "%012d%s" % (first, ending)), "wb") as f:
                    f.write(data)
        if checkpoint is not None:
            with open(os.path.join(self.work, "checkpoint"), "w") as f:
                f.write(checkpoint)

    def verify(self, since=None):
        words = [LETHE, "audit", "verify", self.work, "--key", self.log.key, "--json"]
        if since is not None:
            path = self.work + ".since"
            with open(path, "w") as f:
                f.write(since)
            words += ["--since", path]
        done = subprocess.run(words, capture_output=True)
        report = json.loads(done.stdout)
        return done.returncode, report["bad_index"], report["message"]

    def known(self, index):
        """Its hash lies in a full tile: it can be named."""
        return index if index < self.log.size // TILE * TILE else None

    # Each writes a changed log and returns (bad record or None, --since).

    def edit(self):
        i = self.dice.randrange(self.log.size)
        first = self.log.segment_of(i)
        lines = self.log.of(first)
        line = bytearray(lines[i - first])
        at = self.dice.randrange(len(line) - 1)
        line[at] = self.dice.choice([c for c in range(0x20, 0x7f) if c != line[at]])
        lines[i - first] = bytes(line)
        self.write(seg=self.log.in_segment(first, lines))
        return self.known(i), None

    def delete(self):
        i = self.dice.randrange(self.log.size)
        first = self.log.segment_of(i)
        lines = self.log.of(first)
        del lines[i - first]
        if self.dice.random() < 0.5:  # and close the ranks
            lines[i - first:] = [re.sub(rb'"i":\d+', b'"i":%d' % (i + k), line, count=1)
                                 for k, line in enumerate(lines[i - first:])]
            self.write(seg=self.log.in_segment(first, lines))
            return self.known(i), None
        self.write(seg=self.log.in_segment(first, lines))
        return i, None

    def reorder(self):
        first = self.dice.choice([k for k in self.log.starts() if len(self.log.of(k)) > 1])
        lines = self.log.of(first)
        a, b = sorted(self.dice.sample(range(len(lines)), 2))
        lines[a], lines[b] = lines[b], lines[a]
        self.write(seg=self.log.in_segment(first, lines))
        return first + a, None

    def insert(self):
        i = self.dice.randrange(self.log.size)
        first = self.log.segment_of(i)
        lines = self.log.of(first)
        t = re.search(rb'"t":"([^"]*)"', lines[i - first])[1]
        lines.insert(i - first, b'{"v":1,"i":%d,"t":"%s","act":"admin.login","who":"adm:0",'
                                b'"why":"boot","out":"ok","d":{}}\n' % (i, t))
        self.write(seg=self.log.in_segment(first, lines))
        return self.known(i), None

    def tail_cut(self):
        left = self.dice.randrange(self.log.size)
        seg = self.log.cut(self.log.lines[:left])
        self.write(seg=seg, rows={k: v for k, v in self.log.rows.items() if k in seg})
        return left, None

    def segment_swap(self):
        seg, rows = dict(self.log.seg), dict(self.log.rows)
        a, b = sorted(self.dice.sample(self.log.starts(), 2))
        how = self.dice.randrange(4)
        if how == 0:  # rows alone: the first batch that has some tells
            rows[a], rows[b] = rows.get(b, b""), rows.get(a, b"")
            self.write(rows=rows)
            return self.first_rows(a), None
        if how == 1:  # to another place behind all others
            seg[self.log.size + TILE * self.dice.randrange(1, 1000) & ~(TILE - 1)] = seg.pop(a)
            self.write(seg=seg)
            return a, None
        seg[a], seg[b] = seg[b], seg[a]
        if how == 2:
            rows[a], rows[b] = rows.get(b, b""), rows.get(a, b"")
        self.write(seg=seg, rows=rows)
        return a, None

    def first_rows(self, first):
        for line in self.log.of(first):
            record = json.loads(line)
            if record["act"] == "batch" and record["d"]["n"] > 0:
                return record["i"]
        return None

    def rollback(self):
        """An old copy with its own good signature; a newer checkpoint lies
        elsewhere."""
        old, new = sorted(self.dice.sample(sorted(self.log.kept), 2))
        seg = self.log.cut(self.log.lines[:old])
        self.write(seg=seg, rows={k: v for k, v in self.log.rows.items() if k in seg},
                   checkpoint=self.log.kept[old])
        shutil.rmtree(os.path.join(self.work, "cp"), ignore_errors=True)
        return old, self.log.kept[new]

    def mix(self):
        how = self.dice.randrange(4)
        if how == 0:
            self.write(checkpoint=self.other.checkpoint)
            return None, None
        if how == 1:
            self.write(seg=self.other.seg, rows=self.other.rows, checkpoint=self.other.checkpoint)
            return None, None
        if how == 2:
            first = self.dice.choice(self.log.starts())
            seg, rows = dict(self.log.seg), dict(self.log.rows)
            seg[first], rows[first] = self.other.seg[first], self.other.rows.get(first, b"")
            self.write(seg=seg, rows=rows)
            return self.differs(first), None
        i = self.dice.randrange(min(self.log.size, self.other.size))
        self.write(seg=self.log.cut(self.log.lines[:i] + self.other.lines[i:]))
        return self.differs(i), None

    def differs(self, i):
        """Under one clock two gateways write some lines that are the same."""
        while i < self.log.size and self.log.lines[i] == self.other.lines[i]:
            i += 1
        return self.known(i)

    def row_change(self):
        first = self.dice.choice([k for k, v in self.log.rows.items() if v])
        rows = dict(self.log.rows)
        data = bytearray(rows[first])
        at = self.dice.randrange(len(data))
        data[at] ^= 1 << self.dice.randrange(8)
        rows[first] = bytes(data)
        self.write(rows=rows)
        for line in self.log.of(first):
            record = json.loads(line)
            if record["act"] == "batch":
                at -= 32 * record["d"]["n"]
                if at < 0:
                    return record["i"], None
        raise AssertionError("rows of no record")


KINDS = ("edit", "delete", "reorder", "insert", "tail_cut", "segment_swap", "rollback", "mix",
         "row_change")


def main():
    places = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    dice = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 4)
    tried = found = named = 0
    try:
        First.setUpClass()
        Second.setUpClass()
        log, other = Log(First), Log(Second)
        a = Attack(log, other, dice, os.path.join(First.folder, "work"))
        a.write()
        code, _, message = a.verify(max(log.kept.items())[1])
        if code == 1:
            sys.exit("tamper: the untouched log is not sound: " + message)
        print("untouched: %s" % message, flush=True)
        for kind in KINDS:
            good = 0
            for _ in range(places):
                tried += 1
                bad, since = getattr(a, kind)()
                code, index, message = a.verify(since)
                if code == 1 and (bad is None or index == bad):
                    good += 1
                    named += bad is not None
                else:
                    print("MISSED %s at %s: exit %d, %s" % (kind, bad, code, message))
            found += good
            print("%-13s %d of %d" % (kind, good, places), flush=True)
    finally:
        First.doClassCleanups()
        Second.doClassCleanups()
    print("named %d" % named)
    print("tamper %d found %d" % (tried, found), flush=True)
    sys.exit(tried != found)


if __name__ == "__main__":
    main()
