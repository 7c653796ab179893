//! The restart ledger, as operators read it.

use actors::supervision::observer::Restarted;
use actors::supervision::{ListRestarts, RestartView};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::authorize;
use crate::error::ApiError;
use crate::query::encode_cursor;
use crate::request::Request;
use crate::response::{self, Response};

#[derive(Serialize)]
struct Page {
    restarts: Vec<RestartBody>,
    next: Option<String>,
}

/// A restart, in the ledger and in the stream of events.
#[derive(Serialize)]
pub(super) struct RestartBody {
    restart_id: Uuid,
    node: String,
    path: String,
    reason: String,
    exit_kind: String,
    message: String,
    incarnation: i64,
    backoff_ms: i64,
    budget: Budget,
    recovered_ms: Option<f64>,
    trace_id: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Serialize)]
struct Budget {
    max: i64,
    period_s: i64,
    used: i64,
}

impl From<RestartView> for RestartBody {
    fn from(seen: RestartView) -> Self {
        let (max, period_s, used) = seen.budget;
        Self {
            restart_id: seen.restart_id,
            node: seen.node,
            path: seen.path,
            reason: seen.reason,
            exit_kind: seen.exit_kind,
            message: seen.message,
            incarnation: seen.incarnation,
            backoff_ms: seen.backoff_ms,
            budget: Budget { max, period_s, used },
            recovered_ms: seen.recovered_ms.map(rounded),
            trace_id: seen.trace_id,
            at: seen.at,
        }
    }
}

impl RestartBody {
    /// A restart of this very process.
    pub(super) fn of(node: &str, seen: &Restarted) -> Self {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            restart_id: seen.restart_id,
            node: node.to_owned(),
            path: seen.path.to_string(),
            reason: seen.reason.as_str().to_owned(),
            exit_kind: seen.exit_kind.as_str().to_owned(),
            message: seen.message.clone(),
            incarnation: number(seen.incarnation),
            backoff_ms: i64::try_from(seen.backoff.as_millis()).unwrap_or(i64::MAX),
            budget: Budget {
                max: i64::from(seen.budget.max),
                period_s: number(seen.budget.period.as_secs()),
                used: i64::from(seen.budget.used),
            },
            recovered_ms: seen.recovered.map(|recovered| rounded(recovered.as_secs_f64() * 1e3)),
            trace_id: seen.trace_id.clone(),
            at: seen.at,
        }
    }
}

/// To the microsecond, which is as far as anybody looks.
fn rounded(millis: f64) -> f64 {
    (millis * 1e3).round() / 1e3
}

/// `GET /actors/restarts`: of all nodes, newest first.
pub async fn list(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    let mut query = request.query();
    let paging = query.paging();
    let query = query.finish()?;
    let list = ListRestarts { before: paging.before, limit: paging.limit };
    let restarts = request.app.system.ledger.list(&request.caller, list).await?;
    let full = i64::try_from(restarts.len()).is_ok_and(|count| count == paging.limit);
    let last = restarts.last().filter(|_| full).map(|restart| restart.number);
    let next = last.map(|number| query.link(request.head.uri.path(), paging.limit, ("cursor", &encode_cursor(number))));
    response::ok(&Page { restarts: restarts.into_iter().map(RestartBody::from).collect(), next })
}
