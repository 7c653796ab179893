//! An actor that gathers while a flush is under way: one statement for all that gathered.
//!
//! ```text
//! deliver ─▶ waiting ──▶ flush, when a hand is free, the mailbox behind it has been read and everybody had a turn
//!                └── grows while all hands are full: the busier, the larger the batch
//! ```
//!
//! A lone caller waits for nobody. Where several gathered last time, the next flush lets all tasks have a turn first that
//! can go on, for whoever has just been answered may ask again; and another as long as a turn brings more, a few at most.
//! One hand gathers most, and everybody waits for the same statement; with two, what one found is worked on while the other
//! is under way. Where one may be held up by somebody's lock, another hand is taken when it has been at
//! it for a while ([`Hands::another_after`]). A statement serves only messages that had arrived before it began, which is
//! what makes its answer fresh. When PostgreSQL refuses a batch, its messages are tried again one by one; a message whose
//! batch panicked, or was killed for taking too long, is worked on alone when it is asked again. So one cannot spoil it
//! for the others.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;

use super::command::{Answer, Ask, Command, Outcome, Port, outcome_of};
use super::counters::Held;
use super::endpoint::{Endpoint, InFlight};
use super::envelope::{Content, Envelope, Mail};
use super::error::{Dependency, Failure, Fault};
use super::scope::Scope;
use super::trace::Span;
use super::works::Works;

/// The rules behind a batcher: what is done with the commands that gathered.
pub trait Gather: Send + Sync + 'static {
    /// What it understands.
    type Command: Command;
    /// Serves `commands` (never none) with one statement and answers in their order. An error is every
    /// command's; when it is about values, nothing took effect and each is tried on its own.
    fn run(&self, commands: &[Self::Command], scope: &Scope) -> impl Future<Output = Answers<Self::Command>> + Send;
}

/// One answer for each command, in their order.
pub type Answers<C> = Result<Vec<Result<<C as Command>::Reply, <C as Command>::Refusal>>, Fault>;

/// How often everybody has a turn before a flush, at the most. With 64 clients the second brings a tenth more; those after it
/// make batches larger and processors idle, for everybody waits for the same statement (`loadtest/NOTES.md`).
const TURNS: usize = 2;

/// How many flushes may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hands {
    most: usize,
    another_after: Duration,
}

impl Hands {
    /// So many, another whenever something waits: for flushes of which some take longer than others.
    pub const fn eager(most: usize) -> Self {
        Self { most, another_after: Duration::ZERO }
    }

    /// So many, another only when the last one that began has been at it for so long: for flushes that are best when
    /// they are large, and may be held up. What waits waits no longer than this for a hand that is free.
    pub const fn another_after(most: usize, another_after: Duration) -> Self {
        Self { most, another_after }
    }

    /// How many at most.
    pub(crate) const fn most(self) -> usize {
        self.most
    }
}

impl From<usize> for Hands {
    fn from(most: usize) -> Self {
        Self::eager(most)
    }
}

/// The actor. Its arguments are what every incarnation shares.
pub(crate) struct Batcher<G>(PhantomData<G>);

impl<G> Default for Batcher<G> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// What every incarnation of a batcher shares.
pub(crate) struct Arguments<G: Gather> {
    pub(crate) endpoint: Endpoint<Ask<G::Command>>,
    pub(crate) gather: Arc<G>,
    pub(crate) hands: Hands,
    /// Messages in one statement.
    pub(crate) batch: usize,
}

pub(crate) struct State<G: Gather> {
    shared: Arguments<G>,
    waiting: VecDeque<Envelope<Ask<G::Command>>>,
    tasks: JoinSet<()>,
    /// The flushes under way.
    works: Works,
    /// When the last of them began.
    begun: Instant,
    /// How many the last of them served.
    served: usize,
    /// A `Flush` is on its way to ourselves.
    flush_sent: bool,
    /// How often all tasks that could go on had a turn since the last of them began.
    turns: usize,
    /// How many waited when they were last given one.
    seen: usize,
    /// A `Late` is, for when another hand may be taken.
    late_sent: bool,
}

impl<G: Gather> Actor for Batcher<G> {
    type Msg = Mail<Ask<G::Command>>;
    type State = State<G>;
    type Arguments = Arguments<G>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        shared: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        shared.endpoint.install(myself);
        Ok(State {
            shared,
            waiting: VecDeque::new(),
            tasks: JoinSet::new(),
            works: Works::default(),
            begun: Instant::now(),
            served: 0,
            flush_sent: false,
            turns: 0,
            seen: 0,
            late_sent: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        mail: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match mail {
            Mail::Deliver(envelope) => state.waiting.push_back(envelope),
            Mail::Flush if state.gathers_on() => {
                (state.turns, state.seen) = (state.turns + 1, state.waiting.len());
                tokio::task::yield_now().await;
                state.flush_sent = myself.send_message(Mail::Flush).is_ok();
            }
            Mail::Flush => {
                state.flush_sent = false;
                state.flush(&myself);
            }
            Mail::Late => state.late_sent = false,
            // A hand is free, which is looked at below.
            Mail::Done => {}
            Mail::Nudge(nudge) => nudge.obey().await,
        }
        state.ask_for_flush(&myself);
        Ok(())
    }

    async fn post_stop(&self, myself: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        while !state.waiting.is_empty() {
            state.flush(&myself);
            // While an actor drains it gets no word of ends.
            state.tasks.join_next().await;
        }
        while state.tasks.join_next().await.is_some() {}
        Ok(())
    }
}

impl<G: Gather> State<G> {
    /// The `Flush` arrives behind everything that is already in the mailbox, which so gathers first. Who is alone needs
    /// none: a message to ourselves costs another round, and wakes another thread.
    fn ask_for_flush(&mut self, myself: &ActorRef<Mail<Ask<G::Command>>>) {
        if self.flush_sent || self.waiting.is_empty() {
            return;
        }
        match self.hand_free_after(Instant::now()) {
            Some(Duration::ZERO) if self.served <= 1 && self.shared.endpoint.counters().depth() <= 1 => {
                self.flush(myself)
            }
            // Refused only while we drain, and then `post_stop` flushes.
            Some(Duration::ZERO) => self.flush_sent = myself.send_message(Mail::Flush).is_ok(),
            Some(wait) if !self.late_sent => {
                self.late_sent = true;
                myself.send_after(wait, || Mail::Late);
            }
            _ => {}
        }
    }

    /// Whether all others have a turn before the next flush: who is alone waits for nobody.
    fn gathers_on(&self) -> bool {
        self.served > 1 && self.turns < TURNS && self.waiting.len() > self.seen
    }

    /// How long from now another flush may begin; `None` while only the end of one lets it.
    fn hand_free_after(&self, now: Instant) -> Option<Duration> {
        let Hands { most, another_after } = self.shared.hands;
        match self.works.count() {
            0 => Some(Duration::ZERO),
            busy if busy < most => Some(another_after.saturating_sub(now.saturating_duration_since(self.begun))),
            _ => None,
        }
    }

    fn flush(&mut self, myself: &ActorRef<Mail<Ask<G::Command>>>) {
        while !self.waiting.is_empty() {
            let now = Instant::now();
            if self.hand_free_after(now) != Some(Duration::ZERO) {
                return;
            }
            let count = self.together();
            (self.begun, self.served, self.turns, self.seen) = (now, count, 0, 0);
            let gathered: Vec<_> = self.waiting.drain(..count).filter_map(|envelope| envelope.open(now)).collect();
            if let Some((batch, held)) = Batch::gather(gathered, now) {
                let waits = batch.sent_at.iter().map(|sent_at| now.saturating_duration_since(*sent_at));
                let work = self.shared.endpoint.begin((myself.clone(), &self.works), held, waits);
                let context = batch.scope.trace.context().clone();
                // Those that have ended leave their places.
                while self.tasks.try_join_next().is_some() {}
                self.tasks.spawn(batch.run(Arc::clone(&self.shared.gather), work).with_context(context));
            }
        }
    }

    /// How many of those that wait go into the next batch. A suspect goes alone.
    fn together(&self) -> usize {
        let innocent = self.waiting.iter().take(self.shared.batch).take_while(|envelope| !envelope.is_suspect());
        innocent.count().max(1)
    }
}

/// Messages that one statement will serve.
struct Batch<C: Command> {
    commands: Vec<C>,
    ports: Vec<Port<C>>,
    spans: Vec<Span>,
    sent_at: Vec<Instant>,
    scope: Scope,
}

impl<C: Command> Batch<C> {
    /// None when there is nothing to do.
    fn gather(contents: Vec<Content<Ask<C>>>, now: Instant) -> Option<(Self, Held)> {
        // The batch may take as long as its most patient caller waits.
        let deadline = contents.iter().map(|content| content.deadline).max()?;
        let (first, generation) = contents.first().map(|first| (first.victim(), first.generation))?;
        let size = contents.len();
        let mut held = Held {
            since: now,
            generation: generation.unwrap_or_default(),
            first,
            numbers: Vec::with_capacity(size),
            strikes: 0,
        };
        let (mut commands, mut ports) = (Vec::with_capacity(size), Vec::with_capacity(size));
        let (mut spans, mut sent_at) = (Vec::with_capacity(size), Vec::with_capacity(size));
        for content in contents {
            let waited = now.saturating_duration_since(content.sent_at);
            content.span.trace().set(|| [KeyValue::new("callboard.actor.queue_ms", waited.as_secs_f64() * 1e3)]);
            held.numbers.push(content.number);
            held.strikes = held.strikes.max(content.strikes);
            let (command, port) = content.message.into_parts();
            commands.push(command);
            ports.push(port);
            spans.push(content.span);
            sent_at.push(content.sent_at);
        }
        let mut traces = spans.iter().map(|span: &Span| span.trace().clone());
        let trace = traces.next()?;
        let scope = Scope { trace, others: traces.collect(), deadline };
        Some((Self { commands, ports, spans, sent_at, scope }, held))
    }

    async fn run<G: Gather<Command = C>>(self, gather: Arc<G>, mut work: InFlight<Ask<C>>) {
        let answers: Vec<Answer<C>> = match gather.run(&self.commands, &self.scope).await {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(Failure::Refused)).collect(),
            Err(fault) if fault.is_about_values() && self.commands.len() > 1 => one_by_one(&*gather, &self).await,
            Err(fault) => self.commands.iter().map(|_| Err(Failure::Fault(fault.clone()))).collect(),
        };
        let failed = answers.iter().filter(|answer| outcome_of::<C>(answer) == Outcome::Failed).count();
        work.came_to(failed as u64);
        for (span, answer) in self.spans.iter().zip(&answers) {
            if let Err(Failure::Fault(fault)) = answer {
                span.fail(fault.error_type(), || "it was not done, for reasons that are not the caller's".to_owned());
            }
            span.settle();
        }
        // The spans end before the callers go on, so that a request's span outlives its hops'.
        drop(self.spans);
        let many = self.ports.len() > 1;
        for (port, answer) in self.ports.into_iter().zip(answers) {
            port.answer(answer);
        }
        if many {
            // They go on before the actor hears that a hand is free, for they may ask again.
            tokio::task::yield_now().await;
        }
        drop(work);
    }
}

async fn one_by_one<G: Gather>(gather: &G, batch: &Batch<G::Command>) -> Vec<Answer<G::Command>> {
    let mut answers = Vec::with_capacity(batch.commands.len());
    for ((command, span), port) in batch.commands.iter().zip(&batch.spans).zip(&batch.ports) {
        if port.is_abandoned() || Instant::now() >= batch.scope.deadline {
            // A caller whose deadline has just passed may still hear it: nothing is wrong, and it may come again.
            answers.push(Err(Fault::late(Dependency::Postgres, "no answer before the deadline").into()));
            continue;
        }
        let scope = Scope::new(span.trace().clone(), batch.scope.deadline);
        let answer = match gather.run(std::slice::from_ref(command), &scope).await {
            Ok(mut answers) => match answers.pop() {
                Some(answer) => answer.map_err(Failure::Refused),
                None => Err(Fault::internal("a batch of one came back without an answer").into()),
            },
            Err(fault) => Err(fault.into()),
        };
        answers.push(answer);
    }
    answers
}
