#!/usr/bin/env bash
# What the service holds in memory while 512 clients do the mix for ten minutes, with all spans and lines exported and
# jobs done: resident memory every ten seconds, and whether it stays under 60 MB and flat. Builds, starts private servers
# and everything else as run.sh does, and writes soak.json and soak.svg to target/loadtest/.
#
#   loadtest/soak.sh
#
#   CONNECTIONS  clients at once                             512
#   SECONDS_EACH how long                                    600
#   ARTICLES     that there are at first, of about 1 KB      1000
#   BINARY       the service                                 built here
set -euo pipefail

export CONNECTIONS=${CONNECTIONS:-512} SECONDS_EACH=${SECONDS_EACH:-600} YARDSTICK=yardstick.soak
exec "$(dirname "${BASH_SOURCE[0]}")/run.sh"
