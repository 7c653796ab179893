//! Articles: publishing, editing, deleting.

use actors::articles::message::{Body, CreateArticle, DeleteArticle, Description, Title, UpdateArticle};
use actors::articles::once::Key;
use hyper::StatusCode;
use hyper::header::{CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use uuid::Uuid;

use super::{ArticleBody, respond_changed, slug};
use crate::api::refusals::{
    ArticleNotFound, BodyRefusals, Failures, KeyInUse, KeyReused, NotAsExpected, NotTheAuthor, Unauthorized,
};
use crate::error::ApiError;
use crate::http::etag;
use crate::request::Request;
use crate::response::{self, Response};

/// Where a request says what it is recognised by when it is made again.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Says that an earlier request got this answer first.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

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
///
/// With an `Idempotency-Key` it is published once, however often it is asked for: within 24 hours the same user gets
/// the first answer again, with `Idempotency-Replayed: true`, for the same title, description and text under the same
/// key, whatever became of the article since. A request that is refused uses up no key.
#[utoipa::path(
    post, path = "/api/articles", operation_id = "create_article", tag = "articles",
    security(("bearer" = [])),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "What this request is recognised by when it is \
            made again: printable ASCII.", min_length = 1, max_length = 255,
            example = "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    ),
    request_body = NewArticle,
    responses(
        (status = 201, description = "The article.", body = ArticleBody, headers(
            ("ETag" = String, description = "The tag of exactly this representation."),
            ("Location" = String, description = "Its address, relative to this server."),
            ("Content-Location" = String, description = "Its address again: the answer is what a GET there gives."),
            ("Idempotency-Replayed" = bool, description = "There when an earlier request published it."),
        )),
        (status = 401, response = Unauthorized),
        (status = 409, response = KeyInUse),
        (status = 422, response = KeyReused),
        BodyRefusals,
        Failures,
    )
)]
pub async fn create(mut request: Request) -> Result<Response, ApiError> {
    let author = request.viewer().await?.user;
    let key = key(&request.head.headers);
    let mut fields = request.fields().await?;
    let key = key.map_err(|problem| fields.problem(IDEMPOTENCY_KEY, problem)).ok().flatten();
    let title = fields.required("title", Title::parse_trimmed);
    let description = fields.optional("description", Description::parse_trimmed);
    let body = fields.required("body", Body::parse);
    let (title, body) = fields.finish((title, body))?;
    let description = match description {
        Some(description) => description,
        None => Description::parse("").map_err(|_| ApiError::internal())?,
    };
    let create = CreateArticle { author, title, description, body, key };
    let published = request.app.system.articles.create(&request.caller, create).await?;
    let mut response = respond_changed(StatusCode::CREATED, &published.view, author)?;
    let headers = response.headers_mut();
    if let Some(location) = headers.get(CONTENT_LOCATION).cloned() {
        headers.insert(LOCATION, location);
    }
    if published.before {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The key of a request, if it has one.
fn key(headers: &HeaderMap) -> Result<Option<Key>, &'static str> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => Key::parse(key.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err("must be there once"),
    }
}

/// Change an article.
///
/// Its address stays, whatever its headline becomes. With `If-Match` it is changed only in the state that one has
/// seen: any tag that was given for its version, to whomever, so that favorites are in nobody's way.
#[utoipa::path(
    put, path = "/api/articles/{slug}", operation_id = "update_article", tag = "articles",
    security(("bearer" = [])),
    params(
        ("slug" = String, Path, description = "Its address.", example = "on-actors-k7m2p9xa"),
        ("If-Match" = Option<String>, Header, description = "Tags of the article, or `*`.",
            example = "\"7.1-9c5b1f0e2d3a4b68\""),
    ),
    request_body = ArticleChanges,
    responses(
        (status = 200, description = "The article as it is now.", body = ArticleBody,
            headers(
                ("ETag" = String, description = "The tag of exactly this representation."),
                ("Content-Location" = String, description = "Its address: the answer is what a GET there gives."),
            )),
        (status = 401, response = Unauthorized),
        (status = 403, response = NotTheAuthor),
        (status = 404, response = ArticleNotFound),
        (status = 412, response = NotAsExpected),
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
    let expected = etag::expected(&request.head.headers);
    let update = UpdateArticle { slug, editor, title, description, body, expected, change: Uuid::new_v4() };
    let view = request.app.system.articles.update(&request.caller, update).await?;
    respond_changed(StatusCode::OK, &view, editor)
}

/// Delete an article.
///
/// With `If-Match` only in the state that one has seen, as for changes.
#[utoipa::path(
    delete, path = "/api/articles/{slug}", operation_id = "delete_article", tag = "articles",
    security(("bearer" = [])),
    params(
        ("slug" = String, Path, description = "Its address.", example = "on-actors-k7m2p9xa"),
        ("If-Match" = Option<String>, Header, description = "Tags of the article, or `*`.",
            example = "\"7.1-9c5b1f0e2d3a4b68\""),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 401, response = Unauthorized),
        (status = 403, response = NotTheAuthor),
        (status = 404, response = ArticleNotFound),
        (status = 412, response = NotAsExpected),
        Failures,
    )
)]
pub async fn delete(request: Request) -> Result<Response, ApiError> {
    let editor = request.viewer().await?.user;
    let expected = etag::expected(&request.head.headers);
    let delete = DeleteArticle { slug: slug(&request)?, editor, expected };
    request.app.system.articles.delete(&request.caller, delete).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
