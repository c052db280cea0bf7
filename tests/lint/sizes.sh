#!/bin/sh
# Functions of at most 70 lines; sources under 500, headers under 300 lines.
# Tests may have longer files: each is one list of cases.
set -eu
here=$(dirname "$0")
bad=0

for file in $("$here"/list.sh policy gateway include); do
    case $file in *.h) most=299 ;; *) most=499 ;; esac
    lines=$(wc -l <"$file")
    if [ "$lines" -gt "$most" ]; then
        echo "$file: $lines lines, at most $most" >&2
        bad=1
    fi
done
for file in $("$here"/list.sh | grep '\.c$'); do
    # Bodies stand between braces in the first column (.clang-format).
    awk -v file="$file" '
        /^\{/ { from = NR }
        /^\}/ && from {
            if (NR - from - 1 > 70) {
                printf "%s:%d: %d lines in a function\n", file, from,
                    NR - from - 1
                long = 1
            }
            from = 0
        }
        END { exit long }' "$file" >&2 || bad=1
done
exit $bad
