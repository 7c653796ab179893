//! The jobs that this process has in hand: from their claim until their attempt was answered, whatever
//! actor crashes in between. What the database says runs here and is not among them was lost in a crash.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The set. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<HashSet<i64>>>);

/// A job in hand. Dropping it lets go.
pub(super) struct Hold {
    held: Held,
    job: i64,
}

impl Held {
    /// Takes a job in hand.
    pub(super) fn hold(&self, job: i64) -> Hold {
        self.set().insert(job);
        Hold { held: self.clone(), job }
    }

    /// All jobs in hand.
    pub(super) fn ids(&self) -> Vec<i64> {
        self.set().iter().copied().collect()
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound set.
    fn set(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.set().remove(&self.job);
    }
}
