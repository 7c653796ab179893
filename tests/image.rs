//! The image can be built from what its build is given, and from nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::io::Read;
use std::path::Path;
use std::process::Command;

#[test]
fn cargo_finds_everything_that_the_manifest_names_among_what_is_copied() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let context = tempfile::tempdir().unwrap();
    let sent = read(".dockerignore");
    for line in read("Dockerfile").lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let mut words: Vec<_> = line.split_whitespace().skip(1).collect();
        let to = words.pop().unwrap();
        for from in words {
            assert!(sent.lines().any(|line| line == format!("!{from}")), "{from} is not sent to the build");
            let status = Command::new("cp").arg("-r").arg(root.join(from)).arg(context.path().join(to)).status();
            assert!(status.unwrap().success(), "{line}");
        }
    }
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(context.path())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
}

#[test]
fn what_the_image_is_optimised_by_is_a_profile_that_knows_the_service() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packed = std::fs::File::open(root.join("profile/callboard.profdata.gz")).unwrap();
    let mut profile = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut profile).unwrap();
    // LLVM's mark of an indexed profile.
    assert!(profile.starts_with(b"\xfflprofi\x81"));
    // Functions are in it by their names.
    for name in ["_ZN9callboard", "_ZN6actors", "_ZN5hyper"] {
        assert!(profile.windows(name.len()).any(|part| part == name.as_bytes()), "{name}");
    }
    let makefile = std::fs::read_to_string(root.join("Makefile")).unwrap();
    assert!(makefile.contains("profile/callboard.profdata.gz") && makefile.contains("profile-use="));
}
