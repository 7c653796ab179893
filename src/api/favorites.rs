//! Favorites.

use actors::favorites::message::SetFavorite;
use hyper::StatusCode;

use super::articles::{respond, slug};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::Response;

/// `POST /api/articles/{slug}/favorite`
pub async fn add(request: Request) -> Result<Response, ApiError> {
    set(request, true).await
}

/// `DELETE /api/articles/{slug}/favorite`
pub async fn remove(request: Request) -> Result<Response, ApiError> {
    set(request, false).await
}

async fn set(request: Request, favorited: bool) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let set = SetFavorite { slug: slug(&request)?, user, favorited };
    let view = request.app.system.favorites.set(&request.caller, set).await?;
    respond(StatusCode::OK, &view, Some(user))
}
