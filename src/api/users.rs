//! The current user, and who follows whom.

use actors::auth::message::SetFollow;
use actors::auth::{User, UserId};
use opentelemetry::KeyValue;
use serde::Serialize;
use time::OffsetDateTime;

use super::refusals::{Failures, OneselfNotAllowed, Unauthorized, UserNotFound};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// A user, as they see themselves.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = User)]
pub struct UserBody {
    /// Their id.
    pub id: i64,
    /// Their address, which nobody else sees.
    #[schema(example = "alice@example.com")]
    pub email: String,
    /// What they are called.
    #[schema(example = "Alice")]
    pub name: String,
    /// What they say about themselves.
    pub bio: String,
    /// Where their picture is.
    pub image: String,
    /// When they registered.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When they last changed any of this.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            email: user.email.expose().to_owned(),
            name: user.name,
            bio: user.bio,
            image: user.image,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// Whether one follows somebody.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Following {
    /// Whether one does, from now on.
    pub following: bool,
}

/// Read oneself.
#[utoipa::path(
    get, path = "/api/user", operation_id = "current_user", tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The user whose access token it is.", body = UserBody),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn current(request: Request) -> Result<Response, ApiError> {
    // One statement checks the session and reads the user.
    let user = request.app.system.auth.current_user(&request.caller, request.bearer()?).await?;
    request.caller.trace.set(|| [KeyValue::new("user.id", user.id.0)]);
    response::ok(&UserBody::from(user))
}

/// Follow somebody.
///
/// They are told, the first time. The answer is the same when one did before.
#[utoipa::path(
    post, path = "/api/users/{id}/follow", operation_id = "follow", tag = "users",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "Whom.", minimum = 1, example = 1)),
    responses(
        (status = 200, description = "One follows them.", body = Following, example = json!({"following": true})),
        (status = 400, response = OneselfNotAllowed),
        (status = 401, response = Unauthorized),
        (status = 404, response = UserNotFound),
        Failures,
    )
)]
pub async fn follow(request: Request) -> Result<Response, ApiError> {
    set_follow(request, true).await
}

/// Stop following somebody.
///
/// The answer is the same when one did not.
#[utoipa::path(
    delete, path = "/api/users/{id}/follow", operation_id = "unfollow", tag = "users",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "Whom.", minimum = 1, example = 1)),
    responses(
        (status = 200, description = "One does not follow them.", body = Following,
            example = json!({"following": false})),
        (status = 400, response = OneselfNotAllowed),
        (status = 401, response = Unauthorized),
        (status = 404, response = UserNotFound),
        Failures,
    )
)]
pub async fn unfollow(request: Request) -> Result<Response, ApiError> {
    set_follow(request, false).await
}

async fn set_follow(request: Request, following: bool) -> Result<Response, ApiError> {
    let follower = request.viewer().await?.user;
    let followed = UserId(request.id("User not found")?);
    if follower == followed {
        return Err(ApiError::field("id", "must not be your own"));
    }
    request.app.system.auth.set_follow(&request.caller, SetFollow { follower, followed, following }).await?;
    response::ok(&Following { following })
}
