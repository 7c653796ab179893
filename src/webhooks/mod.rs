//! How messages get to webhooks: one request to an address that was looked at before it is connected to.
//!
//! ```text
//! URL ─▶ target ─▶ resolve ─▶ addresses that may be sent to ─▶ connect to one of them ─▶ TLS ─▶ POST ─▶ status
//!          ▲                                                                                      │
//!          └──────────────────────────── 307 or 308, at most three times ─────────────────────────┘
//! ```
//!
//! What must stay true: no connection is made to an address that is not [`allowed`], whether the URL names it,
//! a name server does or a redirect; there is no second look-up between the look and the connection, and no proxy
//! that would make one. Every wait ends with the deadline of the attempt, every size has a bound.
//!
//! The specification advises to take redirects for failures, for the load that they are. Those that ask for another
//! request (301, 302, 303) are; those that ask for the same one elsewhere are followed, so that a receiver can move
//! without losing a message, and each hop is looked at like the first.

mod addresses;
mod allowed;
mod client;
mod connection;
mod retry_after;
mod target;
mod tls;

pub(crate) use addresses::is_public;
pub use allowed::Allowed;
pub use client::Client;
pub(crate) use target::Target;
pub use tls::Authorities;
