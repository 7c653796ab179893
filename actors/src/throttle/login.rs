//! An attempt to sign in: counted when it begins, given back unless the password was wrong.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::gcra::Mark;
use super::key::household;
use super::message::{Check, Limit, Policy, Settle, Standing, TooMany};
use super::{By, Counted, Shared, Throttle};
use crate::auth::Email;
use crate::kit::Caller;

/// How long an account knows an address that it was signed in from.
const KNOWN_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// A login that was let in. Dropped, it counts as failed: so does one whose caller went away before the answer.
#[must_use = "an attempt that came to something else than a wrong password has to be told so"]
pub struct Attempt(Option<Open>);

struct Open {
    shared: Arc<Shared>,
    by: By,
    standing: Standing,
    check: Check,
    /// What it was counted against.
    counted: Vec<Limit>,
}

impl Throttle {
    /// Counts an attempt to sign in from an address into the account of an e-mail address, whether there is one or
    /// not; without an e-mail address, into that of nobody.
    ///
    /// # Errors
    /// When there were too many that failed.
    pub async fn login(&self, caller: &Caller, from: IpAddr, email: Option<&Email>) -> Result<Attempt, TooMany> {
        let Some(shared) = &self.0 else { return Ok(Attempt(None)) };
        let check = shared.attempt(&household(from), email);
        let Counted { standing, by, weights } = shared.check(caller, check.clone()).await?;
        let counted = check.limits().zip(&weights).filter(|(_, weight)| weight.mark == Mark::Counted);
        let counted = counted.map(|(limit, _)| limit.clone()).collect();
        Ok(Attempt(Some(Open { shared: Arc::clone(shared), by, standing, check, counted })))
    }
}

impl Attempt {
    /// How its address stands with its account, the attempt counted; nothing when nothing is limited.
    pub fn standing(&self) -> Option<Standing> {
        self.0.as_ref().map(|open| open.standing)
    }

    /// The password was right: what this address did before is forgiven, and the account knows it from now on. What
    /// is counted for others, too, gets only this attempt back: else somebody with an account of their own could
    /// clear it at any time.
    pub async fn succeeded(self, caller: &Caller) -> Option<Standing> {
        let Open { shared, by, check, counted, .. } = self.0?;
        let own = |limit: &&Limit| matches!(limit.policy, Policy::Logins | Policy::LoginsStranger);
        let settle = Settle {
            clear: check.limits().filter(own).map(|limit| Arc::clone(&limit.key)).collect(),
            give_back: counted.iter().filter(|limit| !own(limit)).map(Limit::one).collect(),
            remember: check.exempt.map(|key| (key, KNOWN_FOR)),
        };
        shared.settle(caller, by, settle).await;
        Some(Standing::of(check.first.policy, check.first.rate, 0))
    }

    /// It came to nothing, through no fault of theirs: it does not count.
    pub async fn withdrawn(self, caller: &Caller) {
        if let Some(Open { shared, by, counted, .. }) = self.0 {
            let give_back = counted.iter().map(Limit::one).collect();
            shared.settle(caller, by, Settle { give_back, ..Settle::default() }).await;
        }
    }
}

impl Shared {
    /// What an attempt from an address into an account is counted against.
    fn attempt(&self, from: &str, email: Option<&Email>) -> Check {
        let rates = &self.settings.rates;
        // However it is spelled, it is one account.
        let account = email.map(|email| email.expose().to_lowercase()).unwrap_or_default();
        let limit = |policy, parts: &[&str], rate| Limit::new(policy, self.key(policy.as_str(), parts), rate);
        Check {
            exempt: Some(self.key("known", &[&account, from])),
            first: limit(Policy::Logins, &[&account, from], rates.logins),
            more: vec![
                limit(Policy::LoginsAddress, &[from], rates.logins_address),
                limit(Policy::LoginsAccount, &[&account], rates.logins_account).or_another(),
                limit(Policy::LoginsStranger, &[&account, from], rates.logins_stranger).or_another(),
            ],
        }
    }
}
