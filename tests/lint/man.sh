#!/bin/sh
# Manual pages are clean mdoc, and each page that one of them names is there.
set -eu
bad=0

for page in docs/man/*.[1-8]; do
    mandoc -Tlint -Wwarning "$page" >&2 || bad=1
    # ".Xr lethe 8" must be docs/man/lethe.8.
    sed -n 's/^\.Xr \([^ ]*\) \([1-8]\).*/docs\/man\/\1.\2/p' "$page" |
        sort -u | while read -r named; do
        if [ ! -e "$named" ]; then
            echo "$page: there is no $named" >&2
            exit 1
        fi
    done || bad=1
done
exit $bad
