#!/usr/bin/env bash
# Prints where promtool is, Prometheus' own judge of metrics and rules: that of the system, else Debian's, unpacked below
# the folder that is named without being installed, so that no server comes with it. When it cannot be had, says why on
# standard error and exits with status 3.
set -euo pipefail

why() {
    echo "$*" >&2
    exit 3
}

[ "$#" = 1 ] || why "usage: ops/promtool/prepare.sh FOLDER"
if command -v promtool; then
    exit
fi
for tool in apt-get dpkg; do
    command -v "$tool" >/dev/null || why "promtool is not installed, and there is no $tool to get it with"
done

place=$1/promtool-debian
mkdir -p "$1"
# Two checkouts may share the folder.
if command -v flock >/dev/null; then
    exec 9>"$place.lock"
    flock 9
fi
if [ ! -x "$place/usr/bin/promtool" ]; then
    work=$(mktemp -d "$1/promtool.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # The download is checked against the lists, which are checked against Debian's keys.
    if ! said=$(cd "$work" && apt-get download -q -o Acquire::Retries=1 prometheus 2>&1); then
        why "apt-get could not download prometheus, perhaps for want of apt-get update: $(tail -n 1 <<<"$said")"
    fi
    dpkg -x "$work"/prometheus_*.deb "$work/unpacked"
    rm -rf "$place"
    mv "$work/unpacked" "$place"
fi
"$place/usr/bin/promtool" --version >/dev/null 2>&1 || why "Debian's promtool does not run here"
echo "$place/usr/bin/promtool"
