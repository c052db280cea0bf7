#!/bin/sh
# Files that a generator of ours made are what it makes today.
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
python3 tests/data/audit/gen_rows.py "$out"
diff -r "$out" tests/data/audit/golden
