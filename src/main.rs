//! The `callboard` command.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// It keeps half the memory that the system's keeps, at the same cost, and tells what it holds (`loadtest/NOTES.md`).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    callboard::cli::run()
}
