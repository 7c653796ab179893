//! The jobs, as operators see them.

use actors::jobs::{
    CancelJob, FindJob, JobView, ListJobs, Listed, PauseJobs, RetryDead, RetryJob, Standing, State, why,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use time::OffsetDateTime;

use super::{allow_chaos, authorize};
use crate::error::ApiError;
use crate::query::{encode_cursor, number};
use crate::request::Request;
use crate::response::{self, Response};

#[derive(Serialize)]
struct Page {
    jobs: Vec<JobBody>,
    counts: BTreeMap<String, i64>,
    /// Since when no process takes jobs; null while they do.
    #[serde(with = "time::serde::rfc3339::option")]
    paused_at: Option<OffsetDateTime>,
    next: Option<String>,
}

#[derive(Serialize)]
struct JobBody {
    id: i64,
    kind: String,
    version: i32,
    state: String,
    priority: i16,
    attempt: i32,
    max_attempts: i32,
    args: Value,
    #[serde(with = "time::serde::rfc3339")]
    run_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
    trace_id: Option<String>,
    last_error: Option<String>,
}

/// One job: everything that is known of it.
#[derive(Serialize)]
struct FoundBody {
    #[serde(flatten)]
    job: JobBody,
    /// Why it is not running, in a sentence.
    why: String,
    /// The attempts that failed.
    attempts: Vec<AttemptBody>,
    worker: Option<String>,
    cancel_requested: bool,
}

#[derive(Serialize)]
struct AttemptBody {
    attempt: i32,
    error: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Serialize)]
struct Retried {
    retried: usize,
}

#[derive(Serialize)]
struct Cancelled {
    /// `cancelled`; `running` while its attempt is being ended.
    state: &'static str,
}

#[derive(Serialize)]
struct Paused {
    paused: bool,
    changed: bool,
}

/// What attempts of which kind fail next.
#[derive(Serialize)]
struct Failing {
    kind: String,
    times: i64,
}

/// Attempts that one request can have fail.
const FAIL_AT_ONCE: i64 = 1000;
/// Dead letters tried again by one request.
const RETRY_AT_ONCE: i64 = 10_000;

impl From<JobView> for JobBody {
    fn from(job: JobView) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            version: job.version,
            state: job.state,
            priority: job.priority,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            args: job.args,
            run_at: job.run_at,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            trace_id: job.traceparent.and_then(|traceparent| traceparent.split('-').nth(1).map(str::to_owned)),
            last_error: job.last_error,
        }
    }
}

/// `GET /jobs`
pub async fn list(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    let mut query = request.query();
    let state = query.optional("state", |word| State::parse(word).ok_or("is not a state of a job"));
    let kind = query.optional("kind", |kind| Ok::<_, String>(kind.replace('\0', "")));
    let paging = query.paging();
    let query = query.finish()?;
    let list = ListJobs { state, kind, before: paging.before, limit: paging.limit };
    let Listed { jobs, counts, paused_at } = request.app.system.jobs.list(&request.caller, list).await?;
    let full = i64::try_from(jobs.len()).is_ok_and(|count| count == paging.limit);
    let last = jobs.last().filter(|_| full).map(|job| job.id);
    let next = last.map(|id| query.link(request.head.uri.path(), paging.limit, ("cursor", &encode_cursor(id))));
    response::ok(&Page { jobs: jobs.into_iter().map(JobBody::from).collect(), counts, paused_at, next })
}

/// `GET /jobs/{id}`
pub async fn find(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    let id = request.id("There is no job of this id")?;
    let (job, standing) = request.app.system.jobs.find(&request.caller, FindJob(id)).await?;
    let why = why(&job, &standing);
    let Standing { attempts, worker, cancel_requested, .. } = standing;
    let attempts = attempts
        .into_iter()
        .map(|failed| AttemptBody { attempt: failed.attempt, error: failed.error, at: failed.at })
        .collect();
    let worker = worker.map(|worker| worker.to_string());
    response::ok(&FoundBody { job: job.into(), why, attempts, worker, cancel_requested })
}

/// `POST /jobs/{id}/cancel`
pub async fn cancel(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    let id = request.id("There is no job of this id")?;
    let state = request.app.system.jobs.cancel(&request.caller, CancelJob(id)).await?;
    response::ok(&Cancelled { state: state.as_str() })
}

/// `POST /jobs/retry?state=discarded`
pub async fn retry_all(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    let mut query = request.query();
    let state = query.optional("state", |word| match State::parse(word) {
        Some(State::Discarded) => Ok(State::Discarded),
        _ => Err("must be discarded: only dead letters can be tried again"),
    });
    query.finish()?;
    if state.is_none() {
        return Err(ApiError::field("state", "is required: discarded"));
    }
    let retry = RetryDead { limit: RETRY_AT_ONCE };
    response::ok(&Retried { retried: request.app.system.jobs.retry_dead(&request.caller, retry).await? })
}

/// `POST /jobs/fail?kind=article_published&times=2`: the next attempts of a kind in this process fail, and what they did
/// is undone; with `times=0` none do any more.
pub async fn fail(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    allow_chaos(&request)?;
    let mut query = request.query();
    let kind = query.optional("kind", |kind| Ok::<_, String>(kind.to_owned()));
    let times = query.optional("times", |text| number(text, 0, FAIL_AT_ONCE)).unwrap_or(1);
    query.finish()?;
    let kind = kind.ok_or_else(|| ApiError::field("kind", "is required"))?;
    if !request.app.system.jobs.faults.fail(&kind, u32::try_from(times).unwrap_or(0)) {
        return Err(ApiError::not_found("This process works on no jobs of this kind"));
    }
    tracing::warn!(job.kind = kind, times, "an operator asked for failures");
    response::ok(&Failing { kind, times })
}

/// `POST /jobs/pause`
pub async fn pause(request: Request) -> Result<Response, ApiError> {
    set_paused(request, true).await
}

/// `POST /jobs/resume`
pub async fn resume(request: Request) -> Result<Response, ApiError> {
    set_paused(request, false).await
}

async fn set_paused(request: Request, paused: bool) -> Result<Response, ApiError> {
    authorize(&request)?;
    let changed = request.app.system.jobs.pause(&request.caller, PauseJobs(paused)).await?;
    response::ok(&Paused { paused, changed })
}

/// `POST /jobs/{id}/retry`
pub async fn retry(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    let job = request.id("There is no dead letter of this id")?;
    request.app.system.jobs.retry(&request.caller, RetryJob(job)).await?;
    response::ok(&Retried { retried: 1 })
}
