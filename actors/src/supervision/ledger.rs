//! The restart ledger: every restart, kept in PostgreSQL so that it outlives the process.
//!
//! ```text
//! observer ─▶ bounded buffer ─▶ writer: what has gathered, one statement ─▶ actor_restarts ◀─ reader ◀─ operators
//! ```
//!
//! While the database is away the buffer fills, and what no longer fits is dropped and counted: an operator's
//! record must never hold up a restart. What the writer has taken out of the buffer and not yet written outlives
//! its own crashes; written twice, it counts once. Old rows go, by age and by number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};

use super::child;
use super::observer::{Observer, Restarted};
use super::spec::ChildSpec;
use super::store::{self, RestartView};
use crate::kit::command::Outcome;
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::retry::Backoff;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Caller, Endpoint, Failure, Fault, Scope, Trace};
use crate::{command, messages};

/// Restarts that wait to be written: a hundred a second for a minute, and some.
const BUFFER: usize = 8192;
/// Restarts written by one statement.
const BATCH: usize = 500;
/// Between attempts to write, while the database is away.
const RETRY: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };
/// How long one statement may take.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// How often old rows are looked for, at most.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// How long what is left is tried to be written when the process stops.
const LAST_WRITE_WITHIN: Duration = Duration::from_secs(2);

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Nothing older.
    pub age: Duration,
    /// No more rows, of all nodes together.
    pub rows: usize,
}

/// Read a page of the ledger, newest first.
#[derive(Debug, Clone, Copy)]
pub struct ListRestarts {
    /// Only those before the one with this number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

command!(ListRestarts, "list_restarts", Vec<RestartView>, std::convert::Infallible, idempotent: true);
messages! {
    /// What the reader understands.
    pub(crate) enum ReaderMessage { ListRestarts }
}

/// The ledger, as those know it who read it. Cheap to clone.
#[derive(Clone)]
pub struct Ledger(Endpoint<ReaderMessage>);

impl Ledger {
    /// The handle, where restarts are reported to, and the actors, for the process called `node`.
    pub fn new(node: &str, postgres: &Postgres, keep: Keep, room: usize) -> (Self, Observer, Vec<ChildSpec>) {
        let (observer, inbox) = Observer::channel(BUFFER);
        let writer = Writer {
            node: node.to_owned(),
            postgres: postgres.clone(),
            keep,
            observer: observer.clone(),
            desk: Mutex::new(Desk { inbox, restarts: Vec::new(), pruned: None }),
        };
        let reader = Endpoint::new("ledger", "root/ledger/reader", room);
        let children = vec![
            child::routine("writer", Arc::new(writer)),
            child::pool(&reader, Arc::new(Reader(postgres.clone())), 2),
        ];
        (Self(reader), observer, children)
    }

    /// A page of restarts, of all nodes.
    ///
    /// # Errors
    /// None of its own.
    pub async fn list(
        &self,
        caller: &Caller,
        list: ListRestarts,
    ) -> Result<Vec<RestartView>, Failure<std::convert::Infallible>> {
        self.0.ask(caller, list).await
    }
}

struct Reader(Postgres);

impl Worker for Reader {
    type Message = ReaderMessage;

    async fn handle(&self, message: ReaderMessage, scope: Scope) -> Outcome {
        let ReaderMessage::ListRestarts(ask) = message;
        ask.serve(async |list| Ok(store::list_restarts(&self.0, &scope, list.before, list.limit).await?)).await
    }
}

/// Writes restarts to PostgreSQL.
struct Writer {
    /// Which process this is.
    node: String,
    postgres: Postgres,
    keep: Keep,
    observer: Observer,
    /// Shared by the incarnations; only one runs at a time.
    desk: Mutex<Desk>,
}

struct Desk {
    inbox: mpsc::Receiver<Arc<Restarted>>,
    /// Taken out of the buffer and not known to be written.
    restarts: Vec<Arc<Restarted>>,
    pruned: Option<Instant>,
}

impl Routine for Writer {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let mut desk = self.desk.lock().await;
        let desk = &mut *desk;
        let mut failures = 0;
        loop {
            if desk.restarts.is_empty() {
                let taking = tokio::time::timeout(PRUNE_EVERY, desk.inbox.recv_many(&mut desk.restarts, BATCH));
                match stopping.unless(taking).await {
                    None | Some(Ok(0)) => break,
                    Some(Err(_)) => {}
                    Some(Ok(_)) => continue,
                }
            }
            // Written twice a restart counts once: a statement may be given up at any moment.
            match stopping.unless(self.write(&mut desk.restarts)).await {
                None => break,
                Some(Ok(())) => {
                    failures = 0;
                    desk.restarts.clear();
                    self.prune(&mut desk.pruned).await;
                }
                Some(Err(fault)) => {
                    failures += 1;
                    let waiting = desk.restarts.len() + desk.inbox.len();
                    tracing::warn!(exception.message = %fault, waiting, "restarts cannot be written; trying on");
                    if stopping.unless(tokio::time::sleep(RETRY.draw(failures))).await.is_none() {
                        break;
                    }
                }
            }
        }
        self.finish(desk).await;
        Ok(())
    }
}

impl Writer {
    /// Writes what is there. What the database does not take at all is left out and counted, so that it does not
    /// keep the rest from being written.
    async fn write(&self, restarts: &mut Vec<Arc<Restarted>>) -> Result<(), Fault> {
        match self.record(restarts).await {
            Err(fault) if fault.is_about_values() => {}
            result => return result,
        }
        while let Some(restart) = restarts.last() {
            match self.record(std::slice::from_ref(restart)).await {
                Err(fault) if fault.is_about_values() => {
                    tracing::error!(exception.message = %fault, callboard.actor.path = %restart.path, "a restart cannot be in the ledger");
                    self.observer.drop(1);
                }
                result => result?,
            }
            restarts.pop();
        }
        Ok(())
    }

    async fn record(&self, restarts: &[Arc<Restarted>]) -> Result<(), Fault> {
        if restarts.is_empty() {
            return Ok(());
        }
        store::record_restarts(&self.postgres, &scope(WRITE_WITHIN), &self.node, restarts).await
    }

    /// Forgets old rows, now and then. Whatever hinders that hinders nothing else.
    async fn prune(&self, pruned: &mut Option<Instant>) {
        if pruned.is_some_and(|at| at.elapsed() < PRUNE_EVERY) {
            return;
        }
        *pruned = Some(Instant::now());
        match store::prune_restarts(&self.postgres, &scope(WRITE_WITHIN), self.keep).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old restarts were forgotten"),
            Err(fault) => tracing::warn!(exception.message = %fault, "old restarts could not be forgotten"),
        }
    }

    /// Writes what is left, once; what cannot be written is counted as dropped.
    async fn finish(&self, desk: &mut Desk) {
        while let Ok(restart) = desk.inbox.try_recv() {
            desk.restarts.push(restart);
        }
        if desk.restarts.is_empty() {
            return;
        }
        let written = tokio::time::timeout(LAST_WRITE_WITHIN, self.write(&mut desk.restarts)).await;
        if !matches!(written, Ok(Ok(()))) {
            self.observer.drop(desk.restarts.len() as u64);
            tracing::error!(count = desk.restarts.len(), "restarts were not written to the ledger before the end");
        }
        desk.restarts.clear();
    }
}

fn scope(within: Duration) -> Scope {
    Scope::new(Trace::default(), Instant::now() + within)
}
