//! What can be asked of the webhook actors. The contract between the front and this domain.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::post::Unfit;
use super::signature::SigningSecret;
use crate::auth::UserId;
use crate::kit::Failure;
use crate::kit::command::{Answer, Command};
use crate::notifications::Kind;
use crate::{command, messages};

/// How many webhooks somebody may have.
pub const MOST_WEBHOOKS: i64 = 10;
/// How long a secret that was replaced signs as well: receivers learn the new one meanwhile.
pub const OVERLAP: Duration = Duration::from_hours(24);
/// How many secrets that were replaced may sign at once.
pub const MOST_RETIRED: i64 = 3;

/// Where somebody wants to be told.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: i64,
    /// Where it is sent.
    pub url: String,
    /// What it is told of.
    pub kinds: Vec<Kind>,
    /// Whether anything is sent; not any more once its receiver said that it is gone.
    pub enabled: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A webhook that was just made.
#[derive(Debug, Clone)]
pub struct Created {
    /// It.
    pub webhook: Webhook,
    /// What its messages are signed with.
    pub secret: SigningSecret,
}

/// A secret that takes the place of another one.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// What messages are signed with from now on.
    pub secret: SigningSecret,
    /// Until when they are signed with the one before as well.
    pub previous_until: OffsetDateTime,
}

/// A message to a webhook, and how far it got.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id; larger is newer.
    pub id: i64,
    /// To which webhook.
    pub webhook: i64,
    /// Of which notification.
    pub notification: i64,
    /// What that is about.
    pub kind: Kind,
    /// What its `webhook-id` is made of.
    pub message_id: Uuid,
    /// `pending`, `delivered`, `failed` or `gone`.
    pub state: String,
    /// Its last twenty attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// When its notification came into being.
    pub created_at: OffsetDateTime,
    /// When it came to its end.
    pub finished_at: Option<OffsetDateTime>,
}

/// One attempt to send a message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Attempt {
    /// Its number among those of the delivery, from 1.
    pub attempt: i64,
    /// When it had come to its end.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The status of the answer, if there was one.
    pub status: Option<i32>,
    /// Why there was none.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
}

/// Why the rules of this domain say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such webhook, or it is somebody else's.
    #[error("webhook not found")]
    NotFound,
    /// There is no such delivery, or it is somebody else's.
    #[error("delivery not found")]
    DeliveryNotFound,
    /// They have as many as anybody may have.
    #[error("too many webhooks")]
    TooMany,
    /// As many secrets that were replaced still sign as may.
    #[error("its secret was replaced too often")]
    RotatedTooOften,
    /// Nothing will be sent there.
    #[error("the URL {0}")]
    Unfit(Unfit),
    /// Its receiver said that it is gone.
    #[error("the webhook is disabled")]
    Disabled,
    /// The user was deleted meanwhile.
    #[error("its owner is gone")]
    OwnerGone,
}

/// Make a webhook.
#[derive(Debug, Clone)]
pub struct CreateWebhook {
    /// Whose.
    pub user: UserId,
    /// Where it is sent.
    pub url: String,
    /// What it is told of.
    pub kinds: Vec<Kind>,
}

/// Read somebody's webhooks.
#[derive(Debug, Clone, Copy)]
pub struct ListWebhooks(pub UserId);

/// Delete a webhook.
#[derive(Debug, Clone, Copy)]
pub struct DeleteWebhook {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub webhook: i64,
}

/// Give a webhook another secret.
#[derive(Debug, Clone, Copy)]
pub struct RotateSecret {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub webhook: i64,
}

/// Have messages sent to a webhook again, whatever its receiver said.
#[derive(Debug, Clone, Copy)]
pub struct EnableWebhook {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub webhook: i64,
}

/// Read a page of a webhook's deliveries.
#[derive(Debug, Clone, Copy)]
pub struct ListDeliveries {
    /// Whose.
    pub user: UserId,
    /// Of which webhook.
    pub webhook: i64,
    /// Only those with smaller ids: the page after the one that ended with it.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// Send a delivery once more.
#[derive(Debug, Clone, Copy)]
pub struct ReplayDelivery {
    /// Whose.
    pub user: UserId,
    /// Of which webhook.
    pub webhook: i64,
    /// Which.
    pub delivery: i64,
}

impl Command for DeleteWebhook {
    type Reply = ();
    type Refusal = Refusal;
    const NAME: &'static str = "delete";
    const IDEMPOTENT: bool = true;

    /// What is not there any more was deleted by the ask whose answer was lost.
    fn repeated(answer: Answer<Self>) -> Answer<Self> {
        match answer {
            Err(Failure::Refused(Refusal::NotFound)) => Ok(()),
            answer => answer,
        }
    }
}

command!(CreateWebhook, "create", Created, Refusal, idempotent: false);
command!(RotateSecret, "rotate_secret", Rotated, Refusal, idempotent: false);
command!(EnableWebhook, "enable", Webhook, Refusal, idempotent: true);
command!(ListWebhooks, "list", Vec<Webhook>, Refusal, idempotent: true);
command!(ListDeliveries, "list_deliveries", Vec<Delivery>, Refusal, idempotent: true);
command!(ReplayDelivery, "replay", bool, Refusal, idempotent: false);
messages! {
    /// What the desk understands.
    pub enum DeskMessage {
        CreateWebhook, ListWebhooks, DeleteWebhook, RotateSecret, EnableWebhook, ListDeliveries, ReplayDelivery,
    }
}
