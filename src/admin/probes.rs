//! What platforms ask: is the process alive, should it get traffic?

use std::sync::atomic::Ordering;

use hyper::StatusCode;
use serde::Serialize;

use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

#[derive(Serialize)]
struct Probe {
    status: &'static str,
    failing: Vec<&'static str>,
    /// The actors that make no progress.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stuck: Vec<String>,
}

/// `GET /healthz`: the watchdog runs, and found every actor to make progress or started it anew. Asks nobody, so
/// that it answers when nobody else does. While the actors are being stopped they need not.
pub async fn healthz(request: Request) -> Result<Response, ApiError> {
    let stopping = !request.app.ready.load(Ordering::Relaxed);
    let stuck = if stopping { Vec::new() } else { request.app.system.stuck() };
    let failing = if stuck.is_empty() { Vec::new() } else { vec!["progress"] };
    probe(failing, stuck.iter().map(|path| path.to_string()).collect())
}

/// `GET /readyz`: the database answers and no shutdown has begun. Redis is not asked for: without it
/// publishing goes on, and jobs wait in the database.
pub async fn readyz(request: Request) -> Result<Response, ApiError> {
    if !request.app.ready.load(Ordering::Relaxed) {
        return probe(vec!["shutdown"], Vec::new());
    }
    let mut failing = Vec::new();
    if !request.app.system.health.check(&request.caller).await.is_ok_and(|report| report.database) {
        failing.push("database");
    }
    probe(failing, Vec::new())
}

fn probe(failing: Vec<&'static str>, stuck: Vec<String>) -> Result<Response, ApiError> {
    let (status, word) = match failing.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    response::json(status, &Probe { status: word, failing, stuck })
}
