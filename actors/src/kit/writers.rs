//! The writing connections: a pool in which each is its holder's own until it is given back. What is waited for one, how
//! long it is kept, and who gave up waiting is measured.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::NoTls;

use super::error::{Dependency, Fault};
use super::metrics;
use super::postgres::{Settings, lost};

/// How a pool of connections stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// What it is called in metrics.
    pub name: &'static str,
    /// Connections with something to do.
    pub used: usize,
    /// Connections without.
    pub idle: usize,
    /// The most connections that there may be.
    pub max: usize,
    /// Who waits for one.
    pub pending: usize,
}

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writers {
    name: &'static str,
    pool: Pool,
    measured: Arc<metrics::Pool>,
}

/// A connection that is one's own until it is dropped.
pub(super) struct Lent {
    object: Object,
    held: Held,
}

struct Held {
    since: Instant,
    measured: Arc<metrics::Pool>,
}

impl Writers {
    /// So many connections under this name; none is made yet.
    pub(super) fn new(name: &'static str, settings: &Settings, count: usize) -> Result<Self, Fault> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(settings.config.clone(), NoTls, recycling);
        let pool = Pool::builder(manager)
            .max_size(count)
            .wait_timeout(Some(settings.connect_within))
            .create_timeout(Some(settings.connect_within))
            .recycle_timeout(Some(settings.connect_within))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(Fault::internal)?;
        Ok(Self { name, pool, measured: Arc::new(metrics::Pool::new(name)) })
    }

    /// A connection, waited for within the time that there is for it.
    pub(super) async fn lend(&self) -> Result<Lent, Fault> {
        let began = Instant::now();
        let had = self.pool.get().await;
        let since = Instant::now();
        self.measured.waited(since - began, !matches!(had, Err(PoolError::Timeout(_))));
        let object = had.map_err(|error| match error {
            PoolError::Timeout(_) => Fault::late(Dependency::Postgres, error),
            error => lost(&error),
        })?;
        Ok(Lent { object, held: Held { since, measured: Arc::clone(&self.measured) } })
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        let status = self.pool.status();
        let idle = status.available.min(status.size);
        Standing { name: self.name, used: status.size - idle, idle, max: status.max_size, pending: status.waiting }
    }

    /// Closes what is idle and lends no more.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

impl Lent {
    /// Ends the connection, so that nobody else waits behind what it may still do.
    pub(super) fn discard(self) {
        let Self { object, held: _held } = self;
        drop(Object::take(object));
    }
}

impl Deref for Lent {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Object {
        &mut self.object
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.measured.used(self.since.elapsed());
    }
}
