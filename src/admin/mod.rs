//! The operators' listener: probes, metrics, the tree, its restarts, the jobs, the console.
//!
//! Everything but the probes needs the bearer token, where one is set.

// Each handler's errors are the envelope's, and stand in the table of src/error.rs.
#![allow(clippy::missing_errors_doc)]

pub mod actors;
pub mod console;
pub mod events;
pub mod jobs;
pub mod metrics;
pub mod probes;
pub mod restarts;

use hyper::StatusCode;

use crate::error::ApiError;
use crate::request::Request;

/// Lets operators pass.
///
/// # Errors
/// 401 when a token is set and another one, or none, was brought.
pub(crate) fn authorize(request: &Request) -> Result<(), ApiError> {
    match &request.app.config.admin_token {
        None => Ok(()),
        Some(token) if same(request.bearer()?, token.expose()) => Ok(()),
        Some(_) => Err(ApiError::unauthorized("The admin token is required")),
    }
}

/// Lets faults be injected where that is allowed.
///
/// # Errors
/// 403 without `CHAOS_ENABLED`.
pub(crate) fn allow_chaos(request: &Request) -> Result<(), ApiError> {
    match request.app.config.chaos_enabled {
        true => Ok(()),
        false => Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", "Fault injection needs CHAOS_ENABLED=true")),
    }
}

/// Compares hashes, so that the time tells nothing of where two tokens differ.
fn same(brought: &str, wanted: &str) -> bool {
    use sha2::{Digest, Sha256};
    Sha256::digest(brought.as_bytes()) == Sha256::digest(wanted.as_bytes())
}
