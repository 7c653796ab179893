//! The reading connections: few, shared by everybody, pipelined, healed by their keeper.
//!
//! Each slot holds a connection or nothing. [`Readers::query`] takes the next slot's connection, waiting
//! a bounded time for one, unless the last attempt to make one failed: then it says so at once. The
//! [`Keeper`], a supervised routine, connects slots that are empty or whose connection ended. Statements
//! on one connection answer in order, so a slow one holds up those behind it: `statement_timeout` bounds that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, RecyclingMethod};
use tokio::sync::watch;
use tokio_postgres::{NoTls, Row};

use super::error::{Dependency, Fault};
use super::postgres::{Params, Settings, lost};
use super::retry::Backoff;
use super::routine::{Routine, Stopping};
use super::run::Run;

/// Between attempts to connect.
const RECONNECT: Backoff = Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(500) };
/// How often a connection that nobody uses is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

type Slot = watch::Sender<Link>;

/// What a slot holds.
enum Link {
    /// Nothing yet, or a connection that has just ended: worth waiting for.
    Pending,
    /// A connection, which may have ended since.
    Open(Arc<ClientWrapper>),
    /// The last attempt to connect failed: not worth waiting for.
    Away,
}

impl Link {
    fn client(&self) -> Option<&Arc<ClientWrapper>> {
        match self {
            Self::Open(client) if !client.is_closed() => Some(client),
            _ => None,
        }
    }
}

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
            slots: (0..settings.readers.max(1)).map(|_| watch::Sender::new(Link::Pending)).collect(),
            next: AtomicUsize::new(0),
            connect_within: settings.connect_within,
            config: settings.config.clone(),
        }
    }

    /// How the database is reached, for connections of other kinds.
    pub(crate) fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    /// How long a statement may wait for a connection.
    pub(crate) fn connect_within(&self) -> Duration {
        self.connect_within
    }

    /// How many are connected.
    pub fn connected(&self) -> usize {
        self.slots.iter().filter(|slot| slot.borrow().client().is_some()).count()
    }

    pub(super) async fn query(&self, run: &Run<'_>, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        run.ask(&*self.client().await?, params).await
    }

    async fn client(&self) -> Result<Arc<ClientWrapper>, Fault> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len().max(1);
        let slot = self.slots.get(turn).ok_or_else(|| Fault::internal("there are no reading connections"))?;
        if let Some(client) = slot.borrow().client() {
            return Ok(Arc::clone(client));
        }
        let mut links = slot.subscribe();
        let settled = links.wait_for(|link| link.client().is_some() || matches!(link, Link::Away));
        let client = match tokio::time::timeout(self.connect_within, settled).await {
            Ok(Ok(link)) => link.client().map(Arc::clone),
            _ => None,
        };
        client.ok_or_else(|| Fault::unavailable_for(Dependency::Postgres, "connection", "no reading connection"))
    }
}

/// Keeps the reading connections open.
pub struct Keeper(pub Arc<Readers>);

impl Routine for Keeper {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let keepers = self.0.slots.iter().map(|slot| keep(slot, &self.0.config, self.0.connect_within));
        // All loops are endless; the first to end would be the end of them all.
        stopping.unless(futures_util::future::join_all(keepers)).await;
        for slot in &self.0.slots {
            slot.send_replace(Link::Pending);
        }
        Ok(())
    }
}

/// Keeps one slot filled, for ever.
async fn keep(slot: &Slot, config: &tokio_postgres::Config, connect_within: Duration) {
    let manager =
        Manager::from_config(config.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let mut failures = 0;
    loop {
        // A connection that outlived a crashed keeper still serves.
        let open = slot.borrow().client().is_some();
        if open {
            failures = 0;
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        // The driver limits only the way to the server, and not what that then takes to let us in.
        let making = tokio::time::timeout(connect_within * 2, deadpool::managed::Manager::create(&manager)).await;
        let made = match making {
            Ok(made) => made.map_err(|error| lost(&error)),
            Err(_) => Err(Fault::late(Dependency::Postgres, "no answer in time")),
        };
        match made {
            Ok(client) => {
                slot.send_replace(Link::Open(Arc::new(client)));
            }
            Err(error) => {
                failures += 1;
                slot.send_replace(Link::Away);
                if failures == 1 {
                    tracing::warn!(%error, "a reading connection cannot be made; trying on");
                }
                tokio::time::sleep(RECONNECT.draw(failures)).await;
            }
        }
    }
}
