//! Favorites.

use actors::favorites::message::SetFavorite;
use hyper::StatusCode;

use super::articles::{ArticleBody, respond, slug};
use super::refusals::{AlreadyFavorited, ArticleNotFound, Failures, Unauthorized};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::Response;

/// Favorite an article.
///
/// Its author is told, unless that is oneself.
#[utoipa::path(
    post, path = "/api/articles/{slug}/favorite", operation_id = "favorite", tag = "favorites",
    security(("bearer" = [])),
    params(("slug" = String, Path, description = "Its address.", example = "on-actors-k7m2p9xa")),
    responses(
        (status = 200, description = "The article, with `favorited` true.", body = ArticleBody,
            headers(("ETag" = String, description = "The tag of exactly this representation."))),
        (status = 401, response = Unauthorized),
        (status = 404, response = ArticleNotFound),
        (status = 409, response = AlreadyFavorited),
        Failures,
    )
)]
pub async fn add(request: Request) -> Result<Response, ApiError> {
    set(request, true).await
}

/// Take a favorite back.
///
/// The answer is the same when it was none. An author who has not read about it yet is not told any more.
#[utoipa::path(
    delete, path = "/api/articles/{slug}/favorite", operation_id = "unfavorite", tag = "favorites",
    security(("bearer" = [])),
    params(("slug" = String, Path, description = "Its address.", example = "on-actors-k7m2p9xa")),
    responses(
        (status = 200, description = "The article, with `favorited` false.", body = ArticleBody,
            headers(("ETag" = String, description = "The tag of exactly this representation."))),
        (status = 401, response = Unauthorized),
        (status = 404, response = ArticleNotFound),
        Failures,
    )
)]
pub async fn remove(request: Request) -> Result<Response, ApiError> {
    set(request, false).await
}

async fn set(request: Request, favorited: bool) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let set = SetFavorite { slug: slug(&request)?, user, favorited };
    let view = request.app.system.favorites.set(&request.caller, set).await?;
    respond(StatusCode::OK, &view, Some(user))
}
