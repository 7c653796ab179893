//! The reading connections: few, shared by everybody, pipelined, healed by their keeper.
//!
//! Each slot holds a connection or nothing. [`Readers::query`] takes the next slot's connection, waiting
//! a bounded time for one, unless the last attempt to make one failed: then it says so at once. The
//! [`Keeper`], a supervised routine, connects slots that are empty or whose connection ended. Statements
//! on one connection answer in order, so a slow one holds up those behind it: `statement_timeout` bounds that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, RecyclingMethod};
use tokio::sync::watch;
use tokio_postgres::{NoTls, Row};

use super::error::{Dependency, Fault};
use super::metrics;
use super::postgres::{Params, Settings, lost};
use super::retry::Backoff;
use super::routine::{Routine, Stopping};
use super::run::Run;
use super::writers::Standing;

/// Between attempts to connect.
const RECONNECT: Backoff = Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(500) };
/// How often a connection that nobody uses is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

struct Slot {
    link: watch::Sender<Link>,
    /// Statements that are under way on its connection.
    under_way: AtomicUsize,
}

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
    name: &'static str,
    slots: Vec<Slot>,
    /// Connections made so far.
    made: AtomicU64,
    /// Who waits for a connection.
    waiting: AtomicUsize,
    measured: metrics::Pool,
    next: AtomicUsize,
    connect_within: Duration,
    config: tokio_postgres::Config,
}

impl Readers {
    pub(super) fn new(name: &'static str, settings: &Settings) -> Self {
        let slot = |_| Slot { link: watch::Sender::new(Link::Pending), under_way: AtomicUsize::new(0) };
        Self {
            name,
            slots: (0..settings.readers.max(1)).map(slot).collect(),
            made: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            measured: metrics::Pool::new(name),
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

    /// Connections made so far: one that is in use is among them.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Acquire)
    }

    /// How they stand.
    pub fn standing(&self) -> Standing {
        let open = || self.slots.iter().filter(|slot| slot.link.borrow().client().is_some());
        let used = open().filter(|slot| slot.under_way.load(Ordering::Relaxed) > 0).count();
        Standing {
            name: self.name,
            used,
            idle: open().count().saturating_sub(used),
            max: self.slots.len(),
            pending: self.waiting.load(Ordering::Relaxed),
        }
    }

    pub(super) async fn query(&self, run: &Run<'_>, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len().max(1);
        let slot = self.slots.get(turn).ok_or_else(|| Fault::internal("there are no reading connections"))?;
        let client = self.client(slot).await?;
        let _under_way = One::more(&slot.under_way);
        run.ask(&*client, params).await
    }

    async fn client(&self, slot: &Slot) -> Result<Arc<ClientWrapper>, Fault> {
        if let Some(client) = slot.link.borrow().client() {
            return Ok(Arc::clone(client));
        }
        let _waiting = One::more(&self.waiting);
        let began = Instant::now();
        let mut links = slot.link.subscribe();
        let settled = links.wait_for(|link| link.client().is_some() || matches!(link, Link::Away));
        let settled = tokio::time::timeout(self.connect_within, settled).await;
        self.measured.waited(began.elapsed(), settled.is_ok());
        let client = settled.ok().and_then(Result::ok).and_then(|link| link.client().map(Arc::clone));
        client.ok_or_else(|| Fault::unavailable_for(Dependency::Postgres, "connection", "no reading connection"))
    }
}

/// One more of what is counted, until it is dropped.
struct One<'a>(&'a AtomicUsize);

impl<'a> One<'a> {
    fn more(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps the reading connections open.
pub struct Keeper(pub Arc<Readers>);

impl Routine for Keeper {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let keepers = self.0.slots.iter().map(|slot| keep(&self.0, &slot.link));
        // All loops are endless; the first to end would be the end of them all.
        stopping.unless(futures_util::future::join_all(keepers)).await;
        for slot in &self.0.slots {
            slot.link.send_replace(Link::Pending);
        }
        Ok(())
    }
}

/// Keeps one slot filled, for ever.
async fn keep(readers: &Readers, slot: &watch::Sender<Link>) {
    let manager =
        Manager::from_config(readers.config.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
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
        let making =
            tokio::time::timeout(readers.connect_within * 2, deadpool::managed::Manager::create(&manager)).await;
        let made = match making {
            Ok(made) => made.map_err(|error| lost(&error)),
            Err(_) => Err(Fault::late(Dependency::Postgres, "no answer in time")),
        };
        match made {
            Ok(client) => {
                readers.made.fetch_add(1, Ordering::Release);
                slot.send_replace(Link::Open(Arc::new(client)));
            }
            Err(error) => {
                failures += 1;
                slot.send_replace(Link::Away);
                if failures == 1 {
                    tracing::warn!(exception.message = %error, "a reading connection cannot be made; trying on");
                }
                tokio::time::sleep(RECONNECT.draw(failures)).await;
            }
        }
    }
}
