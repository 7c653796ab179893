//! The current user, and who follows whom.

use actors::auth::message::SetFollow;
use actors::auth::{Bio, Change, Email, Image, Name, Password, User, UserId};
use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;

use super::refusals::{BodyRefusals, EmailTaken, Failures, OneselfNotAllowed, Unauthorized, UserNotFound};
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

/// A user as they are shown to themselves.
struct Shown(Bytes);

/// What is to become of oneself; what is left out stays. [`change`] takes it apart field by field, so that every
/// mistake is reported at once; this stands for it in the description.
#[derive(utoipa::ToSchema)]
#[schema(description = "What is to become of oneself. A field that is left out stays as it is.")]
pub struct UserChange {
    /// A new name, without the white space around it.
    #[schema(required = false, min_length = 1, max_length = 100, example = "Alice")]
    pub name: Option<String>,
    /// What one says about oneself.
    #[schema(required = false, max_length = 2000, example = "Writes about actors.")]
    pub bio: Option<String>,
    /// Where one's picture is: an `http` or `https` URL, or empty.
    #[schema(required = false, max_length = 2000, example = "https://example.com/alice.png")]
    pub image: Option<String>,
    /// A new address; takes `current_password` unless it is the same.
    #[schema(required = false, max_length = 254, format = Email, example = "alice@example.com")]
    pub email: Option<String>,
    /// A new password, as for registering; takes `current_password`.
    #[schema(required = false, min_length = 8, max_length = 128, format = Password, write_only,
        example = "battery staple horse")]
    pub password: Option<String>,
    /// The password so far.
    #[schema(required = false, format = Password, write_only, example = "correct horse battery")]
    pub current_password: Option<String>,
}

/// What it takes to leave. [`leave`] takes it out of the body itself; this stands for it in the description.
#[derive(utoipa::ToSchema)]
#[schema(description = "What it takes to leave.")]
pub struct Leaving {
    /// One's password.
    #[schema(format = Password, write_only, example = "correct horse battery")]
    pub current_password: String,
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
    request.caller.trace.is_of(user.id.0);
    // Whoever asks often is shown what they were shown, as long as it is so.
    if let Some(Shown(body)) = user.made::<Shown>() {
        return Ok(response::with_type(StatusCode::OK, response::JSON, body.clone()));
    }
    let body = response::encode(&UserBody::from(User::clone(&user)))?;
    user.leave(|| Shown(body.clone()));
    Ok(response::with_type(StatusCode::OK, response::JSON, body))
}

/// Change oneself.
///
/// A new password ends every other session, everywhere, from the answer on.
#[utoipa::path(
    put, path = "/api/user", operation_id = "change_user", tag = "users",
    security(("bearer" = [])),
    request_body = UserChange,
    responses(
        (status = 200, description = "The user as they are now.", body = UserBody),
        (status = 401, response = Unauthorized),
        (status = 409, response = EmailTaken),
        BodyRefusals,
        Failures,
    )
)]
pub async fn change(mut request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer().await?;
    let mut fields = request.fields().await?;
    let change = Change {
        name: fields.optional("name", Name::parse_trimmed),
        bio: fields.optional("bio", Bio::parse),
        image: fields.optional("image", Image::parse),
        email: fields.optional("email", Email::parse),
        password: fields.optional("password", Password::parse),
        current_password: fields.optional("current_password", |text| Ok::<_, String>(Password::claimed(text))),
    };
    fields.finish(())?;
    let user = request.app.system.auth.change(&request.caller, viewer, change).await?;
    response::ok(&UserBody::from(user))
}

/// Leave.
///
/// From the answer on it is as if one had never been there: sessions, articles, favorites, follows, webhooks and what
/// others were told about one are gone. Whoever wrote thousands of articles may have to ask again when that takes too
/// long; then a part of them is gone already.
#[utoipa::path(
    delete, path = "/api/user", operation_id = "leave", tag = "users",
    security(("bearer" = [])),
    request_body = Leaving,
    responses(
        (status = 204, description = "One is gone."),
        (status = 401, response = Unauthorized),
        BodyRefusals,
        Failures,
    )
)]
pub async fn leave(mut request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer().await?;
    let mut fields = request.fields().await?;
    let password = fields.required("current_password", |text| Ok::<_, String>(Password::claimed(text)));
    let (password,) = fields.finish((password,))?;
    request.app.system.auth.leave(&request.caller, viewer, password).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
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
