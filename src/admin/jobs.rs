//! The jobs, as operators see them.

use actors::jobs::{JobView, ListJobs, RetryJob, State};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use time::OffsetDateTime;

use super::authorize;
use crate::error::ApiError;
use crate::query::encode_cursor;
use crate::request::Request;
use crate::response::{self, Response};

#[derive(Serialize)]
struct Page {
    jobs: Vec<JobBody>,
    counts: BTreeMap<String, i64>,
    next: Option<String>,
}

#[derive(Serialize)]
struct JobBody {
    id: i64,
    kind: String,
    version: i32,
    state: String,
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

#[derive(Serialize)]
struct Retried {
    retried: u64,
}

impl From<JobView> for JobBody {
    fn from(job: JobView) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            version: job.version,
            state: job.state,
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
    let (jobs, counts) = request.app.system.jobs.list(&request.caller, list).await?;
    let full = i64::try_from(jobs.len()).is_ok_and(|count| count == paging.limit);
    let last = jobs.last().filter(|_| full).map(|job| job.id);
    let next = last.map(|id| query.link(request.head.uri.path(), paging.limit, ("cursor", &encode_cursor(id))));
    response::ok(&Page { jobs: jobs.into_iter().map(JobBody::from).collect(), counts, next })
}

/// `POST /jobs/{id}/retry`
pub async fn retry(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    let job = request.id("There is no dead letter of this id")?;
    request.app.system.jobs.retry(&request.caller, RetryJob(job)).await?;
    response::ok(&Retried { retried: 1 })
}
