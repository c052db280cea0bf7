#!/usr/bin/env python3
"""r33.py BUILD [CANDIDATES [DAYS]] - past epochs cannot be made again (R33).

A gateway lives through DAYS days of known visitors, everything delivered,
each rotation crossed. Then everything on the machine is copied: state, both
keys, the opt-out journal, the epoch file, the destinations' files. On copies
of that copy, with all of it in hand:

  replay    the gateway itself, its clock set back to each day, is sent a
            million candidates; what it makes of them is compared with the
            pseudonyms of that day
  windows   every 32 bytes of every file as an epoch secret or key
  spool     every spool key that is left opens what it can; the candidates'
            sweep tags are looked for

Prints `days 3 candidates 1000000 recovered 0`: distinct visitors of past days
that any of the three named. Today's visitors, whose epoch is alive, must be
found by the first two, or the attack itself is broken (exit 2). Then the same
for a destination that was down all the time: what waits can be tested until
it has expired, and not after."""

import datetime
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
if __name__ == "__main__":
    os.environ["LETHE_BUILD"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "scenario"))
from fakeclock import FIRST_DAY, UTC, FakeClock  # noqa: E402
from harness import BUILD, Gateway, Recorder, wait_until  # noqa: E402

ATTACK = os.path.join(BUILD, "fault", "r33_attack")
VISITORS = 40          # a day
BITS = 64              # so that none comes out by chance
BATCH = 500
SESSION_KIND = 2
PURPOSE = {"store": "audience", "file": "audience", "any": "product"}
WHY = '"deviations": {"R25": "a test that counts matches"}, "purposes": ["'


class BrokenAttack(Exception):
    pass


def expect(good, what):
    if not good:
        raise BrokenAttack(what)


def day(n):
    return FIRST_DAY + datetime.timedelta(days=n)


def policy(text):
    """Mixbot's, with pseudonyms long enough to be told apart and an event
    that carries its own number through."""
    text = text.replace('"bits": 24', '"bits": %d' % BITS)
    text = text.replace('"purposes": ["', WHY)
    return text.replace(
        '"events": {', '"events": {"tick": {"purpose": ["audience", "product"], '
        '"fields": {"n": {"number": {"round": 1, "min": 0, "max": 2000000000}}}},', 1)


def name_of(number):
    return "v-%07d" % number


# ---- the days that are copied -------------------------------------------------

class Story:
    """A gateway and what is true of it."""

    def __init__(self, folder, days, down):
        self.days, self.down = days, down
        self.shm = tempfile.mkdtemp(prefix="lethe-r33-", dir="/dev/shm")
        self.clock = FakeClock(folder)
        self.recorder = Recorder(503 if down else 200)
        self.g = Gateway(folder=folder, start=False, faketime=self.clock.path,
                         recorder=self.recorder,
                         config={"epoch_store": {"runtime": os.path.join(self.shm, "now")}})
        self.g.write_policy(policy(self.g.read_policy()))
        self.visitors = []   # by day: the numbers seen
        self.secrets = []    # by day: what the epoch file held
        dice = random.Random(33)
        self.dice = dice
        self.pool = dice.sample(range(10000000), VISITORS * (days + 1))

    def live_through(self):
        self.g.start()
        for n in range(self.days + 1):  # the last one is today
            if n > 0:
                self.go_to(day(n))
            self.visit(n)
            self.secrets.append(read_secrets(self.epoch_file()))
        self.keys_are_collected(3 + (self.days if self.down else 0))

    def go_to(self, when):
        """On another day; the rotations on the way are done."""
        before = self.next_ms()
        self.clock.set(when)
        wait_until("the rotation", lambda: self.next_ms() > before)

    def next_ms(self):
        return json.loads(self.g.run("keys", "status", "--json")[1])["next_ms"]

    def visit(self, n):
        mine = self.pool[n * VISITORS:(n + 1) * VISITORS]
        self.visitors.append(mine)
        body = [{"session_id": name_of(v), "action": "tick", "id": "e-%d" % v,
                 "consent": {"product": True}, "details": {"n": v}} for v in mine]
        expect(self.g.post("/v1/events", body).status == 200, "a day's events")
        total = VISITORS * (n + 1)
        wait_until("deliveries", lambda: len(self.g.rows()) == total
                   and len(self.g.file_lines()) == total
                   and (self.down or len(self.recorder.accepted()) == total))

    def keys_are_collected(self, left):
        wait_until("spool keys of past epochs to go", lambda: json.loads(
            self.g.run("keys", "status", "--json")[1])["spool_keys"] == left, 60)

    def epoch_file(self):
        folder = os.path.join(self.shm, "now")
        return os.path.join(folder, os.listdir(folder)[0])

    def truth(self):
        """destination -> visitor -> (pseudonym, event id)."""
        events = {"file": self.g.file_lines(), "any": self.recorder.accepted(),
                  "store": [dict(r, details=json.loads(r["details"]), id=r["event_id"])
                            for r in self.g.rows()]}
        return {name: {e["details"]["n"]: (e["session_id"], e["id"]) for e in list_of}
                for name, list_of in events.items()}

    def copy(self, to):
        shutil.copytree(self.g.home, os.path.join(to, "gw"),
                        ignore=shutil.ignore_patterns("control.sock"))
        shutil.copytree(os.path.join(self.shm, "now"), os.path.join(to, "now"))
        with open(os.path.join(to, "recorder"), "wb") as f:
            f.write(self.recorder.bytes())

    def close(self):
        self.g.close()
        self.recorder.close()
        shutil.rmtree(self.shm, ignore_errors=True)


def read_secrets(path):
    """The secrets of live epochs, as epoch_file.h lays them out."""
    with open(path, "rb") as f:
        data = f.read()
    return [data[at + 48:at + 80] for at in range(128, len(data) - 127, 128)
            if struct.unpack_from("=Q", data, at)[0] == 1]


# ---- replay --------------------------------------------------------------------

def replay(copy, work, when, names, destinations):
    """The pseudonyms that a gateway on the copy makes of `names` at `when`."""
    shm = tempfile.mkdtemp(prefix="lethe-r33-", dir="/dev/shm")
    folder = tempfile.mkdtemp(dir=work)
    try:
        shutil.copytree(os.path.join(copy, "gw"), os.path.join(folder, "gw"))
        shutil.copytree(os.path.join(copy, "now"), os.path.join(shm, "now"))
        with Thief(folder, shm, when, destinations) as g:
            send(g.port, names, "any" in destinations)
            g.settled()
            return g.output()
    finally:
        shutil.rmtree(shm, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


class Thief(Gateway):
    """The thief's: same state and keys, its own clock and destinations."""

    def __init__(self, folder, shm, when, destinations):
        self.thief = Recorder()
        clock = FakeClock(folder, when)
        super().__init__(folder=folder, start=False, faketime=clock.path,
                         recorder=self.thief)
        with open(self.conf_path) as f:
            conf = json.load(f)
        conf["epoch_store"] = {"runtime": os.path.join(shm, "now")}
        site = conf["sites"][0]
        site["destinations"] = [d for d in site["destinations"] if d["name"] in destinations]
        for d in site["destinations"]:
            if d["name"] == "any":
                d["url"] = self.thief.url
            else:
                d["path"] = "stolen." + d["path"].rsplit(".", 1)[1]
        with open(self.conf_path, "w") as f:
            json.dump(conf, f)
        self.start()

    def output(self):
        seen = set(re.findall(rb'"session_id":"([^"]+)"', self.thief.bytes()))
        for name in os.listdir(self.home):
            if name.startswith("stolen.") and name.endswith(".jsonl"):
                with open(os.path.join(self.home, name), "rb") as f:
                    seen.update(re.findall(rb'"session_id":"([^"]+)"', f.read()))
        if os.path.exists(os.path.join(self.home, "stolen.db")):
            db = sqlite3.connect(os.path.join(self.home, "stolen.db"))
            seen.update(s.encode() for s, in db.execute("SELECT session_id FROM user_actions"))
            db.close()
        return {s.decode() for s in seen}

    def close(self):
        super().close()
        self.thief.close()


def send(port, names, consent):
    more = ',"consent":{"product":true}' if consent else ""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for at in range(0, len(names), BATCH):
        body = "[" + ",".join(
            '{"session_id":"%s","action":"page_view"%s}' % (n, more)
            for n in names[at:at + BATCH]) + "]"
        connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        expect(answer.status == 200, "a replayed batch: %d" % answer.status)
    connection.close()


def by_replay(copy, work, story, truth, names):
    """Visitors of past days; today's as proof that this works."""
    found = set()
    everywhere = ["store", "file", "any"]
    for n in range(story.days + 1):
        mine = [name_of(v) for v in story.visitors[n]]
        made = replay(copy, work, day(n) + datetime.timedelta(hours=1), mine, everywhere)
        expect(len(made) == 3 * len(mine), "the replay made %d pseudonyms" % len(made))
        if n < story.days:
            made |= replay(copy, work, day(n), names, ["file"])
            expect(len(made) >= len(names), "the replay of all candidates")
        hits = {v for seen in truth.values() for v in story.visitors[n] if seen[v][0] in made}
        if n < story.days:
            found |= hits
        else:
            expect(len(hits) == len(mine), "today's visitors: %d" % len(hits))
    return found


# ---- windows -------------------------------------------------------------------

def files_of(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names
            if os.path.isfile(os.path.join(at, name))]


def write_pairs(path, story, truth, days):
    """One visitor a day and destination, and its event; -> (day, visitor)."""
    lines, whose = [], []
    for n in days:
        v = story.visitors[n][0]
        for name, seen in sorted(truth.items()):
            scope = (story.g.site_id, name, PURPOSE[name])
            lines.append(("id",) + scope + (SESSION_KIND, name_of(v), BITS, seen[v][0]))
            lines.append(("event",) + scope + (SESSION_KIND, "e-%d" % v, BITS, seen[v][1]))
            whose += [(n, v)] * 2
    with open(path, "w") as f:
        f.write("".join("\t".join(map(str, l)) + "\n" for l in lines))
    return whose


def attack(*words):
    done = subprocess.run([ATTACK] + list(words), capture_output=True)
    expect(done.returncode == 0, done.stderr.decode())
    return done.stdout.decode().splitlines()


def try_windows(copy, work, story, truth, days, files):
    pairs = os.path.join(work, "pairs")
    whose = write_pairs(pairs, story, truth, days)
    lines = attack("windows", os.path.join(copy, "gw", "keys", "master.key"), pairs, *files)
    hits = [whose[int(l.split()[1])] for l in lines if l.startswith("hit ")]
    return hits, lines[-1]


def by_windows(copy, work, story, truth):
    hits, total = try_windows(copy, work, story, truth, range(story.days + 1), files_of(copy))
    today = sum(1 for n, _ in hits if n == story.days)
    expect(today == 6, "today's epoch is in the copy and gave %d of 6" % today)
    old = os.path.join(work, "old-secrets")
    with open(old, "wb") as f:
        f.write(b"x" * 5 + b"".join(story.secrets[0]))
    expect(len(try_windows(copy, work, story, truth, [0], [old])[0]) == 6,
           "a secret that was kept gives its day away")
    print("#", total, file=sys.stderr)
    return {v for n, v in hits if n < story.days}


def needles(story):
    """What must be nowhere: secrets of past days and what was made of them."""
    with open(os.path.join(story.g.home, "keys", "master.key")) as f:
        master = bytes.fromhex(f.read().strip())
    past = [s for n in range(story.days) for s in story.secrets[n]]
    expect(len(set(past)) == 3 * story.days, "three fresh secrets a day")
    return past + [hashlib.blake2b(b"epoch" + s, key=master, digest_size=32).digest()
                   for s in past]


def in_files(story, copy):
    wanted, found = needles(story), 0
    for path in files_of(copy):
        with open(path, "rb") as f:
            data = f.read()
        found += sum(1 for n in wanted if n in data)
    return found


def in_memory(story):
    """Needles in the running gateway's memory; None if it cannot be read."""
    wanted, found = needles(story), 0
    pid = story.g.process.pid
    try:
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
            for line in maps:
                m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
                if not m or "[v" in line:
                    continue
                at, end = int(m[1], 16), int(m[2], 16)
                mem.seek(at)
                try:
                    data = mem.read(end - at)
                except OSError:
                    continue  # a guard page
                found += sum(1 for n in wanted if n in data)
    except OSError:
        return None
    return found


# ---- spool ---------------------------------------------------------------------

def by_spool(copy, work, story, names):
    """{visitor: when it can no longer be tested}, for past days alone."""
    folder = tempfile.mkdtemp(dir=work)
    candidates = os.path.join(work, "candidates")
    with open(candidates, "w") as f:
        f.write("\n".join(names) + "\n")
    gw = os.path.join(copy, "gw")
    state = os.path.join(folder, "state")
    shutil.copytree(os.path.join(gw, "state"), state)
    lines = attack("spool", state, os.path.join(gw, "keys", "master.key"),
                   os.path.join(gw, "keys", "optout.key"), story.g.site_id, candidates)
    shutil.rmtree(folder)
    print("#", lines[-1], file=sys.stderr)
    today = day(story.days).timestamp() * 1000 - 3600000
    found = {}
    for line in lines[:-1]:
        _, number, accepted, expires, _ = line.split()
        if int(accepted) < today:
            v = int(names[int(number)][2:])
            found[v] = max(found.get(v, 0), int(expires))
    return found


# ---- both stories ---------------------------------------------------------------

def candidates_for(story, count):
    """`count` names, every visitor's among them."""
    numbers = set(story.pool)
    while len(numbers) < count:
        numbers.add(story.dice.randrange(10000000))
    names = [name_of(v) for v in numbers]
    story.dice.shuffle(names)
    return names


def delivered(work, days, count):
    """Everything delivered: nobody of a past day may be found."""
    story = Story(tempfile.mkdtemp(dir=work), days, False)
    copy = tempfile.mkdtemp(dir=work)
    try:
        story.live_through()
        story.copy(copy)
        truth = story.truth()
        found = in_memory(story)
        story.g.stop()
        names = candidates_for(story, count)
        kept = in_files(story, copy)
        recovered = by_windows(copy, work, story, truth)
        recovered |= set(by_spool(copy, work, story, names))
        recovered |= by_replay(copy, work, story, truth, names)
        print("# past secrets and keys %d in files %d in memory %s" % (
            len(needles(story)), kept, "not readable here" if found is None else found),
            file=sys.stderr)
        print("days %d candidates %d recovered %d" % (days, len(names), len(recovered)),
              flush=True)
        return len(recovered) + kept + (found or 0)
    finally:
        story.close()


def waiting(work, days, count):
    """A destination that was down: what waits, and that it ends."""
    story = Story(tempfile.mkdtemp(dir=work), days, True)
    first, second = tempfile.mkdtemp(dir=work), tempfile.mkdtemp(dir=work)
    try:
        story.live_through()
        story.copy(first)
        names = candidates_for(story, count)
        found = by_spool(first, work, story, names)
        past = {v for mine in story.visitors[:-1] for v in mine}
        alive = found.keys() & past
        until = datetime.datetime.fromtimestamp(max(found.values(), default=0) // 1000, UTC)
        story.go_to(until + datetime.timedelta(minutes=1))
        story.keys_are_collected(3 + 1)  # today's visitors still wait
        story.copy(second)
        after = by_spool(second, work, story, names).keys() & past
        print("down: %d of %d waiting identifiers could be tested until %s "
              "(retention.spool PT72H), then %d" % (
                  len(alive), len(past), until.strftime("%Y-%m-%dT%H:%M:%SZ"), len(after)),
              flush=True)
        expect(found.keys() <= past and len(alive) == len(past),
               "everyone of a past day waits for a destination that is down")
        return len(after)
    finally:
        story.close()


def r33(days, count):
    with tempfile.TemporaryDirectory(prefix="lethe-r33-") as work:
        bad = delivered(work, days, count)
        bad += waiting(work, days, count)
    return bad


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
    days = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    try:
        sys.exit(1 if r33(days, count) else 0)
    except BrokenAttack as e:
        print("the attack itself does not work: %s" % e, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
