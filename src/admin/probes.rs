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
}

/// `GET /healthz`: an actor answers within the deadline, so the process makes progress. While the actors are
/// being stopped, nobody is asked.
pub async fn healthz(request: Request) -> Result<Response, ApiError> {
    let stopping = !request.app.ready.load(Ordering::Relaxed);
    let alive = stopping || request.app.system.health.check(&request.caller).await.is_ok();
    probe(if alive { Vec::new() } else { vec!["progress"] })
}

/// `GET /readyz`: the database answers and no shutdown has begun. Redis is not asked for: without it
/// publishing goes on, and jobs wait in the database.
pub async fn readyz(request: Request) -> Result<Response, ApiError> {
    if !request.app.ready.load(Ordering::Relaxed) {
        return probe(vec!["shutdown"]);
    }
    let mut failing = Vec::new();
    if !request.app.system.health.check(&request.caller).await.is_ok_and(|report| report.database) {
        failing.push("database");
    }
    probe(failing)
}

fn probe(failing: Vec<&'static str>) -> Result<Response, ApiError> {
    let (status, word) = match failing.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    response::json(status, &Probe { status: word, failing })
}
