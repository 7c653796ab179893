//! The domain's statements, one function each.

use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::message::{CreateWebhook, DeleteWebhook, Delivery, ListDeliveries, ReplayDelivery, Webhook};
use super::signature::SigningSecret;
use crate::auth::UserId;
use crate::kit::postgres::{Postgres, Transaction};
use crate::kit::{Fault, Scope};
use crate::notifications::Kind;
use crate::sql;

fn kind(word: &str) -> Result<Kind, Fault> {
    Kind::parse(word).ok_or_else(|| Fault::internal(format!("a stored webhook is of the unknown kind {word}")))
}

fn webhook(row: &Row) -> Result<Webhook, Fault> {
    let kinds: Vec<&str> = row.get("kinds");
    Ok(Webhook {
        id: row.get("id"),
        url: row.get("url"),
        kinds: kinds.into_iter().map(kind).collect::<Result<_, _>>()?,
        enabled: row.get("enabled"),
        created_at: row.get("created_at"),
    })
}

/// Whether the user was still there.
pub(super) async fn lock_owner(tx: &Transaction<'_>, scope: &Scope, user: UserId) -> Result<bool, Fault> {
    Ok(!tx.run(scope, sql!("webhooks/lock_owner"), &[&user.0]).await?.is_empty())
}

/// `None` when its owner has `most` of them.
pub(super) async fn create(
    tx: &Transaction<'_>,
    scope: &Scope,
    new: &CreateWebhook,
    secret: &SigningSecret,
    most: i64,
) -> Result<Option<Webhook>, Fault> {
    let kinds: Vec<&str> = new.kinds.iter().map(|kind| kind.as_str()).collect();
    let rows = tx.run(scope, sql!("webhooks/create"), &[&new.user.0, &new.url, &kinds, &secret.bytes(), &most]).await?;
    rows.first().map(webhook).transpose()
}

pub(super) async fn list(db: &Postgres, scope: &Scope, user: UserId) -> Result<Vec<Webhook>, Fault> {
    db.read(scope, sql!("webhooks/list"), &[&user.0]).await?.iter().map(webhook).collect()
}

/// Whether there was one.
pub(super) async fn delete(db: &Postgres, scope: &Scope, delete: DeleteWebhook) -> Result<bool, Fault> {
    Ok(!db.write(scope, sql!("webhooks/delete"), &[&delete.webhook, &delete.user.0]).await?.is_empty())
}

/// `None` when the webhook is not theirs.
pub(super) async fn list_deliveries(
    db: &Postgres,
    scope: &Scope,
    page: ListDeliveries,
) -> Result<Option<Vec<Delivery>>, Fault> {
    let params = (page.webhook, page.user.0);
    let rows =
        db.read(scope, sql!("webhooks/list_deliveries"), &[&params.0, &params.1, &page.before, &page.limit]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let on_page = rows.iter().filter(|row| row.get::<_, Option<i64>>("id").is_some());
    on_page.map(delivery).collect::<Result<_, _>>().map(Some)
}

fn delivery(row: &Row) -> Result<Delivery, Fault> {
    let attempts: Value = row.get("attempts");
    Ok(Delivery {
        id: row.get("id"),
        webhook: row.get("webhook_id"),
        notification: row.get("notification_id"),
        kind: kind(row.get("kind"))?,
        message_id: row.get("message_id"),
        state: row.get("state"),
        attempts: Vec::deserialize(attempts).map_err(Fault::internal)?,
        created_at: row.get("created_at"),
        finished_at: row.get("finished_at"),
    })
}

/// Whether there is one.
pub(super) async fn lock_delivery(tx: &Transaction<'_>, scope: &Scope, replay: ReplayDelivery) -> Result<bool, Fault> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&replay.webhook, &replay.user.0, &replay.delivery];
    Ok(!tx.run(scope, sql!("webhooks/lock_delivery"), &params).await?.is_empty())
}

/// What asking for another job came to.
pub(super) enum Replayed {
    /// It is there.
    Queued,
    /// The last one is not finished.
    UnderWay,
    /// Nothing is sent to this webhook.
    Disabled,
}

pub(super) async fn replay(tx: &Transaction<'_>, scope: &Scope, delivery: i64) -> Result<Replayed, Fault> {
    let rows = tx.run(scope, sql!("webhooks/replay"), &[&delivery, &scope.trace.traceparent()]).await?;
    Ok(match rows.first() {
        Some(row) if row.get("under_way") => Replayed::UnderWay,
        Some(row) if !row.get::<_, bool>("disabled") => Replayed::Queued,
        _ => Replayed::Disabled,
    })
}

/// What an attempt needs.
pub(super) struct Open {
    pub(super) message_id: Uuid,
    pub(super) facts: Value,
    pub(super) body: Option<String>,
    /// It came to an end that no attempt changes.
    pub(super) over: bool,
    pub(super) url: String,
    pub(super) secret: SigningSecret,
    pub(super) enabled: bool,
}

/// `None` when its webhook was deleted.
pub(super) async fn open_delivery(db: &Postgres, scope: &Scope, delivery: i64) -> Result<Option<Open>, Fault> {
    let rows = db.read(scope, sql!("webhooks/open_delivery"), &[&delivery]).await?;
    Ok(rows.first().map(|row| Open {
        message_id: row.get("message_id"),
        facts: row.get("facts"),
        body: row.get("body"),
        over: matches!(row.get("state"), "delivered" | "gone"),
        url: row.get("url"),
        secret: SigningSecret::stored(row.get("secret")),
        enabled: row.get("enabled"),
    }))
}

/// The body that is kept, perhaps another one; `None` when its webhook was deleted.
pub(super) async fn freeze(db: &Postgres, scope: &Scope, delivery: i64, body: &str) -> Result<Option<String>, Fault> {
    let rows = db.write(scope, sql!("webhooks/freeze"), &[&delivery, &body]).await?;
    Ok(rows.first().map(|row| row.get("body")))
}

/// `came_to` is the status of the answer, or why there is none.
pub(super) async fn log_attempt(
    db: &Postgres,
    scope: &Scope,
    delivery: i64,
    came_to: Result<u16, &str>,
    duration_ms: f64,
) -> Result<(), Fault> {
    let (status, error) = (came_to.ok().map(i32::from), came_to.err());
    db.write(scope, sql!("webhooks/log_attempt"), &[&delivery, &status, &error, &duration_ms]).await.map(drop)
}

pub(super) async fn settle(tx: &Transaction<'_>, scope: &Scope, delivery: i64, state: &str) -> Result<(), Fault> {
    tx.run(scope, sql!("webhooks/settle"), &[&delivery, &state]).await.map(drop)
}
