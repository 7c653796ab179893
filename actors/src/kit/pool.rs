//! An actor whose I/O runs in tasks that its state owns: so many at once, so many waiting.
//!
//! The mailbox never awaits: a message is put into a task at once, or into the line when all hands are
//! full. A panic in a task costs that one message, and is a strike against it; a panic in the actor ends its
//! tasks with it, and every caller is told. On a drain the line is worked off before the actor ends.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::trace::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;

use super::command::{Message, Outcome};
use super::counters::Held;
use super::endpoint::Endpoint;
use super::envelope::{Content, Envelope, Mail};
use super::scope::Scope;
use super::works::Works;

/// The rules behind a pool: what is done with one message.
pub trait Worker: Send + Sync + 'static {
    /// What it understands.
    type Message: Message;
    /// Works on one message and answers it. Dropped where it stands when the actor ends.
    fn handle(&self, message: Self::Message, scope: Scope) -> impl Future<Output = Outcome> + Send;
}

/// The actor. Its arguments are what every incarnation shares.
pub(crate) struct Pool<W>(PhantomData<W>);

impl<W> Default for Pool<W> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// What every incarnation of a pool shares.
pub(crate) struct Arguments<W: Worker> {
    pub(crate) endpoint: Endpoint<W::Message>,
    pub(crate) worker: Arc<W>,
    /// Messages worked on at once.
    pub(crate) hands: usize,
}

pub(crate) struct State<W: Worker> {
    shared: Arguments<W>,
    waiting: VecDeque<Envelope<W::Message>>,
    tasks: JoinSet<()>,
    works: Works,
}

impl<W: Worker> Actor for Pool<W> {
    type Msg = Mail<W::Message>;
    type State = State<W>;
    type Arguments = Arguments<W>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        shared: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        shared.endpoint.install(myself);
        Ok(State { shared, waiting: VecDeque::new(), tasks: JoinSet::new(), works: Works::default() })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        mail: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match mail {
            Mail::Deliver(envelope) => state.waiting.push_back(envelope),
            // A hand is free, which is looked at below.
            Mail::Done | Mail::Flush | Mail::Late => {}
            Mail::Nudge(nudge) => nudge.obey().await,
        }
        state.fill_hands(&myself);
        Ok(())
    }

    async fn post_stop(&self, myself: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        state.fill_hands(&myself);
        while state.tasks.join_next().await.is_some() {
            // While an actor drains it gets no word of ends.
            state.fill_hands(&myself);
        }
        Ok(())
    }
}

impl<W: Worker> State<W> {
    fn fill_hands(&mut self, myself: &ActorRef<Mail<W::Message>>) {
        while self.works.count() < self.shared.hands {
            let Some(envelope) = self.waiting.pop_front() else { return };
            if let Some(content) = envelope.open(Instant::now()) {
                self.start(content, myself.clone());
            }
        }
    }

    fn start(&mut self, content: Content<W::Message>, myself: ActorRef<Mail<W::Message>>) {
        let now = Instant::now();
        let first = content.victim();
        let Content { message, span, deadline, sent_at, place, number, strikes, generation } = content;
        drop(place);
        let waited = now.saturating_duration_since(sent_at);
        span.trace().set(|| [KeyValue::new("callboard.actor.queue_ms", waited.as_secs_f64() * 1e3)]);
        let held =
            Held { since: now, generation: generation.unwrap_or_default(), first, numbers: vec![number], strikes };
        let mut work = self.shared.endpoint.begin((myself, &self.works), held, std::iter::once(waited));
        let worker = Arc::clone(&self.shared.worker);
        let scope = Scope::new(span.trace().clone(), deadline);
        let context = span.trace().context().clone();
        // Those that have ended leave their places.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(
            async move {
                let outcome = worker.handle(message, scope).await;
                work.came_to(u64::from(outcome == Outcome::Failed));
                if outcome == Outcome::Failed {
                    span.fail("failed", || "it was not done, for reasons that are not the caller's".to_owned());
                }
                span.settle();
                drop(span);
            }
            .with_context(context),
        );
    }
}
