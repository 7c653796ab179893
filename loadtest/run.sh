#!/usr/bin/env bash
# Loads a running service with oha: reading, listing, publishing. Prints a table, and fails when any answer is
# not the expected one: a load tool counts refusals as speed.
#
#   loadtest/run.sh [read|list|publish …]      all three when none is named
#
#   BASE         where the API is                 http://127.0.0.1:8000
#   CONNECTIONS  clients at once                  64
#   DURATION     seconds of each scenario         10
#
# The service is expected with RATE_LIMITS=off; oha is installed when it is missing.
set -euo pipefail

BASE=${BASE:-http://127.0.0.1:8000}
CONNECTIONS=${CONNECTIONS:-64}
DURATION=${DURATION:-10}
OHA_VERSION=1.16.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

need() { command -v "$1" >/dev/null 2>&1 || { echo "loadtest: $1 is needed" >&2; exit 1; }; }

install_oha() {
    command -v oha >/dev/null 2>&1 && return
    echo "installing oha $OHA_VERSION (some minutes, once)…"
    cargo install --locked --quiet oha --version "$OHA_VERSION"
}

# The value of a field of a JSON file: field file key…
field() { python3 -c 'import json,sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2:]: value = value[key]
print(value)' "$@"; }

post() { # path body file [token]
    curl -sS -o "$3" -w '%{http_code}' -H 'Content-Type: application/json' ${4:+-H "Authorization: Bearer $4"} -d "$2" "$BASE$1"
}

prepare() {
    local status
    status=$(post /api/register "{\"email\":\"load-$$-$RANDOM@example.com\",\"name\":\"Load\",\"password\":\"a long password\"}" "$work/user")
    [ "$status" = 201 ] || { echo "loadtest: registering answered $status" >&2; exit 1; }
    token=$(field "$work/user" token access_token)
    local body
    body=$(printf 'lorem ipsum dolor sit amet %.0s' {1..38})
    article="{\"title\":\"Under load\",\"description\":\"An article of about a kilobyte\",\"body\":\"$body\"}"
    for _ in $(seq 20); do
        status=$(post /api/articles "$article" "$work/article" "$token")
        [ "$status" = 201 ] || { echo "loadtest: publishing answered $status" >&2; exit 1; }
    done
    slug=$(field "$work/article" slug)
}

# name, expected status, oha's arguments
scenario() {
    local name=$1 expected=$2
    shift 2
    oha --no-tui --output-format json -z "${DURATION}s" -c "$CONNECTIONS" --wait-ongoing-requests-after-deadline "$@" >"$work/$name.json"
    python3 - "$name" "$expected" "$work/$name.json" <<'PY'
import json, sys
name, expected, path = sys.argv[1:]
report = json.load(open(path))
statuses, errors = report["statusCodeDistribution"], report.get("errorDistribution") or {}
millis = {q: (report["latencyPercentiles"][q] or 0) * 1e3 for q in ("p50", "p99", "p99.9")}
print(f"{name:<10}{report['summary']['requestsPerSec']:>12.0f}{millis['p50']:>10.2f}{millis['p99']:>10.2f}{millis['p99.9']:>10.2f}  {statuses}")
if set(statuses) != {expected} or errors:
    sys.exit(f"loadtest: {name}: expected only {expected}, got {statuses} {errors}")
PY
}

need curl
need python3
curl -fsS -o /dev/null "$BASE/api/health" || { echo "loadtest: nothing answers at $BASE; start it with \`make run\`" >&2; exit 1; }
install_oha
prepare
printf '%-10s%12s%10s%10s%10s  %s\n' scenario requests/s 'p50 ms' 'p99 ms' 'p99.9 ms' statuses
for name in "${@:-read list publish}"; do
    for one in $name; do
        case $one in
            read) scenario read 200 "$BASE/api/articles/$slug" ;;
            list) scenario list 200 "$BASE/api/articles?limit=20" ;;
            publish) scenario publish 201 -m POST -T application/json -H "Authorization: Bearer $token" -d "$article" "$BASE/api/articles" ;;
            *) echo "loadtest: there is no scenario $one" >&2; exit 1 ;;
        esac
    done
done
