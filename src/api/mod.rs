//! The public API, a file for each resource: decode → ask → encode. No rules.

pub mod articles;
pub mod auth;
pub mod docs;
pub mod favorites;
pub mod health;
pub mod notifications;
pub mod users;

use hyper::StatusCode;
use serde::Serialize;

/// A sentence, where there is nothing else to say.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Message {
    /// The sentence.
    pub message: &'static str,
}

/// 200 for what was there, 201 for what was made.
pub(crate) const CREATED: StatusCode = StatusCode::CREATED;
