//! How messages get to webhooks: one request to an address that was looked at before it is connected to.
//!
//! ```text
//! URL ─▶ target ─▶ resolve ─▶ addresses that may be sent to ─▶ connect to one of them ─▶ TLS ─▶ POST ─▶ status
//!          ▲                                                                                      │
//!          └──────────────────────────── 307 or 308, at most three times ─────────────────────────┘
//! ```
//!
//! What must stay true: no connection is made to an address that [`addresses`] refuses, whether the URL names it,
//! a name server does or a redirect; there is no second look-up between the look and the connection, and no proxy
//! that would make one. Every wait ends with the deadline of the attempt, every size has a bound.

mod addresses;
mod client;
mod connection;
mod target;

pub(crate) use addresses::is_public;
pub use client::Client;
pub(crate) use target::Target;
