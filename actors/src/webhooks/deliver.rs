//! What a delivery's job does: signs the message, has it sent, notes what the attempt came to.
//!
//! Messages are in no order: each goes when its turn comes. Sending happens before the transaction that completes the
//! job, so that it may happen more than once: the receiver tells repetitions by their id. An attempt that is not the
//! last one and fails, fails its job; whatever ends the delivery completes it, so that a receiver that is away for good
//! is no dead letter of ours. A receiver that says when to come again (`Retry-After`) is left alone until then, if that
//! is within the longest back-off; this goes for the message that it refused, not for others to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::post::{Answered, Letter, Post};
use super::store::{self, Open};
use super::{Settings, payload};
use crate::jobs::{Effect, Job, JobError};
use crate::kit::postgres::{Postgres, Transaction};
use crate::kit::retry::Backoff;
use crate::kit::{Dependency, Fault, Scope};

/// What a receiver may take for its answer, everything included.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// What an attempt may take, our own statements included.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(25);
/// As much of an error as is kept.
const ERROR_LENGTH: usize = 500;

/// Deliveries, and secrets, forgotten at once.
const PRUNED: i64 = 1000;

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum End {
    /// The receiver took it.
    Delivered,
    /// It did not, and there are no attempts left.
    Failed,
    /// It wants no more messages.
    Gone,
    /// It had said so before: nothing was sent.
    Disabled,
}

impl End {
    /// The word in the database.
    fn state(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Gone | Self::Disabled => "gone",
        }
    }
}

#[derive(Deserialize)]
struct Args {
    delivery_id: i64,
}

/// Sends what is due.
pub(super) struct Deliver {
    postgres: Postgres,
    post: Arc<dyn Post>,
    backoff: Backoff,
    at_once: u32,
    keep: Duration,
}

impl Deliver {
    pub(super) fn new(settings: &Settings, postgres: &Postgres) -> Self {
        let Settings { post, backoff, at_once, keep } = settings.clone();
        Self { postgres: postgres.clone(), post, backoff, at_once, keep }
    }

    /// Sends, and says how the delivery ended; `None` when there is nothing to end.
    async fn attempt(&self, job: &Job, scope: &Scope) -> Result<Option<End>, JobError> {
        let delivery = args(job)?.delivery_id;
        let Some(open) = store::open_delivery(&self.postgres, scope, delivery).await? else { return Ok(None) };
        if open.over {
            return Ok(None);
        }
        if !open.enabled {
            return Ok(Some(End::Disabled));
        }
        let Some(body) = self.body(scope, delivery, &open).await? else { return Ok(None) };
        let started = Instant::now();
        let came_to = self.send(scope, &open, &body).await?;
        // To the microsecond: more is noise.
        let took = started.elapsed().as_micros() as f64 / 1e3;
        let noted = came_to.as_ref().map(|answered| answered.status).map_err(String::as_str);
        store::log_attempt(&self.postgres, scope, delivery, noted, took).await?;
        let last = job.attempt >= job.max_attempts;
        match came_to {
            Ok(Answered { status: 200..=299, .. }) => Ok(Some(End::Delivered)),
            Ok(Answered { status: 410, .. }) => Ok(Some(End::Gone)),
            _ if last => Ok(Some(End::Failed)),
            Ok(Answered { status, retry_after }) => {
                let fault =
                    Fault::unavailable_for(Dependency::Receiver, status.to_string(), format!("it answered {status}"));
                Err(JobError::Later(fault, retry_after.unwrap_or_default()))
            }
            Err(error) => Err(Fault::unavailable_for(Dependency::Receiver, "undelivered", error).into()),
        }
    }

    /// What is sent: made once, and the same bytes ever after.
    async fn body(&self, scope: &Scope, delivery: i64, open: &Open) -> Result<Option<String>, JobError> {
        if let Some(body) = &open.body {
            return Ok(Some(body.clone()));
        }
        let body = payload::body(&open.facts).map_err(|why| JobError::Final(format!("no message: {why}")))?;
        Ok(store::freeze(&self.postgres, scope, delivery, &body).await?)
    }

    /// The answer, or why there is none.
    async fn send(&self, scope: &Scope, open: &Open, body: &str) -> Result<Result<Answered, String>, Fault> {
        let id = format!("msg_{}", open.message_id.simple());
        let timestamp = OffsetDateTime::now_utc().unix_timestamp();
        let signatures: Result<Vec<_>, _> =
            open.secrets.iter().map(|secret| secret.sign(&id, timestamp, body)).collect();
        let signature = signatures?.join(" ");
        let headers =
            [("webhook-id", id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signature)];
        let deadline = scope.deadline.min(Instant::now() + ANSWER_WITHIN);
        let letter = Letter { url: &open.url, headers, body };
        let within = Scope::new(scope.trace.clone(), deadline);
        let answer = tokio::time::timeout_at(deadline.into(), self.post.post(letter, &within)).await;
        Ok(match answer {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(undelivered)) => Err(undelivered.to_string().chars().take(ERROR_LENGTH).collect()),
            Err(_) => Err("no answer in time".to_owned()),
        })
    }
}

impl Effect for Deliver {
    fn kind(&self) -> &'static str {
        "webhook_delivery"
    }

    fn within(&self) -> Option<Duration> {
        Some(ATTEMPT_WITHIN)
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(self.backoff)
    }

    fn at_once(&self) -> Option<u32> {
        Some(self.at_once)
    }

    fn before<'a>(&'a self, job: &'a Job, scope: &'a Scope) -> BoxFuture<'a, Result<Value, JobError>> {
        Box::pin(async { serde_json::to_value(self.attempt(job, scope).await?).map_err(|e| Fault::internal(e).into()) })
    }

    fn apply<'a>(
        &'a self,
        job: &'a Job,
        brought: &'a Value,
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async move {
            if let Some(end) = Option::<End>::deserialize(brought).map_err(Fault::internal)? {
                store::settle(tx, scope, args(job)?.delivery_id, end.state(), end == End::Gone).await?;
            }
            Ok(())
        })
    }

    fn prune<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async {
            let mut connection = self.postgres.connection().await?;
            let tx = connection.begin().await?;
            // Two statements: whether somebody has it sent once more is to be seen after the lock.
            let old = store::lock_old(&tx, scope, self.keep, PRUNED).await?;
            if !old.is_empty() {
                store::prune(&tx, scope, &old).await?;
            }
            tx.commit().await?;
            store::prune_secrets(&self.postgres, scope, PRUNED).await
        })
    }
}

fn args(job: &Job) -> Result<Args, JobError> {
    Args::deserialize(&job.args).map_err(|error| JobError::Arguments(error.to_string()))
}
