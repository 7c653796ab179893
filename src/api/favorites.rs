//! Favorites.

use actors::favorites::message::{AddFavorite, RemoveFavorite};
use hyper::StatusCode;

use super::articles::{ArticleBody, respond_changed, slug};
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
            headers(
            ("ETag" = String, description = "The tag of exactly this representation."),
            ("Content-Location" = String, description = "The article's address: the answer is what a GET there gives."),
        )),
        (status = 401, response = Unauthorized),
        (status = 404, response = ArticleNotFound),
        (status = 409, response = AlreadyFavorited),
        Failures,
    )
)]
pub async fn add(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let add = AddFavorite { slug: slug(&request)?, user };
    let view = request.app.system.favorites.add(&request.caller, add).await?;
    respond_changed(StatusCode::OK, &view, user)
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
            headers(
            ("ETag" = String, description = "The tag of exactly this representation."),
            ("Content-Location" = String, description = "The article's address: the answer is what a GET there gives."),
        )),
        (status = 401, response = Unauthorized),
        (status = 404, response = ArticleNotFound),
        Failures,
    )
)]
pub async fn remove(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let remove = RemoveFavorite { slug: slug(&request)?, user };
    let view = request.app.system.favorites.remove(&request.caller, remove).await?;
    respond_changed(StatusCode::OK, &view, user)
}
