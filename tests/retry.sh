#!/bin/sh
# retry.sh COMMAND [WORD...] - run it; when it fails, again after 5, 20 and
# 60 seconds: a network that is down for a moment is no reason to fail.
# RETRY_WAITS sets other waits. Exits as the last try did.
set -eu
for wait_s in ${RETRY_WAITS-5 20 60}; do
    "$@" && exit 0
    echo "retry: failed; again in $wait_s s: $1" >&2
    sleep "$wait_s"
done
exec "$@"
