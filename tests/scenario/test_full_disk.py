#!/usr/bin/env python3
"""The state folder's disk is full, with the real binary on a small tmpfs:
intake answers 503 with Retry-After at once, the log says from its reserve that
it is blocked, and when there is room again all goes on by itself with nothing
lost that was acknowledged. (Opt-outs on a full disk: test_optout_disk.py.)"""
import json
import os
import shutil
import subprocess
import threading
import unittest

import tlog
from harness import Gateway, event, main, wait_until

MIB = 1 << 20
# One event whose number comes through at every destination.
TICK = ('"events": {"tick": {"purpose": ["audience", "product"], "fields": '
        '{"n": {"number": {"round": 1, "min": 0, "max": 1000000000}}}},')


class Case(unittest.TestCase):
    def mount(self, size):
        """A gateway, not started, and a disk of its own."""
        self.g = Gateway(start=False)
        self.addCleanup(self.g.close)
        small = os.path.join(self.g.folder, "small")
        os.mkdir(small)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=0700" % size,
                               "lethe-test", small], capture_output=True)
        if done.returncode != 0:
            self.skipTest("no tmpfs can be mounted here: run as root")
        self.addCleanup(subprocess.run, ["umount", "-l", small])
        self.filler = os.path.join(small, "filler")
        return small

    def fill(self):
        """Down to the last byte; room may come and go while we do."""
        with open(self.filler, "ab", 0) as f:
            size = MIB
            while size > 0:
                try:
                    f.write(bytes(size))
                except OSError:
                    size //= 2

    def audit(self):
        return os.path.join(self.g.home, self.g.conf["state_dir"], "audit")

    def signed(self):
        """Records that the newest checkpoint covers."""
        with open(os.path.join(self.audit(), "checkpoint"), encoding="utf-8") as f:
            return tlog.parse(f.read())[1]

    def written(self):
        return len(tlog.records(self.audit()))


class SmallDisk(Case):
    def setUp(self):
        small = self.mount("400m")
        if os.path.exists(self.g.state):
            shutil.move(self.g.state, os.path.join(small, "state"))
        self.g.conf["state_dir"] = os.path.join(small, "state")
        with open(self.g.conf_path, "w") as f:
            json.dump(self.g.conf, f)
        self.g.write_policy(self.g.read_policy().replace('"events": {', TICK, 1))
        self.sent = 0
        self.acked = []
        self.lock = threading.Lock()
        self.g.start()

    def send(self):
        with self.lock:
            self.sent += 1
            n = self.sent
        answer = self.g.post("/v1/events", event(action="tick", consent={"product": True},
                                                 details={"n": n}))
        if answer.status == 200:
            with self.lock:
                self.acked.append(n)
        return answer

    def refused(self):
        self.fill()
        answer = self.send()
        return answer if answer.status == 503 else None

    def blocked(self):
        """What the log says of it, in order."""
        out = self.g.run("audit", "search", "--act", "audit.blocked")[1]
        return [json.loads(line)["d"]["state"] for line in out.splitlines()]

    def check_all_arrived(self):
        def numbers(events):
            return {e["details"]["n"] for e in events}
        self.g.settled()
        rows = [{"details": json.loads(r["details"])} for r in self.g.rows()]
        for name, events in (("any", self.g.recorder.accepted()),
                             ("file", self.g.file_lines()), ("store", rows)):
            self.assertEqual(set(self.acked) - numbers(events), set(), name)

    def test_full_503_at_once_blocked_from_the_reserve_and_on_by_itself(self):
        for _ in range(5):
            self.assertEqual(self.send().status, 200)
        answer = wait_until("intake to refuse", self.refused)
        self.assertIn("Retry-After", dict(answer.headers))
        self.assertEqual(answer.json()["error"], "unavailable")
        self.assertEqual(self.g.admin("GET", "/readyz").status, 503)
        self.assertEqual(self.g.admin("GET", "/healthz").status, 200)
        # the log cannot grow, and says so with what it had kept for that
        wait_until("the log to say so", lambda: self.refused() and self.blocked())
        self.assertEqual(self.blocked()[0], "begin")
        os.unlink(self.filler)
        wait_until("intake to go on by itself", lambda: self.send().status == 200)
        wait_until("the log to go on", lambda: self.blocked() == ["begin", "end"])
        self.check_all_arrived()
        self.assertEqual(self.g.admin("GET", "/readyz").status, 200)
        self.assertEqual(self.g.stop(), 0)
        self.assertEqual(self.signed(), self.written())
        self.assertEqual(self.g.run("audit", "verify", "--rows")[0], 0)

    def test_nothing_acknowledged_is_lost_when_it_fills_up_under_load(self):
        stop = threading.Event()

        def load():
            while not stop.is_set():
                self.send()

        threads = [threading.Thread(target=load) for _ in range(3)]
        for t in threads:
            t.start()
        try:
            for _ in range(2):
                before = len(self.acked)
                wait_until("some to be taken", lambda: len(self.acked) > before + 20)
                wait_until("intake to refuse", self.refused)
                os.unlink(self.filler)
                wait_until("intake to go on", lambda: self.send().status == 200)
            self.fill()
        finally:
            stop.set()
            for t in threads:
                t.join()
        # killed while it is full, and started when there is room
        self.g.kill()
        os.unlink(self.filler)
        self.g.start()
        self.assertEqual(self.send().status, 200)
        self.check_all_arrived()
        self.assertEqual(self.g.stop(), 0)
        self.assertEqual(self.signed(), self.written())
        self.assertEqual(self.g.run("audit", "verify", "--rows")[0], 0)


class SignersDisk(Case):
    """The signer's folder has no room: events go on, for 30 s; then see
    test_signer.test_stuck."""

    def test_what_it_could_not_sign_it_signs_when_there_is_room(self):
        small = self.mount("1m")
        folder = os.path.join(small, "signer")
        shutil.copytree(os.path.join(self.g.home, "signer"), folder)
        self.g.conf["signer"] = {"dir": folder}
        with open(self.g.conf_path, "w") as f:
            json.dump(self.g.conf, f)
        self.g.start()
        wait_until("a checkpoint", lambda: self.signed() == self.written())
        self.fill()
        before = self.signed()
        self.assertEqual(self.g.post("/v1/events", event()).status, 200)
        wait_until("a refusal to sign", lambda: b"a request to sign was refused" in self.g.log)
        self.assertEqual(self.signed(), before)
        self.assertEqual(self.g.post("/v1/events", event()).status, 200)
        os.unlink(self.filler)
        wait_until("a checkpoint of all", lambda: self.signed() == self.written() > before)
        self.assertEqual(self.g.stop(), 0)
        self.assertEqual(self.signed(), self.written())


if __name__ == "__main__":
    main()
