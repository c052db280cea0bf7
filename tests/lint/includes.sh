#!/bin/sh
# Who may include whom: policy/base <- policy <- gateway, one door a library,
# raw data (hit.h) only where it is decided on.
set -eu
here=$(dirname "$0")
bad=0

# includes FILE: what it names between < > or " ".
includes()
{
    sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]\([^">]*\)[">].*/\1/p' "$1"
}

# $1 file, $2 include, $3 why not
complain()
{
    echo "$1: includes $2: $3" >&2
    bad=1
}

# The part of the tree a file belongs to, headers with their sources.
place()
{
    echo "${1#include/lethe/}"
}

direction()
{
    case $(place "$1") in
    policy/base/*)
        case $2 in
        lethe/policy/base/*) ;;
        lethe/*) complain "$1" "$2" "policy/base stands alone" ;;
        esac ;;
    policy/* | audit_codes.h)
        case $2 in
        lethe/policy/* | lethe/audit_codes.h) ;;
        lethe/*) complain "$1" "$2" "policy knows no gateway" ;;
        sys/socket.h | sys/stat.h | netdb.h | fcntl.h | unistd.h | dirent.h)
            complain "$1" "$2" "policy is pure: no files, no sockets" ;;
        esac ;;
    esac
}

doors()
{
    while IFS='	' read -r header allowed; do
        case $header in '' | '#'*) continue ;; esac
        if printf '%s\n' "$2" | grep -Eq "^($header)\$" &&
            ! place "$1" | grep -Eq "^($allowed)\$"; then
            complain "$1" "$2" "its door is elsewhere (tests/lint/doors.txt)"
        fi
    done <"$here/doors.txt"
}

for file in $("$here"/list.sh policy gateway include); do
    for name in $(includes "$file"); do
        direction "$file" "$name"
        doors "$file" "$name"
    done
done

# Raw data may not come in through another header, either.
for file in $("$here"/list.sh gateway | grep '\.c$' |
    grep -v '^gateway/intake\.c$'); do
    deps=$("${CC:-cc}" -std=c17 -D_GNU_SOURCE -Iinclude -MM -MG "$file")
    case $deps in
    *lethe/policy/hit.h*) complain "$file" "lethe/policy/hit.h" \
        "raw data, through another header" ;;
    esac
done
exit $bad
