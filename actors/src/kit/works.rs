//! How many works an incarnation of an actor has under way, and whether it has to hear of the end of one.
//!
//! ```text
//! begin ─▶ under way ─▶ end ─┬─▶ messages wait: the actor is told, and begins the next
//!                            └─▶ none does: nobody is
//! ```
//!
//! Where nobody waits, a word to the actor would be a second task to wake beside the caller's, for which the runtime wakes a
//! second thread: half of what a lone request cost (`loadtest/NOTES.md`).
//!
//! What must stay true: a message that came while the last hand was busy is never left lying. Whoever delivers takes a
//! place in the mailbox before its actor looks at the hands; whoever ends frees a hand before it looks at the places. So
//! that one of them sees the other, both put a fence between the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use super::counters::Counters;

/// The works of one incarnation: what an earlier one left behind is not among them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Works(Arc<AtomicUsize>);

impl Works {
    /// How many there are. To be asked by the actor, with the message that asks for a hand in its own.
    pub(crate) fn count(&self) -> usize {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Acquire)
    }

    /// One more begins.
    pub(crate) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One ends. Whether the actor has to be told, since messages wait.
    pub(crate) fn end(&self, counters: &Counters) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        counters.depth() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_told_of_an_end_only_while_messages_wait() {
        let (works, counters) = (Works::default(), Arc::new(Counters::new(1)));
        works.begin();
        works.begin();
        let waits = counters.place();
        assert!(works.end(&counters) && works.count() == 1);
        drop(waits);
        assert!(!works.end(&counters) && works.count() == 0);
    }
}
