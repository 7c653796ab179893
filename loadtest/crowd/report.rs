//! What the crowd saw, in the words of oha's JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Answered;

/// Answers, counted and timed.
#[derive(Default)]
pub(crate) struct Report {
    statuses: BTreeMap<String, u64>,
    micros: Vec<u32>,
}

impl Report {
    /// Notes an answer; `name` says what was asked when the status alone does not tell whether it is the right one.
    pub(crate) fn note(&mut self, answered: &Answered, expected: u16) {
        let name = match answered.status == expected {
            true => "expected".to_owned(),
            false => answered.status.to_string(),
        };
        *self.statuses.entry(name).or_default() += 1;
        self.micros.push(u32::try_from(answered.took.as_micros()).unwrap_or(u32::MAX));
    }

    /// Takes in another's.
    pub(crate) fn add(&mut self, other: Self) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.micros.extend(other.micros);
    }

    /// The whole, after so long.
    pub(crate) fn finish(mut self, took: Duration) -> Value {
        self.micros.sort_unstable();
        let share = |share: f64| {
            let last = self.micros.len().saturating_sub(1);
            let place = (last as f64 * share).round() as usize;
            self.micros.get(place).map(|micros| f64::from(*micros) / 1e6)
        };
        json!({
            "summary": {"requestsPerSec": self.micros.len() as f64 / took.as_secs_f64(), "total": took.as_secs_f64(),
                "slowest": share(1.0)},
            "latencyPercentiles": {"p50": share(0.5), "p99": share(0.99), "p99.9": share(0.999)},
            "statusCodeDistribution": self.statuses,
            "errorDistribution": {},
        })
    }
}
