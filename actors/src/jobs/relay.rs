//! The relay: moves unsent jobs from the table to the stream. What wakes it: the bell, which the listener rings as well.
//!
//! Jobs are locked and marked as sent, added to the stream, and only then that is committed. A crash between adding and
//! committing sends them twice, which a claim makes harmless; none is forgotten. Several relays at once pass over what
//! another one holds. In case nobody rings there is a slow clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bell::REST;
use super::stream::{Keys, Sent};
use super::{Shared, spans, store};
use crate::kit::listen::Hear;
use crate::kit::postgres::Transaction;
use crate::kit::retry::Backoff;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::trace::Span;
use crate::kit::{Dependency, Fault, Scope, Trace, metrics};

/// Jobs moved in one transaction.
const BATCH: i64 = 500;
/// In case a ring or a notice is lost.
const SLOW_CLOCK: Duration = Duration::from_secs(1);
/// How long one round may take.
const ROUND_WITHIN: Duration = Duration::from_secs(5);
/// While PostgreSQL or Redis is away.
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };

/// What comes between two rounds.
enum Pause {
    /// Somebody rings, or the slow clock does; and the rest.
    UntilRung,
    /// So long, whoever rings.
    For(Duration),
}

/// Moves unsent jobs to the stream.
pub(super) struct Relay(pub(super) Arc<Shared>);

impl Routine for Relay {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let keys = Keys::new(&self.0.settings.prefix);
        let mut failures = 0;
        while !stopping.is_asked() {
            let rested = tokio::time::Instant::now() + REST;
            // One is enough to find out whether they can be moved again: each round writes what it moves, and undoes it.
            let batch = if failures == 0 { BATCH } else { 1 };
            let round = tokio::time::timeout(ROUND_WITHIN, self.move_unsent(&keys, batch)).await;
            let round = round.unwrap_or_else(|_| Err(Fault::late(Dependency::Postgres, "a round took too long")));
            let pause = match round {
                Ok(moved) => {
                    failures = 0;
                    if moved < batch { Pause::UntilRung } else { Pause::For(Duration::ZERO) }
                }
                Err(fault) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(exception.message = %fault, "jobs cannot be moved to the stream; trying on");
                    }
                    Pause::For(RETRY.draw(failures))
                }
            };
            let woken = async {
                match pause {
                    Pause::UntilRung => {
                        let _ = tokio::time::timeout(SLOW_CLOCK, self.0.bell.rung()).await;
                        tokio::time::sleep_until(rested).await;
                    }
                    Pause::For(pause) => tokio::time::sleep(pause).await,
                }
            };
            if stopping.unless(woken).await.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl Relay {
    async fn move_unsent(&self, keys: &Keys, batch: i64) -> Result<i64, Fault> {
        // The clock's rounds are nobody's request: they make no spans. What is sent gets one in its own trace.
        let scope = Scope::new(Trace::default(), Instant::now() + ROUND_WITHIN);
        let mut connection = self.0.own.connection().await?;
        let tx = connection.begin().await?;
        let unsent = store::take_unsent(&tx, &scope, batch, &self.0.known).await?;
        if unsent.is_empty() {
            return Ok(0);
        }
        let spans: Vec<Span> = unsent.iter().map(spans::send).collect();
        let kinds: Vec<_> = unsent.iter().map(|job| (job.kind.clone(), job.sent.priority)).collect();
        let sent: Vec<Sent> = unsent.into_iter().map(|job| job.sent).collect();
        let moved = self.send(keys, tx, &scope, &sent, &spans).await;
        if let Err(fault) = &moved {
            spans.iter().for_each(|span| span.fail(fault.error_type(), || "the job was not sent".to_owned()));
        }
        moved?;
        kinds.iter().for_each(|(kind, priority)| metrics::jobs().enqueued(kind, *priority));
        Ok(i64::try_from(sent.len()).unwrap_or(batch))
    }

    /// One command for all of them, seen in the traces of all.
    async fn send(
        &self,
        keys: &Keys,
        tx: Transaction<'_>,
        scope: &Scope,
        sent: &[Sent],
        spans: &[Span],
    ) -> Result<(), Fault> {
        let mut traces = spans.iter().map(|span| span.trace().clone());
        let (trace, others) = (traces.next().unwrap_or_default(), traces.collect());
        keys.add(&self.0.redis, &Scope { trace, others, deadline: scope.deadline }, sent).await?;
        tx.commit().await
    }
}

impl Hear for Shared {
    const CHANNEL: &'static str = "callboard_jobs";

    fn begun(&self) {
        self.bell.ring();
    }

    fn heard(&self, _: &str) {
        self.bell.ring();
    }
}
