//! The jobs' statements, one function each.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use super::message::{Job, JobView, ListJobs};
use crate::kit::postgres::{Postgres, Transaction};
use crate::kit::sql::Statement;
use crate::kit::{Fault, Scope};
use crate::sql;

/// A job that is to be moved to the stream.
pub(super) struct Unsent {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) traceparent: Option<String>,
}

/// How many jobs are in each state.
pub type Counts = BTreeMap<String, i64>;

pub(super) async fn take_unsent(tx: &Transaction<'_>, scope: &Scope, limit: i64) -> Result<Vec<Unsent>, Fault> {
    let rows = tx.run(scope, sql!("jobs/take_unsent"), &[&limit]).await?;
    let unsent = |row: &Row| Unsent { id: row.get("id"), kind: row.get("kind"), traceparent: row.get("traceparent") };
    Ok(rows.iter().map(unsent).collect())
}

pub(super) async fn mark_sent(tx: &Transaction<'_>, scope: &Scope, jobs: &[i64]) -> Result<(), Fault> {
    tx.run(scope, sql!("jobs/mark_sent"), &[&jobs]).await.map(drop)
}

pub(super) async fn claim(
    db: &Postgres,
    scope: &Scope,
    jobs: &[i64],
    worker: Uuid,
    kinds: &[&str],
) -> Result<Vec<Job>, Fault> {
    let rows = db.write(scope, sql!("jobs/claim"), &[&jobs, &worker, &kinds]).await?;
    let job = |row: &Row| Job {
        id: row.get("id"),
        kind: row.get("kind"),
        args: row.get("args"),
        attempt: row.get("attempt"),
        max_attempts: row.get("max_attempts"),
        traceparent: row.get("traceparent"),
        waited: row.get("waited"),
    };
    Ok(rows.iter().map(job).collect())
}

/// Whether the attempt was still the job's.
pub(super) async fn complete(tx: &Transaction<'_>, scope: &Scope, job: &Job, worker: Uuid) -> Result<bool, Fault> {
    Ok(!tx.run(scope, sql!("jobs/complete"), &[&job.id, &job.attempt, &worker]).await?.is_empty())
}

/// What became of a job whose attempt failed.
pub(super) enum Failed {
    /// It is tried again at this time, in milliseconds since 1970.
    Scheduled(i64),
    /// It is a dead letter now.
    Discarded,
    /// The attempt was not the job's any more.
    Fenced,
}

pub(super) async fn fail(
    db: &Postgres,
    scope: &Scope,
    job: &Job,
    worker: Uuid,
    error: &str,
    again: Option<Duration>,
) -> Result<Failed, Fault> {
    let seconds = again.map(|wait| wait.as_secs_f64());
    let rows = db.write(scope, sql!("jobs/fail"), &[&job.id, &job.attempt, &worker, &error, &seconds]).await?;
    Ok(match rows.first() {
        None => Failed::Fenced,
        Some(row) if row.get::<_, &str>("state") == "discarded" => Failed::Discarded,
        Some(row) => Failed::Scheduled(row.get("due_ms")),
    })
}

pub(super) async fn beat(db: &Postgres, scope: &Scope, worker: Uuid) -> Result<(), Fault> {
    db.write(scope, sql!("jobs/beat"), &[&worker]).await.map(drop)
}

/// What a look for the dead came to.
pub(super) struct Rescued {
    /// Processes that were found dead.
    pub(super) dead: i64,
    /// Jobs that were taken back.
    pub(super) taken: i64,
}

/// Who is dead, and who asks.
pub(super) struct Rescue<'a> {
    /// A process that was not seen for this long is dead.
    pub(super) dead_after: Duration,
    /// No attempt takes longer.
    pub(super) idle: Duration,
    /// The process that asks.
    pub(super) worker: Uuid,
    /// The jobs that it has in hand, and the numbers of their attempts.
    pub(super) held: (&'a [i64], &'a [i32]),
}

pub(super) async fn rescue(db: &Postgres, scope: &Scope, rescue: Rescue<'_>) -> Result<Rescued, Fault> {
    let (dead_after, idle) = (rescue.dead_after.as_secs_f64(), rescue.idle.as_secs_f64());
    let rows = db
        .write(scope, sql!("jobs/rescue"), &[&dead_after, &idle, &rescue.worker, &rescue.held.0, &rescue.held.1])
        .await?;
    let (dead, taken) = rows.first().map_or((0, 0), |row| (row.get("dead"), row.get("taken")));
    Ok(Rescued { dead, taken })
}

/// Has jobs sent again that were taken from the stream and not begun.
pub(super) async fn unsend(db: &Postgres, scope: &Scope, jobs: &[i64]) -> Result<(), Fault> {
    db.write(scope, sql!("jobs/unsend"), &[&jobs]).await.map(drop)
}

/// How many jobs are to be sent again.
pub(super) async fn resend(db: &Postgres, scope: &Scope, after: Duration, limit: i64) -> Result<usize, Fault> {
    Ok(db.write(scope, sql!("jobs/resend"), &[&after.as_secs_f64(), &limit]).await?.len())
}

pub(super) async fn count(db: &Postgres, scope: &Scope) -> Result<Counts, Fault> {
    let rows = db.scan(scope, sql!("jobs/count"), &[]).await?;
    let mut counts: Counts =
        ["scheduled", "available", "running", "discarded"].map(|state| (state.to_owned(), 0)).into();
    counts.extend(rows.iter().map(|row| (row.get("state"), row.get("n"))));
    Ok(counts)
}

fn live_workers_statement() -> &'static Statement {
    sql!("jobs/live_workers")
}

/// The same as [`live_workers`], on a connection of one's own.
///
/// # Errors
/// When the database cannot be reached.
pub async fn live_workers_in(tx: &Transaction<'_>, scope: &Scope, window: Duration) -> Result<i64, Fault> {
    let rows = tx.run(scope, live_workers_statement(), &[&window.as_secs_f64()]).await?;
    Ok(rows.first().map_or(0, |row| row.get("n")))
}

/// How many processes have taken jobs within `window`.
///
/// # Errors
/// When the database cannot be reached.
pub async fn live_workers(db: &Postgres, scope: &Scope, window: Duration) -> Result<i64, Fault> {
    let rows = db.read(scope, live_workers_statement(), &[&window.as_secs_f64()]).await?;
    Ok(rows.first().map_or(0, |row| row.get("n")))
}

pub(super) async fn list(db: &Postgres, scope: &Scope, list: &ListJobs) -> Result<Vec<JobView>, Fault> {
    let state = list.state.map(|state| state.as_str());
    let rows = db.scan(scope, sql!("jobs/list"), &[&state, &list.kind, &list.before, &list.limit]).await?;
    let view = |row: &Row| JobView {
        id: row.get("id"),
        kind: row.get("kind"),
        version: row.get("version"),
        state: row.get("state"),
        attempt: row.get("attempt"),
        max_attempts: row.get("max_attempts"),
        args: row.get("args"),
        run_at: row.get("run_at"),
        created_at: row.get("created_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        traceparent: row.get("traceparent"),
        last_error: row.get("last_error"),
    };
    Ok(rows.iter().map(view).collect())
}

/// Whether it was a dead letter.
pub(super) async fn retry(db: &Postgres, scope: &Scope, job: i64) -> Result<bool, Fault> {
    Ok(!db.write(scope, sql!("jobs/retry"), &[&job]).await?.is_empty())
}
