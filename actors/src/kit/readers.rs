//! The reading connections: few, shared by everybody, pipelined, healed by their keeper.
//!
//! Each slot holds a connection or nothing. [`Readers::query`] takes the next slot's connection, waiting
//! a bounded time for one; the [`Keeper`], a supervised routine, connects empty slots and empties those
//! whose connection ended. Statements on one connection answer in order, so a slow one holds up those
//! behind it: `statement_timeout` bounds that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, RecyclingMethod};
use tokio::sync::watch;
use tokio_postgres::{NoTls, Row};

use super::error::{Dependency, Fault};
use super::postgres::{Params, Settings, classify, lost};
use super::retry::Backoff;
use super::routine::{Routine, Stopping};
use super::sql::Statement;

/// Between attempts to connect.
const RECONNECT: Backoff = Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(500) };
/// How often a connection that nobody uses is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

type Slot = watch::Sender<Option<Arc<ClientWrapper>>>;

/// The shared reading connections.
pub struct Readers {
    slots: Vec<Slot>,
    next: AtomicUsize,
    connect_within: Duration,
    config: tokio_postgres::Config,
}

impl Readers {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            slots: (0..settings.readers.max(1)).map(|_| watch::Sender::new(None)).collect(),
            next: AtomicUsize::new(0),
            connect_within: settings.connect_within,
            config: settings.config.clone(),
        }
    }

    /// How the database is reached, for connections of other kinds.
    pub(crate) fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    /// How many are connected.
    pub fn connected(&self) -> usize {
        self.slots.iter().filter(|slot| slot.borrow().as_ref().is_some_and(|client| !client.is_closed())).count()
    }

    pub(super) async fn query(&self, statement: &'static Statement, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let client = self.client().await?;
        let prepared = client.prepare_cached(statement.text).await.map_err(|e| classify(statement, e))?;
        client.query(&prepared, params).await.map_err(|e| classify(statement, e))
    }

    async fn client(&self) -> Result<Arc<ClientWrapper>, Fault> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len().max(1);
        let slot = self.slots.get(turn).ok_or_else(|| Fault::internal("there are no reading connections"))?;
        if let Some(client) = slot.borrow().as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let mut waiting = slot.subscribe();
        let connected = waiting.wait_for(|client| client.as_ref().is_some_and(|client| !client.is_closed()));
        match tokio::time::timeout(self.connect_within, connected).await {
            Ok(Ok(client)) => client.as_ref().map(Arc::clone).ok_or_else(|| Fault::internal("a slot emptied itself")),
            _ => Err(Fault::unavailable(Dependency::Postgres, "no reading connection")),
        }
    }
}

/// Keeps the reading connections open.
pub struct Keeper(pub Arc<Readers>);

impl Routine for Keeper {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let keepers = self.0.slots.iter().map(|slot| keep(slot, &self.0.config));
        // All loops are endless; the first to end would be the end of them all.
        stopping.unless(futures_util::future::join_all(keepers)).await;
        for slot in &self.0.slots {
            slot.send_replace(None);
        }
        Ok(())
    }
}

/// Keeps one slot filled, for ever.
async fn keep(slot: &Slot, config: &tokio_postgres::Config) {
    let manager =
        Manager::from_config(config.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let mut failures = 0;
    loop {
        // A connection that outlived a crashed keeper still serves.
        let open = slot.borrow().as_ref().is_some_and(|client| !client.is_closed());
        if open {
            failures = 0;
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        match deadpool::managed::Manager::create(&manager).await {
            Ok(client) => {
                slot.send_replace(Some(Arc::new(client)));
            }
            Err(error) => {
                failures += 1;
                slot.send_replace(None);
                if failures == 1 {
                    tracing::warn!(error = %lost(&error), "a reading connection cannot be made; trying on");
                }
                tokio::time::sleep(RECONNECT.draw(failures)).await;
            }
        }
    }
}
