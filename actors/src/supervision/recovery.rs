//! A restart, from the end of one incarnation to the first turn of the next: told to the ledger, the readers of
//! events, the metrics, the log and the trace of the request that the end cost.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanBuilder, SpanKind};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::node::Node;
use super::observer::{Budget, Observer, Reason, Restarted};
use super::strategy::ExitKind;
use crate::kit::counters::Victim;
use crate::kit::{Trace, metrics};

/// How long the first turn of a new incarnation is waited for, before the restart is told without it.
const FIRST_TURN_WITHIN: Duration = Duration::from_secs(5);
/// What an actor said when it ended may be long.
const MESSAGE_MAX: usize = 2000;

/// How an incarnation ended.
#[derive(Clone)]
pub(super) struct End {
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
    pub(super) exit: ExitKind,
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) backoff: Duration,
    pub(super) used: u32,
    pub(super) victim: Option<Victim>,
    /// Which incarnation it was, for what it is known only later to have left unanswered.
    pub(super) generation: u64,
}

impl End {
    /// An end that another one brought with it.
    pub(super) fn taken_along(
        (reason, message): (Reason, String),
        at: Instant,
        victim: Option<Victim>,
        generation: u64,
    ) -> Self {
        let wall = SystemTime::now() - at.elapsed();
        let (exit, backoff) = (ExitKind::Killed, Duration::ZERO);
        Self { at, wall, exit, reason, message, backoff, used: 0, victim, generation }
    }

    /// The same end, still without a successor: one could not be started.
    pub(super) fn prolonged(self, by: Self) -> Self {
        Self { at: self.at, wall: self.wall, victim: self.victim.or(by.victim), generation: self.generation, ..by }
    }
}

/// The message of an end, which may be of any length, as it is kept.
pub(super) fn clipped(message: &str) -> String {
    message.chars().filter(|c| *c != '\0').take(MESSAGE_MAX).collect()
}

/// A new incarnation of `node`, of which a first turn has been asked for.
pub(super) struct Recovery {
    pub(super) node: Arc<Node>,
    pub(super) end: End,
    pub(super) incarnation: u64,
    /// What its supervisor allows.
    pub(super) budget: Budget,
    pub(super) first_turn: oneshot::Receiver<()>,
}

impl Recovery {
    /// Tells of it as soon as the first turn has come, on nobody's path.
    pub(super) fn report(self, observer: Observer) {
        tokio::spawn(async move {
            let Self { node, end, incarnation, budget, first_turn } = self;
            let turned = tokio::time::timeout(FIRST_TURN_WITHIN, first_turn).await;
            let recovered = matches!(turned, Ok(Ok(()))).then(|| end.at.elapsed());
            let late = node.lost(end.generation);
            let victim = end.victim.or(late).filter(|victim| victim.span.is_valid());
            let restart = Restarted {
                restart_id: Uuid::new_v4(),
                path: Arc::clone(node.path()),
                reason: end.reason,
                exit_kind: end.exit,
                message: end.message,
                incarnation,
                backoff: end.backoff,
                budget,
                recovered,
                trace_id: victim.as_ref().map(|victim| victim.span.trace_id().to_string()),
                at: to_the_microsecond(end.wall),
            };
            metrics::restarted(&restart.path, restart.exit_kind.as_str());
            trace(&restart, end.wall, victim.as_ref());
            observer.restarted(restart);
        });
    }
}

/// As exact as PostgreSQL keeps it, so that the same moment reads the same everywhere.
fn to_the_microsecond(at: SystemTime) -> OffsetDateTime {
    let at = OffsetDateTime::from(at);
    at.replace_nanosecond(at.microsecond() * 1000).unwrap_or(at)
}

/// A span from the end to the first turn: in the trace of the request that the end cost, if it cost one, and
/// linked with the span that died; and a line in the log that belongs to it.
fn trace(restart: &Restarted, ended: SystemTime, victim: Option<&Victim>) {
    let links = victim.map(|victim| Link::new(victim.span.clone(), Vec::new(), 0)).into_iter().collect();
    let attributes = [
        KeyValue::new("callboard.actor.path", Arc::clone(&restart.path)),
        KeyValue::new("callboard.actor.incarnation", i64::try_from(restart.incarnation).unwrap_or(i64::MAX)),
        KeyValue::new("callboard.restart.id", restart.restart_id.to_string()),
        KeyValue::new("callboard.restart.reason", restart.reason.as_str()),
        KeyValue::new("callboard.restart.exit_kind", restart.exit_kind.as_str()),
    ];
    let builder = SpanBuilder::from_name(format!("actor restart {}", restart.path))
        .with_kind(SpanKind::Internal)
        .with_start_time(ended)
        .with_attributes(attributes)
        .with_links(links);
    let span = victim.map_or_else(Trace::default, |victim| Trace::below(&victim.span)).root(builder);
    let _current = span.trace().context().clone().attach();
    tracing::info!(
        callboard.actor.path = %restart.path,
        restart_id = %restart.restart_id,
        reason = restart.reason.as_str(),
        incarnation = restart.incarnation,
        recovered_ms = restart.recovered.map(|recovered| recovered.as_secs_f64() * 1e3),
        killed = victim.map(|victim| victim.message),
        "an actor is back"
    );
}
