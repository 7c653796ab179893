//! The reconciler: notices that Redis lost jobs and has them sent again. This is what makes Redis disposable. It
//! also measures what waits, and forgets what was finished long ago, with what its effects left behind.
//!
//! ```text
//! another mark in Redis than before     ─▶ it lost everything           ─▶ all that wait are sent again, at once
//! fewer jobs in it than wait            ─▶ it lost some (a fail-over),  ─▶ as many are sent again, the oldest first
//!                                          or a taker never heard of them
//! a job waits for very long             ─▶ whatever the reason          ─▶ it is sent again
//! ```
//!
//! A job that is sent twice begins once: the claim sees to that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;

use super::Shared;
use super::store;
use super::stream::Keys;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, Scope, Trace, metrics};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long its statements may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Jobs sent again, or forgotten, by one statement.
const BATCH: i64 = 5000;
/// Statements in one round: what is left comes with the next.
const STATEMENTS: usize = 40;
/// What was put into Redis this long ago has to be there, or to have begun.
const SETTLED: Duration = Duration::from_secs(3);

/// Has lost jobs sent again.
pub(super) struct Reconciler {
    shared: Arc<Shared>,
    /// The mark that Redis bore when it was last looked at; kept across incarnations.
    mark: Mutex<Option<String>>,
}

impl Routine for Reconciler {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let keys = Keys::new(&self.shared.settings.prefix);
        loop {
            if let Err(fault) = self.reconcile(&keys).await {
                tracing::debug!(exception.message = %fault, "cannot look for lost jobs now");
            }
            if let Err(fault) = self.measure().await {
                tracing::debug!(exception.message = %fault, "cannot look at what waits now");
            }
            if let Err(fault) = self.prune().await {
                tracing::debug!(exception.message = %fault, "cannot forget what is over now");
            }
            if stopping.unless(tokio::time::sleep(EVERY)).await.is_none() {
                return Ok(());
            }
        }
    }
}

impl Reconciler {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, mark: Mutex::default() }
    }

    async fn reconcile(&self, keys: &Keys) -> Result<(), Fault> {
        let mark = keys.mark(&self.shared.redis, &uuid::Uuid::new_v4().to_string()).await?;
        let before = self.known_mark(None);
        if before.as_ref() != Some(&mark) {
            // Remembered only when it is done: what fails in between is tried again.
            self.resend(Duration::ZERO, "all_lost", "Redis lost everything, or is new to us").await?;
            self.known_mark(Some(mark));
            return Ok(());
        }
        // In this order: what is in Redis when it is counted was put there before what is counted then.
        let untaken = keys.untaken(&self.shared.redis).await?;
        let missing = store::waiting(&self.shared.postgres, &scope(), SETTLED).await? - untaken;
        if missing > 0 {
            // Which ones is not known: what is sent in vain is soon done with, and then the others are the oldest.
            let resent = store::resend(&self.shared.postgres, &scope(), SETTLED, missing.min(BATCH)).await?;
            self.tell(resent, "some_lost", "some were lost on their way");
        }
        self.resend(self.shared.settings.resend_after, "waited_long", "jobs have waited for very long").await
    }

    async fn resend(&self, after: Duration, reason: &'static str, why: &'static str) -> Result<(), Fault> {
        let mut resent = 0;
        for _ in 0..STATEMENTS {
            let count = store::resend(&self.shared.postgres, &scope(), after, BATCH).await?;
            resent += count;
            if i64::try_from(count).is_ok_and(|count| count < BATCH) {
                break;
            }
        }
        self.tell(resent, reason, why);
        Ok(())
    }

    fn tell(&self, resent: usize, reason: &'static str, why: &'static str) {
        if resent > 0 {
            metrics::jobs().resent.add(resent as u64, &[KeyValue::new("reason", reason)]);
            tracing::warn!(resent, why, "jobs are sent again");
            self.shared.bell.ring();
        }
    }

    async fn measure(&self) -> Result<(), Fault> {
        let postgres = &self.shared.postgres;
        for (state, count) in store::count(postgres, &scope()).await? {
            let count = u64::try_from(count).unwrap_or(0);
            metrics::jobs().by_state.record(count, &[KeyValue::new("callboard.job.state", state)]);
        }
        metrics::jobs().oldest.record(store::oldest(postgres, &scope()).await?, &[]);
        Ok(())
    }

    async fn prune(&self) -> Result<(), Fault> {
        store::prune(&self.shared.postgres, &scope(), self.shared.settings.keep, BATCH).await?;
        for effect in self.shared.effects.values() {
            effect.prune(&scope()).await?;
        }
        Ok(())
    }

    /// The mark that is known; first takes note of a new one.
    fn known_mark(&self, new: Option<String>) -> Option<String> {
        // Nothing panics while it holds the lock, so a poisoned one still guards a sound mark.
        let mut known = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        if new.is_some() {
            *known = new;
        }
        known.clone()
    }
}

fn scope() -> Scope {
    Scope::new(Trace::default(), Instant::now() + WITHIN)
}
