#!/usr/bin/env bash
# What a request costs: processor time of the service and of PostgreSQL, latencies, and throughput as a ratio to the
# floor that was measured in the same run. Builds, starts private servers and everything else, seeds, warms up,
# measures, and writes a table, a JSON file and an HTML page with plots to target/loadtest/.
#
#   loadtest/run.sh [scenario…]       all when none is named; `loadtest/run.sh --list` names them
#
#   CONNECTIONS  clients at once, one run for each           "1 8 64 512"
#   TELEMETRY    off, tenth (10 % sampled), full (100 %, exported to a receiver on this machine)   "off tenth full"
#   ROUNDS       of which the median is taken                3
#   SECONDS_EACH seconds of each measurement                 5
#   ARTICLES     that there are, of about 1 KB               1000
#   STREAMS      open at once in the scenario of that name   1000
#   PROFILE      with which the service is built             dist, which is what ships
#   BINARY       the service                                 built here
#
# oha is installed when it is missing.
set -euo pipefail

OHA_VERSION=1.16.0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

need() { command -v "$1" >/dev/null 2>&1 || { echo "loadtest: $1 is needed" >&2; exit 1; }; }
need python3
if [ "${1:-}" = --list ]; then
    PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 exec python3 -c 'from yardstick.scenarios import NAMES; print(*NAMES, sep="\n")'
fi
need psql
if ! command -v oha >/dev/null 2>&1; then
    echo "installing oha $OHA_VERSION (some minutes, once) …"
    cargo install --locked --quiet oha --version "$OHA_VERSION"
fi

target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
if [ -z "${BINARY:-}" ]; then
    PROFILE=${PROFILE:-dist}
    echo "building the service (ten minutes the first time) …"
    case $PROFILE in
        dist) make --no-print-directory dist ;;
        *) cargo build --profile "$PROFILE" --locked --quiet ;;
    esac
    BINARY=$target/$PROFILE/callboard
fi
echo "building the floor and the crowd …"
CARGO_TARGET_DIR=$target/loadtest cargo build --release --locked --quiet --manifest-path loadtest/Cargo.toml

# Streams and many clients take more than a shell usually gives.
ulimit -n "$(ulimit -Hn)"
data=$(mktemp -d "${TMPDIR:-/var/tmp}/callboard-load.XXXXXX")
# PostgreSQL may run as somebody else.
chmod 755 "$data"
trap 'rm -rf "$data"' EXIT
export BINARY DATA="$data" TOOLS="$target/loadtest/release" RESULTS="$target/loadtest" PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1
cd "$data"
# Another measurement uses all of this too: see soak.sh.
"$BINARY" dev -- python3 -m "${YARDSTICK:-yardstick}" "$@"
