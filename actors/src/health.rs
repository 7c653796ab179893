//! Whether the service can do its work: the database answers, Redis answers, somebody takes jobs.
//!
//! A batcher, so that a crowd of probes costs one round of questions. Each question has a short limit of
//! its own: with a dependency away the answer comes as quickly as ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::jobs;
use crate::kit::batcher::{Answers, Gather};
use crate::kit::postgres::{self, Postgres};
use crate::kit::redis::{self, Redis};
use crate::kit::{Ask, Caller, Command, Endpoint, Failure, Fault, Scope, Trace};
use crate::supervision::{ChildSpec, child};

/// How long a dependency may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(800);
/// A process that took jobs within this time is consuming them.
const CONSUMING: Duration = Duration::from_secs(10);

/// How the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The database answers.
    pub database: bool,
    /// Redis answers.
    pub redis: bool,
    /// Some process of the cluster is consuming jobs.
    pub workers: bool,
}

impl Report {
    /// Everything is as it should be.
    pub fn is_healthy(&self) -> bool {
        self.database && self.redis && self.workers
    }
}

/// How is the service?
#[derive(Debug, Clone, Copy)]
pub struct CheckHealth;

impl Command for CheckHealth {
    type Reply = Report;
    type Refusal = std::convert::Infallible;
    const NAME: &'static str = "check";
    const IDEMPOTENT: bool = true;
}

/// The health actor, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Health(Endpoint<Ask<CheckHealth>>);

impl Health {
    /// The handle and its actor.
    pub fn new(postgres: &Postgres, redis: Arc<Redis>, room: usize) -> (Self, ChildSpec) {
        let endpoint = Endpoint::new("operators/health", "root/operators/health", room);
        let child = child::batcher(&endpoint, Arc::new(Checks { postgres: postgres.clone(), redis }), 1, room);
        (Self(endpoint), child)
    }

    /// How the service is now.
    ///
    /// # Errors
    /// When the actor itself cannot answer.
    pub async fn check(&self, caller: &Caller) -> Result<Report, Failure<std::convert::Infallible>> {
        self.0.ask(caller, CheckHealth).await
    }
}

/// How the dependencies are, without any actor: for the command line.
///
/// # Errors
/// When the settings contradict one another; a dependency that is away is a finding.
pub async fn examine(postgres: &postgres::Settings, redis: &redis::Url) -> Result<Report, Fault> {
    let postgres = Postgres::new(postgres)?;
    let workers = async {
        let mut connection = postgres.connection().await?;
        jobs::live_workers_in(&connection.begin().await?, &quiet(), CONSUMING).await
    };
    Ok(report(workers, &Redis::new(redis)).await)
}

fn quiet() -> Scope {
    // Probes come every few seconds for ever: they make no spans.
    Scope::new(Trace::default(), Instant::now() + ANSWER_WITHIN)
}

/// Asks both dependencies at once, each within its limit.
async fn report(live: impl Future<Output = Result<i64, Fault>>, redis: &Redis) -> Report {
    let mut ping = ::redis::Cmd::new();
    ping.arg("PING");
    let (trace, live) = (Trace::default(), tokio::time::timeout(ANSWER_WITHIN, live));
    let answer = tokio::time::timeout(ANSWER_WITHIN, redis.run::<String>(&trace, "PING", &ping));
    let (live, answer) = tokio::join!(live, answer);
    let live = live.ok().and_then(Result::ok);
    Report { database: live.is_some(), redis: matches!(answer, Ok(Ok(_))), workers: live.is_some_and(|live| live > 0) }
}

struct Checks {
    postgres: Postgres,
    redis: Arc<Redis>,
}

impl Gather for Checks {
    type Command = CheckHealth;

    async fn run(&self, commands: &[CheckHealth], _: &Scope) -> Answers<CheckHealth> {
        let scope = quiet();
        let report = report(jobs::live_workers(&self.postgres, &scope, CONSUMING), &self.redis).await;
        Ok(commands.iter().map(|_| Ok(report)).collect())
    }
}
