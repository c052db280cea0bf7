#!/usr/bin/env python3
"""crash_audit.py BUILD ROUNDS [SEED] - the audit log under kill -9 and power
cuts (powercut.py), half of the rounds each, at moments drawn by time or by
count of changes on the disk. Ends with `crash N false_alarms N`.

A false alarm is any of
- `lethe audit verify --rows` finds tampering, or cannot read what is there
- the gateway does not start again
- an event that was acknowledged is missing at a destination in the end
- a destination has more events than the log has cleared decisions
- an opted-out person's event arrives that was sent after the 200
since nothing here but the lights ever touches a file."""

import json
import os
import random
import re
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
if __name__ == "__main__":
    os.environ["LETHE_BUILD"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "scenario"))
sys.path.insert(0, HERE)
from crash import (Client, Locked, TimedRecorder, audited, counter, delivered,  # noqa: E402
                   late_arrivals, policy_with_numbers)
from harness import BUILD, Gateway, wait_until  # noqa: E402
from powercut import PowerCut  # noqa: E402

LIBRARY = os.path.join(BUILD, "fault", "powercut.so")
CLIENTS = 2
START_CHANGES = (50, 300)  # on the disk: about what a start needs, and the first one
PATIENCE_S = float(os.environ.get("LETHE_PATIENCE", "60"))


class Installation:
    """One gateway's folder through many rounds."""

    def __init__(self, numbers, dice, alarm, env):
        self.numbers, self.dice, self.alarm = numbers, dice, alarm
        self.recorder = TimedRecorder()
        # A session of its own tells which processes belong to it.
        self.g = Gateway(start=False, recorder=self.recorder, wrap=["setsid"])
        self.g.write_policy(policy_with_numbers(self.g.read_policy()))
        self.clients = []
        self.session = 0
        self.plain_env, self.cut_env = dict(self.g.env), env

    def load(self):
        clients = [Client(self.g.port, self.numbers, self.dice.random())
                   for _ in range(CLIENTS)]
        for c in clients:
            c.start()
        self.clients += clients
        return clients

    def dies(self, kill):
        """Start, work, die. True if it came so far as to answer."""
        g = self.g
        g.start(wait=False)
        self.session = g.process.pid  # setsid made it one
        wait_until("the gateway to start or die",
                   lambda: b"serve: ready" in g.log or g._died(), PATIENCE_S)
        ports = re.findall(rb"listening port=(\d+)", g.log)
        clients = []
        if ports and g.process.poll() is None:
            g.port = int(ports[0])
            clients = self.load()
            self.wait()
        kill()
        for c in clients:
            c.join(30)
        return bool(ports)

    def wait(self):
        """A moment, or until the lights went out by themselves."""
        end = time.monotonic() + self.dice.uniform(0.01, 0.5)
        while time.monotonic() < end and self.g.process.poll() is None:
            time.sleep(0.005)

    def signers(self):
        """Processes of the gateway's session beside it."""
        found = []
        for name in os.listdir("/proc"):
            try:
                with open("/proc/%d/stat" % int(name)) as f:
                    session = int(f.read().rpartition(")")[2].split()[3])
            except (ValueError, OSError):
                continue
            if session == self.session != int(name):
                found.append(int(name))
        return found

    def kill_all(self):
        """Everything at once (one group: the shim sees to that)."""
        try:
            os.killpg(self.session, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.g.kill()
        self.kill_signers()

    def kill_signers(self):
        for pid in self.signers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def kill_some(self):
        """The signer, which the gateway then has to start again; or the
        gateway, whose signer has to notice; or both."""
        kind = self.dice.choice(("signer", "gateway", "both"))
        if kind == "signer":
            self.kill_signers()
            self.wait()
        self.g.kill()
        if kind == "both":
            self.kill_signers()

    def killed(self):
        if not self.dies(self.kill_some):
            self.alarm("no start", self.g.log.decode(errors="replace"))

    def cut(self):
        after = None
        if self.dice.random() < 0.6:
            after = self.dice.randint(1, self.dice.choice(START_CHANGES))
        cut = PowerCut(self.g.home, LIBRARY, after)
        self.g.env.update(cut.env, **self.cut_env)
        try:
            came = self.dies(self.kill_all)
            noted, pending = cut.cut(self.dice)
            if not came and (after is None or noted < after - 1):
                self.alarm("no start", self.g.log.decode(errors="replace"))
            return came, pending
        finally:
            self.g.env = dict(self.plain_env)
            cut.close()

    def verify(self, when, good=(0, 2)):
        code, out, err = self.g.run("audit", "verify", "--rows", "--json")
        if code not in good:
            self.alarm("verify " + when, "exit %d\n%s%s" % (code, out, err))

    def nothing_waits(self):
        return all(d["waiting"] == 0 for d in self.g.status()["destinations"])

    def settle(self):
        """Start once more, let everything arrive, compare."""
        g = self.g
        try:
            g.start()
        except AssertionError as e:
            self.alarm("no start", str(e))
            return
        try:
            wait_until("everything to be delivered", self.nothing_waits, PATIENCE_S)
        except AssertionError:
            self.alarm("not delivered", json.dumps(g.status()["destinations"]))
        g.stop()
        self.verify("after a clean stop", good=(0,))
        places, rows = delivered(g), audited(g)
        acked = {n for c in self.clients for n in c.acked}
        for name, got in places.items():
            if acked - got:
                self.alarm("lost at " + name, repr(sorted(acked - got)[:20]))
            if len(got) > rows[name]:
                self.alarm("unaudited at " + name, "%d of %d" % (len(got), rows[name]))
        after = late_arrivals(self.clients, self.recorder, places)
        if after:
            self.alarm("after an opt-out", str(after))

    def close(self):
        self.kill_signers()
        self.g.own_folder = self.g.own_folder and not os.environ.get("LETHE_KEEP")
        self.g.close()
        self.recorder.close()


class Laboratory:
    def __init__(self, seed, rounds_each=50, progress=False, cut_env=None):
        self.dice = random.Random(seed)
        self.rounds_each, self.progress = rounds_each, progress
        self.cut_env = cut_env or {}
        self.numbers = Locked(counter())
        self.alarms = []
        self.kills = self.cuts = self.early = self.acked = self.pending = 0
        self.round = 0

    def alarm(self, what, text):
        self.alarms.append("round %d: %s" % (self.round, what))
        print("round %d: %s\n%s" % (self.round, what, text[-3000:]), flush=True)

    def one_round(self, place, is_cut):
        if is_cut:
            self.cuts += 1
            came, pending = place.cut()
            self.early += not came
            self.pending += pending
        else:
            self.kills += 1
            place.killed()
        place.verify("after a " + ("power cut" if is_cut else "kill"))
        self.round += 1

    def run(self, rounds):
        started = time.monotonic()
        while self.round < rounds:
            before = len(self.alarms)
            kinds = [i % 2 == 1 for i in range(min(self.rounds_each, rounds - self.round))]
            self.dice.shuffle(kinds)
            place = Installation(self.numbers, self.dice, self.alarm, self.cut_env)
            try:
                for is_cut in kinds:
                    self.one_round(place, is_cut)
                    if len(self.alarms) > before:
                        break
                else:
                    place.settle()
                self.acked += sum(len(c.acked) for c in place.clients)
                if len(self.alarms) > before and os.environ.get("LETHE_KEEP"):
                    print("kept:", place.g.folder, flush=True)
            finally:
                place.close()
            if self.progress:
                print("crash: round %d, %d acknowledged, %d changes at risk, %d false alarms, "
                      "%.0f s" % (self.round, self.acked, self.pending, len(self.alarms),
                                  time.monotonic() - started), flush=True)


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    laboratory = Laboratory(seed, progress=True)
    laboratory.run(rounds)
    print("crash: %d kills, %d power cuts (%d during a start), seed %d" % (
        laboratory.kills, laboratory.cuts, laboratory.early, seed))
    print("crash %d false_alarms %d" % (laboratory.round, len(laboratory.alarms)), flush=True)
    sys.exit(1 if laboratory.alarms else 0)


if __name__ == "__main__":
    main()
