#!/bin/sh
# cover.sh BUILD - what the tests that ran in BUILD (made with --coverage)
# reached: a line a source file, worst first, then a line a part. Exits 1 if a
# part that must be covered has fewer than 90 % of its lines.
set -eu
build=$1
parts="policy gateway/audit gateway/store gateway/rights gateway/keys"

# gcov -n prints, per file: File 'x', Lines executed:P% of N, and branches.
find "$build/obj/policy" "$build/obj/gateway" -name '*.o' |
    sed 's/\.o$/.c/' | xargs gcov -n -b 2>/dev/null |
    awk -v parts="$parts" '
        /^File / { gsub(/.*File .|.$/, ""); file = $0; next }
        file !~ /^(policy|gateway)\/.*\.c$/ { next }
        /^Lines executed:/ {
            sub(/Lines executed:/, ""); sub(/%/, "")
            lines[file] = $3; hit[file] = $1 * $3 / 100
        }
        /^Taken at least once:/ {
            sub(/Taken at least once:/, ""); sub(/%/, "")
            branches[file] = $3; taken[file] = $1 * $3 / 100
        }
        function percent(a, b) { return b > 0 ? 100 * a / b : 100 }
        END {
            order = "sort -n"
            for (f in lines)
                printf "%5.1f %% lines  %5.1f %% branches  %s\n",
                    percent(hit[f], lines[f]),
                    percent(taken[f], branches[f]), f | order
            close(order)
            n = split(parts, part, " ")
            for (i = 1; i <= n; i++) {
                a = b = c = d = 0
                for (f in lines)
                    if (index(f, part[i] "/") == 1) {
                        a += hit[f]; b += lines[f]
                        c += taken[f]; d += branches[f]
                    }
                low = b == 0 || percent(a, b) < 90
                bad = bad || low
                printf "%s: %.1f %% of lines, %.1f %% of branches%s\n",
                    part[i], percent(a, b), percent(c, d),
                    low ? "  SHORT" : ""
            }
            exit bad
        }'
