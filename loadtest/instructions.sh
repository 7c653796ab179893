#!/usr/bin/env bash
# How many instructions of its own the service executes for a request, counted by callgrind: the same on any machine,
# whatever else it does, where processor time is not. Builds and starts everything as run.sh does; needs valgrind. Writes
# callgrind.SCENARIO.TELEMETRY to target/loadtest/, which callgrind_annotate and KCachegrind read.
#
#   loadtest/instructions.sh [scenario…]     slug and user when none is named; those that oha asks
#
#   TELEMETRY    as in run.sh                                "off tenth full"
#   REQUESTS     counted, after half as many to warm up      3000
#   BINARY       the service                                 built here
set -euo pipefail

command -v valgrind >/dev/null 2>&1 || { echo "loadtest: valgrind is needed" >&2; exit 1; }
export YARDSTICK=yardstick.instructions
exec "$(dirname "${BASH_SOURCE[0]}")/run.sh" "$@"
