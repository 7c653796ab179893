//! Where spans and log records wait for export, as the bytes that they are sent as.
//!
//! ```text
//! a span ends: encoded on its own thread ─▶ the batch that is being filled ─▶ full batches ─▶ the thread that sends
//!                                                     └─ due, or wanted at once ─────────────▶│
//! ```
//!
//! Nothing of a span but its bytes goes from one thread to the other: texts that one thread makes and another gives back
//! are most of what the SDK's queue costs.
//!
//! What must stay true: whoever adds something waits for nobody but others who add, while some hundred bytes are copied;
//! what waits is never more than there is room for, and what finds none is counted; what was there when somebody asked for
//! it to be sent is sent, or lost and counted, before they are told so.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Queue;
use super::encode::Items;
use super::processed::Processed;

/// What waits, by its scopes.
pub(in super::super) struct Outbox<S> {
    queue: Queue,
    processed: Processed,
    state: Mutex<State<S>>,
    /// There may be something to send.
    more: Condvar,
    /// Something was sent.
    sent: Condvar,
}

impl<S> fmt::Debug for Outbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// What is sent at once.
pub(super) struct Batch<S> {
    pub(super) scopes: Vec<(S, Items)>,
    pub(super) count: usize,
}

struct State<S> {
    filling: Batch<S>,
    /// When the first of what fills it came.
    since: Instant,
    full: VecDeque<Batch<S>>,
    /// The memory of the batch that was sent last.
    spare: Batch<S>,
    /// So many wait: all but those that are being sent.
    waiting: usize,
    /// All that were ever let in, those that were sent or lost, and those that somebody waits for.
    added: u64,
    done: u64,
    wanted: u64,
    ended: bool,
}

/// A batch keeps the memory of so many scopes,
const SCOPES_KEPT: usize = 16;
/// and so many bytes for each: twice what a batch of usual spans takes.
pub(super) const BYTES_KEPT: usize = 512 * 1024;

impl<S> Default for Batch<S> {
    fn default() -> Self {
        Self { scopes: Vec::new(), count: 0 }
    }
}

impl<S> Batch<S> {
    fn add<K>(&mut self, scope: &K, item: &[u8])
    where
        S: PartialEq<K>,
        K: ToOwned<Owned = S> + ?Sized,
    {
        let known = self.scopes.iter().position(|(known, _)| known == scope);
        let at = known.unwrap_or_else(|| {
            self.scopes.push((scope.to_owned(), Items::default()));
            self.scopes.len() - 1
        });
        if let Some((_, items)) = self.scopes.get_mut(at) {
            items.push(item);
        }
        self.count += 1;
    }

    fn clear(&mut self) {
        self.scopes.truncate(SCOPES_KEPT);
        self.scopes.iter_mut().for_each(|(_, items)| items.clear(BYTES_KEPT));
        self.count = 0;
    }
}

impl<S> Outbox<S> {
    pub(super) fn new(queue: Queue, processed: Processed) -> Self {
        let state = State {
            filling: Batch::default(),
            since: Instant::now(),
            full: VecDeque::new(),
            spare: Batch::default(),
            waiting: 0,
            added: 0,
            done: 0,
            wanted: 0,
            ended: false,
        };
        Self { queue, processed, state: Mutex::new(state), more: Condvar::new(), sent: Condvar::new() }
    }

    /// So many wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// So many may.
    pub(super) fn room(&self) -> usize {
        self.queue.room
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an item sent with the next batch, if there is room for it.
    pub(in super::super) fn add<K>(&self, scope: &K, item: &[u8])
    where
        S: PartialEq<K>,
        K: ToOwned<Owned = S> + ?Sized,
    {
        let mut state = self.state();
        if state.ended || state.waiting >= self.queue.room {
            let ended = state.ended;
            drop(state);
            return if ended { self.processed.too_late() } else { self.processed.no_room() };
        }
        let is_first = state.filling.count == 0;
        if is_first {
            state.since = Instant::now();
        }
        state.filling.add(scope, item);
        state.waiting += 1;
        state.added += 1;
        let is_full = state.filling.count >= self.queue.batch;
        if is_full {
            let next = std::mem::take(&mut state.spare);
            let full = std::mem::replace(&mut state.filling, next);
            state.full.push_back(full);
        }
        drop(state);
        if is_first || is_full {
            self.more.notify_one();
        }
    }

    /// Waits for the next batch to send: one that is full, or what is there when it is due or wanted. `None` when nothing
    /// comes any more. What was taken has to be [`Self::done`].
    pub(super) fn next(&self) -> Option<Batch<S>> {
        let mut state = self.state();
        loop {
            let something = state.filling.count > 0;
            let wait = (state.since + self.queue.delay).saturating_duration_since(Instant::now());
            let at_once = state.ended || state.wanted > state.done || wait.is_zero();
            let batch = match state.full.pop_front() {
                None if at_once && something => Some(std::mem::take(&mut state.filling)),
                full => full,
            };
            if let Some(batch) = batch {
                state.waiting -= batch.count;
                drop(state);
                self.processed.taken(batch.count);
                return Some(batch);
            }
            if state.ended {
                return None;
            }
            state = match something {
                true => self.more.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                false => self.more.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// A batch was sent, or lost.
    pub(super) fn done(&self, mut batch: Batch<S>) {
        let count = batch.count as u64;
        batch.clear();
        let mut state = self.state();
        state.done += count;
        state.spare = batch;
        drop(state);
        self.sent.notify_all();
    }

    /// Has all that is there sent now, and waits for it as long as it may take. Whether it was.
    pub(super) fn flush(&self, within: Duration) -> bool {
        self.wait_for_all(self.state(), within)
    }

    /// The same, and whatever comes later is too late.
    pub(in super::super) fn end(&self, within: Duration) -> bool {
        let mut state = self.state();
        state.ended = true;
        self.wait_for_all(state, within)
    }

    fn wait_for_all(&self, mut state: MutexGuard<'_, State<S>>, within: Duration) -> bool {
        let all = state.added;
        state.wanted = all;
        self.more.notify_one();
        let waited = self.sent.wait_timeout_while(state, within, |state| state.done < all);
        waited.unwrap_or_else(PoisonError::into_inner).0.done >= all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use opentelemetry_sdk::Resource;

    use super::super::super::settings::Signal;
    use super::super::encode;
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn outbox(delay: Duration, room: usize, batch: usize) -> Outbox<String> {
        Outbox::new(Queue { delay, room, batch }, Processed::of(Signal::Logs))
    }

    /// What a batch would be sent as.
    fn text(batch: &Batch<String>) -> String {
        let sent = encode::batch(Vec::new(), &Resource::builder_empty().build(), &batch.scopes);
        String::from_utf8_lossy(&sent).into_owned()
    }

    #[test]
    fn what_finds_no_room_is_lost_and_nothing_else_is() {
        let outbox = outbox(LONG, 3, 2);
        for item in ["first", "second", "third", "fourth"] {
            outbox.add("scope", item.as_bytes());
        }
        let batch = outbox.next().unwrap();
        assert!(batch.count == 2 && text(&batch).contains("first") && text(&batch).contains("second"));
        outbox.add("scope", b"fifth");
        let rest = outbox.next().unwrap();
        let sent = text(&rest);
        assert!(
            rest.count == 2 && sent.contains("third") && sent.contains("fifth") && !sent.contains("fourth"),
            "{sent}"
        );
        assert_eq!(outbox.waiting(), 0);
    }

    #[test]
    fn what_is_due_is_sent_however_little_it_is_each_scope_by_itself() {
        let outbox = outbox(Duration::ZERO, 9, 9);
        for (scope, item) in [("one", "1"), ("two", "2"), ("one", "3")] {
            outbox.add(scope, item.as_bytes());
        }
        let batch = outbox.next().unwrap();
        assert_eq!((batch.count, batch.scopes.len()), (3, 2));
        outbox.done(batch);
        outbox.add("three", b"4");
        assert!(text(&outbox.next().unwrap()).contains("three"), "its memory is another's now");
    }

    #[test]
    fn a_flush_ends_when_all_that_was_there_is_sent_and_not_before() {
        let outbox = Arc::new(outbox(LONG, 9, 9));
        outbox.add("scope", b"item");
        assert!(!outbox.flush(Duration::ZERO), "nobody sends");
        let sending = Arc::clone(&outbox);
        let sender = thread::spawn(move || {
            let mut sent = 0;
            while let Some(batch) = sending.next() {
                sent += batch.count;
                sending.done(batch);
            }
            sent
        });
        assert!(outbox.flush(LONG));
        outbox.add("scope", b"last");
        assert!(outbox.end(LONG));
        outbox.add("scope", b"too late");
        assert_eq!((sender.join().unwrap(), outbox.waiting()), (2, 0));
    }
}
