//! Articles: publishing, editing, deleting.

use actors::articles::message::{Body, CreateArticle, DeleteArticle, Description, Title, UpdateArticle};
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};

use super::{ArticleBody, respond, slug};
use crate::api::refusals::{ArticleNotFound, BodyRefusals, Failures, NotTheAuthor, Unauthorized};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// An article to publish. [`create`] takes it apart field by field, so that every mistake is reported at once;
/// this stands for it in the description.
#[derive(utoipa::ToSchema)]
#[schema(description = "An article to publish.")]
pub struct NewArticle {
    /// Its headline, without the white space around it.
    #[schema(min_length = 1, max_length = 255, example = "On actors")]
    pub title: String,
    /// What it is about, in a sentence.
    #[schema(max_length = 1000, example = "Why small mailboxes are good mailboxes")]
    pub description: Option<String>,
    /// Its text.
    #[schema(min_length = 1, max_length = 1_000_000, example = "An actor is …")]
    pub body: String,
}

/// What changes of an article. [`update`] takes it apart field by field, so that every mistake is reported at
/// once; this stands for it in the description.
#[derive(utoipa::ToSchema)]
#[schema(description = "What changes of an article; what is left out stays.")]
pub struct ArticleChanges {
    /// Its new headline.
    #[schema(min_length = 1, max_length = 255, example = "On actors, again")]
    pub title: Option<String>,
    /// What it is about now.
    #[schema(max_length = 1000, example = "Why small mailboxes are still good mailboxes")]
    pub description: Option<String>,
    /// Its new text.
    #[schema(min_length = 1, max_length = 1_000_000, example = "An actor is, above all, …")]
    pub body: Option<String>,
}

/// Publish an article.
///
/// Everybody who follows its author is told.
#[utoipa::path(
    post, path = "/api/articles", operation_id = "create_article", tag = "articles",
    security(("bearer" = [])),
    request_body = NewArticle,
    responses(
        (status = 201, description = "The article.", body = ArticleBody, headers(
            ("ETag" = String, description = "The tag of exactly this representation."),
            ("Location" = String, description = "Its address, relative to this server."),
        )),
        (status = 401, response = Unauthorized),
        BodyRefusals,
        Failures,
    )
)]
pub async fn create(mut request: Request) -> Result<Response, ApiError> {
    let author = request.viewer().await?.user;
    let mut fields = request.fields().await?;
    let title = fields.required("title", Title::parse_trimmed);
    let description = fields.optional("description", Description::parse_trimmed);
    let body = fields.required("body", Body::parse);
    let (title, body) = fields.finish((title, body))?;
    let description = match description {
        Some(description) => description,
        None => Description::parse("").map_err(|_| ApiError::internal())?,
    };
    let create = CreateArticle { author, title, description, body };
    let view = request.app.system.articles.create(&request.caller, create).await?;
    let mut response = respond(StatusCode::CREATED, &view, Some(author))?;
    if let Ok(location) = HeaderValue::from_str(&format!("/api/articles/{}", view.article.slug)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Change an article.
///
/// Its address stays, whatever its headline becomes.
#[utoipa::path(
    put, path = "/api/articles/{slug}", operation_id = "update_article", tag = "articles",
    security(("bearer" = [])),
    params(("slug" = String, Path, description = "Its address.", example = "on-actors-k7m2p9xa")),
    request_body = ArticleChanges,
    responses(
        (status = 200, description = "The article as it is now.", body = ArticleBody,
            headers(("ETag" = String, description = "The tag of exactly this representation."))),
        (status = 401, response = Unauthorized),
        (status = 403, response = NotTheAuthor),
        (status = 404, response = ArticleNotFound),
        BodyRefusals,
        Failures,
    )
)]
pub async fn update(mut request: Request) -> Result<Response, ApiError> {
    let editor = request.viewer().await?.user;
    let slug = slug(&request)?;
    let mut fields = request.fields().await?;
    let title = fields.optional("title", Title::parse_trimmed);
    let description = fields.optional("description", Description::parse_trimmed);
    let body = fields.optional("body", Body::parse);
    fields.finish(())?;
    let update = UpdateArticle { slug, editor, title, description, body };
    let view = request.app.system.articles.update(&request.caller, update).await?;
    respond(StatusCode::OK, &view, Some(editor))
}

/// Delete an article.
#[utoipa::path(
    delete, path = "/api/articles/{slug}", operation_id = "delete_article", tag = "articles",
    security(("bearer" = [])),
    params(("slug" = String, Path, description = "Its address.", example = "on-actors-k7m2p9xa")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 401, response = Unauthorized),
        (status = 403, response = NotTheAuthor),
        (status = 404, response = ArticleNotFound),
        Failures,
    )
)]
pub async fn delete(request: Request) -> Result<Response, ApiError> {
    let editor = request.viewer().await?.user;
    let delete = DeleteArticle { slug: slug(&request)?, editor };
    request.app.system.articles.delete(&request.caller, delete).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
