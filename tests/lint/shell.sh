#!/bin/sh
# shellcheck on every script of ours.
set -eu
find . -name '*.sh' -type f -not -path './build/*' -not -path '*/node_modules/*' \
    -print0 | xargs -0 -r shellcheck
