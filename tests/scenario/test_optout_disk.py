#!/usr/bin/env python3
"""Design section 10: a full disk. Opt-outs use a reserve; if even that is
used up they are answered 503, are in force in memory, and nothing of
that site is delivered until they are on disk - which happens by itself."""
import http.client
import json
import os
import shutil
import subprocess
import threading
import unittest

from harness import PATIENCE_S, Gateway, main, wait_until
from optouts import arrived, everywhere, numbered, numbers, opt_out, pause_all

SMALL = "6m"      # of the file system that holds the opt-out list's journal
RECORDS = 32768   # 128 bytes each in a reserve of 4 MiB
IDS = 8           # a request


class SmallDisk:
    """A gateway whose opt-out journal lies on a tmpfs of its own."""

    def __init__(self, test, second=False):
        self.g = Gateway(start=False)
        if second:
            site = json.loads(json.dumps(self.g.conf["sites"][0]))
            site.update(id="00000000000000b0", name="second", keys=[], destinations=[
                {"name": "file", "type": "jsonl", "path": "second.jsonl"}])
            self.g.conf["sites"].append(site)
        test.addCleanup(self.g.close)
        self.mount = os.path.join(self.g.folder, "small")
        os.mkdir(self.mount)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + SMALL + ",mode=0700",
                               "lethe-test", self.mount], capture_output=True)
        if done.returncode != 0:
            raise unittest.SkipTest("no tmpfs can be mounted here")
        test.addCleanup(self.unmount)
        shutil.move(os.path.join(self.g.home, "optout-journal"), self.mount)
        self.g.conf["optout_journal"] = os.path.join(self.mount, "optout-journal")
        with open(self.g.conf_path, "w") as f:
            json.dump(self.g.conf, f)
        self.g.start()
        self.filler = os.path.join(self.mount, "filler")

    def unmount(self):
        self.g.stop()
        subprocess.run(["umount", self.mount], check=True)

    def fill(self):
        with open(self.filler, "wb", buffering=0) as f:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    continue

    def make_room(self):
        os.remove(self.filler)


def use_up(g, path="/v1/optout"):
    """Opt-outs until the reserve is gone; the last one's answer."""
    lock, left, refused = threading.Lock(), iter(range(2 * RECORDS)), []

    def run():
        connection = http.client.HTTPConnection("127.0.0.1", g.port, timeout=PATIENCE_S)
        while not refused:
            with lock:
                ids = {"k%d" % i: "filler-%d" % next(left) for i in range(IDS)}
            connection.request("POST", path, json.dumps({"ids": ids}),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                refused.append(answer)
        connection.close()
    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return refused[0]


class FullDisk(unittest.TestCase):
    def test_r42_a_reserve_then_memory_then_by_itself_on_disk(self):
        disk = SmallDisk(self)
        g = disk.g
        opt_out(g, session_id="before")
        disk.fill()
        for n in range(50):  # the reserve
            opt_out(g, session_id="reserve %d" % n)
        g.post("/v1/events", [numbered(1, "before"), numbered(2, "reserve 49"), numbered(3)])
        self.assertTrue(everywhere(g, [3]))
        pause_all(g)
        g.post("/v1/events", [numbered(4, "late"), numbered(5)])
        answer = use_up(g)
        self.assertEqual(answer.status, 503)
        self.assertIn("retry-after", [n.lower() for n, _ in answer.getheaders()])
        # in force although nobody could write it down: at accept and in the queue
        self.assertEqual(g.post("/v1/optout", {"session_id": "late"}).status, 503)
        pause_all(g, False)
        self.assertEqual(g.post("/v1/events", [numbered(6, "late"), numbered(7)]).status, 200)
        self.assertEqual(g.run("subject", "status", stdin=b"late\n")[1],
                         "identifier 1: opted out\n")
        wait_until("it to be told", lambda: b"not on disk" in g.log)
        self.assertEqual(arrived(g), {"any": [3], "file": [3], "store": [3]})
        # room again: nobody asks, and what waited goes on without that person
        disk.make_room()
        self.assertTrue(everywhere(g, [3, 5, 7]), arrived(g))
        g.kill()
        g.start()
        g.post("/v1/events", [numbered(8, "late"), numbered(9)])
        wait_until("the other one", lambda: all(9 in got for got in arrived(g).values()))
        for got in arrived(g).values():  # a kill may bring some twice
            self.assertEqual(set(got), {3, 5, 7, 9})
        receipt = opt_out(g, session_id="late")  # the next try gives the receipt
        self.assertTrue(receipt.startswith("lo1-"))

    def test_the_other_site_goes_on(self):
        disk = SmallDisk(self, second=True)
        g = disk.g

        def second():
            lines = []
            for name in os.listdir(g.home):
                if name.startswith("second."):
                    with open(os.path.join(g.home, name)) as f:
                        lines += [json.loads(line) for line in f]
            return numbers(lines)
        disk.fill()
        self.assertEqual(use_up(g, "/s/mixbot/v1/optout").status, 503)
        wait_until("it to be told", lambda: b"not on disk" in g.log)
        for n in (1, 2, 3):
            for site in ("mixbot", "second"):
                self.assertEqual(g.post("/s/%s/v1/events" % site, numbered(n)).status, 200)
        wait_until("the second site's", lambda: second() == [1, 2, 3])
        self.assertEqual(arrived(g), {"any": [], "file": [], "store": []})
        held = {(d["site"], d["state"]) for d in g.status()["destinations"]}
        self.assertEqual({s for s in held if s[1] == "held"}, {("mixbot", "held")}, held)
        disk.make_room()
        self.assertTrue(everywhere(g, [1, 2, 3]), arrived(g))


if __name__ == "__main__":
    main()
