//! Articles that were read before, each with the state that it was in, and the snapshot in which that was last so.
//!
//! ```text
//! read ─▶ all as in the last snapshot? ─▶ it is asked for: the same ─▶ what was kept is answered
//!              └─ no, or another ─▶ the states that are known are compared ─┬▶ the same: what was kept is answered
//!                                                                          └▶ another: it is sent, and kept from now on
//! ```
//!
//! What must stay true: nothing is answered from here unless a statement that began after it was asked for has found that
//! it is so, by one of two signs. The snapshot is the same, which means that nothing at all has been committed since; or the
//! rows of the article and its author are those that the same transactions wrote. So an answer is as fresh as if all of it
//! had been read, whoever wrote and by whatever way. Both hold as long as it is the same database, since one that lost some
//! transactions gives their numbers to others: whenever a connection is made, all is forgotten. What is asked for the least
//! goes first.

use std::sync::{Arc, Mutex, MutexGuard};

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::message::Article;
use super::slug::Slug;
use crate::kit::Shared;

/// What an article takes beside its texts: itself, its place here, what allocations are rounded up to.
const APART_FROM_TEXTS: usize = 700;
/// What an article of a kilobyte takes, for a first guess at how many places there are.
const USUAL: u64 = 4096;

/// The transactions that wrote an article's row and its author's, which wrote no other state of the two. PostgreSQL's
/// numbers for them have 32 bits, here taken for signed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) article_written_by: i32,
    pub(super) author_written_by: i32,
}

/// An article, and the state that it was read in.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) state: State,
    pub(super) article: Arc<Shared<Article>>,
}

/// What is known of the articles that are asked for.
pub(super) struct Recalled {
    /// Of each in its turn.
    pub(super) known: Vec<Option<Known>>,
    /// The last snapshot, if all of them are known to be so in it, and it is worth asking for: the one before was the same.
    pub(super) snapshot: Option<Arc<str>>,
}

/// What is known, and when that was last found to be so.
struct Entry {
    known: Known,
    /// The snapshot, by its number here.
    found_in: u64,
}

#[derive(Clone)]
struct ByTexts;

impl Weighter<Slug, Entry> for ByTexts {
    fn weight(&self, _: &Slug, entry: &Entry) -> u64 {
        let Article { title, description, body, author, .. } = &**entry.known.article;
        let texts = [title, description, &author.name, &author.bio, &author.image];
        let texts = texts.map(String::len).iter().sum::<usize>() + body.as_ref().map_or(0, String::len);
        // Twice, since it is kept as it is shown as well.
        (APART_FROM_TEXTS + 2 * texts) as u64
    }
}

/// The articles that are kept.
pub(super) struct Kept(Mutex<OfDatabase>);

/// What is kept of one database.
struct OfDatabase {
    /// Which connections told it.
    epoch: u64,
    /// The last snapshot.
    snapshot: Arc<str>,
    /// How many different ones there were before it.
    number: u64,
    /// The one before was the same.
    quiet: bool,
    articles: Cache<Slug, Entry, ByTexts>,
}

impl Kept {
    /// Keeps none yet, and never more than take so many bytes; none at all with 0.
    pub(super) fn new(bytes: usize) -> Self {
        let bytes = bytes as u64;
        let places = usize::try_from(bytes / USUAL).unwrap_or_default();
        let articles = Cache::with_weighter(places, bytes, ByTexts);
        Self(Mutex::new(OfDatabase { epoch: 0, snapshot: Arc::from(""), number: 0, quiet: false, articles }))
    }

    /// What is known of each of these, as long as it was told in this epoch.
    pub(super) fn recall(&self, epoch: u64, slugs: &[&Slug]) -> Recalled {
        let mut kept = self.lock();
        if kept.epoch != epoch {
            kept.forget();
            kept.epoch = epoch;
        }
        let mut all_found = kept.quiet;
        let mut recall = |slug: &&Slug| {
            let entry = kept.articles.get(*slug);
            all_found &= entry.is_some_and(|entry| entry.found_in == kept.number);
            entry.map(|entry| entry.known.clone())
        };
        let known = slugs.iter().map(&mut recall).collect();
        Recalled { known, snapshot: all_found.then(|| Arc::clone(&kept.snapshot)) }
    }

    /// Keeps what a statement of this epoch has found to be so in this snapshot.
    pub(super) fn keep(&self, epoch: u64, snapshot: &str, found: impl Iterator<Item = Known>) {
        let mut kept = self.lock();
        if kept.epoch != epoch {
            return;
        }
        kept.quiet = *kept.snapshot == *snapshot;
        if !kept.quiet {
            kept.snapshot = Arc::from(snapshot);
            kept.number += 1;
        }
        let found_in = kept.number;
        for known in found {
            match kept.articles.peek_mut(&known.article.slug) {
                Some(mut entry) if entry.known.state == known.state => entry.found_in = found_in,
                _ => kept.articles.insert(known.article.slug.clone(), Entry { known, found_in }),
            }
        }
    }

    /// It is another snapshot than the last one: what is known of that is worth nothing, until two are the same again.
    pub(super) fn unquiet(&self) {
        self.lock().quiet = false;
    }

    /// The bytes that it takes, and those that it may.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let kept = self.lock();
        (kept.articles.weight(), kept.articles.capacity())
    }

    /// Whoever panicked while it was changed leaves nothing behind that somebody could take for known.
    fn lock(&self) -> MutexGuard<'_, OfDatabase> {
        self.0.lock().unwrap_or_else(|poisoned| {
            let mut kept = poisoned.into_inner();
            kept.forget();
            self.0.clear_poison();
            kept
        })
    }
}

impl OfDatabase {
    fn forget(&mut self) {
        self.articles.clear();
        self.quiet = false;
        self.snapshot = Arc::from("");
    }
}
