//! The API's description as others have it: the copy in the repository is what the service says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs;
use std::path::Path;

use support::{Service, Stage, service};

async fn generated() -> String {
    let output = service::command(&["openapi"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_copy_in_the_repository_is_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let (copy, generated) = (fs::read_to_string(file).unwrap_or_default(), generated().await);
    let differs = generated.lines().zip(copy.lines()).position(|(here, there)| here != there);
    let line = differs.unwrap_or(copy.lines().count().min(generated.lines().count())) + 1;
    assert!(
        copy == generated,
        "openapi.json is not what the code says, from line {line} on. Look at what changed for clients, then:\n\
         cargo run -- openapi > openapi.json"
    );
}

#[tokio::test]
async fn a_running_service_tells_the_same() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let told = service.client().get("/api/openapi.json").await;
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert_eq!(told.text().trim_end(), generated().await.trim_end());
}
