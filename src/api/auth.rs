//! Registration, login, logout, refreshing.

use actors::auth::{Email, Name, Password, SignedIn, TokenPair};
use serde::Serialize;

use super::users::UserBody;
use super::{CREATED, Message};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// Access and refresh token.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Token)]
pub struct TokenBody {
    /// Goes into `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds until the access token is no longer valid.
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

/// `POST /api/register`
pub async fn register(mut request: Request) -> Result<Response, ApiError> {
    let mut fields = request.fields().await?;
    let email = fields.required("email", Email::parse);
    let name = fields.required("name", Name::parse_trimmed);
    let password = fields.required("password", Password::parse);
    let (email, name, password) = fields.finish((email, name, password))?;
    let signed_in = request.app.system.auth.register(&request.caller, email, name, password).await?;
    response::json(CREATED, &SignedInBody::from(signed_in))
}

/// `POST /api/login`
pub async fn login(mut request: Request) -> Result<Response, ApiError> {
    let mut fields = request.fields().await?;
    // What is no address belongs to nobody: it takes the same way as an unknown one, and as long.
    let email = fields.required("email", |text| Ok::<_, String>(Email::parse(text).ok()));
    let password = fields.required("password", |text| Ok::<_, String>(Password::claimed(text)));
    let (email, password) = fields.finish((email, password))?;
    let signed_in = request.app.system.auth.login(&request.caller, email, password).await?;
    response::ok(&SignedInBody::from(signed_in))
}

/// `POST /api/logout`
pub async fn logout(request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer().await?;
    request.app.system.auth.logout(&request.caller, viewer).await?;
    response::ok(&Message { message: "Logged out successfully" })
}

/// `POST /api/token/refresh`
pub async fn refresh(mut request: Request) -> Result<Response, ApiError> {
    let mut fields = request.fields().await?;
    let token = fields.required("refresh_token", |text| Ok::<_, String>(text.to_owned()));
    let (token,) = fields.finish((token,))?;
    let pair = request.app.system.auth.refresh(&request.caller, &token).await?;
    response::ok(&Refreshed { token: pair.into() })
}
