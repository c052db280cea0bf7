#!/bin/sh
# clang-tidy with the checks of .clang-tidy. "tidy.sh all" looks at all of
# policy/ and gateway/ (minutes); "tidy.sh REV" at the files changed since REV;
# alone, at those of the last commit and what is not committed yet. Without a
# history to compare with (a tarball, a shallow clone) it looks at all.
set -eu
here=$(dirname "$0")
: "${CLANG_TIDY:=clang-tidy-14}"
since=${1:-HEAD~1}
if [ "$since" = all ] || ! git rev-parse -q --verify "$since^{commit}" >/dev/null 2>&1; then
    files=$("$here"/list.sh policy gateway | grep '\.c$')
else
    files=$(git diff --name-only --diff-filter=d "$since" -- 'policy/*.c' 'gateway/*.c')
fi
[ -n "$files" ] || exit 0
# Its count of warnings in system headers goes to stderr; findings do not.
# shellcheck disable=SC2016 # the inner shell expands it
echo "$files" | xargs -P 2 -n 4 sh -c '
    tool=$1
    shift
    "$tool" --quiet "$@" -- -std=c17 -D_GNU_SOURCE -Iinclude 2>/dev/null
' sh "$CLANG_TIDY"
