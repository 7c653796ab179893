//! The restart ledger: every restart, kept in PostgreSQL so that it outlives the process.
//!
//! Supervisors put restarts into a bounded buffer and go on; the ledger's routine writes what has
//! gathered with one statement. While the database is away the buffer fills, and what no longer fits is
//! dropped and counted: an operator's record must never hold up a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Mutex, mpsc};

use super::strategy::ExitKind;
use crate::kit::postgres::Postgres;
use crate::kit::retry::Backoff;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, Scope, Trace};
use crate::sql;

/// Restarts that wait to be written: a hundred a second for a minute, and some.
const BUFFER: usize = 8192;
/// Restarts written by one statement.
const BATCH: usize = 500;
/// Between attempts to write, while the database is away.
const RETRY: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };
/// How long one statement may take.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// One restart.
#[derive(Debug, Clone)]
pub struct Restarted {
    /// Where the actor stands in the tree.
    pub path: Arc<str>,
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
    /// From its end until it ran again.
    pub recovered: Duration,
    /// When it ran again.
    pub at: OffsetDateTime,
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
    buffer: mpsc::Sender<Restarted>,
    dropped: Arc<AtomicU64>,
}

impl Observer {
    /// An observer whose buffer holds `capacity` restarts, and where they come out.
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<Restarted>) {
        let (buffer, inbox) = mpsc::channel(capacity);
        (Self { buffer, dropped: Arc::default() }, inbox)
    }

    /// Takes note of a restart; never waits.
    pub(super) fn restarted(&self, restart: Restarted) {
        if self.buffer.try_send(restart).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Restarts that did not fit into the buffer.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes restarts to PostgreSQL.
pub struct Ledger {
    /// Which process this is.
    node: String,
    postgres: Postgres,
    /// Shared by the incarnations; only one runs at a time.
    inbox: Mutex<mpsc::Receiver<Restarted>>,
}

/// A ledger for the process called `node`, and where to report to.
pub fn ledger(node: &str, postgres: Postgres) -> (Observer, Ledger) {
    let (observer, inbox) = Observer::channel(BUFFER);
    (observer, Ledger { node: node.to_owned(), postgres, inbox: Mutex::new(inbox) })
}

impl Routine for Ledger {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let mut inbox = self.inbox.lock().await;
        let mut restarts = Vec::new();
        while stopping.unless(inbox.recv_many(&mut restarts, BATCH)).await.is_some_and(|count| count > 0) {
            let mut failures = 0;
            while let Err(fault) = self.write(&restarts).await {
                failures += 1;
                tracing::warn!(%fault, waiting = restarts.len(), "restarts cannot be written; trying on");
                if stopping.unless(tokio::time::sleep(RETRY.draw(failures))).await.is_none() {
                    return Ok(());
                }
            }
            restarts.clear();
        }
        Ok(())
    }
}

impl Ledger {
    async fn write(&self, restarts: &[Restarted]) -> Result<(), Fault> {
        let scope = Scope::new(Trace::default(), std::time::Instant::now() + WRITE_WITHIN);
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let column = |text: fn(&Restarted) -> &str| restarts.iter().map(text).map(sanitized).collect::<Vec<_>>();
        let number = |value: &dyn Fn(&Restarted) -> i64| restarts.iter().map(value).collect::<Vec<_>>();
        let at: Vec<OffsetDateTime> = restarts.iter().map(|restart| restart.at).collect();
        self.postgres
            .write(
                &scope,
                sql!("supervision/record_restarts"),
                &[
                    &self.node,
                    &column(|restart| &restart.path),
                    &column(|restart| restart.exit_kind.as_str()),
                    &column(|restart| &restart.message),
                    &number(&|restart| i64::try_from(restart.incarnation).unwrap_or(i64::MAX)),
                    &number(&|restart| millis(restart.backoff)),
                    &number(&|restart| i64::from(restart.budget.max)),
                    &number(&|restart| millis(restart.budget.period) / 1000),
                    &number(&|restart| i64::from(restart.budget.used)),
                    &number(&|restart| millis(restart.recovered)),
                    &at,
                ],
            )
            .await?;
        Ok(())
    }
}

/// PostgreSQL stores no NUL; a panic's message may hold one, and may be long.
fn sanitized(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(2000).collect()
}
