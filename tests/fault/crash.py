#!/usr/bin/env python3
"""crash.py BUILD ROUNDS [SEED] - kill -9 under load, again and again, on one
state folder. Each event carries its own number through a rule that keeps it,
so what was acknowledged can be looked for at each destination. Ends with
`rounds N lost N unaudited N after_optout N verify_failed N`.

lost          acknowledged with 200, and not at a destination in the end
unaudited     more distinct events at a destination than cleared decisions
after_optout  an event of an opted-out session that arrived although it was
              sent after the 200, or was still waiting then
verify_failed `lethe audit verify --rows` found tampering after a kill"""

import http.client
import json
import os
import random
import re
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
if __name__ == "__main__":
    os.environ["LETHE_BUILD"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "scenario"))
from harness import Gateway, Recorder, wait_until  # noqa: E402

CLIENTS = 3
GRACE_S = 0.5  # bytes that were in a socket before the 200


class TimedRecorder(Recorder):
    """Remembers when each number arrived last."""

    def __init__(self):
        self.seen = {}  # n -> monotonic time of its last arrival
        self.trouble = random.Random(1)
        super().__init__(self.note)

    def note(self, request):
        now = time.monotonic()
        if self.trouble.random() < 0.05:
            return 503
        for e in json.loads(request["body"]):
            self.seen[e["details"]["n"]] = now
        with self.lock:
            self.requests.clear()
        return 200


class Client(threading.Thread):
    """Sends events and opt-outs until the gateway is gone."""

    def __init__(self, port, numbers, seed):
        super().__init__(daemon=True)
        self.port, self.numbers, self.random = port, numbers, random.Random(seed)
        self.acked = []
        self.optouts = []  # (numbers sent before, time of the 200)
        self.late = []     # numbers sent after the 200

    def post(self, path, body):
        self.connection.request("POST", path, json.dumps(body),
                                {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        response.read()
        return response.status

    def events(self, session, count):
        ns = [next(self.numbers) for _ in range(count)]
        body = [{"session_id": session, "action": "tick", "consent": {"product": True},
                 "details": {"n": n}} for n in ns]
        return ns, self.post("/v1/events", body[0] if count == 1 else body)

    def run(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            while True:
                session = "s%016x" % self.random.getrandbits(64)
                leaving = self.random.random() < 0.05
                mine = []
                for _ in range(self.random.randint(1, 4)):
                    ns, status = self.events(session, self.random.choice((1, 1, 5)))
                    mine += ns
                    if status == 200 and not leaving:
                        self.acked += ns
                if leaving and self.post("/v1/optout", {"session_id": session}) == 200:
                    self.optouts.append((mine, time.monotonic()))
                    ns, _ = self.events(session, 3)
                    self.late += ns
        except (OSError, http.client.HTTPException):
            pass  # killed under us: what was not answered does not count


def policy_with_numbers(text):
    """Mixbot's policy and one event whose number comes through."""
    return text.replace('"events": {', '"events": {\n    "tick": {"purpose": ["audience", "product"], "fields": {'
                        '"n": {"number": {"round": 1, "min": 0, "max": 2000000000}}}},', 1)


def counter():
    n = 0
    while True:
        n += 1
        yield n


class Locked:
    def __init__(self, it):
        self.it, self.lock = it, threading.Lock()

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            return next(self.it)


def delivered(g):
    """Distinct numbers at each destination."""
    return {"any": set(g.recorder.seen),
            "file": {l["details"]["n"] for l in g.file_lines()},
            "store": {json.loads(r["details"])["n"] for r in g.rows()}}


def audited(g):
    """Cleared decisions a destination, from the rows the log shows."""
    code, out, err = g.run("audit", "search", "--rows")
    names = None
    counts = {"any": 0, "file": 0, "store": 0}
    code, loads, err = g.run("audit", "search", "--act", "policy.load")
    for line in loads.splitlines():
        names = json.loads(line)["d"]["dst"]
    for line in out.splitlines():
        row = json.loads(line)
        if row["act"] in ("cleared", "cleared-minimised"):
            for name in counts:
                bit = names.index(name)
                counts[name] += row["destinations"] >> bit & 1
    return counts


def optouts_of(clients):
    return sum(len(c.optouts) for c in clients)


def late_arrivals(clients, recorder, places):
    """Events of opted-out people that arrived too late."""
    late = {n for c in clients for n in c.late}
    count = len(late & set.union(*places.values()))
    for mine, when in (o for c in clients for o in c.optouts):
        count += sum(1 for n in mine if recorder.seen.get(n, 0) > when + GRACE_S)
    return count


def run_round(g, numbers, dice):
    g.start()
    clients = [Client(g.port, numbers, dice.random()) for _ in range(CLIENTS)]
    for c in clients:
        c.start()
    time.sleep(dice.uniform(0.02, 0.8))
    g.kill()
    for c in clients:
        c.join(30)
    code, out, err = g.run("audit", "verify", "--rows", "--json")
    bad = json.loads(out)["verdict"] == "tampered" if out else True
    if bad:
        print("verify:", out, err, flush=True)
    return clients, bad


def crash(rounds, seed, progress=True):
    dice = random.Random(seed)
    numbers = Locked(counter())
    recorder = TimedRecorder()
    g = Gateway(start=False, recorder=recorder)
    g.write_policy(policy_with_numbers(g.read_policy()))
    acked, everyone, spans = [], [], []
    verify_failed = 0
    started = time.monotonic()
    try:
        for i in range(rounds):
            clients, bad = run_round(g, numbers, dice)
            verify_failed += bad
            if progress:
                acks = [n for c in clients for n in c.acked]
                spans.append((i, min(acks, default=0), max(acks, default=0)))
            everyone += clients
            acked += [n for c in clients for n in c.acked]
            if progress and (i + 1) % 20 == 0:
                print("round %d: %d acknowledged, %d opt-outs, %.0f s" % (
                    i + 1, len(acked), optouts_of(everyone), time.monotonic() - started),
                    flush=True)
        g.start()
        wait_until("everything to be delivered",
                   lambda: all(d["waiting"] == 0 for d in g.status()["destinations"]), 120)
        g.stop()
        places = delivered(g)
        missing = {name: sorted(set(acked) - got) for name, got in places.items()}
        lost = sum(len(m) for m in missing.values())
        for name, m in missing.items():
            if m:
                print("lost at %s: %s in rounds %s" % (name, m[:40], sorted(
                    {i for i, a, b in spans for n in m if a <= n <= b})), flush=True)
        rows = audited(g)
        unaudited = sum(max(0, len(got) - rows[name]) for name, got in places.items())
        after = late_arrivals(everyone, recorder, places)
        code, out, err = g.run("audit", "verify", "--rows", "--json")
        verify_failed += json.loads(out)["verdict"] == "tampered"
        print("events %d optouts %d seed %s" % (len(acked), optouts_of(everyone), seed))
        print("rounds %d lost %d unaudited %d after_optout %d verify_failed %d" % (
            rounds, lost, unaudited, after, verify_failed), flush=True)
        return lost + unaudited + after + verify_failed
    finally:
        g.own_folder = g.own_folder and not os.environ.get("LETHE_KEEP")
        g.close()
        recorder.close()


if __name__ == "__main__":
    sys.exit(1 if crash(int(sys.argv[2]) if len(sys.argv) > 2 else 200,
                        int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)) else 0)
