//! Where one is signed in, and how to end that.

use actors::auth::{Session, SessionId};
use hyper::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::refusals::{Failures, SessionNotFound, Unauthorized};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// An open session.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Session)]
pub struct SessionBody {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// When one signed in.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When its tokens were last refreshed; `null` when they never were.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub last_refreshed_at: Option<OffsetDateTime>,
    /// When it is over, however often its tokens are refreshed.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: OffsetDateTime,
    /// What the client called itself when one signed in, at most 200 characters of it.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]
    pub user_agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// All open sessions of somebody.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionList {
    /// Newest first: the newest hundred, and in any case the one that asks.
    pub sessions: Vec<SessionBody>,
}

impl From<Session> for SessionBody {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.0,
            created_at: session.created_at,
            last_refreshed_at: session.refreshed_at,
            expires_at: session.expires_at,
            user_agent: session.user_agent,
            current: session.current,
        }
    }
}

/// List where one is signed in.
#[utoipa::path(
    get, path = "/api/user/sessions", operation_id = "list_sessions", tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The open sessions.", body = SessionList),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn list(request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer().await?;
    let sessions = request.app.system.auth.sessions(&request.caller, viewer).await?;
    response::ok(&SessionList { sessions: sessions.into_iter().map(SessionBody::from).collect() })
}

/// End one of one's sessions.
///
/// From the answer on its tokens are refused everywhere. The one that asks may be ended as well, like by signing out.
#[utoipa::path(
    delete, path = "/api/user/sessions/{id}", operation_id = "end_session", tag = "users",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "Which.", format = "uuid")),
    responses(
        (status = 204, description = "The session is over."),
        (status = 401, response = Unauthorized),
        (status = 404, response = SessionNotFound),
        Failures,
    )
)]
pub async fn end(request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer().await?;
    let session = Uuid::parse_str(request.segment()).map_err(|_| ApiError::not_found("Session not found"))?;
    request.app.system.auth.end_session(&request.caller, viewer, SessionId(session)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
