#!/usr/bin/env bash
# Jobs: how many a process does in a second with the effect in PostgreSQL, how many notifications that makes when an
# article has many followers, and how long a job waits from its commit to its start at half that load. Leaves jobs in
# the database as the statements of the domains do, and reads from it when they began and ended.
#
#   loadtest/jobs.sh            with DATABASE_URL, or `make run` in this folder: its private database is found
#
#   JOBS         jobs of the first measurement      5000
#   FOLLOWERS    followers of the article           20000
#   DURATION     seconds of the last measurement    10
set -euo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
command -v python3 >/dev/null 2>&1 || { echo "jobs: python3 is needed" >&2; exit 1; }
command -v psql >/dev/null 2>&1 || { echo "jobs: psql is needed" >&2; exit 1; }
if [ -z "${DATABASE_URL:-}" ]; then
    socket=$(sed -n '5p' "$here/../.callboard/postgres/postmaster.pid" 2>/dev/null || true)
    [ -n "$socket" ] || { echo "jobs: set DATABASE_URL, or start the service with \`make run\`" >&2; exit 1; }
    export DATABASE_URL="postgres://callboard@localhost/callboard?host=$socket"
fi
exec python3 "$here/jobs.py"
