#!/usr/bin/env python3
"""rights.py check|print|write - tests/requirements.tsv, the table of R1 to R75.

A row: R, state (met, open, n/a), what is asked, files where it is met, tests,
a remark. A test is FILE::NAME of tests/unit or tests/scenario, where '*' stands
for anything, policy/CASE of tests/policy, or a fuzz target. `check` holds the
table against the tests in both ways: each test of the table exists and carries
its number, in its name or in its file's first words, and each test that carries
a number stands in that number's row. docs/requirements.md is what `write` makes
of it. Run in the repository's root."""
import fnmatch
import glob
import os
import re
import sys

TABLE, PAGE = "tests/requirements.tsv", "docs/requirements.md"
STATES = ("met", "open", "n/a")
LAST = 75
HEAD = """# Requirements and their tests

Which test shows which of the regulators' requirements R1 to R75, and what is open. Made from
`tests/requirements.tsv`, which `make lint` holds against the tests in both ways; `make rights` prints it.
A test is a file of `tests/unit` or `tests/scenario` (these start the real binary) and a name in it, `*` for
anything; `policy/` are cases of `tests/policy`; `fuzz_` targets are `tests/fuzz`.

| R | state | asked | where | shown by |
|---|---|---|---|---|
"""

problems = []


def complain(where, what):
    problems.append("%s: %s" % (where, what))


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def table():
    rows = []
    for number, line in enumerate(read(TABLE).splitlines(), 1):
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != 6:
            complain("%s:%d" % (TABLE, number), "has %d cells, not 6" % len(cells))
            continue
        rows.append(cells)
    return rows


def numbers_of(name):
    return {int(n) for n in re.findall(r"(?:^|_)[rR](\d+)(?=_|$)", name)}


def all_tests():
    """{FILE::NAME: the numbers that it carries}, and the numbers in the first
    words of each file."""
    tests, heads = {}, {}
    for pattern, name in (("tests/unit/test_*.c", r"^static void (\w+)\(void \*\*"),
                          ("tests/scenario/test_*.py", r"^    def (test_\w+)\(")):
        for path in sorted(glob.glob(pattern)):
            text = read(path)
            stem = os.path.splitext(os.path.basename(path))[0]
            first = text.split("*/" if path.endswith(".c") else '"""\n')[0]
            heads[stem] = {int(n) for n in re.findall(r"\bR(\d+)\b", first)}
            for found in re.findall(name, text, re.M):
                tests["%s::%s" % (stem, found)] = numbers_of(found)
    for case in sorted(os.listdir("tests/policy")):
        tests["policy/" + case] = {int(n) for n in re.findall(r"^r(\d+)-", case)}
    for path in glob.glob("tests/fuzz/fuzz_*.c"):
        tests[os.path.splitext(os.path.basename(path))[0]] = set()
    return tests, heads


def check_row(row, tests, heads):
    """The tests that the row names."""
    r, state, what, where, named, remark = row
    number, shown = int(r[1:]), set()
    if state not in STATES:
        complain(r, "%s is no state" % state)
    if not what:
        complain(r, "does not say what is asked")
    if state == "met" and not (named and where):
        complain(r, "is met, but not where and by which test")
    if state != "met" and not remark:
        complain(r, "does not say why it is " + state)
    for path in where.split():
        if not os.path.exists(path):
            complain(r, "%s is not there" % path)
    for pattern in named.split():
        found = fnmatch.filter(tests, pattern)
        if not found:
            complain(r, "there is no test " + pattern)
        for name in found:
            known = tests[name] | heads.get(name.split("::")[0], set())
            if number not in known and not name.startswith("fuzz_"):
                complain(r, "%s does not carry this number" % name)
        shown.update(found)
    return shown


def check():
    rows, (tests, heads) = table(), all_tests()
    if [row[0] for row in rows] != ["R%d" % n for n in range(1, LAST + 1)]:
        complain(TABLE, "is not R1 to R%d, each once and in order" % LAST)
    shown = {int(row[0][1:]): check_row(row, tests, heads) for row in rows}
    for name in sorted(tests):
        for number in sorted(tests[name]):
            if number <= LAST and name not in shown.get(number, ()):
                complain(name, "is not in the row of R%d" % number)
    if read(PAGE) != page():
        complain(PAGE, "is not what rights.py write makes")


def page():
    lines = []
    for r, state, what, where, named, remark in table():
        shown = ", ".join("`%s`" % t for t in named.split())
        files = ", ".join("`%s`" % w for w in where.split())
        if remark:
            shown += (". " if shown else "") + remark
        lines.append("| %s | %s | %s | %s | %s |" % (r, state, what, files, shown))
    return HEAD + "\n".join(lines) + "\n"


def show():
    counts = dict.fromkeys(STATES, 0)
    for r, state, what, _, named, remark in table():
        counts[state] += 1
        told = named if state == "met" else remark
        print(" ".join(["%-3s %-4s" % (r, state), told]))
    print("%d met, %d open, %d not applicable" % tuple(counts[s] for s in STATES))


def main():
    verb = sys.argv[1] if len(sys.argv) == 2 else ""
    if verb == "print":
        show()
    elif verb == "write":
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(page())
    elif verb == "check":
        check()
    else:
        print(__doc__, file=sys.stderr)
        return 3
    for line in problems:
        print("rights: " + line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
