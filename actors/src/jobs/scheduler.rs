//! The scheduler: moves jobs whose time has come from the sorted set to the stream, by one atomic script,
//! so that several schedulers at once move each of them once.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::stream::{Keys, move_due_script};
use crate::kit::Fault;
use crate::kit::routine::{Routine, Stopping};

/// How long it sleeps at most: a job may be scheduled meanwhile that is due before those it knows of.
const AT_MOST: Duration = Duration::from_millis(250);
/// How long it sleeps at least, so that a job due at once is no reason to spin.
const AT_LEAST: Duration = Duration::from_millis(5);

/// Moves what is due to the stream.
pub(super) struct Scheduler(pub(super) Arc<Shared>);

impl Routine for Scheduler {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let keys = Keys::new(&self.0.settings.prefix);
        let script = move_due_script();
        let mut away = false;
        loop {
            let pause = match keys.move_due(&self.0.redis, &script).await {
                Ok((_, next)) => {
                    away = false;
                    next.unwrap_or(AT_MOST).clamp(AT_LEAST, AT_MOST)
                }
                Err(fault) => {
                    if !away {
                        tracing::warn!(exception.message = %fault, "scheduled jobs cannot be moved; trying on");
                    }
                    away = true;
                    AT_MOST
                }
            };
            if stopping.unless(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
        }
    }
}
