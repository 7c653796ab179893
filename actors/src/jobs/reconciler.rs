//! The reconciler: finds jobs that were sent and never began, or whose retry is overdue, and has them sent
//! again. This is what makes Redis disposable. It also measures how many jobs are in which state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;

use super::Shared;
use super::store;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, Scope, Trace, metrics};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long its statements may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Jobs sent again at once.
const BATCH: i64 = 1000;

/// Has lost jobs sent again.
pub(super) struct Reconciler(pub(super) Arc<Shared>);

impl Routine for Reconciler {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        while stopping.unless(tokio::time::sleep(EVERY)).await.is_some() {
            if let Err(fault) = self.reconcile().await {
                tracing::debug!(%fault, "cannot look for lost jobs now");
            }
        }
        Ok(())
    }
}

impl Reconciler {
    async fn reconcile(&self) -> Result<(), Fault> {
        let scope = Scope::new(Trace::default(), Instant::now() + WITHIN);
        let resent = store::resend(&self.0.postgres, &scope, self.0.settings.resend_after, BATCH).await?;
        if resent > 0 {
            tracing::info!(resent, "jobs that did not begin are sent again");
            self.0.wake.notify_one();
        }
        for (state, count) in store::count(&self.0.postgres, &scope).await? {
            let count = u64::try_from(count).unwrap_or(0);
            metrics::jobs().by_state.record(count, &[KeyValue::new("state", state)]);
        }
        Ok(())
    }
}
