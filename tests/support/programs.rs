//! Programs that others wrote and that judge ours, installed when they are needed: see ops/prepare.sh.

use std::path::{Path, PathBuf};
use std::process::Output;

use tokio::process::Command;

/// The folder that one of them is installed in, or why it cannot be had.
pub async fn prepared(program: &str) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/prepare.sh");
    let prepared = Command::new(script).args([program, env!("CARGO_TARGET_TMPDIR")]).output().await;
    let prepared = prepared.map_err(|error| error.to_string())?;
    match prepared.status.code() {
        Some(0) => Ok(PathBuf::from(String::from_utf8_lossy(&prepared.stdout).trim())),
        _ => Err(written(&prepared).trim().to_owned()),
    }
}

/// All that a program wrote.
pub fn written(output: &Output) -> String {
    [output.stdout.as_slice(), output.stderr.as_slice()].map(String::from_utf8_lossy).concat()
}
