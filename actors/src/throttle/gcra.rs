//! The arithmetic of limits, pure: the generic cell rate algorithm.
//!
//! A limit is one number, its **debt**: in how many microseconds it will be full again. Time pays it off; everything
//! that is admitted adds the interval in which one grows back; there is room while it stays within the depth, which
//! is what a whole quota owes. The script in [`super::shared`] does the same in Redis.
//!
//! What must stay true: in any time `t` at most quota + t / interval are admitted; a debt is never more than the
//! depth, whatever clocks do, so that nobody waits for longer than for a whole quota.

use std::time::Duration;

use super::rate::Rate;

/// What has to have room for all to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// This one.
    This,
    /// This one or another one of this kind.
    Any,
}

/// What became of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It was not counted: not all had room, or this one had none.
    Left,
    /// It was counted.
    Counted,
    /// It does not apply.
    Skipped,
}

/// A limit after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// In how many microseconds it is full again.
    pub debt: u64,
    /// What became of it.
    pub mark: Mark,
}

/// Counts one against every limit that has room, if those that have to have it do. Limits are given with their
/// debts; with `exempt` only the first one applies.
pub fn decide(limits: &[(Rate, Need, u64)], exempt: bool) -> (bool, Vec<Weight>) {
    let applies = |at: usize| at == 0 || !exempt;
    let applying = || limits.iter().enumerate().filter(|(at, _)| applies(*at)).map(|(_, limit)| limit);
    let all = applying().filter(|limit| limit.1 == Need::This).all(|limit| has_room(limit.0, limit.2));
    let mut any = applying().filter(|limit| limit.1 == Need::Any).peekable();
    let admitted = all && (any.peek().is_none() || any.any(|limit| has_room(limit.0, limit.2)));
    let weight = |(at, (rate, _, debt)): (usize, &(Rate, Need, u64))| {
        let debt = (*debt).min(rate.depth());
        match (applies(at), admitted && has_room(*rate, debt)) {
            (false, _) => Weight { debt, mark: Mark::Skipped },
            (true, false) => Weight { debt, mark: Mark::Left },
            (true, true) => Weight { debt: debt + rate.interval(), mark: Mark::Counted },
        }
    };
    (admitted, limits.iter().enumerate().map(weight).collect())
}

fn has_room(rate: Rate, debt: u64) -> bool {
    debt.min(rate.depth()) + rate.interval() <= rate.depth()
}

/// How much is left.
pub fn remaining(rate: Rate, debt: u64) -> u32 {
    u32::try_from(rate.depth().saturating_sub(debt) / rate.interval()).unwrap_or(u32::MAX)
}

/// How long until there is room for one.
pub fn wait(rate: Rate, debt: u64) -> Duration {
    Duration::from_micros((debt + rate.interval()).saturating_sub(rate.depth()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn rates()(quota in 1_u32..50, seconds in 1_u64..1000) -> Rate {
            Rate::new(quota, Duration::from_secs(seconds)).unwrap_or_else(|| unreachable!())
        }
    }

    /// Asks a single limit at these moments; gives those at which it admitted.
    fn admitted(rate: Rate, moments: &[u64]) -> Vec<u64> {
        let mut full_at = 0_u64;
        let mut admit = |now: &u64| {
            let (admitted, weights) = decide(&[(rate, Need::This, full_at.saturating_sub(*now))], false);
            full_at = now + weights.first().map_or(0, |weight| weight.debt);
            admitted
        };
        moments.iter().copied().filter(|now| admit(now)).collect()
    }

    proptest! {
        #[test]
        fn in_no_time_is_more_admitted_than_the_quota_and_what_grew_back(
            rate in rates(), steps in prop::collection::vec(0_u64..5_000_000, 1..300)
        ) {
            let moments: Vec<u64> = steps.iter().scan(0, |now, step| { *now += step; Some(*now) }).collect();
            let admitted = admitted(rate, &moments);
            for (at, from) in admitted.iter().enumerate() {
                for (more, to) in admitted.iter().skip(at).enumerate() {
                    let most = u64::from(rate.quota()) + (to - from) / rate.interval();
                    prop_assert!((more as u64) < most, "{} from {from} to {to}", more + 1);
                }
            }
        }

        #[test]
        fn who_waits_as_long_as_told_is_admitted_and_who_does_not_is_not(rate in rates(), debt in 0_u64..2_000_000_000) {
            let debt = debt.min(rate.depth());
            let wait = u64::try_from(wait(rate, debt).as_micros()).unwrap_or(u64::MAX);
            prop_assert!(has_room(rate, debt.saturating_sub(wait)));
            prop_assert!(wait == 0 || !has_room(rate, debt - (wait - 1)));
            prop_assert_eq!(wait == 0, remaining(rate, debt) > 0);
        }

        #[test]
        fn a_whole_quota_is_there_at_once_and_is_back_after_its_window(rate in rates(), begin in 0_u64..1_000_000) {
            let quota = usize::try_from(rate.quota()).unwrap_or(usize::MAX);
            let mut moments = vec![begin; quota + 1];
            moments.extend(vec![begin + rate.depth(); quota + 1]);
            prop_assert_eq!(admitted(rate, &moments).len(), 2 * quota);
            prop_assert!(rate.depth() >= 1_000_000 * rate.window().as_secs());
        }

        #[test]
        fn a_clock_that_goes_back_makes_nobody_wait_for_longer_than_for_a_whole_quota(
            rate in rates(), debt in any::<u64>()
        ) {
            let (_, weights) = decide(&[(rate, Need::This, debt)], false);
            prop_assert!(weights.iter().all(|weight| weight.debt <= rate.depth()));
        }

        #[test]
        fn all_are_counted_or_none(
            limits in prop::collection::vec((rates(), any::<bool>(), 0_u64..1_000_000_000), 1..5), exempt in any::<bool>()
        ) {
            let need = |any: bool| if any { Need::Any } else { Need::This };
            let limits: Vec<_> = limits.into_iter().map(|(rate, any, debt)| (rate, need(any), debt)).collect();
            let (admitted, weights) = decide(&limits, exempt);
            let counted = weights.iter().filter(|weight| weight.mark == Mark::Counted).count();
            prop_assert_eq!(admitted, counted > 0);
            for ((_, need, _), weight) in limits.iter().zip(&weights) {
                prop_assert!(!admitted || *need == Need::Any || weight.mark != Mark::Left);
            }
            prop_assert_eq!(weights.iter().skip(1).all(|weight| weight.mark == Mark::Skipped), exempt || limits.len() == 1);
        }
    }
}
