#!/bin/sh
# Print the C files that the house rules speak of, one a line, relative to the
# current folder. Arguments: which trees (default: all of them).
set -eu
[ $# -gt 0 ] || set -- policy gateway include tests
for tree in "$@"; do
    [ -d "$tree" ] || continue
    # what npm brings is not ours
    find "$tree" -name node_modules -prune -o -name '*.[ch]' -type f -print
done | LC_ALL=C sort
