//! What was read before, with the snapshot in which it was last found to be so.
//!
//! ```text
//! read ─▶ is all of it known of the last snapshot? ─ yes ─▶ which is it now? ─ the same ─▶ what is known is answered
//!                                └─ no ─────────────────────────┴─ another ─▶ it is read, and kept of that snapshot
//! ```
//!
//! PostgreSQL calls a snapshot by the transactions that it sees, so that the same name means that nothing at all has been
//! committed between the two: one small statement then stands for all reads that gathered, however much they read.
//!
//! What must stay true: nothing is answered from here unless a statement that began after it was asked for has found the same
//! snapshot. So an answer is as fresh as if all of it had been read, whoever wrote and by whatever way. That holds as long
//! as it is the same database, since one that lost some transactions gives their numbers to others: whenever a connection
//! was made, all is forgotten. Where somebody writes between any two reads, the snapshot is not asked for, since it would be
//! another. What is asked for the least goes first.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use time::OffsetDateTime;

use super::error::Fault;
use super::metrics;
use super::postgres::Postgres;
use super::scope::Scope;
use crate::sql;

/// A first guess at the bytes of an entry, for how many places there are.
const USUAL: u64 = 1024;
/// What an entry takes beside its value: its key, its place, what allocations are rounded up to.
const BESIDE: usize = 200;

/// What can be kept.
pub(crate) trait Keep: Clone + Send + 'static {
    /// The bytes that it takes, about.
    fn bytes(&self) -> usize;
}

/// A value, and the number of the snapshot in which it was last found to be so.
struct Entry<V> {
    value: V,
    found_in: u64,
}

#[derive(Clone)]
struct ByBytes;

impl<K, V: Keep> Weighter<K, Entry<V>> for ByBytes {
    fn weight(&self, _: &K, entry: &Entry<V>) -> u64 {
        (BESIDE + entry.value.bytes()) as u64
    }
}

/// What is known of what is asked for.
pub(crate) struct Recalled<V> {
    /// Of each in its turn.
    pub(crate) known: Vec<Option<V>>,
    /// The last snapshot, if all of them are known of it, and it is worth asking for: the one before was the same.
    snapshot: Option<Arc<str>>,
    epoch: u64,
}

impl<V> Recalled<V> {
    /// Whether it was told by the database that is asked now.
    pub(crate) fn is_of(&self, postgres: &Postgres) -> bool {
        self.epoch == postgres.epoch()
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Of what.
    pub name: &'static str,
    /// The bytes that it takes, about.
    pub bytes: u64,
    /// Those that it may take.
    pub limit: u64,
}

/// What was read before.
pub(crate) struct Kept<K, V> {
    name: &'static str,
    entries: Mutex<Entries<K, V>>,
    pub(crate) found: metrics::Kept,
}

struct Entries<K, V> {
    /// Which connections told it.
    epoch: u64,
    /// The last snapshot.
    snapshot: Arc<str>,
    /// How many others there were before it.
    number: u64,
    /// The one before was the same.
    quiet: bool,
    cache: Cache<K, Entry<V>, ByBytes>,
}

impl<K: Eq + Hash + Clone, V: Keep> Kept<K, V> {
    /// Keeps nothing yet, and never more than takes so many bytes; nothing at all with 0.
    pub(crate) fn new(name: &'static str, bytes: usize) -> Self {
        let bytes = bytes as u64;
        let cache = Cache::with_weighter(usize::try_from(bytes / USUAL).unwrap_or_default(), bytes, ByBytes);
        let entries = Entries { epoch: 0, snapshot: Arc::from(""), number: 0, quiet: false, cache };
        Self { name, entries: Mutex::new(entries), found: metrics::Kept::new(name) }
    }

    /// What is known of each of these.
    pub(crate) fn recall<'a>(&self, postgres: &Postgres, keys: impl Iterator<Item = &'a K>) -> Recalled<V>
    where
        K: 'a,
    {
        let epoch = postgres.epoch();
        let mut entries = self.lock();
        if entries.epoch != epoch {
            entries.forget();
            entries.epoch = epoch;
        }
        let mut all_of_last = entries.quiet;
        let known = keys.map(|key| {
            let entry = entries.cache.get(key);
            all_of_last &= entry.is_some_and(|entry| entry.found_in == entries.number);
            entry.map(|entry| entry.value.clone())
        });
        let known = known.collect();
        Recalled { known, snapshot: all_of_last.then(|| Arc::clone(&entries.snapshot)), epoch }
    }

    /// Whether all that was recalled is still so, and if it is, what time it is for the database.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked.
    pub(crate) async fn holds(
        &self,
        postgres: &Postgres,
        scope: &Scope,
        recalled: &Recalled<V>,
    ) -> Result<Option<OffsetDateTime>, Fault> {
        let Some(before) = &recalled.snapshot else { return Ok(None) };
        let rows = postgres.read(scope, sql!("kept/snapshot"), &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::internal("there is no snapshot"))?;
        if row.get::<_, &str>("snapshot") != &**before || !recalled.is_of(postgres) {
            self.lock().quiet = false;
            return Ok(None);
        }
        self.found.same(recalled.known.len());
        Ok(Some(row.get("now")))
    }

    /// Keeps what a statement has found to be so in this snapshot, which ran for what was recalled.
    pub(crate) fn keep(&self, recalled: &Recalled<V>, snapshot: &str, found: impl Iterator<Item = (K, V)>) {
        let mut entries = self.lock();
        if entries.epoch != recalled.epoch {
            return;
        }
        entries.quiet = *entries.snapshot == *snapshot;
        if !entries.quiet {
            entries.snapshot = Arc::from(snapshot);
            entries.number += 1;
        }
        let found_in = entries.number;
        for (key, value) in found {
            entries.cache.insert(key, Entry { value, found_in });
        }
    }

    /// How much is kept.
    pub(crate) fn size(&self) -> Size {
        let entries = self.lock();
        Size { name: self.name, bytes: entries.cache.weight(), limit: entries.cache.capacity() }
    }

    /// Whoever panicked while it was changed leaves nothing behind that somebody could take for known.
    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(|poisoned| {
            let mut entries = poisoned.into_inner();
            entries.forget();
            self.entries.clear_poison();
            entries
        })
    }
}

impl<K: Eq + Hash, V: Keep> Entries<K, V> {
    fn forget(&mut self) {
        self.cache.clear();
        self.quiet = false;
        self.snapshot = Arc::from("");
    }
}
