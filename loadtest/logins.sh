#!/usr/bin/env bash
# Logins beside reads: measures how long readers of one article wait, alone and while as many clients as CLIENTS log
# in as fast as they can (hashing passwords is the dearest thing that the service does for strangers). Twice: readers
# who come at a steady rate, and readers who ask as fast as they can. Prints both, and fails when p99 of a read is
# three times what it was alone or more, or when an answer is not the expected one.
#
#   loadtest/logins.sh
#
#   BASE         where the API is                       http://127.0.0.1:8000
#   CLIENTS      clients that log in at once            64
#   READERS      clients that read at once              64
#   RATE         reads a second of the steady readers   1000
#   DURATION     seconds of each measurement            10
#
# The service has to be started with RATE_LIMITS=off. oha is installed when it is missing.
set -euo pipefail

BASE=${BASE:-http://127.0.0.1:8000}
export CLIENTS=${CLIENTS:-64} READERS=${READERS:-64} RATE=${RATE:-1000} DURATION=${DURATION:-10}
OHA_VERSION=1.16.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v python3 >/dev/null 2>&1 || { echo "logins: python3 is needed" >&2; exit 1; }
command -v oha >/dev/null 2>&1 || {
    echo "installing oha $OHA_VERSION (some minutes, once)…"
    cargo install --locked --quiet oha --version "$OHA_VERSION"
}

user="{\"email\":\"logins-$$-$RANDOM@example.com\",\"name\":\"Load\",\"password\":\"a long password\"}"
curl -fsS -o "$work/user" -H 'Content-Type: application/json' -d "$user" "$BASE/api/register"
token=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["token"]["access_token"])' "$work/user")
curl -fsS -o "$work/article" -H 'Content-Type: application/json' -H "Authorization: Bearer $token" \
    -d '{"title":"Beside logins","body":"lorem ipsum"}' "$BASE/api/articles"
slug=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["slug"])' "$work/article")

load() { # name seconds oha's arguments…
    local name=$1 seconds=$2
    shift 2
    oha --no-tui --output-format json -z "${seconds}s" --wait-ongoing-requests-after-deadline "$@" >"$work/$name.json"
}
reads() { # name seconds oha's further arguments…
    local name=$1 seconds=$2
    shift 2
    load "$name" "$seconds" -c "$READERS" "$@" "$BASE/api/articles/$slug"
}
beside() { # name seconds what: the same while others log in, who begin a second before and go on a second longer
    local name=$1
    shift
    load "$name-logins" $((DURATION + 2)) -c "$CLIENTS" -m POST -T application/json -d "$user" "$BASE/api/login" &
    sleep 1
    reads "$name" "$DURATION" "$@"
    wait $!
}

reads warm-up 2
for kind in steady eager; do
    if [ $kind = steady ]; then how=(-q "$RATE" --latency-correction); else how=(); fi
    reads "$kind-alone" "$DURATION" ${how[@]+"${how[@]}"}
    beside "$kind-beside" ${how[@]+"${how[@]}"}
done
python3 - "$work" <<'PY'
import json, os, sys
work, sound, p99 = sys.argv[1], True, {}
rows = {"steady-alone": f"reads, {os.environ['RATE']} a second, alone", "steady-beside": "  beside logins", "steady-beside-logins": "  those logins",
        "eager-alone": "reads, as fast as they can, alone", "eager-beside": "  beside logins", "eager-beside-logins": "  those logins"}
print(f"{'':<36}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}  statuses")
for name, label in rows.items():
    report = json.load(open(f"{work}/{name}.json"))
    statuses, errors = report["statusCodeDistribution"], report.get("errorDistribution") or {}
    millis = {q: (report["latencyPercentiles"][q] or 0) * 1e3 for q in ("p50", "p99", "p99.9")}
    p99[name] = millis["p99"]
    print(f"{label:<36}{report['summary']['requestsPerSec']:>11.0f}{millis['p50']:>9.2f}{millis['p99']:>9.2f}{millis['p99.9']:>10.2f}  {statuses} {errors or ''}")
    sound &= set(statuses) <= ({"200", "503"} if name.endswith("logins") else {"200"}) and not errors
print()
for kind, label in (("steady", "at a steady rate"), ("eager", "as fast as they can")):
    ratio = p99[f"{kind}-beside"] / p99[f"{kind}-alone"]
    print(f"p99 of reads {label}: {ratio:.1f} times what it was alone   bar: under 3  {'holds' if ratio < 3 else 'MISSED'}")
    sound &= ratio < 3
sys.exit(0 if sound else "logins: MISSED")
PY
