#!/usr/bin/env python3
"""docs/policy.schema.json against tests/policy: it takes what loads, and what
it refuses does not load. It cannot see everything (names that must exist,
ranges of durations, profiles), so some refusals pass it."""
import json
import os
import re
import sys

try:
    import jsonschema
except ImportError:
    print("policy_schema: python3-jsonschema is not installed", file=sys.stderr)
    sys.exit(2)

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.S)


def read(path):
    """JSON with comments; text in quotes is left alone."""
    text = open(path, encoding="utf-8").read()
    keep = lambda m: m.group(0) if m.group(0)[0] == '"' else " "
    return json.loads(TOKEN.sub(keep, text))


def main():
    check = jsonschema.Draft202012Validator(read("docs/policy.schema.json"))
    wrong = 0
    refused = 0
    if not check.is_valid(read("policy/profiles/mixbot.json")):
        print("policy_schema: refuses policy/profiles/mixbot.json")
        wrong += 1
    for case in sorted(os.listdir("tests/policy")):
        folder = os.path.join("tests/policy", case)
        loads = os.path.exists(os.path.join(folder, "expected"))
        try:
            taken = check.is_valid(read(os.path.join(folder, "policy.json")))
        except ValueError:
            taken = False
        refused += not taken
        if loads and not taken:
            print("policy_schema: refuses " + case + ", which loads")
            wrong += 1
    if refused < 60:
        print("policy_schema: refuses only %d cases" % refused)
        wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
