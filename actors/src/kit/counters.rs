//! What is known about one actor's mailbox and hands, whichever incarnation they belong to: how many messages
//! wait, which are in hand and since when, and which were lost or convicted when an incarnation ended.
//!
//! ```text
//! place ─▶ waiting ─▶ in hand ─┬─▶ answered
//!                              ├─▶ lost: its actor ended   ─▶ the restart's victim
//!                              └─▶ convicted: it held its actor up for too long ─▶ a strike against it
//! ```
//!
//! Nobody waits here: the locks guard a few entries and are held for moments.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanContext;
use tokio::sync::Semaphore;

/// A message that has ended its actor this often is not given to it again.
pub const STRIKES: u8 = 3;
/// Convictions kept until their askers have learned of them: more than any batch holds.
const CONVICTIONS: usize = 1024;

/// Live counters of one actor, kept across its incarnations.
#[derive(Debug)]
pub struct Counters {
    capacity: usize,
    /// Messages that may be worked on at once; 0 while nobody said.
    hands_for: AtomicU64,
    room: Semaphore,
    next: AtomicU64,
    /// Counts the incarnations.
    generation: AtomicU64,
    /// Messages being worked on now.
    pub in_flight: AtomicU64,
    /// Messages answered, refusals included.
    pub handled: AtomicU64,
    /// Messages that came to a failure of ours.
    pub failed: AtomicU64,
    /// The next end is the work of a message that is not given to the actor again.
    excused: AtomicBool,
    hands: Mutex<Hands>,
}

#[derive(Debug, Default)]
struct Hands {
    held: Vec<Held>,
    /// The first message that the newest incarnation to lose one lost, and which incarnation that was.
    lost: Option<(u64, Victim)>,
    convicted: VecDeque<u64>,
}

/// Messages that are worked on together.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) since: Instant,
    /// The incarnation that has them.
    pub(crate) generation: u64,
    /// The first of them.
    pub(crate) first: Victim,
    /// The number of each.
    pub(crate) numbers: Vec<u64>,
    /// How often the worst of them has ended its actor before.
    pub(crate) strikes: u8,
}

/// A message that its actor did not come to answer.
#[derive(Debug, Clone)]
pub struct Victim {
    /// The command's name.
    pub message: &'static str,
    /// Its hop's span, or the request's where none was made.
    pub span: SpanContext,
}

/// A message that has been in hand for too long while others wait.
#[derive(Debug, Clone)]
pub struct Overdue {
    /// The message.
    pub victim: Victim,
    /// How long it has been in hand.
    pub held: Duration,
}

impl Hands {
    fn lose(&mut self, generation: u64, victim: impl FnOnce() -> Victim) {
        if self.lost.as_ref().is_none_or(|(known, _)| *known < generation) {
            self.lost = Some((generation, victim()));
        }
    }

    fn lost_by(&mut self, generation: u64) -> Option<Victim> {
        self.lost.take_if(|(known, _)| *known == generation).map(|(_, victim)| victim)
    }
}

impl Counters {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            hands_for: AtomicU64::new(0),
            room: Semaphore::new(capacity),
            next: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            excused: AtomicBool::new(false),
            hands: Mutex::default(),
        }
    }

    /// Messages that wait.
    pub fn depth(&self) -> usize {
        self.capacity.saturating_sub(self.room.available_permits())
    }

    /// Messages that may wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Messages that may be worked on at once.
    pub fn hands_for(&self) -> u64 {
        self.hands_for.load(Ordering::Relaxed)
    }

    /// Notes how many messages may be worked on at once.
    pub(crate) fn set_hands_for(&self, messages: usize) {
        self.hands_for.store(messages as u64, Ordering::Relaxed);
    }

    /// A place in the mailbox, unless it is full.
    pub(crate) fn place(self: &Arc<Self>) -> Option<Place> {
        self.room.try_acquire().ok()?.forget();
        Some(Place(Arc::clone(self)))
    }

    /// A place in the mailbox as soon as there is one. Cancel-safe.
    pub(crate) async fn next_place(self: &Arc<Self>) -> Option<Place> {
        self.room.acquire().await.ok()?.forget();
        Some(Place(Arc::clone(self)))
    }

    /// Notes that another incarnation begins. An excuse was for the one before.
    pub(crate) fn begin_generation(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.excused.store(false, Ordering::Relaxed);
    }

    /// The incarnation that messages go to now.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// A number that no other message of this actor has.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that messages are in hand.
    pub(crate) fn take_up(&self, held: Held) {
        self.hands().held.push(held);
    }

    /// Notes that they are not in hand any more. `lost` when their actor ended before they were answered.
    pub(crate) fn put_down(&self, number: u64, lost: bool) {
        let mut hands = self.hands();
        let Some(at) = hands.held.iter().position(|held| held.numbers.first() == Some(&number)) else { return };
        let held = hands.held.swap_remove(at);
        if lost {
            hands.lose(held.generation, || held.first);
        }
    }

    /// Notes that a message was lost that an incarnation had accepted and nobody had in hand.
    pub(crate) fn lose(&self, generation: u64, victim: impl FnOnce() -> Victim) {
        self.hands().lose(generation, victim);
    }

    /// The message that the incarnation which has just ended left unanswered, if there was one: one that was in
    /// hand before one that waited. Whatever was in hand is not any more.
    pub(crate) fn victim(&self) -> Option<Victim> {
        let generation = self.generation();
        let mut hands = self.hands();
        let in_hand = hands.held.drain(..).min_by_key(|held| held.since).map(|held| held.first);
        in_hand.or_else(|| hands.lost_by(generation))
    }

    /// What this incarnation is known only later to have lost.
    pub(crate) fn lost(&self, generation: u64) -> Option<Victim> {
        self.hands().lost_by(generation)
    }

    /// The oldest message in hand, if it has been there for longer than `limit` while others wait.
    pub fn overdue(&self, limit: Duration) -> Option<Overdue> {
        if self.depth() == 0 {
            return None;
        }
        let hands = self.hands();
        let oldest = hands.held.iter().min_by_key(|held| held.since)?;
        let held = oldest.since.elapsed();
        (held > limit).then(|| Overdue { victim: oldest.first.clone(), held })
    }

    /// Convicts every message that is overdue of ending the actor, which is about to be killed for it.
    pub(crate) fn convict(&self, limit: Duration) {
        let mut hands = self.hands();
        let Hands { held, convicted, .. } = &mut *hands;
        for guilty in held.iter().filter(|held| held.since.elapsed() > limit) {
            if guilty.strikes + 1 >= STRIKES {
                self.excused.store(true, Ordering::Relaxed);
            }
            convicted.extend(&guilty.numbers);
        }
        while convicted.len() > CONVICTIONS {
            convicted.pop_front();
        }
    }

    /// Whether the message of this number was convicted. Answers so once.
    pub(crate) fn is_convicted(&self, number: u64) -> bool {
        let mut hands = self.hands();
        let found = hands.convicted.iter().position(|convicted| *convicted == number);
        found.and_then(|at| hands.convicted.remove(at)).is_some()
    }

    /// Whether the last end shall not count against the actor: its message is not given to it again.
    pub(crate) fn take_excuse(&self) -> bool {
        self.excused.swap(false, Ordering::Relaxed)
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound state.
    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message's place in a bounded mailbox. Dropping it gives the place back.
pub(crate) struct Place(Arc<Counters>);

impl Place {
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.room.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(number: u64, strikes: u8) -> Held {
        let first = Victim { message: "m", span: SpanContext::empty_context() };
        Held { since: Instant::now(), generation: 0, first, numbers: vec![number], strikes }
    }

    #[test]
    fn a_victim_is_named_once_and_one_in_hand_comes_first() {
        let counters = Counters::new(1);
        counters.lose(0, || Victim { message: "waited", span: SpanContext::empty_context() });
        counters.take_up(held(0, 0));
        assert_eq!(counters.victim().map(|victim| victim.message), Some("m"));
        counters.put_down(0, false);
        assert_eq!(counters.victim().map(|victim| victim.message), Some("waited"));
        assert!(counters.victim().is_none());
    }

    #[test]
    fn what_an_incarnation_lost_is_never_laid_to_the_next() {
        let counters = Counters::new(1);
        counters.begin_generation();
        counters.lose(1, || Victim { message: "first", span: SpanContext::empty_context() });
        counters.begin_generation();
        assert!(counters.victim().is_none());
        assert_eq!(counters.lost(1).map(|victim| victim.message), Some("first"));
    }

    #[test]
    fn only_the_last_strike_is_an_excuse() {
        for strikes in 0..STRIKES {
            let counters = Counters::new(1);
            counters.take_up(held(7, strikes));
            counters.convict(Duration::ZERO);
            assert_eq!(counters.take_excuse(), strikes == STRIKES - 1);
            assert!(counters.is_convicted(7) && !counters.is_convicted(7) && !counters.take_excuse());
        }
    }

    proptest! {
        #[test]
        fn the_depth_is_the_number_of_places_taken_and_never_exceeds_the_capacity(
            capacity in 0_usize..20, asked in 0_usize..40, given_back in 0_usize..40
        ) {
            let counters = Arc::new(Counters::new(capacity));
            let mut places: Vec<_> = (0..asked).filter_map(|_| counters.place()).collect();
            prop_assert_eq!(places.len(), asked.min(capacity));
            places.truncate(places.len().saturating_sub(given_back));
            prop_assert_eq!(counters.depth(), places.len());
        }
    }
}
