#!/usr/bin/env python3
"""person.py BUILD - a person opts out in a browser, and nothing of theirs leaves
any more by any way: three SDKs in one page in Chromium, /privacy on the same
site and on another, with and without JavaScript, what waits, a restart, and the
receipt checked offline. Prints a line a step; exit 1 at the first that fails."""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario"))
if __name__ == "__main__":
    os.environ["LETHE_BUILD"] = os.path.abspath(sys.argv[1])

from bench import Bench  # noqa: E402
from harness import wait_until  # noqa: E402
from optouts import numbers  # noqa: E402
from sdks import Driven  # noqa: E402

PICTURE = os.environ.get("LETHE_PICTURE", "")
steps = 0


def step(what, good, why=""):
    global steps
    steps += 1
    print("%-4s %s" % ("yes" if good else "no", what), flush=True)
    if not good:
        raise SystemExit("%s: %s" % (what, why))


def at(bench):
    """{destination: numbers of the events that it has}"""
    return {n: numbers(bench.arrived(n)) for n in ("any", "file", "store")}


def set_return(bench, address):
    """The app's page takes people back; the operator reloads."""
    g = bench.g
    g.conf["sites"][0]["optout_return"] = [address]
    with open(g.conf_path, "w") as f:
        json.dump(g.conf, f)
    code, out, err = g.run("reload")
    step("the operator names the app's page in optout_return and reloads", code == 0, out + err)


def before(bench, who):
    who.call("open")
    who.call("events", 1)
    wait_until("the first events", lambda: all(v == [1, 2, 3] for v in at(bench).values()))
    step("three SDKs in one page are heard: events 1, 2, 3 everywhere", True)
    bench.g.settled()
    bench.g.run("destination", "pause", "any")
    who.call("events", 4)
    wait_until("the second events", lambda: at(bench)["file"] == [1, 2, 3, 4, 5, 6])
    step("events 4, 5, 6 wait for a recipient that is paused", at(bench)["any"] == [1, 2, 3])


def opts_out(who):
    seen = who.call("privacy", PICTURE)
    step("/privacy says what state this browser is in", "not opted out" in seen["before"]
         and "This browser is opted out." in seen["after"], seen["after"])
    step("by keyboard alone; what happened is announced; it fits a phone",
         seen["focused"] == "status" and not seen["wide"], seen)
    step("no script runs there", seen["scripts"] == 0)
    ours = [c for c in seen["cookies"] if c["name"].startswith("lethe")]
    step("one cookie, without an identifier", [(c["name"], c["value"], c["sameSite"])
                                               for c in ours] == [("lethe_optout", "1", "Lax")], ours)
    step("Mixpanel's identifier was found in its cookie and opted out",
         seen["receipt"].startswith("lo1-"), seen["after"])
    back = who.call("comeBack")
    step("the link leads back to the app, whose page opts out what the SDKs know",
         back["heeded"] and "#" not in back["address"] and back["receipt"].startswith("lo1-"), back)
    return seen["receipt"], back["receipt"]


def nothing_more(bench, who):
    stands, volume = at(bench), bench.volume()
    g = bench.g
    who.call("events", 7)
    g.run("destination", "resume", "any")
    g.settled()
    g.restart()
    who.call("open")
    who.call("events", 10)
    # somebody else still counts, so the way is open
    told = bench.proxy.seen()
    g.post("/v1/events", {"session_id": "joe", "action": "File Uploaded",
                          "details": {"file_size": 99 * 1048576, "file_type": "audio/wav"}})
    wait_until("another's event", lambda: all(99 in v for v in at(bench).values()))
    bench.settle()
    now = at(bench)
    step("nothing of theirs leaves any more: not what waited, not what came, not after a restart",
         now == {n: stands[n] + [99] for n in stands}, now)
    step("though the SDKs went on sending", len(told) >= 12, len(told))
    now = bench.volume()
    step("nor to Mixpanel or Google", all(now[n] - volume[n] < 1500 for n in ("mp", "ga")), (volume, now))


def check_receipt(bench, receipt, identifier):
    """Years later: the paper, the identifier, a proof, the log's public key."""
    g = bench.g
    paper, proof = os.path.join(g.folder, "paper"), os.path.join(g.folder, "optout.tlog-proof")
    with open(paper, "w") as f:
        f.write(receipt + "\n" + identifier + "\n")
    code, out, err = g.run("audit", "prove", "--person", paper, "--out", proof)
    step("a proof of the opt-out can be had", code == 0, out + err)
    g.stop()
    code, out, err = g.run("audit", "check", proof, "--person", paper)
    step("and the receipt checks offline", code == 0, out + err)
    with open(paper, "w") as f:
        f.write(receipt + "\nsomebody-else\n")
    code, out, err = g.run("audit", "check", proof, "--person", paper)
    step("for nobody else", code == 1, out + err)


def other_ways(bench, who, url):
    seen = who.call("withoutScripts")
    step("without JavaScript, in German: out, and in again",
         "Erledigt" in seen["out"] and any(c["name"] == "lethe_optout" for c in seen["cookies"])
         and not any(c["name"] == "lethe_optout" for c in seen["left"]), seen)
    seen = who.call("foreign", url.replace("localhost", "127.0.0.1"))
    step("from another site's name: no button, but the way back to the app",
         seen["buttons"] == 0 and seen["links"] == 1 and "another site" in seen["text"], seen)


def main():
    with Bench() as bench:
        url = bench.proxy.url.replace("127.0.0.1", "localhost")
        who = Driven("person", url, {})
        try:
            set_return(bench, who.call("app"))
            before(bench, who)
            mixpanel = who.call("ids")["mixpanel"]
            other_ways(bench, who, url)
            receipt, _ = opts_out(who)
            nothing_more(bench, who)
            check_receipt(bench, receipt, mixpanel)
        finally:
            who.close()
    print("%d steps, all yes" % steps)


if __name__ == "__main__":
    main()
