//! Webhooks: what people are told, sent to where they want it as well, by the Standard Webhooks specification.
//!
//! ```text
//! notification written ─trigger, same transaction▶ delivery + job ─▶ before: sign, post, log the attempt
//!                                                                  └▶ apply: settled, with the job's completion
//! ```
//!
//! The [`desk`] answers the API; [`deliver`] is what a delivery's job does. What must stay true: a delivery exists
//! if and only if its notification came into being; it is sent at least once, with the same id and the same bytes
//! however often; nothing is sent to an address that the front refuses; a secret is shown once, and one that was
//! replaced signs as well for a day. What is over is forgotten in its time.

mod deliver;
mod desk;
pub mod message;
mod payload;
mod post;
mod signature;
mod store;

use std::sync::Arc;
use std::time::Duration;

pub use message::{Attempt, Created, Delivery, Refusal, Rotated, Webhook};
use message::{CreateWebhook, DeleteWebhook, DeskMessage, EnableWebhook, ListDeliveries, ListWebhooks};
use message::{ReplayDelivery, RotateSecret};
pub use post::{Answered, Letter, Post, Undelivered, Unfit};
pub use signature::SigningSecret;

use crate::jobs::Effect;
use crate::kit::postgres::Postgres;
use crate::kit::retry::Backoff;
use crate::kit::{Caller, Endpoint, Failure};
use crate::supervision::{ChildSpec, child};

/// How webhooks are sent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What sends.
    pub post: Arc<dyn Post>,
    /// How failed attempts are held back.
    pub backoff: Backoff,
    /// Messages that are sent at once, in all processes together: receivers may be slow, and other jobs wait for the
    /// same hands.
    pub at_once: u32,
    /// Deliveries that are over are kept for this long, with their attempts.
    pub keep: Duration,
}

/// The domain, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    desk: Endpoint<DeskMessage>,
}

impl Webhooks {
    /// The domain's handle and its actors: `room` messages may wait, `hands` are worked on at once.
    pub fn new(settings: &Settings, postgres: &Postgres, room: usize, hands: usize) -> (Self, Vec<ChildSpec>) {
        let desk = Endpoint::new("webhooks/desk", "root/webhooks/desk", room);
        let worker = desk::Desk { postgres: postgres.clone(), post: Arc::clone(&settings.post) };
        let children = vec![child::pool(&desk, Arc::new(worker), hands)];
        (Self { desk }, children)
    }

    /// What this domain's jobs do.
    pub fn effects(settings: &Settings, postgres: &Postgres) -> Vec<Arc<dyn Effect>> {
        vec![Arc::new(deliver::Deliver::new(settings, postgres))]
    }

    /// Makes a webhook. Its secret is in this answer and in no other.
    ///
    /// # Errors
    /// [`Refusal::Unfit`], [`Refusal::TooMany`], [`Refusal::OwnerGone`].
    pub async fn create(&self, caller: &Caller, create: CreateWebhook) -> Result<Created, Failure<Refusal>> {
        self.desk.ask(caller, create).await
    }

    /// Somebody's webhooks, oldest first.
    ///
    /// # Errors
    /// None of its own.
    pub async fn list(&self, caller: &Caller, list: ListWebhooks) -> Result<Vec<Webhook>, Failure<Refusal>> {
        self.desk.ask(caller, list).await
    }

    /// Deletes a webhook with its deliveries.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn delete(&self, caller: &Caller, delete: DeleteWebhook) -> Result<(), Failure<Refusal>> {
        self.desk.ask(caller, delete).await
    }

    /// Gives a webhook another secret, which is in this answer and in no other. The one before signs as well for
    /// [`message::OVERLAP`].
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::RotatedTooOften`].
    pub async fn rotate_secret(&self, caller: &Caller, rotate: RotateSecret) -> Result<Rotated, Failure<Refusal>> {
        self.desk.ask(caller, rotate).await
    }

    /// Has messages sent to a webhook again; what came meanwhile is not made up for.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn enable(&self, caller: &Caller, enable: EnableWebhook) -> Result<Webhook, Failure<Refusal>> {
        self.desk.ask(caller, enable).await
    }

    /// A page of a webhook's deliveries, newest first.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn deliveries(&self, caller: &Caller, list: ListDeliveries) -> Result<Vec<Delivery>, Failure<Refusal>> {
        self.desk.ask(caller, list).await
    }

    /// Sends a delivery once more; `false` when it is under way as it is.
    ///
    /// # Errors
    /// [`Refusal::DeliveryNotFound`], [`Refusal::Disabled`].
    pub async fn replay(&self, caller: &Caller, replay: ReplayDelivery) -> Result<bool, Failure<Refusal>> {
        self.desk.ask(caller, replay).await
    }
}
