//! The stable address of an actor that comes and goes.
//!
//! A supervisor installs each new incarnation here; callers hold the endpoint and never an actor.
//! Asking takes a place in the bounded mailbox (or is told at once that there is none), delivers to
//! the incarnation that is alive (waiting for the next one while there is none), and waits for the
//! answer without holding the actor, so that a dead actor's queue is freed and its callers are told.
//!
//! ```text
//! no place ─▶ overloaded, at once          never accepted ─▶ delivered to the next incarnation
//! deadline ─▶ too late                     died with it   ─▶ asked again, if its command is idempotent
//!                                          killed by it   ─▶ the same, and a strike against the message
//! ```
//!
//! Invariants: an ask always has a deadline; a message that was accepted and lost is asked again only when its
//! command is idempotent, and a few times at most; a message that ended its actor three times is poison and
//! is answered with an error.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ractor::{ActorRef, MessagingErr};
use tokio::sync::watch;

use super::command::{Answer, Ask, Command, Message, Panicked};
use super::counters::{Counters, Held, STRIKES};
use super::envelope::{Content, Envelope, Mail};
use super::error::Failure;
use super::metrics;
use super::trace::Trace;
use super::works::Works;

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

/// What one try to ask came to.
enum Tried<C: Command> {
    Answered(Answer<C>),
    /// Nobody answers: the actor ended.
    Died,
    /// Nobody answers, and the message is to blame.
    Guilty,
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
        Self(Arc::new(Shared {
            pool,
            counters: Arc::new(Counters::new(capacity)),
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
        self.0.counters.begin_generation();
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
        let (mut strikes, mut asked) = (0, 0);
        let mut next = Some(command);
        while let Some(command) = next.take() {
            let again = (command.is_idempotent() && asked < ASK_AGAIN).then(|| command.clone());
            match self.try_once(caller, command, (asked, strikes)).await {
                Tried::Answered(answer) if asked == 0 => return answer,
                Tried::Answered(answer) => return C::repeated(answer),
                Tried::Died => {}
                Tried::Guilty => strikes += 1,
            }
            asked += 1;
            if strikes == STRIKES {
                tracing::error!(callboard.actor.path = %self.0.path, callboard.actor.message = C::NAME, strikes, "a message ends its actor and is not given to it again");
                self.0.instruments.poisoned(C::NAME);
                return Err(Failure::Poison(Arc::clone(&self.0.path)));
            }
            next = again;
        }
        Err(Failure::Died(Arc::clone(&self.0.path)))
    }

    async fn try_once<C: Command>(&self, caller: &Caller, command: C, (asked, strikes): (usize, u8)) -> Tried<C>
    where
        M: From<Ask<C>>,
    {
        let place = match asked {
            0 => self.0.counters.place(),
            // It was let in once: nobody who came later is let in before it.
            _ => match tokio::time::timeout_at(caller.deadline.into(), self.0.counters.next_place()).await {
                Ok(place) => place,
                Err(_) => return self.too_late(),
            },
        };
        let Some(place) = place else {
            self.0.instruments.refused();
            return Tried::Answered(Err(Failure::Overloaded(Arc::clone(&self.0.path))));
        };
        let (ask, answer) = Ask::new(command);
        let number = self.0.counters.number();
        let envelope = Envelope::seal(Content {
            message: M::from(ask),
            span: caller.trace.hop(self.0.pool, &self.0.path, C::NAME),
            deadline: caller.deadline,
            sent_at: Instant::now(),
            place,
            number,
            strikes,
            generation: None,
        });
        let asking = async {
            self.deliver(envelope).await;
            answer.await
        };
        match tokio::time::timeout_at(caller.deadline.into(), asking).await {
            Ok(Ok(Ok(answer))) => Tried::Answered(answer),
            Ok(Ok(Err(Panicked))) => Tried::Guilty,
            Ok(Err(_)) if self.0.counters.is_convicted(number) => Tried::Guilty,
            Ok(Err(_)) => Tried::Died,
            Err(_) => self.too_late(),
        }
    }

    fn too_late<C: Command>(&self) -> Tried<C> {
        self.0.instruments.late();
        Tried::Answered(Err(Failure::TooLate(Arc::clone(&self.0.path))))
    }

    /// Hands the envelope to the living incarnation, however many have to be waited for.
    async fn deliver(&self, envelope: Envelope<M>) {
        let Some(mut envelope) = self.hand_over(envelope) else { return };
        let mut incarnations = self.0.incarnation.subscribe();
        // One may have come between the two.
        incarnations.mark_changed();
        while incarnations.changed().await.is_ok() {
            match self.hand_over(envelope) {
                None => return,
                Some(back) => envelope = back,
            }
        }
    }

    /// Gives the envelope back when nobody is alive who takes it.
    fn hand_over(&self, mut envelope: Envelope<M>) -> Option<Envelope<M>> {
        let actor = self.0.incarnation.borrow().clone();
        let Some(actor) = actor else { return Some(envelope) };
        envelope.hand_to(Some(self.0.counters.generation()));
        match actor.send_message(Mail::Deliver(envelope)) {
            Err(MessagingErr::SendErr(Mail::Deliver(mut back))) => {
                back.hand_to(None);
                Some(back)
            }
            // The other refusals cannot give the message back; its dropped reply port tells the caller.
            _ => None,
        }
    }

    /// Notes that work on messages begins; what is returned notes its end, however it ends.
    pub(crate) fn begin(
        &self,
        (actor, works): (ActorRef<Mail<M>>, &Works),
        held: Held,
        waited: impl Iterator<Item = Duration>,
    ) -> InFlight<M> {
        waited.for_each(|wait| self.0.instruments.waited(wait));
        let (count, number) = (held.numbers.len() as u64, held.numbers.first().copied().unwrap_or_default());
        self.0.counters.in_flight.fetch_add(count, Ordering::Relaxed);
        let started = held.since;
        self.0.counters.take_up(held);
        works.begin();
        InFlight { endpoint: self.clone(), actor, works: works.clone(), number, count, came_to: None, started }
    }
}

/// Messages being worked on. Dropping it, at the end of the work or by a panic or because the actor
/// ended, corrects the counters and tells the actor that it has a hand free, if messages wait for one.
pub(crate) struct InFlight<M: Message> {
    endpoint: Endpoint<M>,
    actor: ActorRef<Mail<M>>,
    works: Works,
    /// Of the first message.
    number: u64,
    count: u64,
    /// How many of them failed, and how long all of them took.
    came_to: Option<(u64, Duration)>,
    started: Instant,
}

impl<M: Message> InFlight<M> {
    /// Says that the work is over and how many of the messages failed; without it, all did.
    pub(crate) fn came_to(&mut self, failed: u64) {
        self.came_to = Some((failed, self.started.elapsed()));
    }
}

impl<M: Message> Drop for InFlight<M> {
    fn drop(&mut self) {
        let Shared { counters, instruments, .. } = &*self.endpoint.0;
        // Work that neither ended nor panicked was ended together with its actor.
        counters.put_down(self.number, self.came_to.is_none() && !std::thread::panicking());
        let (failed, took) = self.came_to.unwrap_or_else(|| (self.count, self.started.elapsed()));
        let failed = failed.min(self.count);
        counters.in_flight.fetch_sub(self.count, Ordering::Relaxed);
        counters.handled.fetch_add(self.count - failed, Ordering::Relaxed);
        counters.failed.fetch_add(failed, Ordering::Relaxed);
        instruments.handled(took);
        if self.works.end(counters) {
            // An actor that has ended needs no word.
            let _ = self.actor.send_message(Mail::Done);
        }
    }
}
