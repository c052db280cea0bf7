#!/bin/sh
# The table of requirements and the tests tell the same.
set -eu
exec python3 "$(dirname "$0")/rights.py" check
