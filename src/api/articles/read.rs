//! Articles: reading one, and lists of them.

use actors::articles::View;
use actors::articles::message::{FindArticle, ListArticles};
use actors::auth::UserId;
use actors::text::Text;
use hyper::StatusCode;
use hyper::http::uri::PathAndQuery;
use serde::Serialize;

use super::{ArticleBody, respond, slug};
use crate::api::refusals::{ArticleNotFound, BadQuery, Failures, Unauthorized};
use crate::cursor::Cursor;
use crate::error::ApiError;
use crate::query::{Paging, Query, number};
use crate::request::Request;
use crate::response::{Listed, Response};

/// Words to look for.
type Search = Text<0, 200>;

/// Which articles, and which page of them. `page` takes these apart one by one, so that every mistake is
/// reported at once; this stands for them in the description.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleFilter {
    /// Only articles with these words in them.
    #[param(max_length = 200, example = "actors")]
    pub search: Option<String>,
    /// Only articles by the user with this id.
    #[param(minimum = 1)]
    pub author: Option<i64>,
    /// Only articles that the user with this id favorited.
    #[param(minimum = 1)]
    pub favorited_by: Option<i64>,
    /// How many articles a page holds at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<i64>,
    /// How many articles to leave out first, for pages by number.
    #[param(minimum = 0, maximum = 1_000_000)]
    pub offset: Option<i64>,
    /// Where to go on: what `next` or `previous` of another page says. Unlike pages by number, pages by cursor neither
    /// repeat nor skip an article while others are being published. It wins over `offset` and `page`.
    #[param(pattern = r"^([cp][0-7][0-9a-f]{15})?$")]
    pub cursor: Option<String>,
    /// Another way to say `offset`: the number of the page, from 1.
    #[param(minimum = 1, maximum = 10_000)]
    pub page: Option<i64>,
    /// Another name for `limit`.
    #[param(minimum = 1, maximum = 100)]
    pub per_page: Option<i64>,
}

/// One page of articles, newest first.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ArticlePage)]
pub struct PageBody<'a> {
    /// The articles, without bodies.
    pub articles: Vec<ArticleBody<'a>>,
    /// How many are on this page.
    #[schema(example = 20)]
    pub count: usize,
    /// How many match in all. Matches of a search are counted up to 10,000: beyond, it says 10,000.
    #[schema(example = 41)]
    pub total: i64,
    /// How many a page holds at most.
    #[schema(example = 20)]
    pub limit: i64,
    /// How many were left out first.
    #[schema(example = 0)]
    pub offset: i64,
    /// The next page, relative to this server; null on the last one.
    #[schema(required, example = "/api/articles?limit=20&cursor=c5a5ac3c39696a5b0")]
    pub next: Option<String>,
    /// The page before this one, with what is newer; null on the first one.
    #[schema(required, example = json!(null))]
    pub previous: Option<String>,
}

/// Read an article.
#[utoipa::path(
    get, path = "/api/articles/{slug}", operation_id = "find_article", tag = "articles",
    security((), ("bearer" = [])),
    params(("slug" = String, Path, description = "Its address.", example = "on-actors-k7m2p9xa")),
    responses(
        (status = 200, description = "The article.", body = ArticleBody,
            headers(("ETag" = String, description = "The tag of exactly this representation."))),
        (status = 401, response = Unauthorized),
        (status = 404, response = ArticleNotFound),
        Failures,
    )
)]
pub async fn find(request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer_if_any().await?.map(|viewer| viewer.user);
    let find = FindArticle { slug: slug(&request)?, viewer };
    let view = request.app.system.articles.find(&request.caller, find).await?;
    respond(StatusCode::OK, &view, viewer)
}

/// List articles, newest first.
#[utoipa::path(
    get, path = "/api/articles", operation_id = "list_articles", tag = "articles",
    security((), ("bearer" = [])),
    params(ArticleFilter),
    responses(
        (status = 200, description = "A page of articles, without their bodies.", body = PageBody,
            headers(("Link" = String, description = "The pages beside this one, as `next` and `prev`."))),
        (status = 400, response = BadQuery),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn list(request: Request) -> Result<Response, ApiError> {
    let viewer = request.viewer_if_any().await?.map(|viewer| viewer.user);
    page(request, ListArticles { viewer, ..ListArticles::default() }).await
}

/// List the articles of those whom one follows, newest first.
#[utoipa::path(
    get, path = "/api/articles/feed", operation_id = "feed", tag = "articles",
    security(("bearer" = [])),
    params(ArticleFilter),
    responses(
        (status = 200, description = "A page of articles, without their bodies.", body = PageBody,
            headers(("Link" = String, description = "The pages beside this one, as `next` and `prev`."))),
        (status = 400, response = BadQuery),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn feed(request: Request) -> Result<Response, ApiError> {
    let viewer = Some(request.viewer().await?.user);
    page(request, ListArticles { viewer, followed_by: viewer, ..ListArticles::default() }).await
}

async fn page(request: Request, list: ListArticles) -> Result<Response, ApiError> {
    let mut query = request.query();
    let id = |text: &str| number(text, 1, i64::MAX).map(UserId);
    let search = query.optional("search", Search::parse).map(|text| text.as_str().to_owned());
    let (author, favorited_by) = (query.optional("author", id), query.optional("favorited_by", id));
    let paging = query.paging_both_ways();
    let query = query.finish()?;
    let viewer = list.viewer;
    let Paging { limit, offset, before, after, .. } = paging;
    let list = ListArticles { search, author, favorited_by, before, after, limit: paging.wanted(), offset, ..list };
    let found = request.app.system.articles.list(&request.caller, list).await?;
    let target = request.head.uri.path_and_query().map_or("", PathAndQuery::as_str);
    // Who asked for the same at the same time is shown the same, and it takes longer to encode a page than to find it.
    if let Some(shown) = found.made::<Shown>().filter(|shown| shown.target == target) {
        return Ok(shown.page.respond());
    }
    let (articles, more) = paging.cut(&found.articles);
    let (next, previous) = links(&query, request.head.uri.path(), paging, articles, more);
    let articles: Vec<_> = articles.iter().map(|view| ArticleBody::new(view, viewer)).collect();
    let page = PageBody { count: articles.len(), articles, total: found.total, limit, offset, next, previous };
    let page = Listed::new(&page, page.next.as_deref(), page.previous.as_deref())?;
    let response = page.respond();
    found.leave(|| Shown { target: target.to_owned(), page });
    Ok(response)
}

/// A page as it is shown to all who asked at once for this very target, as the same reader.
struct Shown {
    target: String,
    page: Listed,
}

/// Links to the pages beside this one: by number where the client counts so, else by cursor, which neither
/// repeats nor skips while articles are being published.
fn links(query: &Query, path: &str, paging: Paging, articles: &[View], more: bool) -> (Option<String>, Option<String>) {
    if paging.numbered {
        let at = |offset: i64| query.link(path, paging.limit, ("offset", &offset.to_string()));
        let next = more.then(|| at(paging.offset + paging.limit));
        let previous = (paging.offset > 0).then(|| at((paging.offset - paging.limit).max(0)));
        return (next, previous);
    }
    let at = |cursor: Cursor| query.link(path, paging.limit, ("cursor", &cursor.to_string()));
    let (first, last) = (articles.first().map(|view| view.article.id), articles.last().map(|view| view.article.id));
    // An empty page lies between the one that led to it and nothing.
    let (older, newer) = match (paging.before, paging.after) {
        (None, None) => (last.filter(|_| more), None),
        (Some(before), _) => (last.filter(|_| more), first.or(Some(before - 1))),
        (None, Some(after)) => (last.or(Some(after.saturating_add(1))), first.filter(|_| more)),
    };
    (older.map(Cursor::Older).map(at), newer.map(Cursor::Newer).map(at))
}
