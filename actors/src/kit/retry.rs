//! When to try again: pure functions of what happened so far.

use std::time::Duration;

use rand::RngExt;

/// Capped exponential back-off. Full jitter (a uniform draw from nothing to the bound) spreads those
/// who failed together: AWS Architecture Blog, "Exponential Backoff And Jitter".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The bound after the first failure.
    pub base: Duration,
    /// The bound never exceeds this.
    pub cap: Duration,
}

impl Backoff {
    /// The longest wait after `failures` failures in a row; none after none.
    pub fn bound(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        self.base.saturating_mul(1_u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX)).min(self.cap)
    }

    /// A wait drawn uniformly from nothing to [`Self::bound`].
    pub fn draw(&self, failures: u32) -> Duration {
        self.bound(failures).mul_f64(rand::rng().random_range(0.0..=1.0))
    }

    /// A draw on top of what somebody asked for, so that those who were asked together do not come back together. Never
    /// shorter than asked, but for the cap, which nobody can ask us to exceed.
    pub fn draw_beyond(&self, asked: Duration, failures: u32) -> Duration {
        asked.saturating_add(self.draw(failures)).min(self.cap)
    }
}

/// What follows an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after this.
    Again(Duration),
    /// That was the last attempt.
    GiveUp,
}

/// Decides what follows failed attempt number `attempt` (from 1) of at most `limit`, after which somebody asked to be
/// left alone for `asked`.
pub fn after_failure(attempt: u32, limit: u32, backoff: &Backoff, asked: Duration) -> Next {
    if attempt >= limit { Next::GiveUp } else { Next::Again(backoff.draw_beyond(asked, attempt)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_never_exceeds_its_bound_nor_the_cap(base in 1_u64..10_000, cap in 1_u64..1_000_000, failures in 0_u32..1000) {
            let backoff = Backoff { base: Duration::from_millis(base), cap: Duration::from_millis(cap) };
            prop_assert!(backoff.bound(failures) <= backoff.cap);
            prop_assert!(backoff.draw(failures) <= backoff.bound(failures));
        }

        #[test]
        fn what_somebody_asks_for_is_kept_up_to_the_cap(base in 1_u64..10_000, cap in 1_u64..1_000_000, asked in 0_u64..2_000_000) {
            let backoff = Backoff { base: Duration::from_millis(base), cap: Duration::from_millis(cap) };
            let asked = Duration::from_millis(asked);
            let wait = backoff.draw_beyond(asked, 1);
            prop_assert!(wait >= asked.min(backoff.cap));
            prop_assert!(wait <= backoff.cap && wait <= asked + backoff.bound(1));
            prop_assert_eq!(backoff.draw_beyond(Duration::MAX, 1), backoff.cap);
        }

        #[test]
        fn bounds_never_shrink_as_failures_mount(base in 1_u64..10_000, cap in 1_u64..1_000_000, failures in 0_u32..100) {
            let backoff = Backoff { base: Duration::from_millis(base), cap: Duration::from_millis(cap) };
            prop_assert!(backoff.bound(failures) <= backoff.bound(failures + 1));
        }

        #[test]
        fn exactly_the_allowed_number_of_attempts_is_made(limit in 1_u32..50) {
            let backoff = Backoff { base: Duration::from_millis(1), cap: Duration::from_secs(1) };
            let made = (1..).take_while(|attempt| after_failure(*attempt, limit, &backoff, Duration::ZERO) != Next::GiveUp).count() + 1;
            prop_assert_eq!(made, limit as usize);
        }
    }
}
