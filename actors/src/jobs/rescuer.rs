//! The rescuer: takes their jobs away from processes that are dead, by the database's word and clock, and
//! away from this one what it claimed and then lost in a crash; does away with what the dead left
//! unacknowledged in the stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;

use super::store::{self, Rescue, Rescued};
use super::stream::Keys;
use super::{Settings, Shared, spans};
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, Scope, Trace, metrics};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long its statement may take.
const WITHIN: Duration = Duration::from_secs(5);

/// After the database was away: more than any process takes to try again.
const HEARD_AGAIN: Duration = Duration::from_secs(2);
/// Jobs sent again at once.
const BATCH: i64 = 10_000;

/// Takes the jobs of the dead back.
pub(super) struct Rescuer(pub(super) Arc<Shared>);

impl Routine for Rescuer {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let keys = Keys::new(&self.0.settings.prefix);
        let consumer = self.0.boot.to_string();
        let mut reachable: Option<Instant> = None;
        while stopping.unless(tokio::time::sleep(EVERY)).await.is_some() {
            // An attempt's own limit bounds how long a living process holds a job and its entry.
            let idle = self.0.longest * 2;
            let scope = Scope::new(Trace::default(), Instant::now() + WITHIN);
            // Who could not reach the database has no right to call others dead, who could not either: they get the
            // time to be heard of again.
            let looked = match reachable {
                Some(since) if since.elapsed() >= HEARD_AGAIN => self.rescue(&scope, idle).await,
                _ => store::oldest(&self.0.postgres, &scope).await.map(drop),
            };
            reachable = match looked {
                Ok(()) => reachable.or_else(|| Some(Instant::now())),
                Err(fault) => {
                    tracing::debug!(exception.message = %fault, "cannot look for dead processes now");
                    None
                }
            };
            if let Err(fault) = keys.forget_stale(&self.0.redis, &consumer, idle).await {
                tracing::debug!(exception.message = %fault, "cannot look for stale entries now");
            }
        }
        Ok(())
    }
}

impl Rescuer {
    async fn rescue(&self, scope: &Scope, idle: Duration) -> Result<(), Fault> {
        let (postgres, Settings { dead_after, deaths, .. }) = (&self.0.vital, self.0.settings.clone());
        let (jobs, attempts) = self.0.held.attempts();
        let rescue = Rescue { dead_after, idle, worker: self.0.boot, held: (&jobs, &attempts), deaths };
        let Rescued { dead, taken } = store::rescue(postgres, scope, rescue).await?;
        // The dead may have taken entries from the stream and not yet claimed their jobs: nobody knows which.
        let resent = if dead > 0 { store::resend(postgres, scope, dead_after, BATCH).await? } else { 0 };
        taken.iter().for_each(spans::lost);
        if dead > 0 || !taken.is_empty() {
            metrics::jobs().resent.add(resent as u64, &[KeyValue::new("reason", "process_died")]);
            tracing::warn!(dead, taken = taken.len(), resent, "jobs were taken back");
            self.0.bell.ring();
        }
        Ok(())
    }
}
