//! A job as its effect sees it, as operators see it, and what can be asked about jobs.

use serde_json::Value;
use time::OffsetDateTime;

use super::store::{self, Counts};
use crate::kit::command::Outcome;
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Failure, Fault, Scope};
use crate::{command, messages};

/// A job of which an attempt has begun.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: i64,
    /// What it is.
    pub kind: String,
    /// Its arguments, as the write left them.
    pub args: Value,
    /// The number of this attempt, from 1: the fence against older ones.
    pub attempt: i32,
    /// How many attempts it gets.
    pub max_attempts: i32,
    /// The trace of the request that caused it.
    pub traceparent: Option<String>,
    /// How long it waited from being due until it began, in seconds.
    pub waited: f64,
}

/// Why an attempt failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// The arguments are not what this kind expects.
    #[error("bad arguments: {0}")]
    Arguments(String),
    /// Something below the rules failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// No further attempt would fare better.
    #[error("{0}")]
    Final(String),
    /// It took longer than an attempt may take.
    #[error("took longer than an attempt may take")]
    TooLong,
    /// It panicked.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Available,
    /// An attempt is under way.
    Running,
    /// It took effect.
    Completed,
    /// All its attempts failed: a dead letter.
    Discarded,
    /// It was called off.
    Cancelled,
}

impl State {
    /// The word in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Discarded => "discarded",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this word.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Scheduled, Self::Available, Self::Running, Self::Completed, Self::Discarded, Self::Cancelled];
        all.into_iter().find(|state| state.as_str() == word)
    }
}

/// A job as operators see it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Its id.
    pub id: i64,
    /// What it is.
    pub kind: String,
    /// The version of its arguments.
    pub version: i32,
    /// Where it stands.
    pub state: String,
    /// How many attempts have begun.
    pub attempt: i32,
    /// How many it gets.
    pub max_attempts: i32,
    /// Its arguments: ids, never what people wrote.
    pub args: Value,
    /// When it is due.
    pub run_at: OffsetDateTime,
    /// When the write that caused it committed.
    pub created_at: OffsetDateTime,
    /// When its last attempt began.
    pub started_at: Option<OffsetDateTime>,
    /// When it came to its end.
    pub finished_at: Option<OffsetDateTime>,
    /// The trace of the request that caused it.
    pub traceparent: Option<String>,
    /// Why its last failed attempt failed.
    pub last_error: Option<String>,
}

/// Why the answer is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only dead letters can be tried again.
    #[error("no dead letter of this id")]
    NotADeadLetter,
}

/// Read a page of jobs.
#[derive(Debug, Clone, Default)]
pub struct ListJobs {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this kind.
    pub kind: Option<String>,
    /// Only those with smaller ids.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// Give a dead letter another set of attempts.
#[derive(Debug, Clone, Copy)]
pub struct RetryJob(pub i64);

command!(ListJobs, "list", (Vec<JobView>, Counts), Refusal, idempotent: true);
command!(RetryJob, "retry", (), Refusal, idempotent: false);
messages! {
    /// What the desk understands.
    pub(crate) enum DeskMessage { ListJobs, RetryJob }
}

/// Answers operators' questions.
pub(super) struct Desk(pub(super) Postgres);

impl Worker for Desk {
    type Message = DeskMessage;

    async fn handle(&self, message: DeskMessage, scope: Scope) -> Outcome {
        let (db, scope) = (&self.0, &scope);
        match message {
            DeskMessage::ListJobs(ask) => {
                let list = async |list: ListJobs| {
                    let jobs = store::list(db, scope, &list).await?;
                    Ok((jobs, store::count(db, scope).await?))
                };
                ask.serve(list).await
            }
            DeskMessage::RetryJob(ask) => {
                let retry = async |RetryJob(id): RetryJob| {
                    if store::retry(db, scope, id).await? {
                        Ok(())
                    } else {
                        Err(Failure::Refused(Refusal::NotADeadLetter))
                    }
                };
                ask.serve(retry).await
            }
        }
    }
}
