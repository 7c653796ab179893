#!/usr/bin/env bash
# The walk-through of the README: an article is published while its job fails twice, and is followed from a log line to
# the trace, the job and the metrics. Prints every command with what it really answered; with --write, README.md holds
# that in place of what it held.
#
#   ops/walkthrough.sh [--write]
#
#   PROFILE   which build is walked through: debug or release    debug
#
# Starts throw-away PostgreSQL and Redis servers, the service and the receiver of examples/, and stops all of them. The
# ports are the usual ones: 8000, 8001 and 4318 have to be free. Needs curl and jq.
#
# What is said and what is run are the same text, whose variables are for eval.
# shellcheck disable=SC2016,SC2034
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PROFILE=${PROFILE:-debug}
BEGIN='<!-- what ops/walkthrough.sh wrote -->'
END='<!-- to here -->'

fail() {
    echo "walk-through: $*" >&2
    exit 1
}

# Everything with servers: runs this file again, within them.
if [ "${1:-}" != --within ]; then
    for program in curl jq; do
        command -v "$program" >/dev/null || fail "$program is not installed"
    done
    case $PROFILE in
        debug) build=() ;;
        release) build=(--release) ;;
        *) fail "PROFILE must be debug or release" ;;
    esac
    cargo build --locked --quiet "${build[@]}" --bin callboard --example receiver
    target=$(cargo metadata --format-version 1 --no-deps --locked | jq -r .target_directory)
    export PATH="$target/$PROFILE:$target/$PROFILE/examples:$PATH"
    written=$(mktemp)
    trap 'rm -f "$written"' EXIT
    callboard dev --ephemeral -- "ops/$(basename "$0")" --within "$written" >&2
    cat "$written"
    if [ "${1:-}" = --write ]; then
        if ! grep -qxF "$BEGIN" README.md || ! grep -qxF "$END" README.md; then
            fail "README.md has no place for it"
        fi
        readme=$(mktemp)
        awk -v begin="$BEGIN" -v end="$END" -v written="$written" '
            $0 == end { kept = 0 }
            !kept { print }
            $0 == begin {
                kept = 1
                print "```console"
                while ((getline line < written) > 0) print line
                print "```"
            }' README.md >"$readme"
        cat "$readme" >README.md
        rm -f "$readme"
    fi
    exit
fi

transcript=$2
for port in 8000 8001 4318; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        fail "something listens on port $port already"
    fi
done
place=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$place"' EXIT
receiver >"$place/traces" &
JWT_SECRET=$(printf 'x%.0s' {1..32})
export JWT_SECRET
callboard migrate >/dev/null
# What exporters gather for seconds is sent at once, so that nobody has to wait.
CHAOS_ENABLED=true RATE_LIMITS=off LOG_FORMAT=json NODE_NAME=node-1 \
    SHUTDOWN_DELAY_MS=0 OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_BSP_SCHEDULE_DELAY=100 OTEL_BLRP_SCHEDULE_DELAY=100 \
    callboard serve >"$place/log" &

# Waits for something that the service does by itself.
until_true() {
    local tries=0
    until eval "$1"; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || fail "it never happened that: $1"
        sleep 0.1
    done
}
until_true 'curl -sf http://127.0.0.1:8001/readyz >/dev/null'

# Says a command as one would type it, runs it, and says what it answered.
run() {
    echo "\$ $1" >>"$transcript"
    eval "$1" >>"$transcript"
}
note() {
    printf '\n# %s\n' "$1" >>"$transcript"
}

cd "$place"
# Whoever reads a terminal does not mind that a grep finds nothing.
set +o pipefail
run 'API=http://127.0.0.1:8000/api ADMIN=http://127.0.0.1:8001'
run 'ANN=$(curl -s $API/register --json '\''{"email":"ann@example.com","name":"Ann","password":"correct horse"}'\'' | jq -r .token.access_token)'
run 'BEN=$(curl -s $API/register --json '\''{"email":"ben@example.com","name":"Ben","password":"battery staple"}'\'' | jq -r .token.access_token)'
run 'curl -s -X POST $API/users/1/follow -H "Authorization: Bearer $BEN"; echo'
note 'the worker will fail twice; how the metrics of what we do stand'
run 'callboard jobs fail article_published --times 2'
run 'curl -s $ADMIN/metrics | grep -E '\''"article_published"|"POST".*"/api/articles"'\'' | grep -v _bucket | sort > before'
note 'publish'
run 'curl -si $API/articles -H "Authorization: Bearer $ANN" --json '\''{"title":"On actors","body":"They keep to themselves."}'\'' | tr -d '\''\r'\'' | grep -E '\''^(HTTP|x-request-id|traceresponse)'\'' | tee answer'
until_true 'callboard jobs list --kind article_published --json | jq -e '\''.jobs[0].state == "completed"'\'' >/dev/null'
run 'REQUEST=$(sed -n '\''s/^x-request-id: //p'\'' answer)'
note 'the log line of this request: the id that the client was given leads to it, and it to the trace'
until_true 'grep -q "$REQUEST" log'
run 'jq -c "select(.request_id == \"$REQUEST\")" log'
run 'TRACE=$(jq -r "select(.request_id == \"$REQUEST\").trace_id" log | head -n 1)'
note 'the trace, as the receiver draws it: the request, and the job that it caused, three attempts of it'
until_true '[ "$(curl -s 127.0.0.1:4318/$TRACE | grep -c "process article_published")" -ge 3 ]'
# What the last attempt ends with comes with the next export.
until_true 'seen=$(curl -s 127.0.0.1:4318/$TRACE); sleep 1; [ "$seen" = "$(curl -s 127.0.0.1:4318/$TRACE)" ]'
run 'curl -s 127.0.0.1:4318/$TRACE'
note 'the job: its trace_id is the same, and its attempts say why they failed'
run 'callboard jobs list --kind article_published'
run 'JOB=$(callboard jobs list --kind article_published --json | jq -r '\''.jobs[0].id'\'')'
run 'callboard jobs show $JOB --json | jq -c '\''.trace_id, .why, .attempts[]'\'''
note 'the metrics that moved'
run 'curl -s $ADMIN/metrics | grep -E '\''"article_published"|"POST".*"/api/articles"'\'' | grep -v _bucket | sort | comm -13 before -'
note 'what Ben was told, once'
run 'curl -s $API/notifications -H "Authorization: Bearer $BEN" | jq -c '\''.notifications[] | {message, count}'\'''
