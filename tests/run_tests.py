#!/usr/bin/env python3
"""run_tests.py BUILD [NAME...] - run every unit binary, the corpus of every
fuzz target and every scenario, two at a time, and end with the line
`N passed, N failed`. NAMEs narrow it down. Output of what fails is printed;
the rest lies in BUILD/test-logs/."""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIMIT_S = int(os.environ.get("LETHE_TEST_LIMIT", "600"))


def counts_of(text, code):
    """(passed, failed, skipped) as the program itself counted."""
    total = [0, 0, 0]
    for n in re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M):
        total[0] += int(n)
    for n in re.findall(r"^\[  FAILED  \] (?:\w+: )?(\d+) test", text, re.M):
        total[1] += int(n)
    for n in re.findall(r"^\[  SKIPPED \] (?:\w+: )?(\d+) test", text, re.M):
        total[2] += int(n)
    for m in re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", text, re.M):
        total = [a + int(b or 0) for a, b in zip(total, m)]
    if code != 0 and total[1] == 0:
        total[1] = 1  # it crashed, or could not start
    if code == 0 and total[0] == 0 and total[2] == 0:
        total[1] = 1  # it tested nothing
    return total


def run(job):
    name, command, env, logs = job
    start = time.monotonic()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=env, timeout=LIMIT_S, cwd=ROOT, stdin=subprocess.DEVNULL)
        text, code = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as e:
        text = (e.stdout or b"").decode(errors="replace") + "\ntimed out\n"
        code = 124
    with open(os.path.join(logs, name + ".log"), "w") as f:
        f.write(text)
    return name, code, text, counts_of(text, code), time.monotonic() - start


def corpora():
    """[(target, its corpus files)], one a source: a target without a corpus
    tests nothing, and run() counts that as a failure."""
    here = os.path.join(ROOT, "tests", "fuzz")
    names = [os.path.basename(p)[:-2] for p in glob.glob(os.path.join(here, "fuzz_*.c"))]
    return [(n, sorted(glob.glob(os.path.join(here, "corpus", n[len("fuzz_"):], "*"))))
            for n in sorted(names)]


def main():
    build = os.path.abspath(sys.argv[1])
    only = sys.argv[2:]
    logs = os.path.join(build, "test-logs")
    os.makedirs(logs, exist_ok=True)
    env = dict(os.environ, LETHE_BUILD=build)
    for name, made in (("LETHE_JSON_SUITE", "json-suite"), ("LETHE_TCF_VECTORS", "tcf-vectors")):
        path = os.path.join(ROOT, "tests", "npm", made)
        if os.path.exists(path):
            env[name] = os.environ.get(name, path)
    jobs = [(os.path.basename(p), [p], env, logs)
            for p in sorted(glob.glob(os.path.join(build, "unit", "test_*")))
            if os.access(p, os.X_OK) and "." not in os.path.basename(p)]
    jobs += [(name, [os.path.join(build, "replay", name)] + corpus, env, logs)
             for name, corpus in corpora()]
    jobs += [(os.path.basename(p)[:-3], [sys.executable, p], env, logs)
             for p in sorted(glob.glob(os.path.join(ROOT, "tests", "scenario", "test_*.py")))]
    if only:
        jobs = [j for j in jobs if any(o in j[0] for o in only)]
    passed = failed = skipped = 0
    bad = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, code, text, (p, f, s), seconds in pool.map(run, jobs):
            passed, failed, skipped = passed + p, failed + f, skipped + s
            print("%-4s %-28s %3d passed%s  %.1f s" % (
                "ok" if f == 0 else "FAIL", name, p,
                ", %d failed" % f if f else "", seconds), flush=True)
            if f:
                bad.append((name, text))
    for name, text in bad:
        print("\n---- %s ----\n%s" % (name, text[-6000:]))
    if skipped:
        print("%d skipped" % skipped)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
