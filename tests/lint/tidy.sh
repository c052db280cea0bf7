#!/bin/sh
# clang-tidy with the checks of .clang-tidy. "tidy.sh" looks at all of policy/
# and gateway/; "tidy.sh REV" only at the files changed since REV.
set -eu
here=$(dirname "$0")
: "${CLANG_TIDY:=clang-tidy-14}"
if [ $# -gt 0 ]; then
    files=$(git diff --name-only --diff-filter=d "$1" -- 'policy/*.c' 'gateway/*.c')
else
    files=$("$here"/list.sh policy gateway | grep '\.c$')
fi
[ -n "$files" ] || exit 0
# Its count of warnings in system headers goes to stderr; findings do not.
echo "$files" | xargs -P 2 -n 4 sh -c '
    tool=$1
    shift
    "$tool" --quiet "$@" -- -std=c17 -D_GNU_SOURCE -Iinclude 2>/dev/null
' sh "$CLANG_TIDY"
