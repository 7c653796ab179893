#!/usr/bin/env bash
# Hostile clients: how fast an article is read undisturbed; among connections that send nothing and others that send a
# byte a second of a head or of a body; with requests over HTTP/2 that are taken back as fast as they can be sent on
# top of that; and afterwards. Fails when any of the readers' requests is answered with anything but 200.
#
#   loadtest/hostile.sh
#
#   BASE         where the API is                                 http://127.0.0.1:8000
#   CONNECTIONS  readers                                          64
#   DURATION     seconds of each measurement                      10
#   IDLE SLOW    connections that send nothing; that are slow     2000, 200 (heads, and as many bodies)
#
# The hostile clients are on this machine as well and take their part of it. Their address has its share of connections
# like any other (HTTP_MAX_CONNECTIONS_PER_ADDRESS), which the readers have in common with them here.
set -euo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
export BASE=${BASE:-http://127.0.0.1:8000} CONNECTIONS=${CONNECTIONS:-64} DURATION=${DURATION:-10}
export IDLE=${IDLE:-2000} SLOW=${SLOW:-200}
OHA_VERSION=1.16.0

command -v python3 >/dev/null 2>&1 || { echo "hostile: python3 is needed" >&2; exit 1; }
command -v oha >/dev/null 2>&1 || {
    echo "installing oha $OHA_VERSION (some minutes, once)…"
    cargo install --locked --quiet oha --version "$OHA_VERSION"
}
ulimit -n "$(ulimit -Hn)"
exec python3 "$here/hostile.py"
