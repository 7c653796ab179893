//! The domain's statements, one function each.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::message::{CreateWebhook, DeleteWebhook, Delivery, EnableWebhook, ListDeliveries, ReplayDelivery};
use super::message::{RotateSecret, Webhook};
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
pub(super) async fn enable(db: &Postgres, scope: &Scope, enable: EnableWebhook) -> Result<Option<Webhook>, Fault> {
    let rows = db.write(scope, sql!("webhooks/enable"), &[&enable.webhook, &enable.user.0]).await?;
    rows.first().map(webhook).transpose()
}

/// Whether it is theirs.
pub(super) async fn lock_webhook(tx: &Transaction<'_>, scope: &Scope, rotate: RotateSecret) -> Result<bool, Fault> {
    Ok(!tx.run(scope, sql!("webhooks/lock_webhook"), &[&rotate.webhook, &rotate.user.0]).await?.is_empty())
}

/// Until when the secret before signs as well; `None` when `most` others do.
pub(super) async fn rotate_secret(
    tx: &Transaction<'_>,
    scope: &Scope,
    webhook: i64,
    secret: &SigningSecret,
    overlap: Duration,
    most: i64,
) -> Result<Option<OffsetDateTime>, Fault> {
    let overlap = overlap.as_secs_f64();
    let rows = tx.run(scope, sql!("webhooks/rotate_secret"), &[&webhook, &secret.bytes(), &overlap, &most]).await?;
    Ok(rows.first().map(|row| row.get("until")))
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
    /// All that sign: the webhook's own first, then those that it replaced not long ago.
    pub(super) secrets: Vec<SigningSecret>,
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
        secrets: row.get::<_, Vec<Vec<u8>>>("secrets").into_iter().map(SigningSecret::stored).collect(),
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

/// Brings a delivery to its end; its webhook as well where it `disables`.
pub(super) async fn settle(
    tx: &Transaction<'_>,
    scope: &Scope,
    delivery: i64,
    state: &str,
    disables: bool,
) -> Result<(), Fault> {
    tx.run(scope, sql!("webhooks/settle"), &[&delivery, &state, &disables]).await.map(drop)
}

/// Locks at most `limit` deliveries that were over `keep` ago.
pub(super) async fn lock_old(
    tx: &Transaction<'_>,
    scope: &Scope,
    keep: Duration,
    limit: i64,
) -> Result<Vec<i64>, Fault> {
    let rows = tx.run(scope, sql!("webhooks/lock_old"), &[&keep.as_secs_f64(), &limit]).await?;
    Ok(rows.iter().map(|row| row.get("id")).collect())
}

pub(super) async fn prune(tx: &Transaction<'_>, scope: &Scope, deliveries: &[i64]) -> Result<(), Fault> {
    tx.run(scope, sql!("webhooks/prune"), &[&deliveries]).await.map(drop)
}

pub(super) async fn prune_secrets(db: &Postgres, scope: &Scope, limit: i64) -> Result<(), Fault> {
    db.write(scope, sql!("webhooks/prune_secrets"), &[&limit]).await.map(drop)
}
