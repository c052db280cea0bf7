#!/bin/sh
# Every script of ours passes shellcheck.
set -eu
find . -name '*.sh' -type f -not -path './build/*' -not -path '*/node_modules/*' \
    -print0 | xargs -0 -r shellcheck
