//! Who has to wait: writes by user, registrations by address, logins by account and by address.
//!
//! ```text
//! check ─▶ checks (one script for all that gathered, by Redis' clock) ─▶ admitted, or how long to wait
//!            └─ away, slow, full or crashed ─▶ the same rules, kept by this process alone
//! ```
//!
//! A limit is a quota and the time in which it grows back, kept as one moment (see [`gcra`]): when it will be full
//! again. In Redis, so that all nodes share it and a process that starts anew forgets nothing. Redis is asked for a
//! short time only, and not at all for a while after it failed ([`circuit`]): meanwhile every process keeps limits of
//! its own, in a table of bounded size ([`local`]).
//!
//! # Logins, and why nobody is locked out by a stranger
//!
//! An attempt is counted before the password is looked at, so that many at once cannot slip through, and given back
//! unless the password was wrong. Four limits:
//!
//! | limit | failures counted | applies |
//! |---|---|---|
//! | `logins` | of one address into one account | always; a success clears it |
//! | `logins-address` | of one address into all accounts | unless the account knows the address |
//! | `logins-account` | of all addresses that the account does not know | never alone: it only calls for the next |
//! | `logins-stranger` | of one address into one account | when `logins-account` is used up and the account does not know the address |
//!
//! An account knows the addresses that it was signed in from in the last ninety days. So whether an address is let in
//! depends on what was done *from that address* alone. What all others do can change the number of attempts that it
//! has, from `logins` to `logins-stranger`, and never to none; where the account knows the address, not even that.
//! Who has an access or a refresh token does not sign in, and meets none of these limits.
//!
//! What remains: people behind one address (or one /64 of IPv6) are one to us, so that somebody who shares the
//! owner's address can use up what it may try. The owner signs in from elsewhere then, or goes on with their tokens.
//! And whoever has many addresses may guess as often as `logins-stranger` says from each of them: to bound them
//! together would be to lock the owner out. An unknown account is counted like a known one, and so tells nothing.
//!
//! What must stay true: no answer waits for Redis longer than the setting says; nothing fails because a limit cannot
//! be asked; no e-mail or IP address is in a key, a span or a metric. Refreshing tokens has no limit, since those who
//! hold a session are never to be refused, and what is no token of ours costs one statement.

mod circuit;
pub mod gcra;
mod key;
mod local;
mod login;
mod message;
pub mod rate;
mod shared;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;

use circuit::Circuit;
use gcra::Weight;
pub use key::Pepper;
use local::Local;
pub use login::Attempt;
use message::{Check, Limit, Settle, Weigh, Weighed};
pub use message::{Policy, Standing, TooMany};
pub use rate::{Rate, Rates};

use crate::auth::UserId;
use crate::kit::redis::Redis;
use crate::kit::{Ask, Caller, Endpoint, Failure, metrics};
use crate::supervision::{ChildSpec, child};

/// What the domain is set up with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Every limit.
    pub rates: Rates,
    /// What addresses are hidden with in keys: the same on all nodes.
    pub pepper: Pepper,
    /// What the keys in Redis begin with.
    pub prefix: String,
    /// How long Redis is waited for.
    pub within: Duration,
    /// Limits that this process keeps while Redis is away.
    pub local: usize,
}

/// The domain, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Throttle(Option<Arc<Shared>>);

struct Shared {
    checks: Endpoint<Ask<Weigh>>,
    circuit: Arc<Circuit>,
    local: Local,
    settings: Settings,
}

impl Throttle {
    /// The domain's handle and its actors: `room` messages may wait, `batch` go into one script. Without settings
    /// nothing is limited, and there are no actors.
    pub fn new(settings: Option<&Settings>, redis: Redis, room: usize, batch: usize) -> (Self, Vec<ChildSpec>) {
        let Some(settings) = settings else { return (Self(None), Vec::new()) };
        let checks = Endpoint::new("throttle/checks", "root/throttle/checks", room);
        let circuit = Arc::new(Circuit::default());
        let rules = Arc::new(shared::Checks::new(redis, Arc::clone(&circuit)));
        let children = vec![child::batcher(&checks, rules, 2, batch)];
        let local = Local::new(settings.local);
        (Self(Some(Arc::new(Shared { checks, circuit, local, settings: settings.clone() }))), children)
    }

    /// Counts a write of a user. Tells how they stand, unless nothing is limited.
    ///
    /// # Errors
    /// When there were too many.
    pub async fn write(&self, caller: &Caller, user: UserId) -> Result<Option<Standing>, TooMany> {
        let Some(shared) = &self.0 else { return Ok(None) };
        let key = key::plain(&shared.settings.prefix, Policy::Writes, user.0);
        shared.only(caller, Limit::new(Policy::Writes, key, shared.settings.rates.writes)).await.map(Some)
    }

    /// Counts a registration from an address, whatever comes of it.
    ///
    /// # Errors
    /// When there were too many.
    pub async fn registration(&self, caller: &Caller, from: IpAddr) -> Result<Option<Standing>, TooMany> {
        let Some(shared) = &self.0 else { return Ok(None) };
        let key = shared.key(Policy::Registrations.as_str(), &[&key::household(from)]);
        shared.only(caller, Limit::new(Policy::Registrations, key, shared.settings.rates.registrations)).await.map(Some)
    }
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Redis,
    ThisProcess,
}

/// Who was admitted.
struct Counted {
    /// How they stand with the first limit.
    standing: Standing,
    by: By,
    /// What became of each limit.
    weights: Vec<Weight>,
}

impl Shared {
    fn key(&self, kind: &str, parts: &[&str]) -> Arc<str> {
        key::hidden(&self.settings.prefix, kind, &self.settings.pepper, parts)
    }

    /// Checks a single limit.
    async fn only(&self, caller: &Caller, limit: Limit) -> Result<Standing, TooMany> {
        let check = Check { exempt: None, first: limit, more: Vec::new() };
        self.check(caller, check).await.map(|counted| counted.standing)
    }

    /// Counts against every limit of the check, or none.
    async fn check(&self, caller: &Caller, check: Check) -> Result<Counted, TooMany> {
        let weigh = Weigh::Check(check.clone());
        let (by, weighed) = match self.ask(caller, caller.deadline, &weigh).await {
            Some(weighed) => (By::Redis, weighed),
            None => (By::ThisProcess, self.local.weigh(&weigh)),
        };
        match message::judge(&check, &weighed) {
            Ok(standing) => Ok(Counted { standing, by, weights: weighed.weights }),
            Err(TooMany(standing)) => {
                let policy = standing.policy.as_str();
                caller.trace.set(|| [KeyValue::new("throttle.refused", policy)]);
                metrics::throttle().refused.add(1, &[KeyValue::new("policy", policy)]);
                Err(TooMany(standing))
            }
        }
    }

    /// Settles what was counted, where it was counted, even if the caller's time is up.
    async fn settle(&self, caller: &Caller, by: By, settle: Settle) {
        let weigh = Weigh::Settle(settle);
        match by {
            // What Redis does not hear of now grows back by itself.
            By::Redis => drop(self.ask(caller, Instant::now() + self.settings.within, &weigh).await),
            By::ThisProcess => drop(self.local.weigh(&weigh)),
        }
    }

    /// Has Redis weigh it; nothing when it is away, or does not answer in time.
    async fn ask(&self, caller: &Caller, until: Instant, weigh: &Weigh) -> Option<Weighed> {
        if !self.circuit.may_ask() {
            return None;
        }
        let patience = Instant::now() + self.settings.within;
        let asking = Caller { trace: caller.trace.clone(), deadline: until.min(patience) };
        let answer = self.checks.ask(&asking, weigh.clone()).await;
        if matches!(answer, Err(Failure::TooLate(_))) && Instant::now() >= patience {
            self.circuit.open("it did not answer in time");
        }
        // A fault was told to the circuit by whoever met it; a full mailbox or a crash is no fault of Redis.
        answer.ok()
    }
}
