//! The jobs that this process has in hand: from their claim until their attempt was answered, whatever
//! actor crashes in between. What the database says runs here and is not among them was lost in a crash. Through it
//! an attempt that is under way hears that its job is to be called off.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::message::Job;

/// Every attempt in hand, by its job and number, and what tells it to end.
type Attempts = HashMap<(i64, i32), watch::Sender<bool>>;

/// The attempts. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Attempts>>);

/// An attempt in hand. Dropping it lets go.
pub(super) struct Hold {
    held: Held,
    attempt: (i64, i32),
}

impl Held {
    /// Takes an attempt in hand.
    pub(super) fn hold(&self, job: &Job) -> Hold {
        let attempt = (job.id, job.attempt);
        self.attempts_now().insert(attempt, watch::Sender::new(false));
        Hold { held: self.clone(), attempt }
    }

    /// The jobs in hand, and the numbers of their attempts: the next one of a job can begin while the end of
    /// the last is still being acknowledged.
    pub(super) fn attempts(&self) -> (Vec<i64>, Vec<i32>) {
        self.attempts_now().keys().copied().unzip()
    }

    /// Tells the attempts of these jobs to end.
    pub(super) fn call_off(&self, jobs: &[i64]) {
        self.attempts_now().iter().filter(|((job, _), _)| jobs.contains(job)).for_each(|(_, off)| {
            off.send_replace(true);
        });
    }

    /// Completes when the attempt is told to end; never, when it is not in hand. Cancel-safe.
    pub(super) async fn called_off(&self, job: &Job) {
        let told = self.attempts_now().get(&(job.id, job.attempt)).map(watch::Sender::subscribe);
        if let Some(mut told) = told
            && told.wait_for(|off| *off).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound map.
    fn attempts_now(&self) -> MutexGuard<'_, Attempts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.attempts_now().remove(&self.attempt);
    }
}
