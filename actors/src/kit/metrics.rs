//! Every instrument of the actors, made once.
//!
//! What must stay true: every instrument has a unit, a description for operators and, if it is a histogram, bounds of its
//! own, since the SDK goes by no others; every attribute has few values and is about nobody: no ids, slugs, addresses of
//! people. Where the attributes are the same each time, the instrument is bound to them once: what is then left to do is
//! an addition. `METRICS.md` lists them all, and a test compares it with what is served.

mod actor;
mod database;
mod domain;
mod jobs;
mod kept;

use opentelemetry::global;
use opentelemetry::metrics::{Counter, Histogram, Meter};

pub(crate) use actor::{Actor, restarted, stalled};
pub(crate) use database::{Operations, Pool};
pub use domain::{Domain, Throttle, domain, throttle};
pub use jobs::{Jobs, OfKind, jobs};
pub(crate) use kept::Kept;

/// Upper bounds in seconds, from what an ask costs to what a deadline allows.
const SECONDS: [f64; 14] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Upper bounds of batches.
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Instruments are made on first use, so the meter provider has to be set before the actors start.
fn meter() -> Meter {
    global::meter("callboard")
}

fn seconds(name: &'static str, description: &'static str) -> Histogram<f64> {
    meter().f64_histogram(name).with_unit("s").with_description(description).with_boundaries(SECONDS.into()).build()
}

fn sizes(name: &'static str, unit: &'static str, description: &'static str) -> Histogram<u64> {
    meter().u64_histogram(name).with_unit(unit).with_description(description).with_boundaries(SIZES.into()).build()
}

fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Counter<u64> {
    meter().u64_counter(name).with_unit(unit).with_description(description).build()
}
