#!/usr/bin/env python3
"""docs/config.schema.json against tests/conf and docs/policy.schema.json
against tests/policy: a schema takes every case that loads, and refuses most of
those that do not. It cannot see everything (names that must exist, ranges of
durations, keys said twice, profiles). -v names the cases that pass it."""
import json
import os
import re
import sys

try:
    import jsonschema
except ImportError:
    print("schemas: python3-jsonschema is not installed", file=sys.stderr)
    sys.exit(2)

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.S)


def read(path):
    """JSON with comments; text in quotes is left alone."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    return json.loads(TOKEN.sub(lambda m: m.group(0) if m.group(0)[0] == '"' else " ", text))


def check(schema, cases, name, samples, least_of_ten):
    """The number of complaints about `schema`, each one printed."""
    validator = jsonschema.Draft202012Validator(read(schema))
    validator.check_schema(validator.schema)
    wrong = []
    refused = refusable = 0
    for path in samples:
        if not validator.is_valid(read(path)):
            wrong.append("refuses " + path)
    for case in sorted(os.listdir(cases)):
        folder = os.path.join(cases, case)
        loads = os.path.exists(os.path.join(folder, "expected"))
        try:
            document = read(os.path.join(folder, name))
        except ValueError:
            continue  # no JSON at all is no question for a schema
        errors = list(validator.iter_errors(document))
        if loads and errors:
            wrong.append("refuses %s, which loads: %s" % (folder, errors[0].message[:200]))
        if not loads:
            refusable += 1
            refused += bool(errors)
            if not errors and "-v" in sys.argv:
                print("%s takes %s" % (schema, folder))
    if "-v" in sys.argv:
        print("%s refuses %d of %d" % (schema, refused, refusable))
    if refused * 10 < refusable * least_of_ten:
        wrong.append("refuses only %d of %d cases" % (refused, refusable))
    for text in wrong:
        print("%s: %s" % (schema, text))
    return len(wrong)


def main():
    wrong = check("docs/config.schema.json", "tests/conf", "lethe.json", [], 7)
    wrong += check("docs/policy.schema.json", "tests/policy", "policy.json",
                   ["policy/profiles/mixbot.json"], 5)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
