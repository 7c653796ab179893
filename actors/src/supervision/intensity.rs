//! How many restarts are too many: OTP's restart intensity, as a pure function of time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At most `max` restarts within `period`; one more ends the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts allowed in a period.
    pub max: u32,
    /// The period, sliding.
    pub period: Duration,
}

/// The restarts of the last period.
#[derive(Debug, Default)]
pub struct Window(VecDeque<Instant>);

impl Window {
    /// Notes a restart at `now` and says whether it is still within `intensity`.
    pub fn admit(&mut self, now: Instant, intensity: Intensity) -> bool {
        self.0.push_back(now);
        self.used(now, intensity) <= intensity.max
    }

    /// Restarts within the period that ends at `now`.
    pub fn used(&mut self, now: Instant, intensity: Intensity) -> u32 {
        while self.0.front().is_some_and(|at| now.saturating_duration_since(*at) > intensity.period) {
            self.0.pop_front();
        }
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_restart_is_admitted_exactly_when_its_period_holds_no_more_than_the_maximum(
            max in 0_u32..10, period in 1_u64..1000, gaps in prop::collection::vec(0_u64..500, 1..100)
        ) {
            let intensity = Intensity { max, period: Duration::from_millis(period) };
            let start = Instant::now();
            let mut window = Window::default();
            let mut past: Vec<u64> = Vec::new();
            let mut at = 0;
            for gap in gaps {
                at += gap;
                past.push(at);
                let within = past.iter().filter(|t| at - **t <= period).count();
                prop_assert_eq!(window.admit(start + Duration::from_millis(at), intensity), within <= max as usize);
            }
        }
    }
}
