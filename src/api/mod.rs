//! The public API, a file for each resource: decode → ask → encode. No rules.

// Each handler's refusals stand in its `utoipa::path`, and their table in src/error.rs.
#![allow(clippy::missing_errors_doc)]

pub mod articles;
pub mod auth;
mod conditions;
pub mod docs;
mod everywhere;
mod examples;
pub mod favorites;
pub mod health;
mod limited;
pub mod notifications;
mod openapi;
pub mod preferences;
pub mod refusals;
pub mod sessions;
pub mod stream;
pub mod users;
pub mod webhooks;

use serde::Serialize;

/// A sentence, where there is nothing else to say.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Message {
    /// The sentence.
    #[schema(example = "Logged out successfully")]
    pub message: &'static str,
}
