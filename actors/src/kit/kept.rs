//! What was read before, with the snapshot in which it was last found to be so.
//!
//! ```text
//! asked for ─┬▶ known of the last snapshot ───────────────────────────┐
//!            └▶ all else ─▶ is read, in a snapshot that it tells, and kept ─▶ the same one? what is known is so still
//!               (nothing: the snapshot alone is asked for)                   another? what is known is read as well
//! ```
//!
//! PostgreSQL calls a snapshot by the transactions that it sees, so that the same name means that nothing at all has been
//! committed between the two: one small statement then stands for all reads that gathered, however much they would read.
//!
//! What must stay true: nothing is answered from here unless a statement that began after it was asked for has found the same
//! snapshot, or that it is so. So an answer is as fresh as if all of it had been read, whoever wrote and by whatever way. That
//! holds as long as it is the same database, since one that lost some transactions gives their numbers to others: whenever a
//! connection was made, all is forgotten. While somebody writes between any two reads, nothing is taken for known without
//! being looked at, since the snapshot would be another. It outlives the actors that ask it, and answers none of them by itself.
//! What is asked for the least goes first.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::error::Fault;
use super::metrics;
use super::postgres::Postgres;
use super::scope::Scope;
use crate::sql;

/// A first guess at the bytes of an entry, for how many places there are.
const USUAL: u64 = 1024;
/// What an entry takes beside its value: its key, its place, what allocations are rounded up to.
const BESIDE: usize = 200;

/// What a text takes when it is shown in JSON, where some characters are written as two or six.
pub(crate) fn length_in_json(text: &str) -> usize {
    let written_as = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(written_as).sum()
}

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

/// What a statement saw.
pub(crate) struct Seen {
    /// The snapshot in which it ran.
    pub(crate) snapshot: String,
    /// When that was, by the database's clock.
    pub(crate) now: OffsetDateTime,
}

impl Seen {
    /// What the statement saw that this row is of.
    pub(crate) fn of(row: &Row) -> Self {
        Self { snapshot: row.get("snapshot"), now: row.get("now") }
    }
}

/// What a statement has found.
pub(crate) struct Read<V> {
    /// What it saw; nothing where it found nothing.
    pub(crate) seen: Option<Seen>,
    /// What each place has now. Where a place is left out, what is known is so still.
    pub(crate) found: Vec<(usize, Option<V>)>,
    /// How many of these were not known.
    pub(crate) new: usize,
}

/// How what is not known is read.
pub(crate) trait Look<V>: Send {
    /// Reads what stands in these places of all that is asked for, given what is known of all of it.
    fn look(&mut self, places: &[usize], known: &[Option<V>]) -> impl Future<Output = Result<Read<V>, Fault>> + Send;
}

/// What is known of what is asked for.
struct Recalled<V> {
    /// Of each in its turn: what is known, and whether it is of the last snapshot, and that worth asking for.
    known: Vec<(Option<V>, bool)>,
    snapshot: Arc<str>,
    epoch: u64,
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
    found: metrics::Kept,
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

    /// Finds what has these keys, each once, by what is known where that is enough, and looks for it otherwise. Tells what
    /// was seen last, after all of it was asked for.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked.
    pub(crate) async fn find<Q: Borrow<K>>(
        &self,
        (postgres, scope): (&Postgres, &Scope),
        keys: &[Q],
        is_enough: impl Fn(usize) -> bool,
        look: &mut impl Look<V>,
    ) -> Result<(Vec<Option<V>>, Option<Seen>), Fault> {
        let Recalled { known, snapshot, epoch } = self.recall(postgres.epoch(), keys);
        let (known, settled): (Vec<_>, Vec<_>) = known.into_iter().unzip();
        let is_settled = |at: &usize| settled.get(*at) == Some(&true) && is_enough(*at);
        let (settled, open): (Vec<usize>, Vec<usize>) = (0..keys.len()).partition(is_settled);
        let mut asked = Asked { kept: self, postgres, keys, epoch, known };
        let mut seen = match open.is_empty() {
            true => Some(seen(postgres, scope).await?),
            false => asked.read(&open, look).await?,
        };
        let same = seen.as_ref().is_some_and(|seen| *seen.snapshot == *snapshot) && postgres.epoch() == epoch;
        if same {
            self.found.same(settled.len());
        } else if !settled.is_empty() {
            self.lock().quiet = false;
            seen = asked.read(&settled, look).await?;
        }
        Ok((asked.known, seen))
    }

    /// What is known of each of these in this epoch.
    fn recall<Q: Borrow<K>>(&self, epoch: u64, keys: &[Q]) -> Recalled<V> {
        let mut entries = self.lock();
        if entries.epoch != epoch {
            entries.forget();
            entries.epoch = epoch;
        }
        let known = keys.iter().map(|key| match entries.cache.get(key.borrow()) {
            Some(entry) => (Some(entry.value.clone()), entries.quiet && entry.found_in == entries.number),
            None => (None, false),
        });
        let known = known.collect();
        Recalled { known, snapshot: Arc::clone(&entries.snapshot), epoch }
    }

    /// Keeps what a statement of this epoch has found to be so in this snapshot. What it has not found is kept no longer: it
    /// may be about somebody who left.
    fn keep(&self, epoch: u64, snapshot: Option<&str>, found: impl Iterator<Item = (K, Option<V>)>) {
        let mut entries = self.lock();
        if entries.epoch != epoch {
            return;
        }
        if let Some(snapshot) = snapshot {
            entries.is_now(snapshot);
        }
        let found_in = entries.number;
        for (key, value) in found {
            match value.filter(|_| snapshot.is_some()) {
                Some(value) => entries.cache.insert(key, Entry { value, found_in }),
                None => drop(entries.cache.remove(&key)),
            }
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

/// What is asked for, and what is known of it so far.
struct Asked<'a, K, V, Q> {
    kept: &'a Kept<K, V>,
    postgres: &'a Postgres,
    keys: &'a [Q],
    epoch: u64,
    known: Vec<Option<V>>,
}

impl<K: Eq + Hash + Clone, V: Keep, Q: Borrow<K>> Asked<'_, K, V, Q> {
    /// Reads what stands in these places, and keeps it.
    async fn read(&mut self, places: &[usize], look: &mut impl Look<V>) -> Result<Option<Seen>, Fault> {
        let mut done = look.look(places, &self.known).await?;
        if self.postgres.epoch() != self.epoch {
            // Another server may have been asked than the one that told what is known.
            self.are_now(places.iter().map(|place| (*place, None)));
            done = look.look(places, &self.known).await?;
        }
        self.are_now(done.found.into_iter());
        let found = || places.iter().filter_map(|place| Some((self.keys.get(*place)?, self.known.get(*place)?)));
        let there = found().filter(|(_, known)| known.is_some()).count();
        self.kept.found.otherwise(there.saturating_sub(done.new), done.new);
        let snapshot = done.seen.as_ref().map(|seen| seen.snapshot.as_str());
        self.kept.keep(self.epoch, snapshot, found().map(|(key, known)| (key.borrow().clone(), known.clone())));
        Ok(done.seen)
    }

    fn are_now(&mut self, found: impl Iterator<Item = (usize, Option<V>)>) {
        for (place, now) in found {
            if let Some(known) = self.known.get_mut(place) {
                *known = now;
            }
        }
    }
}

/// What is seen now.
async fn seen(postgres: &Postgres, scope: &Scope) -> Result<Seen, Fault> {
    let rows = postgres.read(scope, sql!("kept/snapshot"), &[]).await?;
    rows.first().map(Seen::of).ok_or_else(|| Fault::internal("there is no snapshot"))
}

impl<K: Eq + Hash, V: Keep> Entries<K, V> {
    fn is_now(&mut self, snapshot: &str) {
        self.quiet = *self.snapshot == *snapshot;
        if !self.quiet {
            self.snapshot = Arc::from(snapshot);
            self.number += 1;
        }
    }

    fn forget(&mut self) {
        self.cache.clear();
        self.quiet = false;
        self.snapshot = Arc::from("");
    }
}
