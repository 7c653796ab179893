//! The operators' statements about jobs, one function each.

use std::time::Duration;

use time::OffsetDateTime;
use tokio_postgres::Row;

use super::desk::ListJobs;
use super::message::State;
use super::view::{Attempt, JobView, Standing};
use crate::kit::postgres::Postgres;
use crate::kit::{Fault, Scope};
use crate::sql;

/// A process that was seen this long ago takes jobs.
const ALIVE: Duration = Duration::from_secs(5);

pub(super) async fn list(db: &Postgres, scope: &Scope, list: &ListJobs) -> Result<Vec<JobView>, Fault> {
    let state = list.state.map(|state| state.as_str());
    let rows = db.scan(scope, sql!("jobs/list"), &[&state, &list.kind, &list.before, &list.limit]).await?;
    Ok(rows.iter().map(view).collect())
}

fn view(row: &Row) -> JobView {
    JobView {
        id: row.get("id"),
        kind: row.get("kind"),
        version: row.get("version"),
        state: row.get("state"),
        priority: row.get("priority"),
        attempt: row.get("attempt"),
        max_attempts: row.get("max_attempts"),
        args: row.get("args"),
        run_at: row.get("run_at"),
        created_at: row.get("created_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        traceparent: row.get("traceparent"),
        last_error: row.get("last_error"),
    }
}

/// One job and what decides whether it may run.
pub(super) async fn find(db: &Postgres, scope: &Scope, job: i64) -> Result<Option<(JobView, Standing)>, Fault> {
    let rows = db.scan(scope, sql!("jobs/find"), &[&job, &ALIVE.as_secs_f64()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let attempts = errors(db, scope, job).await?;
    let mut view = view(row);
    view.last_error = attempts.last().map(|last| last.error.clone());
    let standing = Standing {
        attempts,
        worker: row.get("worker"),
        sent: row.get::<_, Option<OffsetDateTime>>("sent_at").is_some(),
        cancel_requested: row.get::<_, Option<OffsetDateTime>>("cancel_requested_at").is_some(),
        paused: row.get("paused"),
        workers: row.get("workers"),
        known: row.get("known"),
        running_of_kind: row.get("running_of_kind"),
        before_it: row.get("before_it"),
        due_in: row.get("due_in"),
    };
    Ok(Some((view, standing)))
}

async fn errors(db: &Postgres, scope: &Scope, job: i64) -> Result<Vec<Attempt>, Fault> {
    let rows = db.scan(scope, sql!("jobs/errors"), &[&job]).await?;
    let attempt = |row: &Row| Attempt { attempt: row.get("attempt"), error: row.get("error"), at: row.get("at") };
    Ok(rows.iter().map(attempt).collect())
}

/// Whether it was a dead letter.
pub(super) async fn retry(db: &Postgres, scope: &Scope, job: i64) -> Result<bool, Fault> {
    Ok(!db.write(scope, sql!("jobs/retry"), &[&job]).await?.is_empty())
}

/// How many dead letters are tried again.
pub(super) async fn retry_all(db: &Postgres, scope: &Scope, limit: i64) -> Result<usize, Fault> {
    Ok(db.write(scope, sql!("jobs/retry_all"), &[&limit]).await?.len())
}

/// The state of an unfinished job after it was called off; none when there is no such job.
pub(super) async fn cancel(db: &Postgres, scope: &Scope, job: i64) -> Result<Option<State>, Fault> {
    let rows = db.write(scope, sql!("jobs/cancel"), &[&job]).await?;
    Ok(rows.first().and_then(|row| State::parse(row.get("state"))))
}

/// Since when no process takes jobs.
pub(super) async fn paused_at(db: &Postgres, scope: &Scope) -> Result<Option<OffsetDateTime>, Fault> {
    let rows = db.read(scope, sql!("jobs/paused"), &[]).await?;
    Ok(rows.first().and_then(|row| row.get("paused_at")))
}

/// Whether that changed anything.
pub(super) async fn set_paused(db: &Postgres, scope: &Scope, paused: bool) -> Result<bool, Fault> {
    let rows = db.write(scope, sql!("jobs/set_paused"), &[&paused]).await?;
    Ok(rows.first().is_some_and(|row| row.get("changed")))
}
