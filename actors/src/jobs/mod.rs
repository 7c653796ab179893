//! Jobs: what a write leaves to be done later, done exactly once. Knows no domain: they bring their
//! [`Effect`]s.
//!
//! ```text
//! the write's statement inserts a row ─(bell)▶ relay ─▶ stream ─▶ consumer ─claim▶ pool
//!      (PostgreSQL: what is true)              (Redis: moves ids)                   │
//!   scheduled ◀─ failed, attempts left ◀──────────────┬───── effect + completion: one transaction
//!   discarded ◀─ failed, none left     ◀──────────────┘
//! ```
//!
//! * The relay moves what is unsent, and marks it in the transaction that locked it: it may be sent
//!   twice, never forgotten.
//! * A claim starts an attempt only on a job that is due, and gives it a number. Completion, failure and
//!   the effect itself count only while that number is the job's: an older attempt changes nothing.
//! * A process that stops to beat is dead: the rescuer of any other takes its jobs back, and its own takes
//!   back what it claimed and lost in a crash of an actor. The beat is the consumer's own progress and is
//!   judged by the database's clock.
//! * What Redis loses, the reconciler has sent again.

mod bell;
mod book;
mod consumer;
mod desk;
mod faults;
mod held;
mod message;
mod pool;
mod reconciler;
mod relay;
mod rescuer;
mod scheduler;
mod spans;
mod store;
mod stream;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(crate) use bell::Bell;
pub use desk::{CancelJob, FindJob, ListJobs, Listed, PauseJobs, Refusal, RetryDead, RetryJob};
pub use faults::Faults;
pub use message::{Job, JobError, State};
pub use store::{Counts, live_workers, live_workers_in};
pub use view::{Attempt, JobView, Standing, why};

use crate::kit::listen::Listener;
use crate::kit::metrics::{self, OfKind};
use crate::kit::postgres::{Postgres, Transaction};
use crate::kit::redis::Redis;
use crate::kit::retry::Backoff;
use crate::kit::{Caller, Endpoint, Failure, Fault, Scope};
use crate::supervision::{ChildSpec, Patience, child};

/// What jobs of one kind do.
pub trait Effect: Send + Sync + 'static {
    /// The kind, as the statements that insert its jobs write it.
    fn kind(&self) -> &'static str;

    /// The newest version of arguments that it understands; it understands all before as well. A job of a newer
    /// one is left for a process that does.
    fn version(&self) -> i32 {
        1
    }

    /// What one attempt may take, where that differs from the setting.
    fn within(&self) -> Option<Duration> {
        None
    }

    /// How failed attempts are held back, where that differs from the setting.
    fn backoff(&self) -> Option<Backoff> {
        None
    }

    /// Jobs of this kind that may run at once, in all processes together; as many as there are hands otherwise.
    fn at_once(&self) -> Option<u32> {
        None
    }

    /// Whether jobs of this kind that were claimed together take effect together, by [`Self::apply_all`]: for effects
    /// that are quick and call nobody before.
    fn together(&self) -> bool {
        false
    }

    /// Takes effect for all of `jobs` within `tx`, which also completes them. It takes its locks in an order that does
    /// not depend on theirs. An error undoes all, and each is tried alone.
    fn apply_all<'a>(
        &'a self,
        jobs: &'a [Job],
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        let _ = (jobs, tx, scope);
        Box::pin(std::future::ready(Err(JobError::Final("jobs of this kind take effect one by one".to_owned()))))
    }

    /// What has to happen outside of any transaction and before it: calls to others. It may happen more than
    /// once, also for an attempt that in the end takes no effect. What it brings is handed to [`Self::apply`].
    fn before<'a>(&'a self, job: &'a Job, scope: &'a Scope) -> BoxFuture<'a, Result<Value, JobError>> {
        let _ = (job, scope);
        Box::pin(std::future::ready(Ok(Value::Null)))
    }

    /// Forgets a part of what its jobs have left behind and nobody asks for any more: so much as one statement does
    /// quickly, since the next round follows within seconds.
    fn prune<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<(), Fault>> {
        let _ = scope;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Takes effect within `tx`, which also completes the job. An error fails the attempt and undoes all.
    fn apply<'a>(
        &'a self,
        job: &'a Job,
        brought: &'a Value,
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>>;
}

/// How jobs are executed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Hands of this process, each of which works on a job, or on several at once.
    pub workers: usize,
    /// Of a kind that takes effect together, so many at the most.
    pub batch: usize,
    /// What an attempt may take.
    pub attempt_within: Duration,
    /// How long failed attempts are held back.
    pub backoff: Backoff,
    /// Completed and cancelled jobs are kept for this long.
    pub keep: Duration,
    /// A process that was not seen for this long is dead.
    pub dead_after: Duration,
    /// A job that so many processes died with is a dead letter.
    pub deaths: i32,
    /// A job that was sent this long ago and has not begun is sent again.
    pub resend_after: Duration,
    /// What the keys in Redis begin with.
    pub prefix: String,
}

/// Connections for beats and rescues: one each.
pub const VITAL: usize = 2;
/// Connections beside those of the hands: for what is moved to Redis, and for what is claimed.
pub const MOVING: usize = 2;

/// Ways to the database.
pub(crate) struct Connections {
    /// With those that everybody uses.
    pub(crate) postgres: Postgres,
    /// With those that jobs go through.
    pub(crate) own: Postgres,
    /// With those for beats and rescues.
    pub(crate) vital: Postgres,
}

/// What every job actor shares.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// This process, until it ends: never used again.
    pub(crate) boot: Uuid,
    pub(crate) postgres: Postgres,
    /// With connections of its own, for what jobs go through one by one: taken, claimed, executed, completed.
    pub(crate) own: Postgres,
    /// With connections of its own, for beats and rescues: they must not wait behind what they are about.
    pub(crate) vital: Postgres,
    pub(crate) redis: Redis,
    pub(crate) effects: HashMap<&'static str, Arc<dyn Effect>>,
    pub(crate) known: Known,
    /// What the longest attempt of any kind may take.
    pub(crate) longest: Duration,
    /// The jobs that this process has in hand.
    pub(crate) held: held::Held,
    /// The kinds' instruments.
    measured: HashMap<&'static str, OfKind>,
    /// Those of jobs that nobody here knows.
    measured_otherwise: LazyLock<OfKind>,
    /// The attempts that are to fail because somebody asked for it.
    pub(crate) faults: Faults,
    /// Wakes the relay.
    pub(crate) bell: Bell,
}

impl Shared {
    /// The instruments of the job's kind.
    pub(crate) fn measured(&self, job: &Job) -> &OfKind {
        self.measured.get(job.kind.as_str()).unwrap_or_else(|| &self.measured_otherwise)
    }
}

/// The kinds that this process knows, each with its newest version.
pub(crate) struct Known {
    /// All of them.
    pub(crate) all: (Vec<&'static str>, Vec<i32>),
    /// Those of which as many may run as there are hands.
    pub(crate) free: (Vec<&'static str>, Vec<i32>),
    /// Those of which several take effect together.
    pub(crate) together: Vec<&'static str>,
    /// Those of which only so many of each may run at once.
    pub(crate) limited: Vec<(&'static str, i32, u32)>,
}

impl Known {
    fn of(effects: &[Arc<dyn Effect>]) -> Self {
        let pairs = |limited: Option<bool>| {
            let wanted = effects.iter().filter(|effect| limited.is_none_or(|l| effect.at_once().is_some() == l));
            wanted.map(|effect| (effect.kind(), effect.version())).unzip()
        };
        let limit = |effect: &Arc<dyn Effect>| Some((effect.kind(), effect.version(), effect.at_once()?));
        let together = effects.iter().filter(|effect| effect.together() && effect.at_once().is_none());
        Self {
            all: pairs(None),
            free: pairs(Some(false)),
            together: together.map(|effect| effect.kind()).collect(),
            limited: effects.iter().filter_map(limit).collect(),
        }
    }
}

/// The jobs, as the operators' front knows them. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    desk: Endpoint<desk::DeskMessage>,
    /// Which attempts of this process are to fail on purpose.
    pub faults: Faults,
}

impl Jobs {
    /// The handle and its actor, which answers operators' questions.
    pub fn desk(postgres: &Postgres, room: usize) -> (Self, ChildSpec) {
        let desk = Endpoint::new("operators/jobs", "root/operators/jobs", room);
        let child = child::pool(&desk, Arc::new(desk::Desk(postgres.clone())), 2);
        (Self { desk, faults: Faults::default() }, child)
    }

    /// A page of jobs, how many there are in each state, and whether any are taken.
    ///
    /// # Errors
    /// None of its own.
    pub async fn list(&self, caller: &Caller, list: ListJobs) -> Result<Listed, Failure<Refusal>> {
        self.desk.ask(caller, list).await
    }

    /// One job, the errors of its attempts, and why it does not run.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn find(&self, caller: &Caller, find: FindJob) -> Result<(JobView, Standing), Failure<Refusal>> {
        self.desk.ask(caller, find).await
    }

    /// Gives a dead letter another set of attempts.
    ///
    /// # Errors
    /// [`Refusal::NotADeadLetter`].
    pub async fn retry(&self, caller: &Caller, retry: RetryJob) -> Result<(), Failure<Refusal>> {
        self.desk.ask(caller, retry).await
    }

    /// Gives many dead letters another set of attempts; how many.
    ///
    /// # Errors
    /// None of its own.
    pub async fn retry_dead(&self, caller: &Caller, retry: RetryDead) -> Result<usize, Failure<Refusal>> {
        self.desk.ask(caller, retry).await
    }

    /// Calls a job off; the state that it is in now. One that runs ends as soon as its process hears of it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for one that is finished.
    pub async fn cancel(&self, caller: &Caller, cancel: CancelJob) -> Result<State, Failure<Refusal>> {
        self.desk.ask(caller, cancel).await
    }

    /// Has all processes take no more jobs, or take them again; whether that changed anything.
    ///
    /// # Errors
    /// None of its own.
    pub async fn pause(&self, caller: &Caller, pause: PauseJobs) -> Result<bool, Failure<Refusal>> {
        self.desk.ask(caller, pause).await
    }
}

/// The actor of a process that executes no jobs: it has others told of those that it leaves.
pub(crate) fn ringer(postgres: &Postgres, bell: Bell) -> ChildSpec {
    child::routine("ringer", Arc::new(bell::Ringer { bell, postgres: postgres.clone() }))
}

/// The actors that move and execute jobs, in the order of their start; and the hands that have no job.
///
/// # Errors
/// When the Redis URL is not one; the message does not repeat it.
pub(crate) fn workers(
    settings: Settings,
    Connections { postgres, own, vital }: Connections,
    redis: Redis,
    boot: Uuid,
    effects: Vec<Arc<dyn Effect>>,
    faults: Faults,
    bell: Bell,
) -> Result<(Vec<ChildSpec>, Arc<Semaphore>), Fault> {
    let hands = settings.workers;
    let free = Arc::new(Semaphore::new(hands));
    let known = Known::of(&effects);
    faults.know(known.all.0.clone());
    let longest = effects.iter().filter_map(|effect| effect.within()).chain([settings.attempt_within]).max();
    let longest = longest.unwrap_or(settings.attempt_within);
    let effects: HashMap<_, _> = effects.into_iter().map(|effect| (effect.kind(), effect)).collect();
    let measured = effects.keys().map(|kind| (*kind, metrics::jobs().of_kind(kind))).collect();
    let shared = Arc::new(Shared {
        settings,
        boot,
        postgres: postgres.clone(),
        own,
        vital,
        redis,
        effects,
        known,
        longest,
        held: held::Held::default(),
        measured,
        measured_otherwise: LazyLock::new(|| metrics::jobs().of_kind("other")),
        faults,
        bell,
    });
    // Each group of jobs that the consumer hands over has a hand, so that the pool's mailbox never fills.
    let pool = Endpoint::new("jobs/pool", "root/jobs/pool", hands * 2);
    let consumer = consumer::Consumer { shared: Arc::clone(&shared), pool: pool.clone(), hands: Arc::clone(&free) };
    let listener = Listener { postgres, hear: Arc::clone(&shared) };
    // An attempt is ended at its own limit; one that is not, for that long again, is stuck.
    let patience = Patience { hold: Some(longest * 2), kill: true };
    let children = vec![
        child::pool(&pool, Arc::new(pool::Executor(Arc::clone(&shared))), hands).with_patience(patience),
        child::routine("consumer", Arc::new(consumer)),
        child::routine("relay", Arc::new(relay::Relay(Arc::clone(&shared)))),
        child::routine("listener", Arc::new(listener)),
        child::routine("scheduler", Arc::new(scheduler::Scheduler(Arc::clone(&shared)))),
        child::routine("rescuer", Arc::new(rescuer::Rescuer(Arc::clone(&shared)))),
        child::routine("reconciler", Arc::new(reconciler::Reconciler::new(shared))),
    ];
    Ok((children, free))
}
