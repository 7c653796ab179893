//! The tree as it is now: a node for each child, written by its supervisor, read by anybody.
//!
//! Reading asks no actor, so it is cheap and works while one of them is stuck. What is below a supervisor that
//! ended has ended with it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::child::Started;
use super::intensity::{Intensity, Window};
use super::observer::Reason;
use super::recovery::End;
use super::spec::{Body, ChildSpec, Patience, Strategy, SupervisorSpec};
use crate::kit::counters::{Counters, Victim};
use crate::kit::nudge::Nudge;

/// Whether an actor is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not yet started, or between two incarnations.
    Starting,
    /// It receives messages.
    Running,
    /// It was stopped, or ended for good.
    Stopped,
}

impl Status {
    /// The word in the tree that operators read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// A supervisor or an actor, across its incarnations.
pub struct Node {
    path: Arc<str>,
    kind: &'static str,
    supervisor: Option<(Strategy, Intensity)>,
    counters: Option<Arc<Counters>>,
    children: Vec<Arc<Node>>,
    patience: Patience,
    life: Mutex<Life>,
}

struct Life {
    status: Status,
    started_at: Option<OffsetDateTime>,
    incarnation: u64,
    restarts: u64,
    /// Restarts of this supervisor's children in its period.
    window: Window,
    alive: Option<Started>,
    /// When the last incarnation ended, while there is none.
    ended_at: Option<Instant>,
    /// The watchdog has found that it makes no progress.
    stalled: bool,
    /// Why it is being killed.
    verdict: Option<String>,
    /// This supervisor waits for a child to stop, at the longest until then.
    waits_until: Option<Instant>,
    /// How the last incarnation ended, until the next one runs. Kept here, for it outlives the supervisor.
    end: Option<End>,
}

/// What a node looked like at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Where it stands: `root/articles/by_slug`.
    pub path: Arc<str>,
    /// `supervisor`, `pool`, `batcher` or `routine`.
    pub kind: &'static str,
    /// For supervisors: which children a restart touches, and the restarts allowed and used.
    pub supervisor: Option<(Strategy, Intensity, u32)>,
    /// Whether it is there.
    pub status: Status,
    /// When this incarnation started.
    pub started_at: Option<OffsetDateTime>,
    /// Counts up from 1 with every start.
    pub incarnation: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// It makes no progress.
    pub stalled: bool,
    /// Mailbox depth, in flight, handled, failed; for actors with a mailbox that others send to.
    pub mailbox: Option<[u64; 4]>,
    /// How many messages may wait, and how many may be worked on at once; for the same.
    pub limits: Option<[u64; 2]>,
    /// In the order of their start.
    pub children: Vec<Snapshot>,
}

impl Node {
    /// The node of a root supervisor and, below it, of its whole tree.
    pub(super) fn root(path: &str, spec: &SupervisorSpec) -> Arc<Self> {
        Self::new(path.into(), "supervisor", Some(spec), None, Patience::default())
    }

    fn new(
        path: Arc<str>,
        kind: &'static str,
        spec: Option<&SupervisorSpec>,
        counters: Option<Arc<Counters>>,
        patience: Patience,
    ) -> Arc<Self> {
        let children =
            spec.map_or(&[][..], |spec| &spec.children).iter().map(|child| Self::child(&path, child)).collect();
        Arc::new(Self {
            supervisor: spec.map(|spec| (spec.strategy, spec.intensity)),
            path,
            kind,
            counters,
            children,
            patience,
            life: Mutex::new(Life {
                status: Status::Starting,
                started_at: None,
                incarnation: 0,
                restarts: 0,
                window: Window::default(),
                alive: None,
                ended_at: None,
                stalled: false,
                verdict: None,
                waits_until: None,
                end: None,
            }),
        })
    }

    fn child(parent: &str, child: &ChildSpec) -> Arc<Self> {
        let path = format!("{parent}/{}", child.name).into();
        match &child.body {
            Body::Actor { counters, .. } => Self::new(path, child.kind, None, counters.clone(), child.patience),
            Body::Supervisor(spec) => Self::new(path, child.kind, Some(spec), None, child.patience),
        }
    }

    /// Where it stands.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Its children, in the order of their start.
    pub fn children(&self) -> &[Arc<Node>] {
        &self.children
    }

    /// The node at `path`, itself or below.
    pub fn find(self: &Arc<Self>, path: &str) -> Option<Arc<Node>> {
        if *self.path == *path {
            return Some(Arc::clone(self));
        }
        self.children.iter().find_map(|child| child.find(path))
    }

    /// Tells the actor something for its next turn; `false` when it is not there now.
    pub fn nudge(&self, nudge: Nudge) -> bool {
        let life = self.life();
        let Some(alive) = &life.alive else { return false };
        (alive.nudge)(nudge);
        true
    }

    /// Everybody below this node, and itself, supervisors before their children.
    pub(super) fn flatten(self: &Arc<Self>) -> Vec<Arc<Node>> {
        let below = self.children.iter().flat_map(|child| child.flatten());
        std::iter::once(Arc::clone(self)).chain(below).collect()
    }

    /// What it and everything below it look like now.
    pub fn snapshot(&self) -> Snapshot {
        let mut life = self.life();
        Snapshot {
            path: Arc::clone(&self.path),
            kind: self.kind,
            supervisor: self
                .supervisor
                .map(|(strategy, intensity)| (strategy, intensity, life.window.used(Instant::now(), intensity))),
            status: life.status,
            started_at: life.started_at,
            incarnation: life.incarnation,
            restarts: life.restarts,
            stalled: life.stalled,
            mailbox: self.counters.as_ref().map(|counters| {
                let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
                [counters.depth() as u64, read(&counters.in_flight), read(&counters.handled), read(&counters.failed)]
            }),
            limits: self.counters.as_ref().map(|counters| [counters.capacity() as u64, counters.hands_for()]),
            children: self.children.iter().map(|child| child.snapshot()).collect(),
        }
    }

    /// Notes a new incarnation and returns its number.
    pub(super) fn started(&self, started: Started) -> u64 {
        let mut life = self.life();
        life.status = Status::Running;
        life.started_at = Some(OffsetDateTime::now_utc());
        life.incarnation += 1;
        life.alive = Some(started);
        life.ended_at = None;
        life.stalled = false;
        // A verdict on the one before.
        life.verdict = None;
        life.waits_until = None;
        life.incarnation
    }

    /// Notes that the incarnation ended, and all below it with it, and whether others are to come.
    pub(super) fn ended(&self, status: Status) {
        let mut life = self.life();
        life.status = status;
        if life.alive.take().is_some() {
            life.ended_at = Some(Instant::now());
        }
        life.stalled = false;
        drop(life);
        self.children.iter().for_each(|child| child.ended(status));
    }

    /// Keeps how the last incarnation ended.
    pub(super) fn set_end(&self, end: End) {
        self.life().end = Some(end);
    }

    /// How the last incarnation ended, if that has not been told. When nobody said so, it ended at some moment
    /// together with its supervisor.
    pub(super) fn take_end(&self, supervisor: &str) -> Option<End> {
        let mut life = self.life();
        let (end, ended_at) = (life.end.take(), life.ended_at);
        drop(life);
        let taken_along = |at| {
            End::taken_along(
                (Reason::SupervisorEnded, format!("{supervisor} ended")),
                at,
                self.victim(),
                self.generation(),
            )
        };
        end.or_else(|| ended_at.map(taken_along))
    }

    /// Changes what is kept of the last incarnation's end, if anything is.
    pub(super) fn amend_end(&self, amend: impl FnOnce(&mut End)) {
        self.life().end.as_mut().map(amend);
    }

    /// How long its loop has been at work without looking up.
    pub(super) fn busy_for(&self) -> Duration {
        let life = self.life();
        life.alive.as_ref().and_then(|alive| alive.busy.as_ref()).map_or(Duration::ZERO, |busy| busy.elapsed())
    }

    /// The incarnation that its endpoint delivers to.
    pub(super) fn generation(&self) -> u64 {
        self.counters.as_ref().map_or(0, |counters| counters.generation())
    }

    /// The number of the incarnation that runs now.
    pub(super) fn running(&self) -> Option<u64> {
        let life = self.life();
        life.alive.as_ref().map(|_| life.incarnation)
    }

    /// Notes whether it makes progress; `true` when that is news.
    pub(super) fn set_stalled(&self, stalled: bool) -> bool {
        let mut life = self.life();
        std::mem::replace(&mut life.stalled, stalled) != stalled
    }

    /// Kills the incarnation that runs now, for this reason.
    pub(super) fn kill(&self, verdict: &str) {
        let mut life = self.life();
        if let Some(alive) = &life.alive {
            alive.cell.kill();
            life.verdict = Some(verdict.to_owned());
        }
    }

    /// Why the incarnation that has just ended was killed, if it was.
    pub(super) fn take_verdict(&self) -> Option<String> {
        self.life().verdict.take()
    }

    pub(super) fn counters(&self) -> Option<&Arc<Counters>> {
        self.counters.as_ref()
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// Notes that this supervisor's turn takes so long because a child may; `None` when that is over.
    pub(super) fn wait_until(&self, until: Option<Instant>) {
        self.life().waits_until = until;
    }

    /// Its turn may take this long.
    pub(super) fn may_wait(&self) -> bool {
        self.life().waits_until.is_some_and(|until| Instant::now() < until)
    }

    /// Nobody is above it.
    pub(super) fn is_root(&self) -> bool {
        !self.path.contains('/')
    }

    /// The message that the incarnation which has just ended left unanswered.
    pub(super) fn victim(&self) -> Option<Victim> {
        self.counters.as_ref().and_then(|counters| counters.victim())
    }

    /// One that an earlier incarnation is known to have left unanswered only now.
    pub(super) fn lost(&self, generation: u64) -> Option<Victim> {
        self.counters.as_ref().and_then(|counters| counters.lost(generation))
    }

    pub(super) fn restarted(&self) {
        self.life().restarts += 1;
    }

    /// Notes a restart of one of this supervisor's children: whether it is still allowed, and how many
    /// its period holds now. The window ends with the supervisor's incarnation, as in OTP.
    pub(super) fn admit(&self, now: Instant) -> (bool, u32) {
        let Some((_, intensity)) = self.supervisor else { return (false, 0) };
        let mut life = self.life();
        let allowed = life.window.admit(now, intensity);
        (allowed, life.window.used(now, intensity))
    }

    /// Restarts of this supervisor's children in the period that ends at `now`.
    pub(super) fn used(&self, now: Instant) -> u32 {
        self.supervisor.map_or(0, |(_, intensity)| self.life().window.used(now, intensity))
    }

    pub(super) fn intensity(&self) -> Option<Intensity> {
        self.supervisor.map(|(_, intensity)| intensity)
    }

    pub(super) fn forget_restarts(&self) {
        self.life().window = Window::default();
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound state.
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
