//! The supervision tree, and faults injected into it.

use actors::kit::nudge::Injected;
use actors::supervision::Snapshot;
use hyper::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;

use super::{allow_chaos, authorize};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

#[derive(Serialize)]
struct Tree<'a> {
    node: &'a str,
    root: Node,
}

#[derive(Serialize)]
struct Node {
    path: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<&'static str>,
    status: &'static str,
    restarts: Restarts,
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    incarnation: u64,
    /// It lives and makes no progress.
    stalled: bool,
    #[serde(flatten)]
    mailbox: Option<Mailbox>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<Node>,
}

#[derive(Serialize)]
struct Restarts {
    total: u64,
    #[serde(flatten)]
    budget: Option<Budget>,
}

#[derive(Serialize)]
struct Budget {
    in_window: u32,
    max: u32,
    period_s: u64,
}

#[derive(Serialize)]
struct Mailbox {
    mailbox_depth: u64,
    in_flight: u64,
    handled_total: u64,
    failed_total: u64,
}

impl From<Snapshot> for Node {
    fn from(seen: Snapshot) -> Self {
        Self {
            path: seen.path.to_string(),
            kind: seen.kind,
            strategy: seen.supervisor.map(|(strategy, ..)| strategy.as_str()),
            status: seen.status.as_str(),
            restarts: Restarts {
                total: seen.restarts,
                budget: seen.supervisor.map(|(_, intensity, in_window)| Budget {
                    in_window,
                    max: intensity.max,
                    period_s: intensity.period.as_secs(),
                }),
            },
            started_at: seen.started_at,
            incarnation: seen.incarnation,
            stalled: seen.stalled,
            mailbox: seen.mailbox.map(|[mailbox_depth, in_flight, handled_total, failed_total]| Mailbox {
                mailbox_depth,
                in_flight,
                handled_total,
                failed_total,
            }),
            children: seen.children.into_iter().map(Node::from).collect(),
        }
    }
}

/// `GET /actors`: one snapshot; no actor is asked.
pub async fn tree(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    response::ok(&Tree { node: &request.app.config.node, root: request.app.system.tree().into() })
}

/// `POST /actors/{path}/crash`, and `…/hang`: the actor panics on its next turn, or never ends it.
pub async fn inject(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    let (path, fault) = match request.segment().rsplit_once('/') {
        Some((path, "crash")) => (path, Injected::Crash),
        Some((path, "hang")) => (path, Injected::Hang),
        _ => return Err(ApiError::not_found("There is nothing at this path")),
    };
    allow_chaos(&request)?;
    if !request.app.system.inject(path, fault) {
        return Err(ApiError::not_found("There is no such actor, or it is not running"));
    }
    tracing::info!(callboard.actor.path = path, ?fault, "an operator asked for a fault");
    Ok(response::empty(StatusCode::ACCEPTED))
}
