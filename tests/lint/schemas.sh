#!/bin/sh
# The JSON Schemas in docs/ agree with the cases that the loaders are tested by.
set -eu
python=python3
# The first python3 of the path may not be Debian's, which has the package.
"$python" -c 'import jsonschema' 2>/dev/null || python=/usr/bin/python3
exec "$python" "$(dirname "$0")/schemas.py"
