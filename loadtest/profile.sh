#!/usr/bin/env bash
# Shows the compiler what the service does under load: builds it with counters, has clients ask everything that run.sh
# measures with each kind of telemetry, and writes how often what was executed to profile/callboard.profdata.gz, by which
# `make dist` and the image are built (profile-guided optimisation). To be run anew when requests have come to take other
# ways, or the compiler is another: functions that are not as they were are optimised as ever, and nothing breaks.
#
# Needs llvm-profdata of the compiler's own LLVM: `rustup component add llvm-tools`, or LLVM_PROFDATA names one.
#
#   SECONDS_EACH seconds of each scenario                     2
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
profdata=${LLVM_PROFDATA:-$(rustc --print target-libdir)/../bin/llvm-profdata}
command -v "$profdata" >/dev/null 2>&1 || {
    echo "loadtest: llvm-profdata is needed: rustup component add llvm-tools, or LLVM_PROFDATA=…" >&2
    exit 1
}
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
counts=$target/profile/counts
rm -rf "$counts"
echo "building the service with counters (ten minutes the first time) …"
# A folder of its own, for everything is built anew with other flags. The same Cargo profile, for functions are called
# otherwise in another, and would not be known again.
RUSTFLAGS="-C profile-generate=$counts" CARGO_TARGET_DIR=$target/profile cargo build --profile dist --locked --quiet
export BINARY=$target/profile/dist/callboard LLVM_PROFILE_FILE=$counts/%m-%p.profraw
export SECONDS_EACH=${SECONDS_EACH:-2} YARDSTICK=yardstick.train
"$here/run.sh"
# What was never executed is left out: it would be three quarters of the file.
"$profdata" merge --sparse --output "$target/profile/callboard.profdata" "$counts"/*.profraw
gzip --best --no-name --stdout "$target/profile/callboard.profdata" > profile/callboard.profdata.gz
ls -l profile/callboard.profdata.gz
