//! Who is connected to this process and waits for news, by user.
//!
//! ```text
//! a notice of a user ─▶ call ─▶ every seat of that user ─▶ its reader asks what changed
//! ```
//!
//! A call carries nothing, and calls to somebody who is busy become one: nothing queues up here, however slowly
//! anybody reads. What must stay true: there are never more seats than the limits say, of one user or of all; a user
//! has a row exactly as long as somebody sits there for them; once the hub is closed every seat learns of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use opentelemetry::KeyValue;
use tokio::sync::watch;

use super::Streams;
use crate::auth::UserId;
use crate::kit::metrics;

/// The seats of this process.
pub(super) struct Hub {
    limits: Streams,
    rows: Mutex<HashMap<UserId, Row>>,
    /// Seats that are taken. Changed only under the lock of `rows`.
    taken: watch::Sender<usize>,
    closed: watch::Sender<bool>,
}

/// The seats of one user.
struct Row {
    call: watch::Sender<()>,
    taken: usize,
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    House,
    /// The user has as many as one may have.
    User,
}

impl Full {
    /// The limit's word in metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::House => "all",
            Self::User => "user",
        }
    }
}

impl Hub {
    /// One with so many seats.
    pub(super) fn new(limits: Streams) -> Self {
        Self { limits, rows: Mutex::default(), taken: watch::Sender::new(0), closed: watch::Sender::new(false) }
    }

    /// A seat for somebody.
    pub(super) fn sit(self: &Arc<Self>, user: UserId) -> Result<Seat, Full> {
        let mut rows = self.rows();
        if let Some(full) = self.full(rows.get(&user)) {
            metrics::domain().streams_refused.add(1, &[KeyValue::new("limit", full.as_str())]);
            return Err(full);
        }
        self.taken.send_modify(|taken| *taken += 1);
        let row = rows.entry(user).or_insert_with(|| Row { call: watch::Sender::new(()), taken: 0 });
        row.taken += 1;
        metrics::domain().streams.add(1, &[]);
        Ok(Seat { hub: Arc::clone(self), user, called: row.call.subscribe(), closed: self.closed.subscribe() })
    }

    /// Why somebody with this row gets no further seat. Their own limit is the one that they can do something about.
    fn full(&self, row: Option<&Row>) -> Option<Full> {
        if row.is_some_and(|row| row.taken >= self.limits.per_user) {
            return Some(Full::User);
        }
        (*self.taken.borrow() >= self.limits.max).then_some(Full::House)
    }

    /// Calls whoever sits there for this user.
    pub(super) fn call(&self, user: UserId) {
        if let Some(row) = self.rows().get(&user) {
            row.call.send_replace(());
        }
    }

    /// Calls everybody.
    pub(super) fn call_all(&self) {
        self.rows().values().for_each(|row| row.call.send_replace(()));
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
    fn rows(&self) -> MutexGuard<'_, HashMap<UserId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
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
                // The row outlives its seats; without it nobody calls any more.
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
        let mut rows = self.hub.rows();
        if let Some(row) = rows.get_mut(&self.user) {
            row.taken = row.taken.saturating_sub(1);
            if row.taken == 0 {
                rows.remove(&self.user);
            }
        }
        self.hub.taken.send_modify(|taken| *taken = taken.saturating_sub(1));
        metrics::domain().streams.add(-1, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(max: usize, per_user: usize) -> Arc<Hub> {
        Arc::new(Hub::new(Streams { max, per_user }))
    }

    #[test]
    fn there_are_no_more_seats_than_the_limit_and_a_free_one_is_taken_again() {
        let hub = hub(2, 2);
        let (first, second) = (hub.sit(UserId(1)), hub.sit(UserId(1)));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(hub.sit(UserId(2)).err(), Some(Full::House));
        drop(first);
        assert_eq!(hub.rows().len(), 1, "somebody is still there");
        drop(second);
        assert!(hub.rows().is_empty() && *hub.taken.borrow() == 0);
        assert!(hub.sit(UserId(2)).is_ok());
    }

    #[test]
    fn nobody_takes_the_seats_of_the_others() {
        let hub = hub(3, 2);
        let (first, _second) = (hub.sit(UserId(1)), hub.sit(UserId(1)));
        assert_eq!(hub.sit(UserId(1)).err(), Some(Full::User));
        assert!(hub.sit(UserId(2)).is_ok());
        drop(first);
        assert!(hub.sit(UserId(1)).is_ok());
    }

    #[test]
    fn a_call_reaches_whom_it_is_for_and_waits_until_it_is_answered() {
        let hub = hub(2, 1);
        let (Ok(mut one), Ok(mut other)) = (hub.sit(UserId(1)), hub.sit(UserId(2))) else { unreachable!() };
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
        let hub = hub(2, 2);
        let Ok(mut before) = hub.sit(UserId(1)) else { unreachable!() };
        assert!(before.closed().now_or_never().is_none());
        hub.close();
        let Ok(mut after) = hub.sit(UserId(1)) else { unreachable!() };
        assert!(before.closed().now_or_never().is_some() && after.closed().now_or_never().is_some());
    }
}
