#!/bin/sh
# Who may include whom: policy/base <- policy <- gateway, one door a library,
# raw data (hit.h) only where it is decided on.
set -eu
here=$(dirname "$0")
bad=0

# One pass over all include lines: "file:name" against the directions and the
# table of doors.
"$here"/list.sh policy gateway include |
    xargs grep -HE '^[[:space:]]*#[[:space:]]*include' /dev/null |
    sed 's/:[^"<]*["<]/ /; s/[">].*//' |
    awk -v doors="$here/doors.txt" '
    function complain(why) {
        print $1 ": includes " $2 ": " why
        bad = 1
    }
    BEGIN {
        FS = "\t"
        while ((getline line < doors) > 0) {
            if (line ~ /^#/ || split(line, part, "\t") != 2)
                continue
            header[++count] = "^(" part[1] ")$"
            allowed[count] = "^(" part[2] ")$"
        }
        FS = " "
    }
    {
        place = $1
        sub(/^include\/lethe\//, "", place)
        ours = $2 ~ /^lethe\//
        if (place ~ /^policy\/base\// && ours && $2 !~ /^lethe\/policy\/base\//)
            complain("policy/base stands alone")
        else if (place ~ /^(policy\/|audit_codes\.h$)/ && ours &&
                 $2 !~ /^lethe\/(policy\/|audit_codes\.h$)/)
            complain("policy knows no gateway")
        if (place ~ /^policy\// && place !~ /^policy\/base\// &&
            $2 ~ /^(sys\/socket|sys\/stat|netdb|fcntl|unistd|dirent)\.h$/)
            complain("policy is pure: no files, no sockets")
        for (i = 1; i <= count; i++)
            if ($2 ~ header[i] && place !~ allowed[i])
                complain("its door is elsewhere (tests/lint/doors.txt)")
    }
    END { exit bad }' >&2 || bad=1

# Raw data may not come in through another header, either.
for file in $("$here"/list.sh gateway | grep '\.c$' |
    grep -Ev '^gateway/(intake|cmd/sample)\.c$'); do
    deps=$("${CC:-cc}" -std=c17 -D_GNU_SOURCE -Iinclude -MM -MG "$file")
    case $deps in
    *lethe/policy/hit.h*)
        echo "$file: gets lethe/policy/hit.h through another header" >&2
        bad=1 ;;
    esac
done
exit $bad
