//! Callboard's actors: everything that would stay the same behind another protocol.
//!
//! ```text
//! front ──command──▶ endpoint ──envelope──▶ worker or batcher ──one statement──▶ PostgreSQL
//!   ▲                (bounded)              (supervised)                             │
//!   └───────────────────────reply, straight to the waiting caller ◀──────────────────┘
//! ```
//!
//! * [`kit`] is what every domain stands on: commands, endpoints, pools, batchers, connections. It
//!   imports nothing of ours.
//! * [`supervision`] starts, restarts and stops actors. It knows no domain.
//! * [`auth`], [`articles`], [`favorites`], [`notifications`], [`webhooks`], [`throttle`] are the domains; they meet only in each
//!   other's messages. [`jobs`] executes what they leave behind for later, and knows none of them.
//! * [`system`] alone sees every domain: it builds the tree and hands out one handle for each.
//!
//! What must stay true:
//!
//! 1. A read answers with every write committed before it arrived: only work in flight is shared,
//!    nothing that was read before is answered before PostgreSQL has said that it is still so.
//! 2. A job exists if and only if the write that caused it committed, and takes effect exactly once.
//! 3. A crash costs at most the messages that the crashed actor held; their callers are told.

pub mod articles;
pub mod auth;
pub mod favorites;
pub mod health;
pub mod jobs;
pub mod kit;
pub mod migrations;
pub mod notifications;
pub mod supervision;
pub mod system;
pub mod text;
pub mod throttle;
pub mod webhooks;

pub use system::{Settings, System};
