//! The supervisor: an actor that starts its children in order, starts them again when they end, and
//! stops them in reverse.
//!
//! ```text
//! child ends ─▶ is it to come back? ─▶ within the intensity? ─▶ stop whom the strategy touches
//!            ─▶ wait (none, or a back-off) ─▶ start them in order ─▶ tell the observer
//!                                      └─ no ─▶ stop all, end with an error: the parent's turn
//! ```
//!
//! Invariants: an end is attributed by the incarnation's id, so that one reported late touches nobody else;
//! an order to start is obeyed only with the newest ticket for its child; a child is started only while
//! all those before it run, except under one_for_one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use super::child::Started;
use super::events::What;
use super::node::{Node, Status};
use super::observer::{Budget, Observer, Reason};
use super::recovery::{End, Recovery, clipped};
use super::spec::{Body, ChildSpec, Restart, Strategy, SupervisorSpec};
use super::strategy::{self, ExitKind};
use crate::kit::Fault;
use crate::kit::nudge::Nudge;
use crate::kit::retry::Backoff;

/// For crash loops and failing starts; an extension of OTP, which restarts at once.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(10), cap: Duration::from_secs(1) };
/// A child that lived this long is not in a crash loop and comes back at once.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// How long the end of an actor that was killed is waited for.
const KILL_WITHIN: Duration = Duration::from_secs(1);

/// What a supervisor receives.
pub(super) enum Order {
    /// Start the children from here on, if this is still the newest plan for the first of them.
    Start { from: usize, until: usize, ticket: u64 },
    /// Stop all children in reverse, then oneself.
    Shutdown(oneshot::Sender<()>),
    /// From the supervisor above, the watchdog, or whoever injects faults.
    Nudge(Nudge),
}

/// Why children are stopped that did not end by themselves.
#[derive(Clone, Copy)]
enum Stop {
    /// Everything comes to its end.
    ForGood,
    /// A sibling ended, and the strategy touches them.
    WithSibling,
    /// This supervisor gives up.
    GivingUp,
}

impl Stop {
    fn words(self) -> (Status, &'static str) {
        match self {
            Self::ForGood => (Status::Stopped, "stopped"),
            Self::WithSibling => (Status::Starting, "stopped together with a sibling that ended"),
            Self::GivingUp => (Status::Starting, "its supervisor gave up"),
        }
    }

    fn reason(self) -> Option<Reason> {
        match self {
            Self::ForGood => None,
            Self::WithSibling => Some(Reason::SiblingEnded),
            Self::GivingUp => Some(Reason::SupervisorEnded),
        }
    }
}

/// The actor. Shared by all its incarnations.
#[derive(Clone)]
pub(super) struct Supervisor {
    pub(super) spec: Arc<SupervisorSpec>,
    pub(super) node: Arc<Node>,
    pub(super) observer: Observer,
}

#[derive(Default)]
struct Child {
    cell: Option<ActorCell>,
    /// Since when it has not ended by its own doing. Who is stopped with a sibling is not to blame.
    since: Option<Instant>,
    /// Ends in a row, each soon after its start.
    failures: u32,
    ticket: u64,
    /// It was temporary and has ended: nothing brings it back.
    gone: bool,
}

pub(super) struct State {
    children: Vec<Child>,
    /// Whose end is whose.
    by_id: HashMap<ActorId, usize>,
    /// The root is about to be, or being, shut down.
    stopping: bool,
}

impl Actor for Supervisor {
    type Msg = Order;
    type State = State;
    type Arguments = ();

    /// The children are started here, so that a supervisor has started when they have.
    async fn pre_start(&self, myself: ActorRef<Order>, (): ()) -> Result<State, ActorProcessingErr> {
        self.node.forget_restarts();
        let children = self.spec.children.iter().map(|_| Child::default()).collect();
        let mut state = State { children, by_id: HashMap::new(), stopping: false };
        self.start(&myself, &mut state, 0, self.spec.children.len()).await?;
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Order>, order: Order, state: &mut State) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Start { from, until, ticket } => {
                let newest = state.children.get(from).is_some_and(|child| child.ticket == ticket);
                if newest && !state.stopping { self.start(&myself, state, from, until).await } else { Ok(()) }
            }
            Order::Shutdown(done) => {
                state.stopping = true;
                self.stop(state, 0..self.spec.children.len(), Stop::ForGood).await;
                myself.stop(None);
                // Nobody may be waiting any more.
                let _ = done.send(());
                Ok(())
            }
            Order::Nudge(nudge) => {
                nudge.obey().await;
                Ok(())
            }
        }
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Order>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, exit, message) = match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                let exit = if error.downcast_ref::<Fault>().is_some() { ExitKind::Error } else { ExitKind::Panic };
                (cell, exit, error.to_string())
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                let exit = if reason.as_deref() == Some("killed") { ExitKind::Killed } else { ExitKind::Normal };
                (cell, exit, reason.unwrap_or_else(|| "stopped".to_owned()))
            }
            _ => return Ok(()),
        };
        let Some(index) = state.by_id.remove(&cell.get_id()).filter(|_| !state.stopping) else { return Ok(()) };
        let child = state.children.get_mut(index);
        match child.filter(|child| child.cell.as_ref().is_none_or(|living| living.get_id() != cell.get_id())) {
            None => self.ended(&myself, state, index, exit, self.reason(index, exit), message).await,
            // It was to be stopped together with a sibling, and had crashed by itself before.
            Some(_) if matches!(exit, ExitKind::Panic | ExitKind::Error) => {
                if let Some(node) = self.node.children().get(index) {
                    node.amend_end(|end| {
                        (end.exit, end.reason, end.message) = (exit, Reason::Crashed, clipped(&message));
                    });
                }
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }
}

impl Supervisor {
    /// Starts the children of a range that do not run, in order; a failing start is an end like a crash.
    async fn start(
        &self,
        myself: &ActorRef<Order>,
        state: &mut State,
        from: usize,
        until: usize,
    ) -> Result<(), ActorProcessingErr> {
        for index in from..until {
            let (Some(spec), Some(child), Some(node)) =
                (self.spec.children.get(index), state.children.get_mut(index), self.node.children().get(index))
            else {
                break;
            };
            if child.cell.is_some() || child.gone {
                continue;
            }
            let end = node.take_end(self.node.path());
            match self.start_child(spec, node, myself.get_cell()).await {
                Ok(started) => {
                    state.by_id.insert(started.cell.get_id(), index);
                    child.cell = Some(started.cell.clone());
                    let taken_along = end.as_ref().is_some_and(|end| end.reason == Reason::SiblingEnded);
                    if !taken_along || child.since.is_none() {
                        child.since = Some(Instant::now());
                    }
                    self.tell(node, end, started);
                }
                Err(message) => {
                    child.since = None;
                    end.into_iter().for_each(|end| node.set_end(end));
                    self.ended(myself, state, index, ExitKind::Error, Reason::StartFailed, message).await?;
                    if self.spec.strategy != Strategy::OneForOne {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn start_child(&self, spec: &ChildSpec, node: &Arc<Node>, myself: ActorCell) -> Result<Started, String> {
        match &spec.body {
            Body::Actor { start, .. } => start(myself).await,
            Body::Supervisor(children) => {
                let supervisor =
                    Self { spec: Arc::clone(children), node: Arc::clone(node), observer: self.observer.clone() };
                let (actor, _) =
                    Actor::spawn_linked(None, supervisor, (), myself).await.map_err(|error| error.to_string())?;
                Ok(started(actor))
            }
        }
    }

    /// Why a child ended that runs. A supervisor returns an error only when it gives up.
    fn reason(&self, index: usize, exit: ExitKind) -> Reason {
        let is_supervisor = |child: &ChildSpec| matches!(child.body, Body::Supervisor(_));
        match exit {
            ExitKind::Killed => Reason::Killed,
            ExitKind::Error if self.spec.children.get(index).is_some_and(is_supervisor) => Reason::GaveUp,
            _ => Reason::Crashed,
        }
    }

    /// Decides what follows the end of a child. An error ends this supervisor: the parent's turn.
    async fn ended(
        &self,
        myself: &ActorRef<Order>,
        state: &mut State,
        index: usize,
        exit: ExitKind,
        reason: Reason,
        message: String,
    ) -> Result<(), ActorProcessingErr> {
        let now = Instant::now();
        let (Some(spec), Some(child), Some(node)) =
            (self.spec.children.get(index), state.children.get_mut(index), self.node.children().get(index))
        else {
            return Ok(());
        };
        child.cell = None;
        let (victim, generation) = (node.victim(), node.generation());
        let message = clipped(&node.take_verdict().unwrap_or(message));
        self.note_stopped(node, &message);
        if !strategy::restarts(spec.restart, exit) {
            child.gone = spec.restart == Restart::Temporary;
            node.ended(Status::Stopped);
            return Ok(());
        }
        node.ended(Status::Starting);
        let stable = child.since.is_some_and(|since| now.saturating_duration_since(since) >= STABLE_AFTER);
        child.failures = if stable { 0 } else { child.failures.saturating_add(1) };
        let backoff = BACKOFF.draw(child.failures);
        // A message that is not given to the actor again is no reason to give the actor up.
        let excused = node.counters().is_some_and(|counters| counters.take_excuse());
        let (allowed, used) = if excused { (true, self.node.used(now)) } else { self.node.admit(now) };
        tracing::warn!(callboard.actor.path = %node.path(), exit_kind = exit.as_str(), exception.message = %message, backoff_ms = backoff.as_millis(), "an actor ended");
        let wall = SystemTime::now();
        let end = End { at: now, wall, exit, reason, message, backoff, used, victim, generation };
        // A start that failed prolongs the end before it.
        let before = if reason == Reason::StartFailed { node.take_end(self.node.path()) } else { None };
        node.set_end(before.map_or_else(|| end.clone(), |before| before.prolonged(end.clone())));
        if !allowed {
            return self.escalate(state, index).await;
        }
        let range = strategy::touched(self.spec.strategy, index, self.spec.children.len());
        self.stop(state, range.clone(), Stop::WithSibling).await;
        // An older plan for any of them is void.
        state.children.iter_mut().take(range.end).skip(range.start).for_each(|child| child.ticket += 1);
        if let Some(first) = state.children.get(range.start) {
            let order = Order::Start { from: range.start, until: range.end, ticket: first.ticket };
            send_after(myself, backoff, order);
        }
        Ok(())
    }

    async fn escalate(&self, state: &mut State, index: usize) -> Result<(), ActorProcessingErr> {
        state.stopping = true;
        let child = self.node.children().get(index).map(|node| node.path().to_string()).unwrap_or_default();
        let reason =
            format!("{} gives up: {child} ended more often than its restart intensity allows", self.node.path());
        tracing::error!(callboard.actor.path = %self.node.path(), "{reason}");
        self.observer.note(What::Escalated { path: Arc::clone(self.node.path()), message: reason.clone() });
        self.stop(state, 0..self.spec.children.len(), Stop::GivingUp).await;
        Err(Fault::internal(reason).into())
    }

    /// Stops the running children of a range, last first.
    async fn stop(&self, state: &mut State, range: std::ops::Range<usize>, why: Stop) {
        let (status, message) = why.words();
        for index in range.rev() {
            let (Some(spec), Some(child), Some(node)) =
                (self.spec.children.get(index), state.children.get_mut(index), self.node.children().get(index))
            else {
                continue;
            };
            let Some(cell) = child.cell.take() else {
                if !child.gone {
                    node.ended(status);
                }
                continue;
            };
            child.gone = spec.restart == Restart::Temporary;
            let at = Instant::now();
            self.node.wait_until(Some(at + spec.stop_within + KILL_WITHIN));
            stop_child(spec, &cell).await;
            self.node.wait_until(None);
            self.note_stopped(node, message);
            if let Some(reason) = why.reason() {
                let end = End::taken_along((reason, message.to_owned()), at, node.victim(), node.generation());
                node.set_end(End { used: self.node.used(at), ..end });
            }
            node.ended(status);
        }
    }

    /// Tells that a child ended, and all that ran below it.
    fn note_stopped(&self, node: &Arc<Node>, message: &str) {
        for (at, ended) in node.flatten().into_iter().enumerate() {
            let message = if at == 0 { message.to_owned() } else { format!("{} ended", node.path()) };
            if at == 0 || ended.running().is_some() {
                self.observer.note(What::Stopped { path: Arc::clone(ended.path()), message });
            }
        }
    }

    /// Makes a new incarnation known; if it is a restart, that is told as soon as it has had its first turn.
    fn tell(&self, node: &Arc<Node>, end: Option<End>, started: Started) {
        let (hello, first_turn) = oneshot::channel();
        (started.nudge)(Nudge::Hello(hello));
        let incarnation = node.started(started);
        self.observer.note(What::Started { path: Arc::clone(node.path()), incarnation });
        let (Some(end), Some(intensity)) = (end, self.node.intensity()) else { return };
        node.restarted();
        let budget = Budget { max: intensity.max, period: intensity.period, used: end.used };
        Recovery { node: Arc::clone(node), end, incarnation, budget, first_turn }.report(self.observer.clone());
    }
}

pub(super) fn started(actor: ActorRef<Order>) -> Started {
    let cell = actor.get_cell();
    // A supervisor that has ended needs no word.
    Started { cell, nudge: Box::new(move |nudge| drop(actor.send_message(Order::Nudge(nudge)))), busy: None }
}

fn send_after(myself: &ActorRef<Order>, wait: Duration, order: Order) {
    let myself = myself.clone();
    if wait.is_zero() {
        // A supervisor that has ended needs no orders.
        let _ = myself.send_message(order);
        return;
    }
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        let _ = myself.send_message(order);
    });
}

/// Lets a child work off what it holds; kills it when that takes too long.
async fn stop_child(spec: &ChildSpec, cell: &ActorCell) {
    let graceful = match spec.body {
        Body::Supervisor(_) => {
            let (done, stopped) = oneshot::channel();
            let asked = cell.send_message(Order::Shutdown(done)).is_ok();
            asked && tokio::time::timeout(spec.stop_within, stopped).await.is_ok()
        }
        Body::Actor { .. } => cell.drain_and_wait(Some(spec.stop_within)).await.is_ok(),
    };
    if !graceful {
        tracing::warn!(child = spec.name, "an actor did not stop in time and is killed");
        // Whatever it still does must not meet its successor; an actor that cannot even be killed may.
        let _ = cell.kill_and_wait(Some(KILL_WITHIN)).await;
    }
}
