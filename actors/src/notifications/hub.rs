//! Who is connected to this process and waits for news, by user.
//!
//! ```text
//! a notice of a user ─▶ call ─▶ every seat of that user ─▶ its reader asks what changed
//! ```
//!
//! A call carries nothing, and calls to somebody who is busy become one: nothing queues up here, however slowly
//! anybody reads. What must stay true: there are never more seats than the limit; a user has an entry exactly as
//! long as somebody sits there for them; once the hub is closed every seat learns of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::sync::watch;

use crate::auth::UserId;
use crate::kit::metrics;

/// The seats of this process.
pub(super) struct Hub {
    limit: usize,
    calls: Mutex<HashMap<UserId, watch::Sender<()>>>,
    /// Seats that are taken. Changed only under the lock of `calls`.
    taken: watch::Sender<usize>,
    closed: watch::Sender<bool>,
}

impl Hub {
    /// One with so many seats.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, calls: Mutex::default(), taken: watch::Sender::new(0), closed: watch::Sender::new(false) }
    }

    /// A seat for somebody; `None` when all are taken.
    pub(super) fn sit(self: &Arc<Self>, user: UserId) -> Option<Seat> {
        let mut calls = self.calls();
        if *self.taken.borrow() >= self.limit {
            return None;
        }
        self.taken.send_modify(|taken| *taken += 1);
        let called = calls.entry(user).or_insert_with(|| watch::Sender::new(())).subscribe();
        metrics::domain().streams.add(1, &[]);
        Some(Seat { hub: Arc::clone(self), user, called, closed: self.closed.subscribe() })
    }

    /// Calls whoever sits there for this user.
    pub(super) fn call(&self, user: UserId) {
        if let Some(call) = self.calls().get(&user) {
            call.send_replace(());
        }
    }

    /// Calls everybody.
    pub(super) fn call_all(&self) {
        self.calls().values().for_each(|call| call.send_replace(()));
    }

    /// Completes when somebody sits here. Cancel-safe.
    pub(super) async fn somebody(&self) {
        // The sender is our own.
        let _ = self.taken.subscribe().wait_for(|taken| *taken > 0).await;
    }

    /// Lets every reader come to its end.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound state.
    fn calls(&self) -> MutexGuard<'_, HashMap<UserId, watch::Sender<()>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for one reader. Dropping it frees it.
pub(super) struct Seat {
    hub: Arc<Hub>,
    /// For whom one sits there.
    pub(super) user: UserId,
    called: watch::Receiver<()>,
    closed: watch::Receiver<bool>,
}

impl Seat {
    /// Completes when there was a call that was not yet [`Self::answer`]ed, or the hub is closed. Cancel-safe.
    pub(super) async fn call_or_end(&mut self) {
        tokio::select! {
            called = self.called.changed() => match called {
                // It stays a call until it is answered.
                Ok(()) => self.called.mark_changed(),
                // The entry outlives its seats; without it nobody calls any more.
                Err(_) => std::future::pending().await,
            },
            () = self.closed.wait_for(|closed| *closed).map(drop) => {}
        }
    }

    /// Counts every call so far as answered.
    pub(super) fn answer(&mut self) {
        self.called.mark_unchanged();
    }

    /// Completes when the hub is closed. Cancel-safe.
    pub(super) async fn closed(&mut self) {
        // A hub that is gone is closed as well.
        let _ = self.closed.wait_for(|closed| *closed).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut calls = self.hub.calls();
        // Our own receiver is still among them.
        if calls.get(&self.user).is_some_and(|call| call.receiver_count() <= 1) {
            calls.remove(&self.user);
        }
        self.hub.taken.send_modify(|taken| *taken = taken.saturating_sub(1));
        metrics::domain().streams.add(-1, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_seats_than_the_limit_and_a_free_one_is_taken_again() {
        let hub = Arc::new(Hub::new(2));
        let (first, second) = (hub.sit(UserId(1)), hub.sit(UserId(1)));
        assert!(first.is_some() && second.is_some() && hub.sit(UserId(2)).is_none());
        drop(first);
        assert_eq!(hub.calls().len(), 1, "somebody is still there");
        drop(second);
        assert!(hub.calls().is_empty() && *hub.taken.borrow() == 0);
        assert!(hub.sit(UserId(2)).is_some());
    }

    #[test]
    fn a_call_reaches_whom_it_is_for_and_waits_until_it_is_answered() {
        let hub = Arc::new(Hub::new(2));
        let (Some(mut one), Some(mut other)) = (hub.sit(UserId(1)), hub.sit(UserId(2))) else { unreachable!() };
        hub.call(UserId(1));
        hub.call(UserId(1));
        for _ in 0..2 {
            assert!(one.call_or_end().now_or_never().is_some() && other.call_or_end().now_or_never().is_none());
        }
        one.answer();
        assert!(one.call_or_end().now_or_never().is_none(), "calls to somebody busy become one");
        hub.call_all();
        assert!(one.call_or_end().now_or_never().is_some() && other.call_or_end().now_or_never().is_some());
    }

    #[test]
    fn whoever_sits_down_after_the_end_learns_of_it_too() {
        let hub = Arc::new(Hub::new(2));
        let Some(mut before) = hub.sit(UserId(1)) else { unreachable!() };
        assert!(before.closed().now_or_never().is_none());
        hub.close();
        let Some(mut after) = hub.sit(UserId(1)) else { unreachable!() };
        assert!(before.closed().now_or_never().is_some() && after.closed().now_or_never().is_some());
    }
}
