#!/bin/sh
# run.sh SECONDS [NAME] - every fuzz target (or one) for so many seconds,
# starting from its corpus. What it finds new stays in build/fuzz/found/NAME;
# a crash is build/fuzz/crash-NAME-*, and belongs into tests/fuzz/corpus/NAME
# (`make test` replays it) together with a unit test. Run from the
# repository's root.
set -eu
seconds=$1
only=${2:-}
bad=0
count=0

for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    if [ -n "$only" ] && [ "$only" != "$name" ]; then continue; fi
    count=$((count + 1))
    found=build/fuzz/found/$name
    log=build/fuzz/$name.log
    words=""
    if [ -f "tests/fuzz/$name.dict" ]; then words=-dict=tests/fuzz/$name.dict; fi
    mkdir -p "$found"
    # shellcheck disable=SC2086 # no argument, or one
    if build/fuzz/fuzz_"$name" -max_total_time="$seconds" -timeout=20 \
        -rss_limit_mb=4096 -print_final_stats=1 $words \
        -artifact_prefix="build/fuzz/crash-$name-" \
        "$found" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        echo "ok   $name $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
    else
        echo "FAIL $name"
        tail -n 40 "$log"
        bad=$((bad + 1))
    fi
done
if [ "$count" -eq 0 ]; then
    echo "no fuzz target is called $only" >&2
    exit 3
fi
echo "$((count - bad)) passed, $bad failed"
[ "$bad" -eq 0 ]
