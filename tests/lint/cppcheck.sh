#!/bin/sh
# cppcheck, with the few findings we disagree with in cppcheck.txt.
set -eu
here=$(dirname "$0")
trees=
for tree in policy gateway; do
    [ -d "$tree" ] && trees="$trees $tree"
done
# shellcheck disable=SC2086 # a list of folders of ours
cppcheck --quiet --std=c11 --language=c -j 2 --error-exitcode=1 \
    --enable=warning,performance,portability --inline-suppr -Iinclude \
    -D_GNU_SOURCE --suppressions-list="$here/cppcheck.txt" $trees
