//! Notifications: the inbox.

use actors::notifications::Notification;
use actors::notifications::message::{ListNotifications, MarkRead};
use serde::Serialize;
use time::OffsetDateTime;

use crate::error::ApiError;
use crate::query::encode_cursor;
use crate::request::Request;
use crate::response::{self, Response};

/// The article that a notification is about.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AboutArticle {
    /// Its address.
    pub slug: String,
    /// Its headline.
    pub title: String,
}

/// Who caused a notification.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CausedBy {
    /// Their id.
    pub id: i64,
    /// What they are called.
    pub name: String,
}

/// Something that somebody is told.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Notification)]
pub struct NotificationBody {
    /// Its id; larger is newer.
    pub id: i64,
    /// `article_published`, `article_favorited` or `followed`.
    #[schema(example = "article_published")]
    pub kind: &'static str,
    /// It in a sentence.
    pub message: String,
    /// The article that it is about, if any.
    pub article: Option<AboutArticle>,
    /// Who caused it, the last one where there were several.
    pub actor: CausedBy,
    /// How many events it stands for.
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
pub struct InboxBody {
    /// The notifications.
    pub notifications: Vec<NotificationBody>,
    /// How many are unread in all.
    pub unread_count: i64,
    /// The next page, relative to this server; null on the last one.
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

/// `GET /api/notifications`
pub async fn list(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let mut query = request.query();
    let unread = query.optional("unread", |text| text.parse::<bool>().map_err(|_| "must be true or false"));
    let paging = query.paging();
    let query = query.finish()?;
    let list = ListNotifications { user, unread: unread.unwrap_or(false), before: paging.before, limit: paging.limit };
    let inbox = request.app.system.notifications.list(&request.caller, list).await?;
    let full = i64::try_from(inbox.notifications.len()).is_ok_and(|count| count == paging.limit);
    let last = inbox.notifications.last().filter(|_| full).map(|told| told.id);
    let next = last.map(|id| query.link(request.head.uri.path(), paging.limit, ("cursor", &encode_cursor(id))));
    let notifications = inbox.notifications.into_iter().map(NotificationBody::from).collect();
    response::ok(&InboxBody { notifications, unread_count: inbox.unread_count, next })
}

/// `POST /api/notifications/{id}/read`
pub async fn read(request: Request) -> Result<Response, ApiError> {
    let notification = Some(request.id("Notification not found")?);
    mark_read(request, notification).await
}

/// `POST /api/notifications/read`
pub async fn read_all(request: Request) -> Result<Response, ApiError> {
    mark_read(request, None).await
}

async fn mark_read(request: Request, notification: Option<i64>) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let mark = MarkRead { user, notification };
    let unread_count = request.app.system.notifications.mark_read(&request.caller, mark).await?;
    response::ok(&Unread { unread_count })
}
