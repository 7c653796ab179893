//! The service against its own description: schemathesis makes up requests from it, fit ones and unfit ones, one by one
//! and in sequences, and looks at every answer.
//!
//! Where schemathesis cannot be had, this says so: look for SKIPPED in what the tests print.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use support::hooks::QUICK;
use support::programs::{self, written};
use support::{Hooks, Service, Stage, User, eventually};
use tokio::process::Command;

/// The phases of schemathesis, all of them.
const PHASES: &str = "examples,coverage,fuzzing,stateful";
/// None that an example names: whoever is asked to change or to leave their account with it would be gone.
const PASSWORD: &str = "a horse of another colour";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/schemathesis")
}

/// Says why there was no test.
fn skipped(why: &str) {
    println!("SKIPPED: schemathesis: {why}");
}

/// Somebody who has articles, notifications and a webhook with deliveries, so that there is something to find.
async fn furnish(service: &Service, hooks: &Hooks) -> User {
    // The first id is the one that examples name: somebody else's, whom one can follow.
    let other = service.client().register("other").await;
    let ann = json!({"email": "ann@example.com", "name": "Ann", "password": PASSWORD});
    service.client().post("/api/register", &ann).await.expect(201);
    let signed_in = service.client().post("/api/login", &ann).await.expect(200);
    let access = signed_in["token"]["access_token"].as_str().unwrap();
    let ann = User {
        id: signed_in["user"]["id"].as_i64().unwrap(),
        name: "Ann".to_owned(),
        email: "ann@example.com".to_owned(),
        refresh: String::new(),
        client: service.client().with_token(access),
        access: access.to_owned(),
    };
    ann.client.post("/api/webhooks", &json!({"url": hooks.url})).await.expect(201);
    let slug = ann.publish("On actors").await;
    other.follow(&ann).await;
    other.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
    eventually("Ann is told of both", async || (ann.inbox().await.1 == 2).then_some(())).await;
    ann
}

#[tokio::test]
async fn the_service_answers_as_its_description_says_whatever_it_is_asked() {
    let programs = match programs::prepared("schemathesis").await {
        Ok(place) => place.join("bin"),
        Err(why) => return skipped(&why),
    };
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::run(&stage, &["serve"], &QUICK).await;
    let ann = furnish(&service, &hooks).await;
    let place = tempfile::tempdir().unwrap();
    let document = place.path().join("openapi.json");
    // The example names a host that is not found everywhere, and would be sent to where it is.
    let text = service.client().get("/api/openapi.json").await.text();
    fs::write(&document, text.replace("https://example.com/hooks/callboard", &hooks.url)).unwrap();
    let run = Command::new(programs.join("schemathesis"))
        .args(["--config-file".as_ref(), folder().join("schemathesis.toml").as_os_str()])
        .args(["run", "--no-color", "--checks", "all", "--phases", PHASES])
        .args(["--url", &format!("http://{}", service.api.unwrap())])
        .arg(&document)
        .env("SCHEMATHESIS_HOOKS", "checks")
        .env("PYTHONPATH", folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CALLBOARD_EMAIL", &ann.email)
        .env("CALLBOARD_PASSWORD", PASSWORD)
        .current_dir(place.path())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let written = written(&run);
    assert!(run.status.success(), "{written}");
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(written.contains(&format!("✅ {phase}")), "{phase} did not run:\n{written}");
    }
    assert!(!written.contains("errored"), "some sequences were not asked:\n{written}");
    let summary = written.split_once(" SUMMARY ").map_or(written.as_str(), |(_, summary)| summary);
    println!("schemathesis: {}", summary.trim_matches('='));
    assert!(!service.lines().iter().any(|line| line.contains("panicked")), "{}", service.lines().join("\n"));
}

#[tokio::test]
async fn the_description_is_openapi_and_its_examples_fit_it() {
    let programs = match programs::prepared("schemathesis").await {
        Ok(place) => place.join("bin"),
        Err(why) => return skipped(&why),
    };
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let validated = Command::new(programs.join("python")).arg(folder().join("validate.py")).arg(document).output();
    let validated = validated.await.unwrap();
    assert!(validated.status.success(), "{}", written(&validated));
    println!("openapi.json: {}", written(&validated).trim());
}
