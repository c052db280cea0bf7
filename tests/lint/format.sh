#!/bin/sh
# Every C file is as clang-format 14 writes it ("make fmt" does).
set -eu
here=$(dirname "$0")
: "${CLANG_FORMAT:=clang-format-14}"
"$CLANG_FORMAT" --version | grep -q 'version 14\.' || {
    echo "format: clang-format 14 is needed (Debian: clang-format-14)" >&2
    exit 2
}
"$here"/list.sh | xargs "$CLANG_FORMAT" --dry-run --Werror
