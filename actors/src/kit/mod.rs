//! What every domain stands on. Imports nothing of ours.
//!
//! A [`command`] is asked of an [`endpoint`], which wraps it in an [`envelope`] (trace, deadline, a
//! permit that bounds the mailbox) and delivers it to whichever incarnation of the actor is alive. The
//! actor is a [`pool`] (each message in a task of its own), a [`batcher`] (one statement for all
//! messages that gathered) or a [`routine`] (one loop). [`postgres`] and [`redis`] are connections
//! that heal, `listen` one that is told things, [`kept`] what was read and has not changed; [`trace`] and [`metrics`] are
//! the only places where telemetry is made.

pub mod batcher;
pub mod cause;
pub(crate) mod columns;
pub mod command;
pub mod counters;
pub mod endpoint;
pub mod envelope;
pub mod error;
pub mod kept;
pub(crate) mod listen;
pub mod metrics;
pub mod nudge;
mod peer;
pub mod pool;
pub mod postgres;
pub mod readers;
pub mod redis;
pub mod retry;
pub mod routine;
mod run;
pub mod scope;
pub mod shared;
pub mod sql;
mod sqlstate;
pub mod trace;
mod works;
pub mod writers;

pub use command::{Ask, Command};
pub use endpoint::{Caller, Endpoint};
pub use error::{Dependency, Failure, Fault};
pub use scope::{Scope, Under};
pub use shared::Shared;
pub use trace::Trace;

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
