#!/bin/sh
# The documents say what is so, as far as a script can tell.
exec python3 "$(dirname "$0")/docs.py"
