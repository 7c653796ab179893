//! The front of Callboard: HTTP in, HTTP out. It knows hyper and the actors' commands; no SQL, no Redis,
//! no actor framework.
//!
//! ```text
//! server (limits, time-outs) ─▶ observe (trace, request id, metrics) ─▶ router ─▶ api: decode → ask → encode
//! ```

pub mod admin;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod dev;
mod develop;
mod doctor;
pub mod error;
pub mod fields;
#[doc(hidden)]
pub mod fuzzing;
pub mod observe;
mod operate;
pub mod query;
pub mod request;
pub mod response;
pub mod router;
pub mod server;
pub mod telemetry;
pub mod webhooks;
