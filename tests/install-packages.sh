#!/bin/sh
# install-packages.sh LEVEL - install what is missing for LEVEL on Debian:
#   build  what compiling and running need
#   test   also what the tests, lint and fuzzing need
#   bench  also nginx and wrk
#   audit  also Go and its library of trees and signed notes
#   clients  also what drives the SDKs: node, npm, python, a browser
# Prints the one line it runs; as root, or through sudo; with neither it only
# prints the line and exits 2.
set -eu

build="gcc make pkg-config libevent-dev libsodium-dev libcjson-dev
       libcurl4-openssl-dev libpsl-dev libsqlite3-dev zlib1g-dev libssl-dev"
tests="libcmocka-dev python3 faketime openssl curl clang-14 clang-format-14
       clang-tidy-14 libclang-rt-14-dev cppcheck shellcheck mandoc
       python3-jsonschema ca-certificates"
audit="golang-go golang-golang-x-mod-dev"
bench="nginx-light wrk python3"
clients="python3 chromium ca-certificates"
node=""

# A machine may have node and npm from elsewhere (Debian's npm conflicts with
# a newer nodejs, and the newer one is as good).
command -v node >/dev/null 2>&1 || node="$node nodejs"
command -v npm >/dev/null 2>&1 || node="$node npm"

case "${1:-build}" in
build) want="$build" ;;
test) want="$build $tests $node" ;;
bench) want="$build $bench" ;;
audit) want="$build $tests $audit $node" ;;
clients) want="$build $clients $node" ;;
*)
    echo "usage: install-packages.sh build|test|bench|audit|clients" >&2
    exit 3
    ;;
esac

missing=""
for package in $want; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    become=""
elif command -v sudo >/dev/null 2>&1; then
    become="sudo"
else
    echo "missing packages; as root, run: $line" >&2
    exit 2
fi
echo "+ ${become:+$become }$line"
# Inside sudo, which would drop the variable. What apt-get update finds wrong
# the installation says better.
exec "$(dirname "$0")/retry.sh" $become sh -c \
    "export DEBIAN_FRONTEND=noninteractive
     apt-get update -qq || true
     $line >/dev/null"
