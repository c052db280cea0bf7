#!/bin/sh
# Files that a generator of ours made are what it makes today.
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
python3 -B tests/data/audit/gen.py "$out"
diff -r -x '*.py' "$out" tests/data/audit
