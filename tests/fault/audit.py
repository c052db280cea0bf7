#!/usr/bin/env python3
"""audit.py BUILD [PART...] - attack the audit log, in parts that can be run
alone, and say what came out: a line a part, at the end once more, exit code 1
if one misses its bar or has none."""

import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = os.environ.get("ROUNDS", "500")
# name: (command, figure it prints, its bar)
PARTS = {
    "tamper": ([sys.executable, os.path.join(HERE, "tamper.py"), "{build}"],
               r"^tamper (\d+) found (\d+)$",
               lambda changes, found: changes == found == 900),
    "speed": ([sys.executable, os.path.join(HERE, "verify_speed.py"), "{build}"],
              r"^verify_rows_s (\d+)$", lambda rate: rate >= 1000000),
    "go": ([sys.executable, os.path.join(HERE, "go_check.py"), "{build}"],
           r"^go_checker ok$", lambda: True),
    "crash": ([sys.executable, os.path.join(HERE, "crash_audit.py"), "{build}", ROUNDS],
              r"^crash (\d+) false_alarms (\d+)$",
              lambda rounds, alarms: rounds == int(ROUNDS) and alarms == 0),
    "search": (["{build}/fault/search_bench"], r"^audit_search_s ([0-9.]+)$",
               lambda seconds: seconds <= 2),
}


def run(name, build):
    """(what it said of itself, whether that is good enough)"""
    command, pattern, bar = PARTS[name]
    started = time.monotonic()
    process = subprocess.Popen([word.format(build=build) for word in command],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said, good = "%s: no figure" % name, False
    for line in process.stdout:
        print(line, end="", flush=True)
        m = re.match(pattern, line.rstrip())
        if m:
            said, good = m.group(0), bar(*(float(g) for g in m.groups()))
    code = process.wait()
    print("-- %s: exit %d, %.0f s" % (name, code, time.monotonic() - started), flush=True)
    return said, good and code == 0


def main():
    build = os.path.abspath(sys.argv[1])
    results = [run(name, build) for name in sys.argv[2:] or PARTS]
    for said, good in results:
        print(said + ("" if good else "   <- missed"))
    sys.exit(0 if all(good for _, good in results) else 1)


main()
