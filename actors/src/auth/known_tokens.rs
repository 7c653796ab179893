//! Access tokens that were verified before, by their digests: a client brings the same one for minutes, and to take it apart
//! and sign it anew costs several times as much as its digest.
//!
//! ```text
//! token ─▶ digest ─┬▶ known ─▶ what it said, if it is its time still
//!                  └▶ verified ─▶ ours ─▶ kept
//! ```
//!
//! What must stay true: only what was found to be ours is kept, and whatever that rests on is the same for as long as the
//! process lives, but for the time, which is looked at each time. Tokens themselves are not kept, and whether a session is open
//! is asked elsewhere. Two tokens with one digest would have to be found first.

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::token::Verified;
use crate::kit::kept::Size;
use crate::kit::metrics;

/// What is kept here is called in metrics.
const NAME: &str = "tokens";
/// The bytes of an entry: its digest, what the token says, its place, what allocations are rounded up to.
const ENTRY: u64 = 200;

/// What a token is known by.
pub(super) type Digest = [u8; 32];

/// What a token said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) verified: Verified,
    /// When it is valid, in seconds since 1970, both included.
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Known {
    /// What it said, if it is valid at this time.
    pub(super) fn at(&self, now: i64) -> Option<Verified> {
        (self.from..=self.until).contains(&now).then_some(self.verified)
    }
}

#[derive(Clone)]
struct AllAlike;

impl Weighter<Digest, Known> for AllAlike {
    fn weight(&self, _: &Digest, _: &Known) -> u64 {
        ENTRY
    }
}

/// The tokens that are known. Those that are asked for the least go first.
pub(super) struct KnownTokens {
    cache: Cache<Digest, Known, AllAlike>,
    found: metrics::Kept,
}

impl KnownTokens {
    /// Knows none yet, and never more than take so many bytes; none at all with 0.
    pub(super) fn new(bytes: usize) -> Self {
        let bytes = bytes as u64;
        let cache = Cache::with_weighter(usize::try_from(bytes / ENTRY).unwrap_or_default(), bytes, AllAlike);
        Self { cache, found: metrics::Kept::new(NAME) }
    }

    /// What a token is known by.
    pub(super) fn digest(token: &str) -> Digest {
        Sha256::digest(token.as_bytes()).into()
    }

    /// What the token with this digest said.
    pub(super) fn find(&self, digest: &Digest) -> Option<Known> {
        let known = self.cache.get(digest);
        if known.is_some() {
            self.found.otherwise(1, 0);
        }
        known
    }

    /// Keeps what the token with this digest said, which was found to be ours.
    pub(super) fn keep(&self, digest: Digest, known: Known) {
        self.found.otherwise(0, 1);
        self.cache.insert(digest, known);
    }

    /// How much is kept.
    pub(super) fn size(&self) -> Size {
        Size { name: NAME, bytes: self.cache.weight(), limit: self.cache.capacity() }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::message::{SessionId, UserId};
    use super::*;

    fn known(user: i64) -> Known {
        Known { verified: Verified { user: UserId(user), session: SessionId(Uuid::nil()) }, from: 100, until: 200 }
    }

    #[test]
    fn what_is_known_of_a_token_holds_for_its_time() {
        let at = |now| known(7).at(now).map(|verified| verified.user);
        assert_eq!([99, 100, 200, 201].map(at), [None, Some(UserId(7)), Some(UserId(7)), None]);
    }

    #[test]
    fn no_more_tokens_are_known_than_there_is_room_for() {
        let (some, none) = (KnownTokens::new(100 * ENTRY as usize), KnownTokens::new(0));
        for user in 0..1000 {
            let digest = KnownTokens::digest(&user.to_string());
            some.keep(digest, known(user));
            none.keep(digest, known(user));
        }
        assert!(some.size().bytes <= some.size().limit && some.size().bytes >= 50 * ENTRY, "{:?}", some.size());
        assert_eq!((none.size().bytes, none.size().limit), (0, 0));
    }
}
