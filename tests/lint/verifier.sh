#!/bin/sh
# The verifier stands alone: it includes nothing of the gateway but its own
# two headers, and stays small. `lines`: its lines of code, without blank ones
# and comments; the limit falls, it does not rise.
set -eu
limit=1490
folder=gateway/audit/verify
bad=0

[ -d "$folder" ] || exit 0
if grep -HE '^[[:space:]]*#[[:space:]]*include' "$folder"/*.[ch] |
    grep -Ev 'include "(parts\.h|lethe/gateway/audit/verify\.h)"|include <(dirent|glob|inttypes|openssl/sha|sodium|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|time)\.h>' >&2; then
    echo "$folder: includes more than libc, libsodium, SHA-256 and itself" >&2
    bad=1
fi
# shellcheck disable=SC2094 # only reads
lines=$(for file in "$folder"/*.[ch]; do
    "${CC:-cc}" -fpreprocessed -dD -E -P -w -x c "$file"
done | grep -vac '^[[:space:]]*$')
if [ "$lines" -gt "$limit" ]; then
    echo "$folder: $lines lines of code, at most $limit" >&2
    bad=1
fi
[ "${1:-}" != lines ] || echo "$lines"
exit $bad
