//! The desk: makes, lists, enables and deletes webhooks, replaces their secrets, shows their deliveries and has them
//! sent once more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{CreateWebhook, Created, DeleteWebhook, DeskMessage, EnableWebhook, ListDeliveries, ListWebhooks};
use super::message::{MOST_RETIRED, MOST_WEBHOOKS, OVERLAP, Refusal, ReplayDelivery, RotateSecret, Rotated};
use super::post::Post;
use super::signature::SigningSecret;
use super::store::{self, Replayed};
use crate::kit::command::{Answer, Outcome};
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Failure, Scope};

/// How long a name server may take while somebody waits.
const ADMIT_WITHIN: Duration = Duration::from_secs(3);

/// What answers the API.
pub(super) struct Desk {
    pub(super) postgres: Postgres,
    pub(super) post: Arc<dyn Post>,
}

impl Worker for Desk {
    type Message = DeskMessage;

    async fn handle(&self, message: DeskMessage, scope: Scope) -> Outcome {
        let (db, scope) = (&self.postgres, &scope);
        match message {
            DeskMessage::CreateWebhook(ask) => ask.serve(async |create| self.create(scope, create).await).await,
            DeskMessage::ListWebhooks(ask) => {
                ask.serve(async |ListWebhooks(user)| Ok(store::list(db, scope, user).await?)).await
            }
            DeskMessage::DeleteWebhook(ask) => {
                let delete = async |delete: DeleteWebhook| match store::delete(db, scope, delete).await? {
                    true => Ok(()),
                    false => Err(Failure::Refused(Refusal::NotFound)),
                };
                ask.serve(delete).await
            }
            DeskMessage::RotateSecret(ask) => ask.serve(async |rotate| self.rotate(scope, rotate).await).await,
            DeskMessage::EnableWebhook(ask) => {
                let enable = async |enable: EnableWebhook| {
                    store::enable(db, scope, enable).await?.ok_or(Failure::Refused(Refusal::NotFound))
                };
                ask.serve(enable).await
            }
            DeskMessage::ListDeliveries(ask) => {
                let list = async |list: ListDeliveries| {
                    store::list_deliveries(db, scope, list).await?.ok_or(Failure::Refused(Refusal::NotFound))
                };
                ask.serve(list).await
            }
            DeskMessage::ReplayDelivery(ask) => ask.serve(async |replay| self.replay(scope, replay).await).await,
        }
    }
}

impl Desk {
    async fn create(&self, scope: &Scope, create: CreateWebhook) -> Answer<CreateWebhook> {
        let deadline = scope.deadline.min(Instant::now() + ADMIT_WITHIN);
        self.post.admit(&create.url, deadline).await.map_err(|unfit| Failure::Refused(Refusal::Unfit(unfit)))?;
        let secret = SigningSecret::random();
        let mut connection = self.postgres.connection().await?;
        let tx = connection.begin().await?;
        // Two statements: the second one's snapshot has to be younger than the lock.
        if !store::lock_owner(&tx, scope, create.user).await? {
            return Err(Failure::Refused(Refusal::OwnerGone));
        }
        let made = store::create(&tx, scope, &create, &secret, MOST_WEBHOOKS).await?;
        let webhook = made.ok_or(Failure::Refused(Refusal::TooMany))?;
        tx.commit().await?;
        Ok(Created { webhook, secret })
    }

    async fn rotate(&self, scope: &Scope, rotate: RotateSecret) -> Answer<RotateSecret> {
        let secret = SigningSecret::random();
        let mut connection = self.postgres.connection().await?;
        let tx = connection.begin().await?;
        // As above: what has been replaced before is to be counted after the lock.
        if !store::lock_webhook(&tx, scope, rotate).await? {
            return Err(Failure::Refused(Refusal::NotFound));
        }
        let until = store::rotate_secret(&tx, scope, rotate.webhook, &secret, OVERLAP, MOST_RETIRED).await?;
        let previous_until = until.ok_or(Failure::Refused(Refusal::RotatedTooOften))?;
        tx.commit().await?;
        Ok(Rotated { secret, previous_until })
    }

    async fn replay(&self, scope: &Scope, replay: ReplayDelivery) -> Answer<ReplayDelivery> {
        let mut connection = self.postgres.connection().await?;
        let tx = connection.begin().await?;
        // Here as well: whether its last job is finished is to be seen after the lock.
        if !store::lock_delivery(&tx, scope, replay).await? {
            return Err(Failure::Refused(Refusal::DeliveryNotFound));
        }
        let replayed = store::replay(&tx, scope, replay.delivery).await?;
        tx.commit().await?;
        match replayed {
            Replayed::Queued => Ok(true),
            Replayed::UnderWay => Ok(false),
            Replayed::Disabled => Err(Failure::Refused(Refusal::Disabled)),
        }
    }
}
