//! The limits that this process keeps by itself while Redis is away: the same rules, in a table of bounded size.
//!
//! When the table is full, what is full again is forgotten first. When nothing is, newcomers are admitted and not
//! remembered: to refuse them would be to let strangers lock others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::gcra::{self, Weight};
use super::message::{Check, Settle, Weigh, Weighed};

/// The table.
pub(super) struct Local {
    since: Instant,
    room: usize,
    table: Mutex<Table>,
}

/// When each limit will be full again, in microseconds of ours.
#[derive(Default)]
struct Table {
    full_at: HashMap<Arc<str>, u64>,
    /// Looking for what can be forgotten is not worth while before this.
    swept_until: u64,
}

impl Local {
    /// A table with room for so many limits.
    pub(super) fn new(room: usize) -> Self {
        Self { since: Instant::now(), room, table: Mutex::default() }
    }

    /// Weighs by our own clock.
    pub(super) fn weigh(&self, weigh: &Weigh) -> Weighed {
        self.weigh_at(weigh, u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn weigh_at(&self, weigh: &Weigh, now: u64) -> Weighed {
        let mut table = self.table();
        match weigh {
            Weigh::Check(check) => table.check(check, now, self.room),
            Weigh::Settle(settle) => table.settle(settle, now, self.room),
        }
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound table.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn check(&mut self, check: &Check, now: u64, room: usize) -> Weighed {
        let exempt = check.exempt.as_ref().is_some_and(|key| self.debt(key, now) > 0);
        let debts: Vec<_> = check.limits().map(|limit| (limit.rate, limit.need, self.debt(&limit.key, now))).collect();
        let (admitted, weights) = gcra::decide(&debts, exempt);
        for (limit, Weight { debt, .. }) in check.limits().zip(&weights) {
            self.owe(&limit.key, *debt, now, room);
        }
        Weighed { admitted, weights }
    }

    fn settle(&mut self, settle: &Settle, now: u64, room: usize) -> Weighed {
        for key in &settle.clear {
            self.full_at.remove(key);
        }
        for (key, rate) in &settle.give_back {
            let debt = self.debt(key, now).saturating_sub(rate.interval());
            self.owe(key, debt, now, room);
        }
        if let Some((key, lasts)) = &settle.remember {
            self.owe(key, u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX), now, room);
        }
        Weighed { admitted: true, weights: Vec::new() }
    }

    fn debt(&self, key: &Arc<str>, now: u64) -> u64 {
        self.full_at.get(key).map_or(0, |full_at| full_at.saturating_sub(now))
    }

    fn owe(&mut self, key: &Arc<str>, debt: u64, now: u64, room: usize) {
        if debt == 0 {
            self.full_at.remove(key);
        } else if self.full_at.contains_key(key) || self.full_at.len() < room || self.sweep(now, room) {
            self.full_at.insert(Arc::clone(key), now.saturating_add(debt));
        }
    }

    /// Forgets what is full again; whether there is room now. At most once a second, for it looks at everything.
    fn sweep(&mut self, now: u64, room: usize) -> bool {
        if now >= self.swept_until {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept_until = now.saturating_add(1_000_000);
        }
        self.full_at.len() < room
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::message::{Limit, Policy};
    use super::super::rate::Rate;
    use super::*;

    fn ask(local: &Local, key: usize, now: u64) -> bool {
        let rate = Rate::new(1, Duration::from_secs(10)).unwrap_or_else(|| unreachable!());
        let limit = Limit::new(Policy::Writes, key.to_string().into(), rate);
        local.weigh_at(&Weigh::Check(Check { exempt: None, first: limit, more: Vec::new() }), now).admitted
    }

    #[test]
    fn the_table_never_grows_beyond_its_room_and_refuses_no_newcomer() {
        let local = Local::new(10);
        for key in 0..100 {
            assert!(ask(&local, key, 0), "{key}");
        }
        assert_eq!(local.table().full_at.len(), 10);
        assert!(!ask(&local, 3, 1), "what is in the table is limited");
        // What is full again makes room.
        assert!(ask(&local, 100, 10_000_001));
        assert_eq!(local.table().full_at.len(), 1);
        assert!(!ask(&local, 100, 10_000_002));
    }
}
