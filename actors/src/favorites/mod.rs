//! Favorites: many pairs of article and user, one statement, exact counts.
//!
//! The articles are divided among shards, so that wishes about one article meet in one mailbox: a hot
//! article costs one update for all that gathered, and no two statements of a node fight for its row, unless one is held
//! up for so long that another hand is taken.

pub mod message;
mod net;
mod store;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;

pub use message::Refusal;
use message::{AddFavorite, RemoveFavorite, SetFavorite};
use store::Pair;

use crate::articles::{Slug, View};
use crate::jobs::Bell;
use crate::kit::batcher::{Answers, Gather, Hands};
use crate::kit::postgres::Postgres;
use crate::kit::{Ask, Caller, Endpoint, Failure, Scope, metrics};
use crate::supervision::{ChildSpec, child};

/// Shards among which the articles are divided. With four of them, each statement had so few wishes that favorites of
/// many articles took twice as much of the processor (`loadtest/NOTES.md`): two pay where a core is idle beside the first.
pub(crate) const SHARDS: usize = 1;
/// A second flush would only wait for the rows that the first one locked, unless that one is held up: it may wait for
/// somebody's lock on one article, and wishes about others shall not, as long as hands are left.
pub(crate) const SETTERS: Hands = Hands::another_after(4, Duration::from_millis(250));

/// The domain, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Favorites {
    shards: Arc<[Endpoint<Ask<SetFavorite>>]>,
}

impl Favorites {
    /// The domain's handle and its actors: `room` messages may wait at each, `batch` go into one statement, after which
    /// the bell is rung for its jobs.
    pub(crate) fn new(postgres: &Postgres, bell: &Bell, room: usize, batch: usize) -> (Self, Vec<ChildSpec>) {
        let shards: Arc<[_]> = (0..SHARDS)
            .map(|shard| Endpoint::new("favorites", format!("root/favorites/shard-{shard}"), room))
            .collect();
        let rules = Arc::new(Shard { postgres: postgres.clone(), bell: bell.clone() });
        let children = shards.iter().map(|shard| child::batcher(shard, Arc::clone(&rules), SETTERS, batch)).collect();
        (Self { shards }, children)
    }

    /// Favorites an article.
    ///
    /// # Errors
    /// [`Refusal::NoSuchArticle`], [`Refusal::AlreadyFavorited`].
    pub async fn add(&self, caller: &Caller, add: AddFavorite) -> Result<View, Failure<Refusal>> {
        match self.shard(&add.slug) {
            Some(shard) => shard.ask(caller, add).await,
            None => Err(Failure::Refused(Refusal::NoSuchArticle)),
        }
    }

    /// Takes a favorite back, also when it was none.
    ///
    /// # Errors
    /// [`Refusal::NoSuchArticle`].
    pub async fn remove(&self, caller: &Caller, remove: RemoveFavorite) -> Result<View, Failure<Refusal>> {
        match self.shard(&remove.slug) {
            Some(shard) => shard.ask(caller, remove).await,
            None => Err(Failure::Refused(Refusal::NoSuchArticle)),
        }
    }

    fn shard(&self, slug: &Slug) -> Option<&Endpoint<Ask<SetFavorite>>> {
        self.shards.get(slug.shard(self.shards.len()))
    }
}

struct Shard {
    postgres: Postgres,
    bell: Bell,
}

impl Gather for Shard {
    type Command = SetFavorite;

    async fn run(&self, commands: &[SetFavorite], scope: &Scope) -> Answers<SetFavorite> {
        let wishes: Vec<(Pair, bool)> =
            commands.iter().map(|set| ((set.slug.clone(), set.user), set.favorited)).collect();
        let mut traces: HashMap<&Pair, Option<String>> = HashMap::new();
        for (at, (pair, _)) in wishes.iter().enumerate() {
            if let Some(trace) = scope.trace_of(at) {
                trace.set(|| [KeyValue::new("article.slug", pair.0.shared())]);
                traces.insert(pair, trace.traceparent());
            }
        }
        let last: Vec<store::Wish> = net::last_wishes(&wishes)
            .into_iter()
            .map(|(pair, wanted)| {
                let trace = traces.get(&pair).cloned().flatten();
                (pair, wanted, trace)
            })
            .collect();
        let set = store::set(&self.postgres, scope, &last).await?;
        if count(&last, &set) > 0 {
            self.bell.ring();
        }
        let already = net::already_so(&wishes, |pair| set.get(pair).is_some_and(|set| set.was_favorited));
        let answer = |((pair, favorited), already): (&(Pair, bool), bool)| {
            let set = set.get(pair).ok_or(Refusal::NoSuchArticle)?;
            match (favorited, already) {
                (true, true) => Err(Refusal::AlreadyFavorited),
                _ => Ok(View { article: Arc::clone(&set.article), favorited: *favorited }),
            }
        };
        Ok(wishes.iter().zip(already).map(answer).collect())
    }
}

/// Counts what changed; how much that is.
fn count(wishes: &[store::Wish], set: &HashMap<Pair, store::Set>) -> u64 {
    let changed = |wanted: bool| {
        let now_so = |(pair, to, _): &&store::Wish| {
            *to == wanted && set.get(pair).is_some_and(|set| set.was_favorited != wanted)
        };
        wishes.iter().filter(now_so).count() as u64
    };
    let (added, removed) = (changed(true), changed(false));
    metrics::domain().favorites_added.add(added, &[]);
    metrics::domain().favorites_removed.add(removed, &[]);
    added + removed
}
