//! Notifications: the inbox.

use actors::notifications::Notification;
use actors::notifications::message::{ListNotifications, MarkRead};
use serde::Serialize;
use time::OffsetDateTime;

use super::refusals::{BadQuery, Failures, NotificationNotFound, Unauthorized};
use crate::error::ApiError;
use crate::query::encode_cursor;
use crate::request::Request;
use crate::response::{self, Response};

/// The article that a notification is about.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AboutArticle {
    /// Its address.
    #[schema(example = "on-actors-k7m2p9xa")]
    pub slug: String,
    /// Its headline.
    #[schema(example = "On actors")]
    pub title: String,
}

/// Who caused a notification.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CausedBy {
    /// Their id.
    pub id: i64,
    /// What they are called.
    #[schema(example = "Alice")]
    pub name: String,
}

/// What a notification may be about; its words stand in the description only, as the domain has its own.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case", description = "What a notification is about.")]
pub enum NotificationKind {
    /// Somebody whom one follows published an article.
    ArticlePublished,
    /// Somebody favorited one's article; unread ones about one article collapse into a count.
    ArticleFavorited,
    /// Somebody follows one.
    Followed,
}

/// Something that somebody is told.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Notification)]
pub struct NotificationBody {
    /// Its id; larger is newer.
    pub id: i64,
    /// `article_published`, `article_favorited` or `followed`.
    #[schema(value_type = NotificationKind)]
    pub kind: &'static str,
    /// It in a sentence.
    #[schema(example = "Alice published “On actors”")]
    pub message: String,
    /// The article that it is about, if any.
    #[schema(required)]
    pub article: Option<AboutArticle>,
    /// Who caused it, the last one where there were several.
    pub actor: CausedBy,
    /// How many events it stands for.
    #[schema(example = 1)]
    pub count: i64,
    /// Whether it was read.
    pub read: bool,
    /// When the first of its events happened.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When the last of them happened, or it was read.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
}

/// One page of notifications, newest first.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NotificationPage)]
pub struct InboxBody {
    /// The notifications.
    pub notifications: Vec<NotificationBody>,
    /// How many are unread in all.
    pub unread_count: i64,
    /// The next page, relative to this server; null on the last one.
    #[schema(required, example = json!(null))]
    pub next: Option<String>,
}

/// How many notifications are unread.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Unread {
    /// So many.
    pub unread_count: i64,
}

impl From<Notification> for NotificationBody {
    fn from(told: Notification) -> Self {
        Self {
            message: told.message(),
            id: told.id,
            kind: told.kind.as_str(),
            article: told.article.map(|(slug, title)| AboutArticle { slug, title }),
            actor: CausedBy { id: told.actor.0.0, name: told.actor.1 },
            count: told.count,
            read: told.read,
            created_at: told.created_at,
            updated_at: told.updated_at,
        }
    }
}

/// List one's notifications, newest first.
#[utoipa::path(
    get, path = "/api/notifications", operation_id = "list_notifications", tag = "notifications",
    security(("bearer" = [])),
    params(
        ("unread" = Option<bool>, Query, description = "Only those that are unread."),
        ("limit" = Option<i64>, Query, description = "How many a page holds at most; 20 unless said otherwise.",
            minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "Where to go on: what `next` of the page before says."),
    ),
    responses(
        (status = 200, description = "A page of notifications.", body = InboxBody,
            headers(("Link" = String, description = "The page after this one, as `next`."))),
        (status = 400, response = BadQuery),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn list(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let mut query = request.query();
    let unread = query.optional("unread", |text| text.parse::<bool>().map_err(|_| "must be true or false"));
    let paging = query.paging();
    let query = query.finish()?;
    let list =
        ListNotifications { user, unread: unread.unwrap_or(false), before: paging.before, limit: paging.wanted() };
    let inbox = request.app.system.notifications.list(&request.caller, list).await?;
    let (told, more) = paging.cut(&inbox.notifications);
    let last = told.last().filter(|_| more).map(|told| told.id);
    let next = last.map(|id| query.link(request.head.uri.path(), paging.limit, ("cursor", &encode_cursor(id))));
    let notifications = told.iter().cloned().map(NotificationBody::from).collect();
    let page = InboxBody { notifications, unread_count: inbox.unread_count, next };
    response::list(&page, page.next.as_deref(), None)
}

/// Mark a notification as read.
#[utoipa::path(
    post, path = "/api/notifications/{id}/read", operation_id = "read_notification", tag = "notifications",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "Which.", minimum = 1, example = 1)),
    responses(
        (status = 200, description = "How many are unread now.", body = Unread),
        (status = 401, response = Unauthorized),
        (status = 404, response = NotificationNotFound),
        Failures,
    )
)]
pub async fn read(request: Request) -> Result<Response, ApiError> {
    let notification = Some(request.id("Notification not found")?);
    mark_read(request, notification).await
}

/// Mark all notifications as read.
#[utoipa::path(
    post, path = "/api/notifications/read", operation_id = "read_all_notifications", tag = "notifications",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "How many are unread now.", body = Unread),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn read_all(request: Request) -> Result<Response, ApiError> {
    mark_read(request, None).await
}

async fn mark_read(request: Request, notification: Option<i64>) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let mark = MarkRead { user, notification };
    let unread_count = request.app.system.notifications.mark_read(&request.caller, mark).await?;
    response::ok(&Unread { unread_count })
}
