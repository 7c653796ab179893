//! The domain's statements, one function each.

use tokio_postgres::Row;

use super::message::{
    Inbox, Kind, Latest, ListNotifications, MarkRead, News, Notification, Preferences, ReadNews, SetPreferences,
};
use crate::auth::UserId;
use crate::kit::postgres::{Params, Postgres, Transaction};
use crate::kit::{Fault, Scope, Trace};
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
    let slug: Option<String> = row.get("article_slug");
    Ok(Notification {
        id: row.get("id"),
        kind: kind(row)?,
        article: slug.zip(row.get("article_title")),
        actor: (UserId(row.get("actor_id")), row.get("actor_name")),
        count: row.get("count"),
        read: row.get("read"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    })
}

fn kind(row: &Row) -> Result<Kind, Fault> {
    let word: &str = row.get("kind");
    Kind::parse(word).ok_or_else(|| Fault::internal(format!("the unknown kind {word} is stored")))
}

/// What changed for each reader, in their order, `limit` changes each at most.
pub(super) async fn news(db: &Postgres, scope: &Scope, readers: &[ReadNews], limit: i64) -> Result<Vec<Latest>, Fault> {
    let users: Vec<i64> = readers.iter().map(|reader| reader.user.0).collect();
    let after: Vec<Option<i64>> = readers.iter().map(|reader| reader.after).collect();
    let rows = db.read(scope, sql!("notifications/news"), &[&users, &after, &limit]).await?;
    let of_readers = rows.chunk_by(|one, next| one.get::<_, i64>("reader") == next.get::<_, i64>("reader"));
    of_readers.map(latest).collect()
}

/// The rows of one reader.
fn latest(rows: &[Row]) -> Result<Latest, Fault> {
    let changes = rows.iter().filter_map(|row| Some((row, row.get::<_, Option<i64>>("change")?)));
    let news = changes.map(|(row, number)| Ok(News { number, notification: notification(row)? }));
    Ok(Latest {
        position: rows.first().map_or(0, |row| row.get("position")),
        news: news.collect::<Result<_, Fault>>()?,
    })
}

pub(super) async fn preferences(db: &Postgres, scope: &Scope, user: UserId) -> Result<Preferences, Fault> {
    unwanted(&db.read(scope, sql!("notifications/preferences"), &[&user.0]).await?)
}

/// All preferences, once these are among them.
pub(super) async fn set_preferences(db: &Postgres, scope: &Scope, set: &SetPreferences) -> Result<Preferences, Fault> {
    let (kinds, wanted): (Vec<&str>, Vec<bool>) = set.wanted.iter().map(|(kind, on)| (kind.as_str(), *on)).unzip();
    unwanted(&db.write(scope, sql!("notifications/set_preferences"), &[&set.user.0, &kinds, &wanted]).await?)
}

fn unwanted(rows: &[Row]) -> Result<Preferences, Fault> {
    let unwanted = rows.iter().filter(|row| !row.get::<_, bool>("enabled")).map(kind);
    Ok(Preferences { unwanted: unwanted.collect::<Result<_, _>>()? })
}

/// How many notifications were meant, and how many are unread afterwards.
pub(super) async fn mark_read(db: &Postgres, scope: &Scope, mark: MarkRead) -> Result<(i64, i64), Fault> {
    let rows = db.write(scope, sql!("notifications/mark_read"), &[&mark.user.0, &mark.notification]).await?;
    Ok(rows.first().map_or((0, 0), |row| (row.get("meant"), row.get("unread_count"))))
}

/// Followers told in one transaction: their notifications take a fraction of a second.
const CHUNK: i64 = 1000;
/// Followers of one article who are told at once, however many articles share a transaction.
const SHARE: i64 = 100;

/// Tells the next followers of articles' authors, each a pair of an article and the follower after whom it goes on, and
/// has the rest told by other jobs; `scope` holds a trace for each.
pub(super) async fn tell_followers(
    tx: &Transaction<'_>,
    scope: &Scope,
    published: Vec<(i64, i64)>,
) -> Result<(), Fault> {
    let share = (CHUNK / i64::try_from(published.len()).unwrap_or(CHUNK).max(1)).max(SHARE);
    let (articles, after): (Vec<i64>, Vec<i64>) = published.into_iter().unzip();
    let params: Params<'_> = &[&articles, &after, &traceparents(scope), &share];
    tx.run(scope, sql!("notifications/tell_followers"), params).await.map(drop)
}

/// Tells authors of favorites, each a pair of article and user; `scope` holds a trace for each.
pub(super) async fn tell_authors(tx: &Transaction<'_>, scope: &Scope, favorites: Vec<(i64, i64)>) -> Result<(), Fault> {
    let (articles, users): (Vec<i64>, Vec<i64>) = favorites.into_iter().unzip();
    tx.run(scope, sql!("notifications/tell_authors"), &[&articles, &users, &traceparents(scope)]).await.map(drop)
}

/// Brings a notification of favorites to what is still true of it.
pub(super) async fn recount(tx: &Transaction<'_>, scope: &Scope, notification: i64) -> Result<(), Fault> {
    // Two statements: the second one's snapshot has to be younger than the lock.
    tx.run(scope, sql!("notifications/lock"), &[&notification]).await?;
    tx.run(scope, sql!("notifications/recount"), &[&notification]).await.map(drop)
}

/// Tells people that they are followed, each a pair of follower and followed; `scope` holds a trace for each.
pub(super) async fn tell_followed(tx: &Transaction<'_>, scope: &Scope, follows: Vec<(i64, i64)>) -> Result<(), Fault> {
    let (followers, followed): (Vec<i64>, Vec<i64>) = follows.into_iter().unzip();
    tx.run(scope, sql!("notifications/tell_followed"), &[&followers, &followed, &traceparents(scope)]).await.map(drop)
}

fn traceparents(scope: &Scope) -> Vec<Option<String>> {
    std::iter::once(&scope.trace).chain(&scope.others).map(Trace::traceparent).collect()
}
