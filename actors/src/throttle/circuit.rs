//! Whether Redis is asked: not for a while after it failed, so that not every request waits to find that out again.
//! After that while one request tries, and the others go on without.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::kit::metrics;

/// How long Redis is left alone after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Closed while Redis answers.
pub(super) struct Circuit {
    since: Instant,
    /// When the next try is due, in microseconds of ours; 0 while it is closed.
    try_at: AtomicU64,
}

impl Default for Circuit {
    fn default() -> Self {
        metrics::throttle().fallback.record(0, &[]);
        Self { since: Instant::now(), try_at: AtomicU64::new(0) }
    }
}

impl Circuit {
    /// Whether to ask: yes while it is closed, and for the first who comes when the next try is due.
    pub(super) fn may_ask(&self) -> bool {
        let (try_at, now) = (self.try_at.load(Ordering::Relaxed), self.now());
        try_at == 0
            || now >= try_at
                && self.try_at.compare_exchange(try_at, after(now), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Redis failed.
    pub(super) fn open(&self, why: impl std::fmt::Display) {
        if self.try_at.swap(after(self.now()), Ordering::Relaxed) == 0 {
            metrics::throttle().fallback.record(1, &[]);
            tracing::warn!(%why, "Redis is away: this process keeps rate limits of its own");
        }
    }

    /// Redis answered.
    pub(super) fn close(&self) {
        if self.try_at.load(Ordering::Relaxed) != 0 && self.try_at.swap(0, Ordering::Relaxed) != 0 {
            metrics::throttle().fallback.record(0, &[]);
            tracing::info!("Redis is back: rate limits are shared again");
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

fn after(now: u64) -> u64 {
    now.saturating_add(u64::try_from(PAUSE.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_redis_is_away_only_one_tries_at_a_time() {
        let circuit = Circuit::default();
        assert!(circuit.may_ask() && circuit.may_ask());
        circuit.open("a test");
        assert!(!circuit.may_ask());
        // The while is over.
        circuit.try_at.store(1, Ordering::Relaxed);
        assert!(circuit.may_ask() && !circuit.may_ask());
        circuit.close();
        assert!(circuit.may_ask() && circuit.may_ask());
    }
}
