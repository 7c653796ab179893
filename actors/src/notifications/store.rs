//! The domain's statements, one function each.

use tokio_postgres::Row;

use super::message::{Inbox, Kind, ListNotifications, MarkRead, Notification};
use crate::auth::UserId;
use crate::kit::postgres::{Postgres, Transaction};
use crate::kit::{Fault, Scope};
use crate::sql;

pub(super) async fn list(db: &Postgres, scope: &Scope, page: ListNotifications) -> Result<Inbox, Fault> {
    let rows =
        db.read(scope, sql!("notifications/list"), &[&page.user.0, &page.unread, &page.before, &page.limit]).await?;
    let unread_count = rows.first().map_or(0, |row| row.get("unread_count"));
    let on_page = rows.iter().filter(|row| row.get::<_, Option<i64>>("id").is_some());
    let notifications = on_page.map(notification).collect::<Result<_, _>>()?;
    Ok(Inbox { notifications, unread_count })
}

fn notification(row: &Row) -> Result<Notification, Fault> {
    let kind: &str = row.get("kind");
    let slug: Option<String> = row.get("article_slug");
    Ok(Notification {
        id: row.get("id"),
        kind: Kind::parse(kind)
            .ok_or_else(|| Fault::internal(format!("a stored notification is of the unknown kind {kind}")))?,
        article: slug.zip(row.get("article_title")),
        actor: (UserId(row.get("actor_id")), row.get("actor_name")),
        count: row.get("count"),
        read: row.get("read"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    })
}

/// How many notifications were meant, and how many are unread afterwards.
pub(super) async fn mark_read(db: &Postgres, scope: &Scope, mark: MarkRead) -> Result<(i64, i64), Fault> {
    let rows = db.write(scope, sql!("notifications/mark_read"), &[&mark.user.0, &mark.notification]).await?;
    Ok(rows.first().map_or((0, 0), |row| (row.get("meant"), row.get("unread_count"))))
}

pub(super) async fn tell_followers(tx: &Transaction<'_>, scope: &Scope, article: i64) -> Result<(), Fault> {
    tx.run(scope, sql!("notifications/tell_followers"), &[&article, &scope.trace.traceparent()]).await.map(drop)
}

pub(super) async fn tell_author(tx: &Transaction<'_>, scope: &Scope, article: i64, user: i64) -> Result<(), Fault> {
    tx.run(scope, sql!("notifications/tell_author"), &[&article, &user, &scope.trace.traceparent()]).await.map(drop)
}

/// Brings a notification of favorites to what is still true of it.
pub(super) async fn recount(tx: &Transaction<'_>, scope: &Scope, notification: i64) -> Result<(), Fault> {
    // Two statements: the second one's snapshot has to be younger than the lock.
    tx.run(scope, sql!("notifications/lock"), &[&notification]).await?;
    tx.run(scope, sql!("notifications/recount"), &[&notification]).await.map(drop)
}

pub(super) async fn tell_followed(
    tx: &Transaction<'_>,
    scope: &Scope,
    follower: i64,
    followed: i64,
) -> Result<(), Fault> {
    tx.run(scope, sql!("notifications/tell_followed"), &[&follower, &followed, &scope.trace.traceparent()])
        .await
        .map(drop)
}
