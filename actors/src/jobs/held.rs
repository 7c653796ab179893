//! The jobs that this process has in hand: from their claim until their attempt was answered, whatever
//! actor crashes in between. What the database says runs here and is not among them was lost in a crash.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::message::Job;

/// The set. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<HashSet<(i64, i32)>>>);

/// An attempt in hand. Dropping it lets go.
pub(super) struct Hold {
    held: Held,
    attempt: (i64, i32),
}

impl Held {
    /// Takes an attempt in hand.
    pub(super) fn hold(&self, job: &Job) -> Hold {
        let attempt = (job.id, job.attempt);
        self.set().insert(attempt);
        Hold { held: self.clone(), attempt }
    }

    /// The jobs in hand, and the numbers of their attempts: the next one of a job can begin while the end of
    /// the last is still being acknowledged.
    pub(super) fn attempts(&self) -> (Vec<i64>, Vec<i32>) {
        self.set().iter().copied().unzip()
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound set.
    fn set(&self) -> MutexGuard<'_, HashSet<(i64, i32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.set().remove(&self.attempt);
    }
}
