#!/usr/bin/env bash
# Runs each fuzz target, or those that are named, for SECONDS (120): fuzz/run.sh [SECONDS [TARGET…]]. It needs a nightly
# compiler and cargo-fuzz (`cargo install --locked cargo-fuzz`). All of our code is safe Rust, so that what is looked for
# are panics and broken properties, without a sanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
command -v cargo-fuzz >/dev/null || { echo "fuzz: cargo-fuzz is needed: cargo install --locked cargo-fuzz" >&2; exit 1; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
seconds=${1:-120}
shift || true
if [ "$#" -eq 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir .)
else
    targets=("$@")
fi
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target"
    echo "$target, for $seconds s"
    ran=0
    cargo +nightly fuzz run --fuzz-dir . --sanitizer none "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 >"$log" 2>&1 || ran=$?
    grep -E '^#[0-9]+.*(INITED|DONE)|^stat::number_of_executed|panicked|SUMMARY|Test unit written' "$log" || true
    if compgen -G "artifacts/$target/*" >/dev/null; then
        echo "$target: what broke it is in fuzz/artifacts/$target" >&2
        exit 1
    fi
    if [ "$ran" -ne 0 ]; then
        tail -n 20 "$log" >&2
        echo "$target: it did not run to its end" >&2
        exit 1
    fi
done
