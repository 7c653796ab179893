//! How each kind of actor becomes a child: the one place where actors are spawned.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell};

use super::spec::{Body, ChildSpec, Patience, Restart};
use crate::kit::batcher::{self, Batcher, Gather, Hands};
use crate::kit::command::Message;
use crate::kit::envelope::Mail;
use crate::kit::nudge::Nudge;
use crate::kit::pool::{self, Pool, Worker};
use crate::kit::routine::{Busy, Routine, Runner, Signal};
use crate::kit::{Ask, Endpoint};

/// How long an actor may take to work off its mailbox before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How long a loop may be at work without looking up: several statements at their limits take less.
const ROUND_WITHIN: Duration = Duration::from_secs(60);

/// Starts an incarnation as a child of the given supervisor.
pub type Start = Box<dyn Fn(ActorCell) -> BoxFuture<'static, Result<Started, String>> + Send + Sync>;

/// A living incarnation.
pub struct Started {
    /// The actor.
    pub cell: ActorCell,
    /// Tells it something for its next turn.
    pub nudge: Box<dyn Fn(Nudge) + Send + Sync>,
    /// How long its loop has been at work without looking up, if it has a loop.
    pub busy: Option<Arc<Busy>>,
}

/// An actor that works on messages one by one, so many at once.
pub fn pool<W: Worker>(endpoint: &Endpoint<W::Message>, worker: Arc<W>, hands: usize) -> ChildSpec {
    endpoint.counters().set_hands_for(hands);
    let address = endpoint.clone();
    actor("pool", endpoint, move |supervisor| {
        let arguments = pool::Arguments { endpoint: address.clone(), worker: Arc::clone(&worker), hands };
        Box::pin(spawn(Pool::<W>::default(), arguments, supervisor, Mail::Nudge))
    })
}

/// An actor that gathers messages into statements.
pub fn batcher<G: Gather>(
    endpoint: &Endpoint<Ask<G::Command>>,
    gather: Arc<G>,
    hands: impl Into<Hands>,
    batch: usize,
) -> ChildSpec {
    let hands = hands.into();
    endpoint.counters().set_hands_for(hands.most() * batch);
    let address = endpoint.clone();
    actor("batcher", endpoint, move |supervisor| {
        let arguments = batcher::Arguments { endpoint: address.clone(), gather: Arc::clone(&gather), hands, batch };
        Box::pin(spawn(Batcher::<G>::default(), arguments, supervisor, Mail::Nudge))
    })
}

/// An actor that runs a loop.
pub fn routine<R: Routine>(name: &str, routine: Arc<R>) -> ChildSpec {
    ChildSpec {
        name: name.to_owned(),
        kind: "routine",
        restart: Restart::Permanent,
        stop_within: STOP_WITHIN,
        patience: Patience { hold: Some(ROUND_WITHIN), kill: true },
        body: Body::Actor {
            start: Box::new(move |supervisor| {
                let (routine, busy) = (Arc::clone(&routine), Arc::<Busy>::default());
                Box::pin(async move {
                    let started = spawn(Runner(routine), Arc::clone(&busy), supervisor, Signal::Nudge).await?;
                    Ok(Started { busy: Some(busy), ..started })
                })
            }),
            counters: None,
        },
    }
}

fn actor<M: Message>(
    kind: &'static str,
    endpoint: &Endpoint<M>,
    start: impl Fn(ActorCell) -> BoxFuture<'static, Result<Started, String>> + Send + Sync + 'static,
) -> ChildSpec {
    let name = endpoint.path().rsplit('/').next().unwrap_or_default().to_owned();
    ChildSpec {
        name,
        kind,
        restart: Restart::Permanent,
        stop_within: STOP_WITHIN,
        patience: Patience::default(),
        body: Body::Actor { start: Box::new(start), counters: Some(Arc::clone(endpoint.counters())) },
    }
}

async fn spawn<A: Actor>(
    actor: A,
    arguments: A::Arguments,
    supervisor: ActorCell,
    mail: fn(Nudge) -> A::Msg,
) -> Result<Started, String> {
    let (incarnation, _) =
        Actor::spawn_linked(None, actor, arguments, supervisor).await.map_err(|error| error.to_string())?;
    Ok(Started {
        cell: incarnation.get_cell(),
        // An actor that has ended needs no word.
        nudge: Box::new(move |nudge| drop(incarnation.send_message(mail(nudge)))),
        busy: None,
    })
}
