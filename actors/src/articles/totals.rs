//! The totals: adds what was published and deleted to what was counted before.
//!
//! Lists count what was not added yet as well, so that they are right whenever this comes, or whether it does; but what
//! they count takes time. Every process does it: one that finds nothing has nothing to do.

use std::time::{Duration, Instant};

use super::store;
use crate::kit::postgres::Postgres;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, Scope, Trace};

/// How often it looks: a thousand publications a second leave no more to count than a list takes a fraction of a
/// millisecond for.
const EVERY: Duration = Duration::from_secs(2);
/// How long the statement may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Adds up.
pub(super) struct Totals(pub(super) Postgres);

impl Routine for Totals {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        loop {
            let scope = Scope::new(Trace::default(), Instant::now() + WITHIN);
            if let Some(Err(fault)) = stopping.unless(store::add_up(&self.0, &scope)).await {
                tracing::debug!(exception.message = %fault, "articles cannot be added up now");
            }
            if stopping.unless(tokio::time::sleep(EVERY)).await.is_none() {
                return Ok(());
            }
        }
    }
}
