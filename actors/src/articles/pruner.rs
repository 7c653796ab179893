//! The pruner: forgets keys that are good for nothing any more. Until it comes, the statement that publishes takes
//! them for unknown, so that nobody depends on its being in time.

use std::time::{Duration, Instant};

use super::{once, store};
use crate::kit::postgres::Postgres;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, Scope, Trace};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);
/// How long one statement may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Keys forgotten by one statement.
const BATCH: i64 = 5000;
/// Statements in one round: what is left comes with the next.
const STATEMENTS: usize = 40;

/// Forgets old keys.
pub(super) struct Pruner(pub(super) Postgres);

impl Routine for Pruner {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        loop {
            if let Some(Err(fault)) = stopping.unless(self.prune()).await {
                tracing::debug!(exception.message = %fault, "old keys cannot be forgotten now");
            }
            if stopping.unless(tokio::time::sleep(EVERY)).await.is_none() {
                return Ok(());
            }
        }
    }
}

impl Pruner {
    async fn prune(&self) -> Result<(), Fault> {
        for _ in 0..STATEMENTS {
            let scope = Scope::new(Trace::default(), Instant::now() + WITHIN);
            if store::prune_keys(&self.0, &scope, once::GOOD_FOR, BATCH).await? < BATCH {
                break;
            }
        }
        Ok(())
    }
}
