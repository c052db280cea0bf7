#!/usr/bin/env python3
"""docs.py - the documents say what is so, as far as a script can tell: links
and anchors exist; commands, options, config keys, paths, error names, metrics
and codes stand in the documents as in the code, and the other way round; the
words of law 12 are kept. Run in the repository's root; `docs.py links FOLDER`
looks at the links of another copy alone."""
import glob
import os
import re
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)

# Said by the rule itself, or in a document's own words about other's.
WORDS = [
    (re.compile(r"(?<!SP-)anonym", re.I), 'say "pseudonymised"'),
    (re.compile(r"\bforgotten\b", re.I), 'say "opted out"'),
    (re.compile(r"\b(?:gdpr|cnil|law)[- ]compliant\b|\bcompliant with\b", re.I),
     "state facts, not compliance"),
]

problems = []


def complain(where, what):
    problems.append("%s: %s" % (where, what))


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def code(*patterns):
    paths = [p for pattern in patterns for p in sorted(glob.glob(pattern, recursive=True))]
    if not paths:
        complain(patterns[0], "no such source: docs.py looks in the wrong place")
    return "\n".join(read(p) for p in paths)


def differ(where, what, documented, real):
    """Both ways: what is not written down, and what is not there."""
    if not real:
        complain(where, "docs.py found no %s in the code" % what)
    for name in sorted(real - documented):
        complain(where, "%s %s is not documented" % (what, name))
    for name in sorted(documented - real):
        complain(where, "%s %s does not exist" % (what, name))


# ---- links -------------------------------------------------------------------

def documents(root):
    found = [os.path.join(root, n) for n in ("README.md", "SECURITY.md")]
    return found + sorted(glob.glob(os.path.join(root, "docs", "**", "*.md"), recursive=True))


def anchors(path):
    """As the usual renderers make them of headings."""
    found = {}
    for line in FENCE.sub("", read(path)).splitlines():
        heading = re.match(r"#{1,6}\s+(.*)", line)
        if heading is None:
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).lower()
        slug = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        count = found.get(slug, 0)
        found[slug] = count + 1
        if count > 0:
            found["%s-%d" % (slug, count)] = 1
    return set(found)


def check_links(root):
    for path in documents(root):
        for target in LINK.findall(FENCE.sub("", read(path))):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(there):
                complain(path, "the link to %s leads nowhere" % target)
            elif anchor and there.endswith(".md") and anchor not in anchors(there):
                complain(path, "there is no heading for %s" % target)


# ---- tables of the documents -------------------------------------------------

def section(path, title):
    """The text under a heading, up to the next of its level or above."""
    text = read(path)
    start = re.search(r"^(#+) %s\s*$" % re.escape(title), text, re.M)
    if start is None:
        complain(path, 'there is no section "%s"' % title)
        return ""
    rest = text[start.end():]
    end = re.search(r"^#{1,%d} " % len(start.group(1)), rest, re.M)
    return rest[:end.start()] if end else rest


def first_column(text):
    """Names in backquotes in the first cell of each row."""
    names = set()
    for row in re.findall(r"^\|([^|]*)\|", text, re.M):
        names.update(re.findall(r"`([^`]+)`", row))
    return names


# ---- commands and options ----------------------------------------------------

def check_commands():
    main = code("gateway/main.c")
    table = main[main.index("cmd_table[]"):]
    real = set(re.findall(r'^    \{"([a-z -]+)", "', table, re.M))
    page = "docs/man/lethe.8"
    text = read(page)
    shown = set(re.findall(r"^\.It Ic ((?:[a-z-]+ ?){1,2}?)(?= Ar| Op| Fl|$)", text, re.M))
    differ(page, "command", shown, real)
    options = set(re.findall(r'\{"(--[a-z][a-z-]*)"', main)) | {
        "--config", "--token-file", "--json", "--help"}
    differ(page, "option", {"-" + o for o in re.findall(r"Fl (-[a-z][a-z-]*)", text)}, options)
    for path in documents("."):
        for words in re.findall(r"\blethe ((?:[a-z]+)(?: [a-z][a-z-]+)?)", inline_code(path)):
            known = words in real or words.split(" ")[0] in {r for r in real if " " not in r}
            if not known and not any(r.startswith(words + " ") for r in real):
                complain(path, "there is no command `lethe %s`" % words)


def inline_code(path):
    """What stands in backquotes and fences."""
    text = read(path)
    return "\n".join(re.findall(r"`([^`\n]+)`", FENCE.sub("", text)) + FENCE.findall(text))


# ---- config and policy -------------------------------------------------------

def check_config():
    real = set(re.findall(r'\.name = "([a-z_]+)"', code("gateway/conf_top.c", "gateway/conf_site.c")))
    rows, shown = set(), set()
    for name in first_column(read("docs/config.md")):
        rows.update(re.findall(r"^(?:[a-z_]+\.)?([a-z_]+)$", name))
    for line in inline_code("docs/config.md").splitlines():
        shown.update(re.findall(r'"([a-z_]+)":', line))
    differ("docs/config.md", "key", rows | (shown & real), real)
    page = read("docs/man/lethe.json.5")
    told = set()
    for line in re.findall(r"^(?:\.It )?\.?Ic (.*)$", page.replace(".It Ic", ".It .Ic"), re.M):
        told.update(re.findall(r"[a-z_]+", line))
    for name in sorted(real - told):
        complain("docs/man/lethe.json.5", "key %s is not documented" % name)
    for name in sorted(told - real - {"lethe", "reload", "dir"}):
        complain("docs/man/lethe.json.5", "key %s does not exist" % name)


def schema_keys(value, found):
    if isinstance(value, dict):
        found.update(value.get("properties", {}))
        for inner in value.values():
            schema_keys(inner, found)
    elif isinstance(value, list):
        for inner in value:
            schema_keys(inner, found)
    return found


def check_schemas():
    import json
    real = set(re.findall(r'\.name = "([a-z_]+)"', code("gateway/conf_top.c", "gateway/conf_site.c")))
    with open("docs/config.schema.json", encoding="utf-8") as f:
        shown = schema_keys(json.load(f), set())
    differ("docs/config.schema.json", "key", shown - {"file", "credential"}, real)
    with open("docs/policy.schema.json", encoding="utf-8") as f:
        policy = schema_keys(json.load(f), set())
    page = set(re.findall(r"[a-z_]+", " ".join(
        re.findall(r"^\.(?:It )?Ic (.*)$", read("docs/man/lethe-policy.5"), re.M))))
    differ("docs/man/lethe-policy.5", "key", page - {"lethe", "check", "show", "words"}, policy)
    told = set(re.findall(r"[a-z_]+", inline_code("docs/policy-language.md")))
    for name in sorted(policy - told):
        complain("docs/policy-language.md", "key %s is not documented" % name)


# ---- the listener ------------------------------------------------------------

def check_listener():
    operations = "docs/operations.md"
    sources = code("policy/dialect/*.c", "gateway/front.c")
    real = {p.rstrip("/") for p in re.findall(r'SLICE_INIT\("(/[^"]*)"\)', sources)}
    table = section(operations, "What the listener takes").split("\n### ")[0]
    differ(operations, "path", {n.split(" ")[-1] for n in first_column(table)} - {"GET"}, real)
    answers = dict(re.findall(r'\{(\d+), SLICE_INIT\("[^"]*"\),\s*ERROR\("([a-z_]+)"',
                              code("gateway/http/answer.c")))
    rows = re.findall(r"^\| (\d{3}) \| `([a-z_]+)`", section(operations, "Errors"), re.M)
    # The table of answers has some that nothing gives yet, and 409 comes with
    # a command's own words.
    servers = [p for p in glob.glob("gateway/http/*.c") if not p.endswith("/answer.c")]
    sent = set(re.findall(r"\b([45]\d\d)\b", code(*servers, "gateway/front*.c", "gateway/admin.c",
                                                        "gateway/audit_desk.c")))
    differ(operations, "answer", {" ".join(r) for r in rows},
           {"%s %s" % (a, answers[a]) for a in answers if a in sent - {"409"}})


# ---- make --------------------------------------------------------------------

def check_make():
    makefile = read("Makefile")
    real = set()
    for line in re.findall(r"^([a-z][a-z -]*):(?!=)", makefile, re.M):
        real.update(line.split())
    for line in re.findall(r"^\.PHONY:((?:.*\\\n)*.*)", makefile, re.M):
        real.update(re.findall(r"[a-z][a-z0-9-]+", line))
    for path in documents("."):
        indented = re.findall(r"^    (make .*)", read(path), re.M)
        for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", inline_code(path) + "\n".join(indented)):
            if target not in real:
                complain(path, "there is no `make %s`" % target)


# ---- metrics and codes -------------------------------------------------------

def check_metrics():
    source = code("gateway/metrics.c", "gateway/admin.c")
    real = set(re.findall(r'"(lethe_[a-z_]+)[{"]', source))
    shown = set()
    for path in documents("."):
        for name in re.findall(r"\blethe_[a-z_]+", inline_code(path)):
            if name in ("lethe_optout", "lethe_track", "lethe_position", "lethe_test"):
                continue
            shown.add(name)
            if name not in real:
                complain(path, "there is no metric %s" % name)
    differ("docs/operations.md", "metric",
           {n for n in first_column(section("docs/operations.md", "Metrics"))
            if n.startswith("lethe_")}, real)


def x_macro(text, name):
    start = text.index("#define " + name + "(X)")
    return text[start:text.index("\n\n", start)]


def check_codes():
    log = read("include/lethe/gateway/audit/log.h")
    real = set(re.findall(r'"([a-z.]+)"', x_macro(log, "AUDIT_RECORD_ACTS")))
    differ("docs/audit.md", "record act",
           first_column(section("docs/audit.md", "Record acts")), real)
    table = read("include/lethe/audit_codes.h")
    outcomes = set(re.findall(r'\[OUTCOME_[A-Z]+\] = "([a-z]+)"', code("gateway/metrics.c")))
    differ("docs/operations.md", "outcome",
           first_column(section("docs/operations.md", "Outcomes")), outcomes)
    for macro, title in (("AUDIT_ACTS", "Row acts"), ("AUDIT_REASONS", "Reasons"),
                         ("AUDIT_REFUSALS", "Refusals"), ("AUDIT_SOURCES", "Sources"),
                         ("AUDIT_CLASSES", "Field classes")):
        wanted = set(re.findall(r'X\((\d+), [A-Z_0-9]+, "([a-z0-9-]+)"\)', x_macro(table, macro)))
        rows = set(re.findall(r"^\| (\d+) \| ([a-z0-9-]+) ", section("docs/audit.md", title), re.M))
        differ("docs/audit.md", title.lower(), {" ".join(r) for r in rows},
               {" ".join(w) for w in wanted})
    heard = {"%d %s" % (1 << int(n), text) for n, text in re.findall(
        r'X\((\d+), [A-Z]+, "([a-z-]+)"\)',
        x_macro(read("include/lethe/policy/consent.h"), "CONSENT_HEARD"))}
    rows = set(re.findall(r"^\| (\d+) \| `([a-z-]+)`", section("docs/audit.md", "What was heard"), re.M))
    differ("docs/audit.md", "what was heard", {" ".join(r) for r in rows}, heard)
    reasons = {m[1] for m in re.findall(r'X\((\d+), [A-Z_]+, "([a-z-]+)"\)',
                                        x_macro(table, "AUDIT_REASONS"))} - {"none"}
    differ("docs/officer.md", "reason",
           first_column(section("docs/officer.md", "The reasons")), reasons)


# ---- words -------------------------------------------------------------------

def check_words():
    texts = documents(".") + glob.glob("docs/man/*") + ["docs/config.schema.json",
                                                       "docs/policy.schema.json"]
    texts += glob.glob("policy/profiles/*.json") + glob.glob("docs/examples/**/*.*", recursive=True)
    for path in texts:
        for number, line in enumerate(read(path).splitlines(), 1):
            for pattern, say in WORDS:
                if pattern.search(line):
                    complain("%s:%d" % (path, number), say)
    for path in sorted(glob.glob("gateway/**/*.c", recursive=True) +
                       glob.glob("policy/**/*.c", recursive=True)):
        for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', read(path)):
            for pattern, say in WORDS:
                if pattern.search(text) and " " in text:
                    complain(path, "%s, not in: %s" % (say, text))


def main():
    if sys.argv[1:2] == ["links"]:
        check_links(sys.argv[2])
    else:
        check_links(".")
        for check in (check_commands, check_config, check_schemas, check_listener,
                      check_make, check_metrics, check_codes, check_words):
            check()
    for line in problems:
        print("docs: " + line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
