#!/bin/sh
# Each header compiles alone, has a guard, and that guard is its own.
set -eu
here=$(dirname "$0")
bad=0
guards=$(mktemp)
trap 'rm -f "$guards"' EXIT

for file in $("$here"/list.sh | grep '\.h$'); do
    echo 'typedef int lint_unit;' | "${CC:-cc}" -std=c17 -D_GNU_SOURCE \
        -Iinclude -Wall -Wextra -Wpedantic -Werror -Wno-unused-function \
        -fsyntax-only -include "$file" -x c - || {
        echo "$file: does not compile alone" >&2
        bad=1
    }
    guard=$(sed -n 's/^#ifndef \([A-Z0-9_]*_H\)$/\1/p' "$file" | head -n 1)
    if [ -z "$guard" ] || grep -qx "$guard" "$guards"; then
        echo "$file: no guard of its own" >&2
        bad=1
    fi
    echo "$guard" >>"$guards"
done
exit $bad
