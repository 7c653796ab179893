#!/usr/bin/env bash
# Installs what `make run` needs beyond the Rust toolchain, and with --test what `make test` needs; says nothing when
# all of it is there. On Debian and Ubuntu missing packages are installed, elsewhere they are named.
#
# What must stay true: only what is missing is installed, nothing is upgraded; installing starts no server, creates no
# database cluster and enables nothing at boot, since ours are private; what was changed for that is put back.
set -euo pipefail

marker="# callboard, while it installs packages"
policy=/usr/sbin/policy-rc.d
cluster_settings=/etc/postgresql-common/createcluster.d/callboard.conf

say() {
    echo "packages: $*"
}

fail() {
    echo "packages: $*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# PostgreSQL's server programs are rarely on PATH; these are the places where `callboard dev` looks too.
has_postgres() {
    has initdb && has postgres && return
    compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null ||
        compgen -G "/usr/pgsql-*/bin/initdb" >/dev/null ||
        compgen -G "/usr/lib/postgresql*/bin/initdb" >/dev/null ||
        compgen -G "/usr/libexec/postgresql*/initdb" >/dev/null ||
        compgen -G "/opt/homebrew/opt/postgresql@*/bin/initdb" >/dev/null ||
        compgen -G "/usr/local/opt/postgresql@*/bin/initdb" >/dev/null
}

has_redis() {
    has redis-server || has valkey-server
}

has_c_compiler() {
    has cc || has gcc || has clang
}

# For schemathesis, which has releases for these versions.
has_python() {
    python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# Puts back what was changed for the installation. It also runs after a failure.
restore() {
    if [ -e "$policy.callboard-saved" ]; then
        mv "$policy.callboard-saved" "$policy"
    elif grep -qsF "$marker" "$policy"; then
        rm "$policy"
    fi
    rm -f "$cluster_settings"
    rmdir "$(dirname "$cluster_settings")" 2>/dev/null || true
}

# Runs as root.
install_on_debian() {
    # A run that was killed may have left its own behind.
    restore
    log=$(mktemp)
    trap 'restore; rm -f "$log"' EXIT
    if [ -e "$policy" ]; then
        mv "$policy" "$policy.callboard-saved"
    fi
    printf '#!/bin/sh\n%s: no package may start a server.\nexit 101\n' "$marker" >"$policy"
    chmod 755 "$policy"
    mkdir -p "$(dirname "$cluster_settings")"
    printf '%s\ncreate_main_cluster = false\n' "$marker" >"$cluster_settings"

    export DEBIAN_FRONTEND=noninteractive
    local options=(-q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
    say "reading the package lists"
    local attempt
    for attempt in 1 2 3 4 5; do
        # The lock of the lists, unlike the one of the packages, is not waited for by apt itself.
        if apt-get update "${options[@]}" -o APT::Update::Error-Mode=any >"$log" 2>&1; then
            break
        elif [ "$attempt" = 5 ]; then
            tail -n 5 "$log" >&2
            say "the package lists could not be read completely: trying with those that are here"
        else
            sleep $((attempt * 3))
        fi
    done
    say "installing $*: up to a minute or two, for there is much to download and unpack"
    if ! apt-get install --no-install-recommends --no-upgrade "${options[@]}" "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "apt-get could not install $*"
    fi
    case " $* " in
        *" redis-server "*)
            # Its package enables the server on the usual port for the next boot.
            update-rc.d redis-server disable >/dev/null 2>&1 || true
            ;;
    esac
    say "installed $*"
}

install_packages() {
    if ! has apt-get; then
        fail "missing: $*. Install them and try again:
  Fedora   dnf install postgresql-server valkey gcc
  macOS    brew install postgresql@17 redis; xcode-select --install
  Alpine   apk add postgresql17 redis build-base
Or set DATABASE_URL and REDIS_URL to servers that run already."
    elif [ "$(id -u)" -eq 0 ]; then
        install_on_debian "$@"
    elif has sudo; then
        say "sudo may ask for your password, to install $*"
        sudo -- "${BASH_SOURCE[0]}" --install-as-root "$@"
    else
        fail "missing: $*. Install them as root: apt-get update && apt-get install $*"
    fi
}

check_rust() {
    if ! has cargo; then
        fail "cargo was not found. Install Rust 1.95 or newer with rustup (www.rust-lang.org/tools/install), and open a new shell"
    fi
}

check_test_tools() {
    local component
    for component in fmt clippy; do
        if ! cargo "$component" --version >/dev/null 2>&1; then
            has rustup || fail "cargo $component was not found. Install it with your Rust toolchain"
            say "installing cargo $component"
            rustup component add "${component/#fmt/rustfmt}"
        fi
    done
    if ! cargo nextest --version >/dev/null 2>&1; then
        say "building cargo-nextest, which runs the tests: several minutes, once"
        cargo install cargo-nextest --locked ||
            fail "cargo-nextest could not be built. Install it from nexte.st and try again"
    fi
}

# A test that cannot be run without it says so itself: no reason to stop here.
offer_python() {
    if has_python || ! has apt-get; then
        return
    fi
    if ! (install_packages python3 python3-venv); then
        say "going on without python3-venv: the test that needs it will say SKIPPED"
    fi
}

main() {
    local missing=()
    check_rust
    has_c_compiler || missing+=(gcc libc6-dev)
    [ -n "${DATABASE_URL:-}" ] || has_postgres || missing+=(postgresql)
    [ -n "${REDIS_URL:-}" ] || has_redis || missing+=(redis-server)
    if [ "${#missing[@]}" -gt 0 ]; then
        install_packages "${missing[@]}"
    fi
    if [ "${1:-}" = --test ]; then
        check_test_tools
        offer_python
    fi
}

case "${1:-}" in
    --install-as-root)
        shift
        install_on_debian "$@"
        ;;
    "" | --test) main "$@" ;;
    *) fail "usage: ops/install-packages.sh [--test]" ;;
esac
