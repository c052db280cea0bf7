#!/bin/sh
# run.sh BUILD - start the gateway with the Mixbot policy in BUILD/run, after
# dropping to the user who called (make run does this; so can you).
set -eu

build=$1
cd "$(dirname "$0")/../../.."
here=$build/run

# Installing needed root; running does not.
if [ "$(id -u)" = 0 ] && [ -n "${SUDO_UID:-}" ] && [ "$SUDO_UID" != 0 ]; then
    chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$build"
    exec setpriv --reuid "$SUDO_UID" --regid "${SUDO_GID:-$SUDO_UID}" \
        --clear-groups "$0" "$build"
fi

[ -e "$here/lethe.json" ] || "$build/lethe" init "$here"

cat <<TEXT

  Lethe listens on http://127.0.0.1:8080 (events) and
  http://127.0.0.1:8081 (health, metrics). Everything lies under $here.
  In another terminal, one event without consent and one with:

  curl -d '{"timestamp":"$(date -u +%FT%TZ)","session_id":"sess_7f3a9c1e52","action":"File Uploaded","details":{"file_name":"My Secret Demo (feat. Jane Doe).wav","file_size":48211968,"file_type":"audio/wav","ip":"203.0.113.77"}}' http://127.0.0.1:8080/v1/events

  curl -d '{"timestamp":"$(date -u +%FT%TZ)","session_id":"sess_7f3a9c1e52","action":"File Uploaded","consent":{"product":true},"details":{"file_name":"My Secret Demo (feat. Jane Doe).wav","file_size":48211968,"file_type":"audio/wav","ip":"203.0.113.77"}}' http://127.0.0.1:8080/v1/events

  What became of them:
    the line   cat $here/user_analytics.*.jsonl
    the row    sqlite3 $here/events.db 'SELECT * FROM user_actions'
               (or: python3 -c "import sqlite3;print(*sqlite3.connect('$here/events.db').execute('SELECT * FROM user_actions'),sep='\n')")
    why        $build/lethe policy explain $here/policy/mixbot.json docs/examples/mixbot/events.jsonl
    the record $build/lethe audit search --rows --config $here/lethe.json
    all of it  $build/lethe status --config $here/lethe.json

  The whole story of a visit: docs/examples/mixbot/story.py [--consent]
  Opt out:  curl -d '{"session_id":"sess_7f3a9c1e52"}' -H 'Content-Type: application/json' http://127.0.0.1:8080/v1/optout
  Stop: Ctrl-C

TEXT
exec "$build/lethe" serve --config "$here/lethe.json"
