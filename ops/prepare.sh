#!/usr/bin/env bash
# Installs a program that tests need, of those that have a folder with requirements.txt here, into a virtual environment
# below the folder that is named, unless it is there, and prints where. What is installed is pinned with hashes. When it
# cannot be had, says why on standard error and exits with status 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

why() {
    echo "$*" >&2
    exit 3
}

[ "$#" = 2 ] || why "usage: ops/prepare.sh PROGRAM FOLDER"
program=$1
[ -f "$program/requirements.txt" ] || why "ops/$program has no requirements.txt"
command -v python3 >/dev/null || why "python3 is not installed"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || why "python3 is older than 3.10"
python3 -c 'import ensurepip, venv' 2>/dev/null || why "python3 has no venv: install python3-venv"

# Another version of either has a place of its own.
mark=$({ python3 --version; cat "$program/requirements.txt"; } | sha256sum | cut -c1-12)
place=$2/$program-$mark
mkdir -p "$2"
# Two checkouts may share the folder.
if command -v flock >/dev/null; then
    exec 9>"$place.lock"
    flock 9
fi
if [ ! -e "$place/complete" ]; then
    rm -rf "$place"
    python3 -m venv "$place" >&2 || why "python3 could not make a virtual environment"
    if ! said=$("$place/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 20 \
        --require-hashes --only-binary :all: -r "$program/requirements.txt" 2>&1); then
        why "pip could not install it: $(tail -n 1 <<<"$said")"
    fi
    touch "$place/complete"
fi
echo "$place"
