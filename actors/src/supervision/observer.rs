//! Where supervisors report to: every restart into the ledger's bounded buffer, everything that happens into
//! the ring of events. Reporting never waits: an operator's record must not hold up a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::events::{Events, What};
use super::strategy::ExitKind;

/// One restart.
#[derive(Debug, Clone)]
pub struct Restarted {
    /// No other restart has it.
    pub restart_id: Uuid,
    /// Where the actor stands in the tree.
    pub path: Arc<str>,
    /// Why it was started again.
    pub reason: Reason,
    /// How its previous incarnation ended.
    pub exit_kind: ExitKind,
    /// What it said when it ended.
    pub message: String,
    /// The number of the incarnation that runs now.
    pub incarnation: u64,
    /// How long the restart was held back.
    pub backoff: Duration,
    /// What its supervisor allows, and how much of that is used.
    pub budget: Budget,
    /// From its end to the first turn of the new incarnation; `None` when that ended before it had one.
    pub recovered: Option<Duration>,
    /// The trace of a request that it had in hand when it ended.
    pub trace_id: Option<String>,
    /// When its previous incarnation ended.
    pub at: OffsetDateTime,
}

/// Why an actor was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It ended by itself: a panic, an error.
    Crashed,
    /// It is a supervisor that gave up: its children ended more often than it allows.
    GaveUp,
    /// It could not be started.
    StartFailed,
    /// Somebody killed it; the watchdog, if it made no progress.
    Killed,
    /// It was stopped because a sibling ended, as the supervisor's strategy says.
    SiblingEnded,
    /// Its supervisor ended, and it with it.
    SupervisorEnded,
}

impl Reason {
    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::GaveUp => "gave_up",
            Self::StartFailed => "start_failed",
            Self::Killed => "killed",
            Self::SiblingEnded => "sibling_ended",
            Self::SupervisorEnded => "supervisor_ended",
        }
    }
}

/// A restart intensity and how much of it is used.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Restarts allowed.
    pub max: u32,
    /// Within this time.
    pub period: Duration,
    /// Restarts in the period that ends now.
    pub used: u32,
}

/// Where supervisors report to. Cheap to clone.
#[derive(Clone)]
pub struct Observer {
    ledger: mpsc::Sender<Arc<Restarted>>,
    dropped: Arc<AtomicU64>,
    events: Events,
}

impl Observer {
    /// An observer whose buffer holds `capacity` restarts, and where they come out.
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<Arc<Restarted>>) {
        let (ledger, inbox) = mpsc::channel(capacity);
        (Self { ledger, dropped: Arc::default(), events: Events::default() }, inbox)
    }

    /// Takes note of a restart.
    pub(super) fn restarted(&self, restart: Restarted) {
        let restart = Arc::new(restart);
        if self.ledger.try_send(Arc::clone(&restart)).is_err() {
            self.drop(1);
        }
        self.events.add(What::Restarted(restart));
    }

    /// Takes note of anything else.
    pub(super) fn note(&self, what: What) {
        self.events.add(what);
    }

    /// Counts restarts that will never be in the ledger.
    pub(super) fn drop(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Restarts that are not in the ledger and never will be: they did not fit into the buffer, or the process
    /// ended before they were written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What happens in the tree.
    pub fn events(&self) -> &Events {
        &self.events
    }
}
