//! The bell: wakes the relay once a write that left jobs has committed.
//!
//! ```text
//! a write that gathered ─commit─▶ ring ─▶ this process' relay, or where it has none
//!                                   └───▶ ringer: a notice to all others, one for all who rang meanwhile
//! any other insert ─▶ trigger: a notice within the transaction ─▶ every relay
//! ```
//!
//! Transactions that notify are committed one after the other, each with a write of its own to the disk: PostgreSQL keeps
//! a lock for that (`PreCommit_Notify` in its `async.c`). So what gathers, and commits the most often, goes without a
//! notice (`V20__rung_for.sql`) and rings afterwards. What must stay true: who rings does so after the commit, for before
//! it there is nothing to be found; a ring that is lost costs no more than the relay's slow clock takes. Nobody is woken
//! more often than a relay looks ([`REST`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::store;
use crate::kit::postgres::Postgres;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, Scope, Trace};

/// How long a notice may take; the slow clocks of those who wait for it are faster than a second one.
const RING_WITHIN: Duration = Duration::from_secs(1);

/// From the beginning of one round of the relay to that of the next, unless more wait than go into one: a single job is
/// moved at once, and those that come meanwhile are moved, claimed and done together.
pub(super) const REST: Duration = Duration::from_millis(20);

/// What is rung after a commit. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<Notify>);

impl Bell {
    /// Jobs were left. Rings that nobody has heard yet become one.
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }

    /// Completes when it was rung since the last time. For one who waits. Cancel-safe.
    pub(super) async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Tells the relays of other processes, for one that has none.
pub(super) struct Ringer {
    pub(super) bell: Bell,
    pub(super) postgres: Postgres,
}

impl Routine for Ringer {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        while stopping.unless(self.bell.rung()).await.is_some() {
            let rested = tokio::time::Instant::now() + REST;
            let scope = Scope::new(Trace::default(), Instant::now() + RING_WITHIN);
            if let Err(fault) = store::wake(&self.postgres, &scope).await {
                tracing::debug!(exception.message = %fault, "nobody could be told of jobs; slow clocks go on");
            }
            if stopping.unless(tokio::time::sleep_until(rested)).await.is_none() {
                break;
            }
        }
        Ok(())
    }
}
