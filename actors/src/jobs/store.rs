//! The jobs' statements, one function each.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;
use uuid::Uuid;

use super::Known;
use super::message::Job;
use super::stream::Sent;
use crate::kit::postgres::{Postgres, Transaction};
use crate::kit::sql::Statement;
use crate::kit::{Fault, Scope};
use crate::sql;

/// A job that is to be moved to Redis.
pub(super) struct Unsent {
    pub(super) sent: Sent,
    pub(super) kind: String,
    pub(super) traceparent: Option<String>,
}

/// How many jobs are in each state.
pub type Counts = BTreeMap<String, i64>;

pub(super) async fn take_unsent(
    tx: &Transaction<'_>,
    scope: &Scope,
    limit: i64,
    known: &Known,
) -> Result<Vec<Unsent>, Fault> {
    let (kinds, versions) = &known.all;
    let rows = tx.run(scope, sql!("jobs/take_unsent"), &[&limit, kinds, versions]).await?;
    let unsent = |row: &Row| {
        let kind: String = row.get("kind");
        let fresh = row.get::<_, bool>("fresh").then(|| kind.clone());
        Unsent { sent: Sent { fresh, ..sent(row) }, kind, traceparent: row.get("traceparent") }
    };
    Ok(rows.iter().map(unsent).collect())
}

fn sent(row: &Row) -> Sent {
    Sent { job: row.get("id"), priority: row.get("priority"), due_ms: row.get("due_ms"), fresh: None }
}

/// Starts attempts on those of these jobs that are due, of kinds without a limit.
pub(super) async fn claim(
    db: &Postgres,
    scope: &Scope,
    jobs: &[i64],
    worker: Uuid,
    (kinds, versions): &(Vec<&'static str>, Vec<i32>),
) -> Result<Vec<Job>, Fault> {
    let rows = db.write(scope, sql!("jobs/claim"), &[&jobs, &worker, kinds, versions]).await?;
    Ok(rows.iter().map(job).collect())
}

/// The same for one kind, its newest version here, and how many of it may run at once.
pub(super) async fn claim_some(
    db: &Postgres,
    scope: &Scope,
    jobs: &[i64],
    worker: Uuid,
    (kind, version, limit): (&str, i32, u32),
) -> Result<Vec<Job>, Fault> {
    let mut connection = db.connection().await?;
    let tx = connection.begin().await?;
    tx.run(scope, sql!("jobs/lock_kind"), &[&kind]).await?;
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&jobs, &worker, &kind, &version, &i64::from(limit)];
    let rows = tx.run(scope, sql!("jobs/claim_some"), params).await?;
    tx.commit().await?;
    Ok(rows.iter().map(job).collect())
}

fn job(row: &Row) -> Job {
    Job {
        id: row.get("id"),
        kind: row.get("kind"),
        version: row.get("version"),
        priority: row.get("priority"),
        args: row.get("args"),
        attempt: row.get("attempt"),
        max_attempts: row.get("max_attempts"),
        traceparent: row.get("traceparent"),
        waited: row.get("waited"),
    }
}

/// Puts jobs off that could not be claimed but may be later; their ways back into Redis.
pub(super) async fn postpone(db: &Postgres, scope: &Scope, jobs: &[i64]) -> Result<Vec<Sent>, Fault> {
    let rows = db.write(scope, sql!("jobs/postpone"), &[&jobs]).await?;
    Ok(rows.iter().map(sent).collect())
}

/// Ends a running attempt that was to be called off; whether it was still running.
pub(super) async fn call_off(db: &Postgres, scope: &Scope, job: &Job, worker: Uuid) -> Result<bool, Fault> {
    Ok(!db.write(scope, sql!("jobs/call_off"), &[&job.id, &job.attempt, &worker]).await?.is_empty())
}

/// How many of these attempts were still their jobs'.
pub(super) async fn complete(tx: &Transaction<'_>, scope: &Scope, jobs: &[Job], worker: Uuid) -> Result<usize, Fault> {
    let (ids, attempts): (Vec<i64>, Vec<i32>) = jobs.iter().map(|job| (job.id, job.attempt)).unzip();
    Ok(tx.run(scope, sql!("jobs/complete"), &[&ids, &attempts, &worker]).await?.len())
}

/// What became of a job whose attempt failed.
pub(super) enum Failed {
    /// It is tried again at this time, in milliseconds since 1970.
    Scheduled(i64),
    /// It is a dead letter now.
    Discarded,
    /// It was to be called off.
    Cancelled,
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
        Some(row) => match row.get("state") {
            "discarded" => Failed::Discarded,
            "cancelled" => Failed::Cancelled,
            _ => Failed::Scheduled(row.get("due_ms")),
        },
    })
}

/// What a process hears when it says that it makes progress.
pub(super) struct Beat {
    /// Nothing is to be taken at the moment.
    pub(super) paused: bool,
    /// Jobs of this process that are to be called off.
    pub(super) cancelled: Vec<i64>,
}

pub(super) async fn beat(db: &Postgres, scope: &Scope, worker: Uuid, known: &Known) -> Result<Beat, Fault> {
    let (kinds, versions) = &known.all;
    let rows = db.write(scope, sql!("jobs/beat"), &[&worker, kinds, versions]).await?;
    let beat = |row: &Row| Beat { paused: row.get("paused"), cancelled: row.get("cancelled") };
    rows.first().map(beat).ok_or_else(|| Fault::internal("a beat came back without an answer"))
}

/// Has the relays of all processes look for jobs.
pub(super) async fn wake(db: &Postgres, scope: &Scope) -> Result<(), Fault> {
    db.write(scope, sql!("jobs/wake"), &[]).await.map(drop)
}

/// Forgets a process that ends in order.
pub(super) async fn leave(db: &Postgres, scope: &Scope, worker: Uuid) -> Result<(), Fault> {
    db.write(scope, sql!("jobs/leave"), &[&worker]).await.map(drop)
}

/// What a look for the dead came to.
pub(super) struct Rescued {
    /// Processes that were found dead.
    pub(super) dead: i64,
    /// Jobs that were taken back.
    pub(super) taken: Vec<Lost>,
}

/// A job that was taken back, and its attempt that was lost.
pub(super) struct Lost {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) attempt: i32,
    /// Where the job stands now.
    pub(super) state: String,
    pub(super) traceparent: Option<String>,
    pub(super) started_at: Option<SystemTime>,
    /// Its process died.
    pub(super) died: bool,
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
    /// Processes that may die with one and the same job.
    pub(super) deaths: i32,
}

pub(super) async fn rescue(db: &Postgres, scope: &Scope, rescue: Rescue<'_>) -> Result<Rescued, Fault> {
    let (dead_after, idle) = (rescue.dead_after.as_secs_f64(), rescue.idle.as_secs_f64());
    let rows = db
        .write(
            scope,
            sql!("jobs/rescue"),
            &[&dead_after, &idle, &rescue.worker, &rescue.held.0, &rescue.held.1, &rescue.deaths],
        )
        .await?;
    let lost = |row: &Row| {
        Some(Lost {
            id: row.get::<_, Option<i64>>("id")?,
            kind: row.get("kind"),
            attempt: row.get("attempt"),
            state: row.get("state"),
            traceparent: row.get("traceparent"),
            started_at: row.get("started_at"),
            died: row.get("died"),
        })
    };
    let dead = rows.first().map_or(0, |row| row.get("dead"));
    Ok(Rescued { dead, taken: rows.iter().filter_map(lost).collect() })
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

/// How long the oldest job that is due has waited, in seconds.
pub(super) async fn oldest(db: &Postgres, scope: &Scope) -> Result<f64, Fault> {
    let rows = db.scan(scope, sql!("jobs/oldest"), &[]).await?;
    Ok(rows.first().map_or(0.0, |row| row.get("seconds")))
}

/// How many jobs the database says were in Redis `ago` and still wait.
pub(super) async fn waiting(db: &Postgres, scope: &Scope, ago: Duration) -> Result<i64, Fault> {
    let rows = db.scan(scope, sql!("jobs/waiting"), &[&ago.as_secs_f64()]).await?;
    Ok(rows.first().map_or(0, |row| row.get("n")))
}

/// Forgets at most `limit` jobs that were finished `keep` ago; how many.
pub(super) async fn prune(db: &Postgres, scope: &Scope, keep: Duration, limit: i64) -> Result<i64, Fault> {
    let rows = db.write(scope, sql!("jobs/prune"), &[&keep.as_secs_f64(), &limit]).await?;
    Ok(rows.first().map_or(0, |row| row.get("n")))
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
