//! The stable address of an actor that comes and goes.
//!
//! A supervisor installs each new incarnation here; callers hold the endpoint and never an actor.
//! Asking takes a place in the bounded mailbox (or is told at once that there is none), delivers to
//! the incarnation that is alive (waiting for the next one while there is none), and waits for the
//! answer without holding the actor, so that a dead actor's queue is freed and its callers are told.
//!
//! Invariants: an ask always has a deadline; a message that was never accepted is delivered again; a
//! message that was accepted and lost is asked again only when its command is idempotent, and a few times at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ractor::{ActorRef, MessagingErr};
use tokio::sync::{Semaphore, watch};

use super::command::{Answer, Ask, Command, Message};
use super::envelope::{Envelope, Mail};
use super::error::Failure;
use super::metrics;
use super::trace::Trace;

/// How often an idempotent command is asked again when its actor died with it in hand. An actor that keeps
/// crashing meets the same message more than once; a message that kills actors must not do so for ever.
const ASK_AGAIN: usize = 4;

/// Who asks: the trace that the work belongs to, and until when the answer is wanted.
#[derive(Clone)]
pub struct Caller {
    /// The span under which hops are made.
    pub trace: Trace,
    /// After this the caller has gone.
    pub deadline: Instant,
}

/// Live counters of one actor, kept across its incarnations.
#[derive(Debug)]
pub struct Counters {
    capacity: usize,
    room: Arc<Semaphore>,
    /// Messages being worked on now.
    pub in_flight: AtomicU64,
    /// Messages answered, refusals included.
    pub handled: AtomicU64,
    /// Messages that came to a failure of ours.
    pub failed: AtomicU64,
}

impl Counters {
    /// Messages that wait.
    pub fn depth(&self) -> usize {
        self.capacity.saturating_sub(self.room.available_permits())
    }
}

struct Shared<M: Message> {
    pool: &'static str,
    path: Arc<str>,
    counters: Arc<Counters>,
    incarnation: watch::Sender<Option<ActorRef<Mail<M>>>>,
    instruments: metrics::Actor,
}

/// The address of an actor, which outlives its incarnations.
pub struct Endpoint<M: Message>(Arc<Shared<M>>);

impl<M: Message> Clone for Endpoint<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Message> Endpoint<M> {
    /// An address with room for `capacity` waiting messages. `pool` names it in spans, `path` in the tree.
    pub fn new(pool: &'static str, path: impl Into<Arc<str>>, capacity: usize) -> Self {
        let path = path.into();
        let room = Arc::new(Semaphore::new(capacity));
        Self(Arc::new(Shared {
            pool,
            counters: Arc::new(Counters {
                capacity,
                room,
                in_flight: AtomicU64::new(0),
                handled: AtomicU64::new(0),
                failed: AtomicU64::new(0),
            }),
            incarnation: watch::Sender::new(None),
            instruments: metrics::Actor::new(&path),
            path,
        }))
    }

    /// Where the actor stands in the tree.
    pub fn path(&self) -> &Arc<str> {
        &self.0.path
    }

    /// Its live counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// Makes `actor` the incarnation that messages go to.
    pub(crate) fn install(&self, actor: ActorRef<Mail<M>>) {
        self.0.incarnation.send_replace(Some(actor));
    }

    /// Asks, and waits for the answer until the caller's deadline. Cancel-safe: dropping the future
    /// abandons the message, which is then not worked on unless it already was.
    ///
    /// # Errors
    /// See [`Failure`]; a refusal is the actor's answer, everything else is ours.
    pub async fn ask<C: Command>(&self, caller: &Caller, command: C) -> Answer<C>
    where
        M: From<Ask<C>>,
    {
        if C::IDEMPOTENT {
            for _ in 0..ASK_AGAIN {
                match self.ask_once(caller, command.clone()).await {
                    Err(Failure::Died(_)) => {}
                    answer => return answer,
                }
            }
        }
        self.ask_once(caller, command).await
    }

    async fn ask_once<C: Command>(&self, caller: &Caller, command: C) -> Answer<C>
    where
        M: From<Ask<C>>,
    {
        let Ok(permit) = Arc::clone(&self.0.counters.room).try_acquire_owned() else {
            self.0.instruments.refused();
            return Err(Failure::Overloaded(Arc::clone(&self.0.path)));
        };
        let (ask, answer) = Ask::new(command);
        let envelope = Envelope {
            message: M::from(ask),
            span: caller.trace.hop(self.0.pool, &self.0.path, C::NAME),
            deadline: caller.deadline,
            sent_at: Instant::now(),
            permit,
        };
        let asking = async {
            self.deliver(envelope).await;
            answer.await.unwrap_or_else(|_| Err(Failure::Died(Arc::clone(&self.0.path))))
        };
        tokio::time::timeout_at(caller.deadline.into(), asking)
            .await
            .unwrap_or_else(|_| Err(Failure::TooLate(Arc::clone(&self.0.path))))
    }

    /// Hands the envelope to the living incarnation, however many have to be waited for.
    async fn deliver(&self, mut envelope: Envelope<M>) {
        let mut incarnations = self.0.incarnation.subscribe();
        loop {
            let actor = incarnations.borrow_and_update().clone();
            if let Some(actor) = actor {
                match actor.send_message(Mail::Deliver(envelope)) {
                    Ok(()) => return,
                    Err(MessagingErr::SendErr(Mail::Deliver(back))) => envelope = back,
                    // The other refusals cannot give the message back; its dropped reply port tells the caller.
                    Err(_) => return,
                }
            }
            if incarnations.changed().await.is_err() {
                return;
            }
        }
    }

    /// Notes that work on messages begins; what is returned notes its end, however it ends.
    pub(crate) fn begin(&self, actor: ActorRef<Mail<M>>, waited: impl Iterator<Item = Duration>) -> InFlight<M> {
        let mut count = 0;
        for wait in waited {
            count += 1;
            self.0.instruments.waited(wait);
        }
        self.0.counters.in_flight.fetch_add(count, Ordering::Relaxed);
        InFlight { endpoint: self.clone(), actor, count, failed: count, started: Instant::now() }
    }
}

/// Messages being worked on. Dropping it, at the end of the work or by a panic or because the actor
/// ended, corrects the counters and tells the actor that it has a hand free.
pub(crate) struct InFlight<M: Message> {
    endpoint: Endpoint<M>,
    actor: ActorRef<Mail<M>>,
    count: u64,
    failed: u64,
    started: Instant,
}

impl<M: Message> InFlight<M> {
    /// Says how many of the messages failed; without it, all did.
    pub(crate) fn came_to(&mut self, failed: u64) {
        self.failed = failed;
    }
}

impl<M: Message> Drop for InFlight<M> {
    fn drop(&mut self) {
        let Shared { counters, instruments, .. } = &*self.endpoint.0;
        counters.in_flight.fetch_sub(self.count, Ordering::Relaxed);
        counters.handled.fetch_add(self.count - self.failed.min(self.count), Ordering::Relaxed);
        counters.failed.fetch_add(self.failed, Ordering::Relaxed);
        instruments.handled(self.started.elapsed());
        // An actor that has ended needs no word.
        let _ = self.actor.send_message(Mail::Done);
    }
}
