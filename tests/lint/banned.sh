#!/bin/sh
# Calls that have no safe use here, and log names that are not enum names.
# Comments are taken out first.
set -eu
here=$(dirname "$0")
bad=0
calls='strcpy|stpcpy|strcat|strncat|sprintf|vsprintf|gets|atoi|atol|atoll|atof'
calls="$calls|strtok|system|popen|rand|srand|tmpnam|mktemp|cJSON_GetErrorPtr"

# The text without its comments. -w: cpp warns of macros it does not expand.
plain()
{
    "${CC:-cc}" -w -fpreprocessed -dD -E -P -x c "$1"
}

for file in $("$here"/list.sh); do
    if plain "$file" | grep -En "(^|[^A-Za-z0-9_])($calls)[[:space:]]*\\("; then
        echo "$file: a banned call" >&2
        bad=1
    fi
    # Only fixed tables of names may be logged: LOG_NAME("key", x_name(...));
    # key_fault_text() is such a table, too.
    [ "$file" = include/lethe/policy/base/log.h ] && continue
    if plain "$file" | tr '\n' ' ' | grep -o 'LOG_NAME *([^;]\{0,80\}' |
        grep -Ev 'LOG_NAME *\( *"[^"]*" *, *([a-z][a-z0-9_]*_name|key_fault_text) *\('; then
        echo "$file: LOG_NAME without a call of a *_name() function" >&2
        bad=1
    fi
done
exit $bad
