//! Articles: how they look from outside.

pub mod read;
pub mod write;

use actors::articles::{Article, Revision, Slug, View};
use actors::auth::UserId;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_LOCATION, ETAG, HeaderValue};
use serde::Serialize;
use time::OffsetDateTime;

pub use read::{feed, find, list};
pub use write::{create, delete, update};

use crate::error::ApiError;
use crate::http::etag;
use crate::request::Request;
use crate::response::{self, Response};

/// Who wrote an article.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Author)]
pub struct AuthorBody<'a> {
    /// Their id.
    pub id: i64,
    /// Their address: only when the reader is the author.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "alice@example.com")]
    pub email: Option<&'a str>,
    /// What they are called.
    #[schema(example = "Alice")]
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
    #[schema(example = "On actors")]
    pub title: &'a str,
    /// What it is about.
    #[schema(example = "Why small mailboxes are good mailboxes")]
    pub description: &'a str,
    /// Its text; left out on list pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "An actor is …")]
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

impl<'a> ArticleBody<'a> {
    fn new(view: &'a View, viewer: Option<UserId>) -> Self {
        let Article { author, .. } = &**view.article;
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
    // The article may be kept for as long as it stays as it is: with it, only what most readers are shown.
    let looks = Looks::of(view, viewer);
    Ok(shown(view, viewer, looks == Looks::default())?.respond(status))
}

/// The same in answer to a change: it says where what it shows can be read, so that the tag is known to be of that.
pub(super) fn respond_changed(status: StatusCode, view: &View, viewer: UserId) -> Result<Response, ApiError> {
    // Who changed it together is shown the same, and then it is gone.
    let mut response = shown(view, Some(viewer), true)?.respond(status);
    if let Ok(location) = HeaderValue::try_from(format!("/api/articles/{}", view.article.slug)) {
        response.headers_mut().insert(CONTENT_LOCATION, location);
    }
    Ok(response)
}

/// An article as it is shown to this reader, by what others were shown whom it looks alike to; left for more of them where
/// that is asked for.
fn shown(view: &View, viewer: Option<UserId>, leave: bool) -> Result<Shown, ApiError> {
    let looks = Looks::of(view, viewer);
    if let Some(shown) = view.article.made::<Shown>().filter(|shown| shown.looks == looks) {
        return Ok(shown.clone());
    }
    let body = response::encode(&ArticleBody::new(view, viewer))?;
    let tag = etag::of_article(Revision { article: view.article.id, version: view.article.version }, &body);
    let shown = Shown { looks, body, tag };
    if leave {
        view.article.leave(|| shown.clone());
    }
    Ok(shown)
}

/// What an article looks different by to different readers. To most it is nothing of this.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Looks {
    favorited: bool,
    to_author: bool,
}

impl Looks {
    fn of(view: &View, viewer: Option<UserId>) -> Self {
        Self { favorited: view.favorited, to_author: viewer == Some(view.article.author.id) }
    }
}

/// An article as it is shown.
#[derive(Clone)]
struct Shown {
    looks: Looks,
    body: Bytes,
    tag: HeaderValue,
}

impl Shown {
    fn respond(self, status: StatusCode) -> Response {
        let mut response = response::with_type(status, response::JSON, self.body);
        response.headers_mut().insert(ETAG, self.tag);
        response
    }
}

/// The slug in the path; what cannot be one is the address of no article.
pub(super) fn slug(request: &Request) -> Result<Slug, ApiError> {
    Slug::parse(request.segment()).ok_or_else(|| ApiError::not_found("Article not found"))
}
