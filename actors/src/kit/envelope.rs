//! What an actor's mailbox holds: a message with its trace, its deadline and its place in the queue.

use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;

use super::command::Message;
use super::trace::Span;

/// A message on its way. Dropping it gives its place in the mailbox back and ends its hop span.
pub struct Envelope<M> {
    /// What is asked.
    pub message: M,
    /// The hop's span; it began when the message was sent.
    pub span: Span,
    /// After this nobody waits any more.
    pub deadline: Instant,
    /// When it was sent.
    pub sent_at: Instant,
    /// Its place in the bounded mailbox. Held until work on it begins.
    pub permit: OwnedSemaphorePermit,
}

impl<M: Message> Envelope<M> {
    /// Nobody waits for the answer: the work is dropped, not done.
    pub fn is_moot(&self, now: Instant) -> bool {
        now >= self.deadline || self.message.is_abandoned()
    }
}

/// What a pool's or a batcher's actor receives.
pub enum Mail<M> {
    /// A message from outside.
    Deliver(Envelope<M>),
    /// Hand over what has gathered (batchers only; sent to oneself, behind all that is queued).
    Flush,
    /// A task of this actor ended.
    Done,
    /// Panic on this turn: fault injection by an operator or a test.
    Crash,
}
