#!/usr/bin/env bash
# Overload: reads at an ordinary load, then a burst of twenty times as many clients who log in (the dearest thing
# there is) and read, then the ordinary load again, at once. Prints what was served and refused, how much memory
# it took, and how fast the first second after it was; fails when anything but 200 and 503 was answered, when an
# answer took longer than the deadline, or when the speed is not back.
#
#   loadtest/overload.sh
#
#   BASE         where the API is                 http://127.0.0.1:8000
#   PID          the service's process id         found by the port of BASE, where `ss` is installed
#   CONNECTIONS  clients of the ordinary load     64
set -euo pipefail

BASE=${BASE:-http://127.0.0.1:8000}
CONNECTIONS=${CONNECTIONS:-64}
OHA_VERSION=1.16.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v python3 >/dev/null 2>&1 || { echo "overload: python3 is needed" >&2; exit 1; }
command -v oha >/dev/null 2>&1 || {
    echo "installing oha $OHA_VERSION (some minutes, once)…"
    cargo install --locked --quiet oha --version "$OHA_VERSION"
}

PID=${PID:-$(ss -ltnpH "sport = :${BASE##*:}" 2>/dev/null | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -1)}
ulimit -n "$(ulimit -Hn)"

user="{\"email\":\"overload-$$-$RANDOM@example.com\",\"name\":\"Load\",\"password\":\"a long password\"}"
curl -fsS -o "$work/user" -H 'Content-Type: application/json' -d "$user" "$BASE/api/register"
token=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["token"]["access_token"])' "$work/user")
curl -fsS -o "$work/article" -H 'Content-Type: application/json' -H "Authorization: Bearer $token" \
    -d '{"title":"Under load","body":"lorem ipsum"}' "$BASE/api/articles"
slug=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["slug"])' "$work/article")

memory() { # MiB now, and at the most so far
    [ -n "$PID" ] && awk '/VmRSS|VmHWM/ { printf "%s %d MiB  ", $1, $2 / 1024 } END { print "" }' "/proc/$PID/status"
}
load() { # name seconds connections oha's arguments…
    local name=$1 seconds=$2 connections=$3
    shift 3
    oha --no-tui --output-format json -z "${seconds}s" -c "$connections" --wait-ongoing-requests-after-deadline "$@" >"$work/$name.json"
}
read_url="$BASE/api/articles/$slug"

load warm-up 2 "$CONNECTIONS" "$read_url"
load before 5 "$CONNECTIONS" "$read_url"
echo "before  $(memory)"
load logins 5 $((CONNECTIONS * 10)) -m POST -T application/json -d "$user" "$BASE/api/login" &
load reads 5 $((CONNECTIONS * 10)) "$read_url"
wait
load after 1 "$CONNECTIONS" "$read_url"
echo "after   $(memory)"
python3 - "$work" <<'PY'
import json, sys
work, sound = sys.argv[1], True
speed = {}
print(f"{'':<24}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'slowest ms':>12}  statuses")
for name in ("before", "logins", "reads", "after"):
    report = json.load(open(f"{work}/{name}.json"))
    statuses, errors = report["statusCodeDistribution"], report.get("errorDistribution") or {}
    percentile = lambda q: (report["latencyPercentiles"][q] or 0) * 1e3
    slowest = report["summary"]["slowest"] * 1e3
    speed[name] = statuses.get("200", 0) / report["summary"]["total"]
    label = {"before": "reads before", "logins": "logins, 10 times as many", "reads": "reads, 10 times as many",
             "after": "reads in the second after"}[name]
    print(f"{label:<25}{report['summary']['requestsPerSec']:>10.0f}{percentile('p50'):>9.2f}{percentile('p99'):>9.2f}{slowest:>12.1f}  {statuses} {errors or ''}")
    sound &= set(statuses) <= {"200", "503"} and not errors and slowest < 10_000
print(f"\nspeed in the second after: {speed['after'] / speed['before']:.0%} of before")
sys.exit(0 if sound and speed["after"] > 0.7 * speed["before"] else "overload: MISSED")
PY
