//! The public API, a file for each resource: decode → ask → encode. No rules.

// Each handler's refusals stand in its `utoipa::path`, and their table in src/error.rs.
#![allow(clippy::missing_errors_doc)]

pub mod articles;
pub mod auth;
pub mod docs;
pub mod favorites;
pub mod health;
pub mod notifications;
mod openapi;
pub mod refusals;
pub mod users;

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue};
use serde::Serialize;

use crate::response::{self, Response};

/// A sentence, where there is nothing else to say.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Message {
    /// The sentence.
    #[schema(example = "Logged out successfully")]
    pub message: &'static str,
}

/// 200 for what was there, 201 for what was made.
pub(crate) const CREATED: StatusCode = StatusCode::CREATED;

/// What our pages may do: run what stands in them and talk to the listener that they came from. Whatever a
/// hole in them lets in can load nothing and send nothing elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page that holds all it needs.
pub(crate) fn page(html: &'static str) -> Response {
    let mut response = response::with_type(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    // A page of an older version would talk to this one.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
