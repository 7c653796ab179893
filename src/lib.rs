//! The front of Callboard: HTTP in, HTTP out. It knows hyper and the actors' commands; no SQL, no Redis,
//! no actor framework.
//!
//! ```text
//! server (limits, time-outs) ─▶ observe (trace, request id, metrics) ─▶ router ─▶ api: decode → ask → encode
//!                               └── http (tags, conditions, compression, other origins) ◀── the answer
//! ```

pub mod admin;
pub mod api;
pub mod app;
pub mod body;
pub mod cli;
pub mod config;
pub mod cursor;
pub mod dev;
mod develop;
mod doctor;
pub mod error;
pub mod fields;
mod forwarded;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod observe;
mod operate;
mod outcome;
pub mod proxies;
pub mod query;
pub mod request;
pub mod response;
pub mod router;
pub mod server;
mod server_span;
pub mod telemetry;
pub mod throttling;
pub mod webhooks;
