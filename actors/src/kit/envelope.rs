//! What an actor's mailbox holds: a message with its trace, its deadline and its place in the queue.

use std::time::Instant;

use super::command::Message;
use super::counters::{Place, Victim};
use super::nudge::Nudge;
use super::trace::Span;

/// A message on its way. Dropping it ends its hop span, and its actor's counters learn that it was lost.
pub struct Envelope<M: Message>(Option<Content<M>>);

/// What is in an envelope.
pub(crate) struct Content<M> {
    /// What is asked.
    pub(crate) message: M,
    /// The hop's span; it began when the message was sent.
    pub(crate) span: Span,
    /// After this nobody waits any more.
    pub(crate) deadline: Instant,
    /// When it was sent.
    pub(crate) sent_at: Instant,
    /// Its place in the bounded mailbox. Held until work on it begins.
    pub(crate) place: Place,
    /// No other message of this actor has it.
    pub(crate) number: u64,
    /// How often this very message has ended an incarnation before.
    pub(crate) strikes: u8,
    /// The incarnation that it was handed to.
    pub(crate) generation: Option<u64>,
}

impl<M: Message> Envelope<M> {
    pub(crate) fn seal(content: Content<M>) -> Self {
        Self(Some(content))
    }

    /// Takes the message out to work on it, unless nobody waits for the answer: then it is dropped, not done.
    pub(crate) fn open(mut self, now: Instant) -> Option<Content<M>> {
        let content = self.0.take()?;
        if content.is_moot(now) {
            content.span.settle();
            if now >= content.deadline {
                content.span.fail("timeout", || "its time had passed before anybody worked on it".to_owned());
            }
            return None;
        }
        Some(content)
    }

    /// Notes which incarnation it is handed to; `None` when that did not accept it.
    pub(crate) fn hand_to(&mut self, generation: Option<u64>) {
        if let Some(content) = &mut self.0 {
            content.generation = generation;
        }
    }

    /// It has ended an incarnation before: whoever gathers works on it alone, so that no other suffers.
    pub(crate) fn is_suspect(&self) -> bool {
        self.0.as_ref().is_some_and(|content| content.strikes > 0)
    }
}

impl<M: Message> Content<M> {
    fn is_moot(&self, now: Instant) -> bool {
        now >= self.deadline || self.message.is_abandoned()
    }

    pub(crate) fn victim(&self) -> Victim {
        Victim { message: self.message.name(), span: self.span.trace().span_context() }
    }
}

impl<M: Message> Drop for Envelope<M> {
    fn drop(&mut self) {
        let Some(content) = self.0.take() else { return };
        if content.is_moot(Instant::now()) {
            content.span.settle();
        } else if let Some(generation) = content.generation {
            content.place.counters().lose(generation, || content.victim());
        }
    }
}

/// What a pool's or a batcher's actor receives.
pub enum Mail<M: Message> {
    /// A message from outside.
    Deliver(Envelope<M>),
    /// Hand over what has gathered (batchers only; sent to oneself, behind all that is queued).
    Flush,
    /// The flush under way takes long: another may begin (batchers only; sent to oneself, by a clock).
    Late,
    /// A task of this actor ended, while messages wait for a hand.
    Done,
    /// From the supervisor, the watchdog, or whoever injects faults.
    Nudge(Nudge),
}
