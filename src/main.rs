//! The `callboard` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    callboard::cli::run()
}
