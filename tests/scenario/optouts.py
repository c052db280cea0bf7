"""optouts.py - what the opt-out scenarios share: events that can be told apart
wherever they arrive, and what has arrived."""
import json
import threading

from harness import event, wait_until

MIB = 1048576
NUMBERS_MAX = 2000  # Mixbot's policy lets sizes up to 2 GiB through


def numbered(n, session="stays", **more):
    """Event number n: its number is the file's size in MiB, which may leave."""
    body = event(session=session, consent={"product": True}, **more)
    body["details"]["file_size"] = n * MIB
    return body


def numbers(events):
    return sorted(e["details"]["file_size"] // MIB for e in events)


def arrived(g):
    """{destination: numbers}, as it is now."""
    return {"any": numbers(g.recorder.accepted()),
            "file": numbers(g.file_lines()),
            "store": sorted(json.loads(r["details"])["file_size"] // MIB for r in g.rows())}


def everywhere(g, wanted):
    """Wait until just these numbers have arrived at all three, and stay so."""
    wanted = sorted(wanted)
    wait_until("events %s everywhere" % wanted,
               lambda: all(got == wanted for got in arrived(g).values()) or too_much(g, wanted))
    g.settled()
    return arrived(g) == {"any": wanted, "file": wanted, "store": wanted}


def too_much(g, wanted):
    return any(n not in wanted for got in arrived(g).values() for n in got)


def opt_out(g, **ids):
    answer = g.post("/v1/optout", ids)
    if answer.status != 200:
        raise AssertionError("opt-out: %r" % answer)
    return answer.json()["receipt"]


def records(g, act):
    """The d of the log's records of one act."""
    code, out, err = g.run("audit", "search", "--act", act)
    if code not in (0, 2):
        raise AssertionError(out + err)
    return [json.loads(line)["d"] for line in out.splitlines()]


def sent_before(g, count):
    """What the records of `count` opt-outs say was wholly sent: they come after
    the answers."""
    wait_until("the records", lambda: len(records(g, "optout.set")) >= count)
    return [d["sent"] for d in records(g, "optout.set")]


def destination(g, name):
    return next(d for d in g.status()["destinations"] if d["name"] == name)


def pause_all(g, paused=True):
    for name in ("store", "file", "any"):
        code, out, err = g.run("destination", "pause" if paused else "resume", name)
        if code != 0:
            raise AssertionError(out + err)


class Clients:
    """Threads that send events of numbered sessions until told to stop."""

    def __init__(self, g, sessions, clients=3):
        self.g, self.sessions = g, sessions
        self.lock = threading.Lock()
        self.next = 0
        self.over = threading.Event()
        self.sent = []  # (number, session), before it was sent
        self.failed = []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]
        for t in self.threads:
            t.start()

    def take(self):
        with self.lock:
            self.next += 1
            session = self.sessions[self.next % len(self.sessions)]
            self.sent.append((self.next, session))
            return self.next, session

    def run(self):
        while not self.over.is_set() and self.next < NUMBERS_MAX - 10:
            batch = [self.take() for _ in range(2)]
            status = self.g.post("/v1/events", [numbered(n, s) for n, s in batch]).status
            if status != 200:
                self.failed.append(status)

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join(20)
