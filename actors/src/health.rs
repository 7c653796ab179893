//! Whether the service can do its work: the database answers, Redis answers, somebody takes jobs.
//!
//! A batcher, so that a crowd of probes costs one round of questions. Each question has a short limit of
//! its own: with a dependency away the answer comes as quickly as ever.

use std::sync::Arc;
use std::time::Duration;

use crate::jobs;
use crate::kit::batcher::{Answers, Gather};
use crate::kit::postgres::Postgres;
use crate::kit::redis::Redis;
use crate::kit::{Ask, Caller, Command, Endpoint, Failure, Scope, Trace};
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
        let endpoint = Endpoint::new("health", "root/health", room);
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

struct Checks {
    postgres: Postgres,
    redis: Arc<Redis>,
}

impl Gather for Checks {
    type Command = CheckHealth;

    async fn run(&self, commands: &[CheckHealth], scope: &Scope) -> Answers<CheckHealth> {
        // Probes come every few seconds for ever: they make no spans.
        let quiet = Scope::new(Trace::default(), scope.deadline);
        let mut ping = redis::Cmd::new();
        ping.arg("PING");
        let database = tokio::time::timeout(ANSWER_WITHIN, jobs::live_workers(&self.postgres, &quiet, CONSUMING));
        let answers = tokio::time::timeout(ANSWER_WITHIN, self.redis.run::<String>(&quiet.trace, "PING", &ping));
        let (database, answers) = tokio::join!(database, answers);
        let live = database.ok().and_then(Result::ok);
        let report = Report {
            database: live.is_some(),
            redis: matches!(answers, Ok(Ok(_))),
            workers: live.is_some_and(|workers| workers > 0),
        };
        Ok(commands.iter().map(|_| Ok(report)).collect())
    }
}
