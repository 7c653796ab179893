//! Articles: reading, listing, publishing, editing.

use actors::articles::message::{Body, Title};
use actors::articles::message::{CreateArticle, DeleteArticle, Description, FindArticle, ListArticles, UpdateArticle};
use actors::articles::{Article, Slug, View};
use actors::auth::UserId;
use actors::text::Text;
use hyper::StatusCode;
use hyper::header::{ETAG, HeaderValue, LOCATION};
use serde::Serialize;
use time::OffsetDateTime;

use super::CREATED;
use crate::error::ApiError;
use crate::query::{Paging, Query, encode_cursor, number};
use crate::request::Request;
use crate::response::{self, Response};

/// Words to look for.
type Search = Text<0, 200>;

/// Who wrote an article.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Author)]
pub struct AuthorBody<'a> {
    /// Their id.
    pub id: i64,
    /// Their address: only when the reader is the author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
    /// What they are called.
    pub name: &'a str,
    /// What they say about themselves.
    pub bio: &'a str,
    /// Where their picture is.
    pub image: &'a str,
}

/// An article.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Article)]
pub struct ArticleBody<'a> {
    /// Its id.
    pub id: i64,
    /// Its address, which stays.
    #[schema(example = "on-actors-k7m2p9xa")]
    pub slug: &'a str,
    /// Its headline.
    pub title: &'a str,
    /// What it is about.
    pub description: &'a str,
    /// Its text; left out on list pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<&'a str>,
    /// Who wrote it.
    pub author: AuthorBody<'a>,
    /// How many people favorited it.
    pub favorites_count: i64,
    /// Whether the reader did.
    pub favorited: bool,
    /// When it was published.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
}

/// One page of articles, newest first.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ArticlePage)]
pub struct PageBody<'a> {
    /// The articles, without bodies.
    pub articles: Vec<ArticleBody<'a>>,
    /// How many are on this page.
    pub count: usize,
    /// How many match in all.
    pub total: i64,
    /// How many a page holds at most.
    pub limit: i64,
    /// How many were left out first.
    pub offset: i64,
    /// The next page, relative to this server; null on the last one.
    pub next: Option<String>,
    /// The page before, where pages are counted by number; null elsewhere.
    pub previous: Option<String>,
}

impl<'a> ArticleBody<'a> {
    fn new(view: &'a View, viewer: Option<UserId>) -> Self {
        let Article { author, .. } = &*view.article;
        Self {
            id: view.article.id,
            slug: view.article.slug.as_str(),
            title: &view.article.title,
            description: &view.article.description,
            body: view.article.body.as_deref(),
            author: AuthorBody {
                id: author.id.0,
                email: (viewer == Some(author.id)).then(|| author.email.expose()),
                name: &author.name,
                bio: &author.bio,
                image: &author.image,
            },
            favorites_count: view.article.favorites_count,
            favorited: view.favorited,
            created_at: view.article.created_at,
            updated_at: view.article.updated_at,
        }
    }
}

/// An article as a response, with the tag of exactly this representation.
pub(super) fn respond(status: StatusCode, view: &View, viewer: Option<UserId>) -> Result<Response, ApiError> {
    let mut response = response::json(status, &ArticleBody::new(view, viewer))?;
    let reader = match viewer {
        Some(id) if id == view.article.author.id => "a",
        _ => "r",
    };
    let View { article, favorited } = view;
    let tag =
        format!("\"{}.{}.{}.{}{reader}\"", article.id, article.version, article.favorites_count, u8::from(*favorited));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// The slug in the path; what cannot be one is the address of no article.
pub(super) fn slug(request: &Request) -> Result<Slug, ApiError> {
    Slug::parse(request.segment()).ok_or_else(|| ApiError::not_found("Article not found"))
}

/// `GET /api/articles/{slug}`
pub async fn find(request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer_if_any().await?.map(|viewer| viewer.user);
    let find = FindArticle { slug: slug(&request)?, viewer };
    let view = request.app.system.articles.find(&request.caller, find).await?;
    respond(StatusCode::OK, &view, viewer)
}

/// `GET /api/articles`
pub async fn list(request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer_if_any().await?.map(|viewer| viewer.user);
    page(request, ListArticles { viewer, ..ListArticles::default() }).await
}

/// `GET /api/articles/feed`
pub async fn feed(request: Request) -> Result<Response, ApiError> {
    let viewer = Some(request.viewer().await?.user);
    page(request, ListArticles { viewer, followed_by: viewer, ..ListArticles::default() }).await
}

async fn page(request: Request, list: ListArticles) -> Result<Response, ApiError> {
    let mut query = request.query();
    let id = |text: &str| number(text, 1, i64::MAX).map(UserId);
    let search = query.optional("search", Search::parse).map(|text| text.as_str().to_owned());
    let (author, favorited_by) = (query.optional("author", id), query.optional("favorited_by", id));
    let paging = query.paging();
    let query = query.finish()?;
    let viewer = list.viewer;
    let Paging { limit, offset, before, .. } = paging;
    let list = ListArticles { search, author, favorited_by, before, limit, offset, ..list };
    let page = request.app.system.articles.list(&request.caller, list).await?;
    let last = page.articles.last().map(|view| view.article.id);
    let (next, previous) = links(&query, request.head.uri.path(), paging, page.articles.len(), page.total, last);
    let articles: Vec<_> = page.articles.iter().map(|view| ArticleBody::new(view, viewer)).collect();
    response::ok(&PageBody { count: articles.len(), articles, total: page.total, limit, offset, next, previous })
}

/// Links to the pages beside this one: by number where the client counts so, else by cursor, which neither
/// repeats nor skips while articles are being published.
fn links(
    query: &Query,
    path: &str,
    paging: Paging,
    count: usize,
    total: i64,
    last: Option<i64>,
) -> (Option<String>, Option<String>) {
    let at = |offset: i64| query.link(path, paging.limit, ("offset", &offset.to_string()));
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if paging.numbered {
        let next = (count == paging.limit && paging.offset + count < total).then(|| at(paging.offset + count));
        let previous = (paging.offset > 0).then(|| at((paging.offset - paging.limit).max(0)));
        return (next, previous);
    }
    let more = count == paging.limit && (paging.before.is_some() || count < total);
    let next = last.filter(|_| more).map(|id| query.link(path, paging.limit, ("cursor", &encode_cursor(id))));
    (next, None)
}

/// `POST /api/articles`
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
    let mut response = respond(CREATED, &view, Some(author))?;
    if let Ok(location) = HeaderValue::from_str(&format!("/api/articles/{}", view.article.slug)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `PUT /api/articles/{slug}`
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

/// `DELETE /api/articles/{slug}`
pub async fn delete(request: Request) -> Result<Response, ApiError> {
    let editor = request.viewer().await?.user;
    let delete = DeleteArticle { slug: slug(&request)?, editor };
    request.app.system.articles.delete(&request.caller, delete).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
