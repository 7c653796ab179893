//! What operators ask and order about jobs, and the actor that answers.

use time::OffsetDateTime;

use super::book;
use super::message::State;
use super::store::{self, Counts};
use super::view::{JobView, Standing};
use crate::kit::command::{Answer, Outcome};
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Failure, Scope};
use crate::{command, messages};

/// Why the answer is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only dead letters can be tried again.
    #[error("no dead letter of this id")]
    NotADeadLetter,
    /// There is no such job, or none that can be called off.
    #[error("no such job")]
    NotFound,
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

/// A page of jobs, and how it stands with all of them.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The page, newest first.
    pub jobs: Vec<JobView>,
    /// How many there are in each state that matters while they are in it.
    pub counts: Counts,
    /// Since when no process takes jobs; `None` while they do.
    pub paused_at: Option<OffsetDateTime>,
}

/// Read one job.
#[derive(Debug, Clone, Copy)]
pub struct FindJob(pub i64);

/// Give a dead letter another set of attempts.
#[derive(Debug, Clone, Copy)]
pub struct RetryJob(pub i64);

/// Give at most so many dead letters another set of attempts, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct RetryDead {
    /// At most so many.
    pub limit: i64,
}

/// Call a job off.
#[derive(Debug, Clone, Copy)]
pub struct CancelJob(pub i64);

/// Have all processes take no more jobs (`true`), or take them again.
#[derive(Debug, Clone, Copy)]
pub struct PauseJobs(pub bool);

command!(ListJobs, "list", Listed, Refusal, idempotent: true);
command!(FindJob, "find", (JobView, Standing), Refusal, idempotent: true);
command!(RetryJob, "retry", (), Refusal, idempotent: false);
command!(RetryDead, "retry_dead", usize, Refusal, idempotent: false);
command!(CancelJob, "cancel", State, Refusal, idempotent: false);
command!(PauseJobs, "pause", bool, Refusal, idempotent: false);
messages! {
    /// What the desk understands.
    pub(crate) enum DeskMessage { ListJobs, FindJob, RetryJob, RetryDead, CancelJob, PauseJobs }
}

/// Answers operators' questions.
pub(super) struct Desk(pub(super) Postgres);

impl Worker for Desk {
    type Message = DeskMessage;

    async fn handle(&self, message: DeskMessage, scope: Scope) -> Outcome {
        let (db, scope) = (&self.0, &scope);
        match message {
            DeskMessage::ListJobs(ask) => ask.serve(|list| self.list(scope, list)).await,
            DeskMessage::FindJob(ask) => {
                ask.serve(async |FindJob(id)| found(book::find(db, scope, id).await?, Refusal::NotFound)).await
            }
            DeskMessage::RetryJob(ask) => {
                let retry = async |RetryJob(id): RetryJob| {
                    found(book::retry(db, scope, id).await?.then_some(()), Refusal::NotADeadLetter)
                };
                ask.serve(retry).await
            }
            DeskMessage::RetryDead(ask) => {
                ask.serve(async |RetryDead { limit }| Ok(book::retry_all(db, scope, limit).await?)).await
            }
            DeskMessage::CancelJob(ask) => {
                ask.serve(async |CancelJob(id)| found(book::cancel(db, scope, id).await?, Refusal::NotFound)).await
            }
            DeskMessage::PauseJobs(ask) => {
                ask.serve(async |PauseJobs(paused)| Ok(book::set_paused(db, scope, paused).await?)).await
            }
        }
    }
}

impl Desk {
    async fn list(&self, scope: &Scope, list: ListJobs) -> Answer<ListJobs> {
        let jobs = book::list(&self.0, scope, &list).await?;
        let counts = store::count(&self.0, scope).await?;
        Ok(Listed { jobs, counts, paused_at: book::paused_at(&self.0, scope).await? })
    }
}

fn found<T>(found: Option<T>, missing: Refusal) -> Result<T, Failure<Refusal>> {
    found.ok_or(Failure::Refused(missing))
}
