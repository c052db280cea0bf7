#!/usr/bin/env python3
"""go_check.py BUILD [SEED] - Go's implementation of trees, tiles and notes
(check.go) against ours: vectors, random trees, a log that grows and one that
was pruned, written by the real gateway. Copies with one change must fail.
Ends with `go_checker ok`."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ["LETHE_BUILD"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "scenario"))
from fakeclock import FakeClock  # noqa: E402
from harness import BUILD, Gateway, event, wait_until  # noqa: E402

CHECK = os.path.join(BUILD, "fault", "check")
VECTORS = os.path.join(os.path.dirname(HERE), "data", "audit")
TREES = 200
DAYS, RECORDS = 7, 300  # a segment a day


def check(*words, stdin=None, good=True):
    done = subprocess.run([CHECK] + list(words), stdin=stdin, capture_output=True, text=True)
    out = done.stdout.strip() + done.stderr.strip()
    if (done.returncode == 0) != good or (not good and not out.startswith("FAIL ")):
        raise AssertionError("check %s: exit %d\n%s" % (" ".join(words), done.returncode, out))
    print("go_check:", out, flush=True)


def trees(seed):
    with tempfile.TemporaryDirectory(prefix="lethe-test-") as folder:
        path = os.path.join(folder, "trees")
        with open(path, "wb") as f:
            subprocess.run([os.path.join(BUILD, "fault", "tree_dump"), folder, str(seed),
                            str(TREES)], stdout=f, check=True)
        with open(path, "rb") as f:
            check("trees", stdin=f)


class Log:
    """A gateway whose days pass as fast as we like, and its checkpoints."""

    def __init__(self, retention):
        self.folder = tempfile.mkdtemp(prefix="lethe-test-")
        os.chmod(self.folder, 0o700)
        self.clock = FakeClock(self.folder)
        self.g = Gateway(start=False, folder=self.folder, faketime=self.clock.path)
        policy = self.g.read_policy()
        assert '"retention": {' in policy
        at = policy.index('"retention": {')
        end = policy.index("}", at) + 1
        self.g.write_policy(policy[:at] + '"retention": ' + json.dumps(retention) + policy[end:])
        self.audit = os.path.join(self.g.state, "audit")
        self.notes = []
        self.count = 0
        self.g.start()
        self.token = json.loads(self.g.run("token", "add", "--role", "auditor", "--json",
                                           check=True)[1])["token"]
        with open(os.path.join(self.g.home, "signer", "log.vkey")) as f:
            self.vkey = f.read().strip()

    def keep_note(self):
        """Copies of what was published so far."""
        try:
            with open(os.path.join(self.audit, "checkpoint"), "rb") as f:
                text = f.read()
        except FileNotFoundError:
            return
        name = os.path.join(self.folder, "note-%d" % len(self.notes))
        if self.notes:
            with open(self.notes[-1], "rb") as f:
                if f.read() == text:
                    return
        with open(name, "wb") as f:
            f.write(text)
        self.notes.append(name)

    def grow(self, records):
        """So many records, and decisions in between."""
        for i in range(records):
            answer = self.g.admin("POST", "/api/audit/read", {},
                                  {"Authorization": "Bearer " + self.token})
            if answer.status != 200:
                raise AssertionError("no record: %r" % answer)
            if i % 5 == 0:
                self.g.post("/v1/events", event(session="s%d" % (self.count % 7),
                                                timestamp=self.clock.text()))
                self.count += 1
            self.keep_note()

    def head(self, kind):
        """Where the oldest file of a kind begins."""
        return int(min(os.listdir(os.path.join(self.audit, kind))).split(".")[0])

    def prune(self):
        """Until records are gone, and rows of more, and nothing is under way:
        the policy in force may have to be loaded again in between."""
        def gone():
            self.g.run("audit", "prune", check=True)
            facts = json.loads(self.g.run("retention", "status", "--json")[1])
            return (self.head("rows") > self.head("seg") > 0
                    and not any(x["pending"] for x in facts if "audit" in x))
        wait_until("rows and records to go", gone, 60)
        self.grow(5)

    def verify(self):
        code, out, err = self.g.run("audit", "verify", "--rows")
        print("go_check: audit verify: exit %d: %s" % (code, out.strip() + err.strip()), flush=True)
        if code != 0:
            raise AssertionError("audit verify does not say sound")

    def check(self):
        self.keep_note()
        check("served", "http://127.0.0.1:%d/audit" % self.g.admin_port, self.token, self.vkey)
        self.g.stop()
        check("log", self.audit, self.vkey, *self.notes)
        self.verify()
        self.g.start()

    def close(self):
        self.g.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def spoiled(log, dice):
    """One change in a copy, and the checker says so."""
    def edit(path, change):
        with open(path, "rb") as f:
            data = bytearray(f.read())
        change(data)
        with open(path, "wb") as f:
            f.write(data)

    def flip(data):
        data[dice.randrange(len(data) // 2)] ^= 1

    def first(folder, kind):
        names = sorted(os.listdir(os.path.join(log.audit, kind)))
        names = [n for n in names if os.path.getsize(os.path.join(log.audit, kind, n)) > 0]
        return os.path.join(folder, kind, names[0])

    def cut(data):
        del data[len(data) // 2:]

    for kind, change in (("seg", flip), ("rows", flip), ("seg", cut), ("tile/0", flip)):
        folder = os.path.join(log.folder, "copy")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(log.audit, folder)
        edit(first(folder, kind), change)
        check("log", folder, log.vkey, *log.notes, good=False)
    shutil.rmtree(folder)
    shutil.copytree(log.audit, folder)
    for name in sorted(os.listdir(os.path.join(folder, "seg")))[:-1]:
        os.unlink(os.path.join(folder, "seg", name))  # more than any order says
    check("log", folder, log.vkey, *log.notes, good=False)
    edit(log.notes[0], flip)
    check("log", log.audit, log.vkey, *log.notes, good=False)


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    print("go_check: seed %d" % seed)
    check("vectors", os.path.join(VECTORS, "vectors.json"))
    trees(seed)
    log = Log({"audit_rows": "P2D", "audit_records": "P4D"})
    try:
        for _ in range(DAYS):
            log.grow(RECORDS)
            log.clock.move(days=1)
        log.check()
        log.prune()
        print("go_check: rows begin at %d, records at %d" % (log.head("rows"), log.head("seg")))
        log.check()
        log.g.stop()
        spoiled(log, random.Random(seed))
    finally:
        log.close()
    print("go_checker ok", flush=True)


main()
