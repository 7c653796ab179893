//! The pruner: forgets sessions that have been over for long, and their refresh tokens with them.
//!
//! A token that is unknown is refused like one of a session that is over, so that nobody notices. What must stay
//! true: nothing of a session goes while it could still live.

use std::time::{Duration, Instant};

use super::store;
use crate::kit::postgres::Postgres;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, Scope, Trace};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);
/// How long one statement may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Sessions forgotten by one statement: each may have thousands of spent tokens.
const BATCH: i64 = 100;
/// Statements in one round: what is left comes with the next.
const STATEMENTS: usize = 40;

/// Forgets old sessions.
pub(super) struct Pruner {
    pub(super) postgres: Postgres,
    /// How long a session that is over is kept.
    pub(super) keep: Duration,
}

impl Routine for Pruner {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        loop {
            if let Some(Err(fault)) = stopping.unless(self.prune()).await {
                tracing::debug!(exception.message = %fault, "old sessions cannot be forgotten now");
            }
            if stopping.unless(tokio::time::sleep(EVERY)).await.is_none() {
                return Ok(());
            }
        }
    }
}

impl Pruner {
    async fn prune(&self) -> Result<(), Fault> {
        let mut forgotten = 0;
        for _ in 0..STATEMENTS {
            let scope = Scope::new(Trace::default(), Instant::now() + WITHIN);
            let gone = store::prune_sessions(&self.postgres, &scope, self.keep, BATCH).await?;
            forgotten += gone;
            if gone < BATCH {
                break;
            }
        }
        if forgotten > 0 {
            tracing::info!(count = forgotten, "old sessions were forgotten");
        }
        Ok(())
    }
}
