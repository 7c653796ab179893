#!/usr/bin/env bash
# The restart drill: loads a running service with GETs while it crashes every actor in turn, ten a second, and
# three of the supervisors below the root (a fourth within a minute would rightly end the process). Prints what
# that cost clients and how fast each actor was back, by the service's own ledger, and fails when a bar is missed.
#
#   loadtest/restart.sh
#
#   BASE ADMIN   where the API and the operators' listener are    http://127.0.0.1:8000, http://127.0.0.1:8001
#   CONNECTIONS  clients at once                                  64
#   DURATION     seconds                                          30
#
# The service has to be started with CHAOS_ENABLED=true (and RATE_LIMITS=off), and an
# ADMIN_TOKEN is read from the environment. oha is installed when it is missing.
set -euo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
export BASE=${BASE:-http://127.0.0.1:8000} ADMIN=${ADMIN:-http://127.0.0.1:8001}
export CONNECTIONS=${CONNECTIONS:-64} DURATION=${DURATION:-30}
OHA_VERSION=1.16.0

command -v python3 >/dev/null 2>&1 || { echo "restart drill: python3 is needed" >&2; exit 1; }
command -v oha >/dev/null 2>&1 || {
    echo "installing oha $OHA_VERSION (some minutes, once)…"
    cargo install --locked --quiet oha --version "$OHA_VERSION"
}
exec python3 "$here/restart.py"
