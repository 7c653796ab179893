//! Registration, login, logout, refreshing.

use actors::auth::{Email, Name, Password, SignedIn, TokenPair};
use hyper::StatusCode;
use serde::Serialize;

use super::Message;
use super::refusals::{BadCredentials, BadRefreshToken, BodyRefusals, EmailTaken, Failures, Unauthorized};
use super::users::UserBody;
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};
use crate::throttling;

/// Somebody to register. [`register`] takes it apart field by field, so that every mistake is reported at once;
/// this stands for it in the description.
#[derive(utoipa::ToSchema)]
#[schema(description = "Somebody to register.")]
pub struct NewUser {
    /// Their address, which nobody else sees. The white space around it is cut off.
    #[schema(max_length = 254, format = Email, example = "alice@example.com")]
    pub email: String,
    /// What they are called, without the white space around it.
    #[schema(min_length = 1, max_length = 100, example = "Alice")]
    pub name: String,
    /// Their password: any characters at all, but none of the commonest passwords, nor their own name or address.
    #[schema(min_length = 8, max_length = 128, format = Password, write_only, example = "correct horse battery")]
    pub password: String,
}

/// What somebody signs in with. [`login`] takes it apart field by field, so that every mistake is reported at
/// once; this stands for it in the description.
#[derive(utoipa::ToSchema)]
#[schema(description = "What somebody signs in with.")]
pub struct Credentials {
    /// Their address.
    #[schema(example = "alice@example.com")]
    pub email: String,
    /// Their password.
    #[schema(format = Password, write_only, example = "correct horse battery")]
    pub password: String,
}

/// A refresh token to spend. [`refresh`] takes it out of the body itself; this stands for it in the description.
#[derive(utoipa::ToSchema)]
#[schema(description = "A refresh token to spend.")]
pub struct ToSpend {
    /// The one that came with the access token that it renews.
    #[schema(example = "4yJ0b3RhbGx5LXJhbmRvbS1hbmQtbG9uZw")]
    pub refresh_token: String,
}

/// Access and refresh token.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Token)]
pub struct TokenBody {
    /// Goes into `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds until the access token is no longer valid.
    #[schema(example = 900)]
    pub expires_in: u64,
    /// Gets the next pair, once.
    pub refresh_token: String,
}

impl From<TokenPair> for TokenBody {
    fn from(pair: TokenPair) -> Self {
        Self {
            expires_in: pair.expires_in.as_secs(),
            refresh_token: pair.refresh.expose().to_owned(),
            access_token: pair.access,
            token_type: "Bearer",
        }
    }
}

/// Somebody who has just signed in.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInBody {
    /// Who.
    pub user: UserBody,
    /// With what.
    pub token: TokenBody,
}

/// A new token pair.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Refreshed {
    /// The pair.
    pub token: TokenBody,
}

impl From<SignedIn> for SignedInBody {
    fn from(signed_in: SignedIn) -> Self {
        Self { user: signed_in.user.into(), token: signed_in.tokens.into() }
    }
}

/// Register.
///
/// Who registers is signed in at once.
#[utoipa::path(
    post, path = "/api/register", operation_id = "register", tag = "auth",
    request_body = NewUser,
    responses(
        (status = 201, description = "The user and their tokens.", body = SignedInBody),
        (status = 409, response = EmailTaken),
        BodyRefusals,
        Failures,
    )
)]
pub async fn register(mut request: Request) -> Result<Response, ApiError> {
    let mut fields = request.fields().await?;
    let email = fields.required("email", Email::parse);
    let name = fields.required("name", Name::parse_trimmed);
    let password = fields.required("password", Password::parse);
    let (email, name, password) = fields.finish((email, name, password))?;
    let auth = &request.app.system.auth;
    let signed_in = auth.register(&request.caller, (email, name, password), request.agent()).await?;
    response::json(StatusCode::CREATED, &SignedInBody::from(signed_in))
}

/// Sign in.
///
/// An unknown address and a wrong password get the same answer, in about the same time.
#[utoipa::path(
    post, path = "/api/login", operation_id = "login", tag = "auth",
    request_body = Credentials,
    responses(
        (status = 200, description = "The user and their tokens.", body = SignedInBody),
        (status = 401, response = BadCredentials),
        BodyRefusals,
        Failures,
    )
)]
pub async fn login(mut request: Request) -> Result<Response, ApiError> {
    let mut fields = request.fields().await?;
    // What is no address belongs to nobody: it takes the same way as an unknown one, and as long.
    let email = fields.required("email", |text| Ok::<_, String>(Email::parse(text).ok()));
    let password = fields.required("password", |text| Ok::<_, String>(Password::claimed(text)));
    let (email, password) = fields.finish((email, password))?;
    let attempt = throttling::attempt(&request, email.as_ref()).await?;
    let signed_in = request.app.system.auth.login(&request.caller, email, password, request.agent()).await;
    throttling::settle(&request, attempt, &signed_in).await;
    response::ok(&SignedInBody::from(signed_in?))
}

/// Sign out.
///
/// From the answer on, the access token is refused everywhere, and its refresh token is spent.
#[utoipa::path(
    post, path = "/api/logout", operation_id = "logout", tag = "auth",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The session is over.", body = Message),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn logout(request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer().await?;
    request.app.system.auth.logout(&request.caller, viewer).await?;
    response::ok(&Message { message: "Logged out successfully" })
}

/// Get the next tokens.
///
/// The refresh token is spent with it. One that is used again ends its session, as somebody else may have it.
#[utoipa::path(
    post, path = "/api/token/refresh", operation_id = "refresh", tag = "auth",
    request_body = ToSpend,
    responses(
        (status = 200, description = "The next tokens.", body = Refreshed),
        (status = 401, response = BadRefreshToken),
        BodyRefusals,
        Failures,
    )
)]
pub async fn refresh(mut request: Request) -> Result<Response, ApiError> {
    let mut fields = request.fields().await?;
    let token = fields.required("refresh_token", |text| Ok::<_, String>(text.to_owned()));
    let (token,) = fields.finish((token,))?;
    let pair = request.app.system.auth.refresh(&request.caller, &token).await?;
    response::ok(&Refreshed { token: pair.into() })
}
