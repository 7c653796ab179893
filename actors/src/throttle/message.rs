//! What is asked about limits, and what comes of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::gcra::{self, Mark, Need, Weight};
use super::rate::Rate;
use crate::command;

/// A limit's name, for clients and operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Writes of one user.
    Writes,
    /// Registrations from one address.
    Registrations,
    /// Failed logins from one address into one account.
    Logins,
    /// Failed logins from one address into all accounts.
    LoginsAddress,
    /// Failed logins into one account from all addresses that it does not know.
    LoginsAccount,
    /// Those from one of these addresses, when there were too many.
    LoginsStranger,
}

impl Policy {
    /// The name in headers, metrics and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::Registrations => "registrations",
            Self::Logins => "logins",
            Self::LoginsAddress => "logins-address",
            Self::LoginsAccount => "logins-account",
            Self::LoginsStranger => "logins-stranger",
        }
    }
}

/// How somebody stands with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub policy: Policy,
    /// What it allows.
    pub rate: Rate,
    /// How much of that is left.
    pub remaining: u32,
    /// How long until there is room for one more; nothing while some is left.
    pub wait: Duration,
    /// How long until all of it is there again.
    pub full_after: Duration,
}

impl Standing {
    /// Of somebody of whom a limit knows this debt, in microseconds.
    pub(super) fn of(policy: Policy, rate: Rate, debt: u64) -> Self {
        let (remaining, wait) = (gcra::remaining(rate, debt), gcra::wait(rate, debt));
        Self { policy, rate, remaining, wait, full_after: Duration::from_micros(debt) }
    }
}

/// There were too many; this limit says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many: {}", .0.policy.as_str())]
pub struct TooMany(pub Standing);

/// One limit of one somebody.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub(super) policy: Policy,
    pub(super) key: Arc<str>,
    pub(super) rate: Rate,
    pub(super) need: Need,
}

impl Limit {
    /// One that has to have room.
    pub(super) fn new(policy: Policy, key: Arc<str>, rate: Rate) -> Self {
        Self { policy, key, rate, need: Need::This }
    }

    /// What gives one back to it.
    pub(super) fn one(&self) -> (Arc<str>, Rate) {
        (Arc::clone(&self.key), self.rate)
    }

    /// One of those of which any has to have room.
    pub(super) fn or_another(self) -> Self {
        Self { need: Need::Any, ..self }
    }
}

/// Count one against all of these limits, or none of them.
#[derive(Debug, Clone)]
pub(super) struct Check {
    /// While this is remembered, only the first limit applies.
    pub(super) exempt: Option<Arc<str>>,
    pub(super) first: Limit,
    pub(super) more: Vec<Limit>,
}

impl Check {
    pub(super) fn limits(&self) -> impl Iterator<Item = &Limit> + Clone {
        std::iter::once(&self.first).chain(&self.more)
    }
}

/// What was counted came to its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Settle {
    /// Limits to be full at once.
    pub(super) clear: Vec<Arc<str>>,
    /// Limits to be given one back.
    pub(super) give_back: Vec<(Arc<str>, Rate)>,
    /// What to remember, and for how long.
    pub(super) remember: Option<(Arc<str>, Duration)>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Weigh {
    Check(Check),
    Settle(Settle),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weighed {
    pub(super) admitted: bool,
    /// For each limit of a check.
    pub(super) weights: Vec<Weight>,
}

// Asked twice it would count twice: when its actor dies, this process decides.
command!(Weigh, "weigh", Weighed, Infallible, idempotent: false);

/// What a check came to, in words: how the first limit stands, or which one says no. Of those of which any would do,
/// that is the one that has room first; of all that say no, the one that has to be waited for longest.
pub(super) fn judge(check: &Check, weighed: &Weighed) -> Result<Standing, TooMany> {
    let standings = check.limits().zip(&weighed.weights).filter(|(_, weight)| weight.mark != Mark::Skipped);
    let standings: Vec<_> =
        standings.map(|(limit, weight)| (limit.need, Standing::of(limit.policy, limit.rate, weight.debt))).collect();
    let of = |kind: Need| standings.iter().filter(move |(need, _)| *need == kind).map(|(_, standing)| *standing);
    let wait = |standing: &Standing| standing.wait;
    let first = weighed.weights.first().map_or(0, |weight| weight.debt);
    let first = Standing::of(check.first.policy, check.first.rate, first);
    match weighed.admitted {
        true => Ok(first),
        false => Err(TooMany(of(Need::This).chain(of(Need::Any).min_by_key(wait)).max_by_key(wait).unwrap_or(first))),
    }
}
