//! Webhooks: where else people are told, and what became of it.

use actors::notifications::Kind;
use actors::webhooks::message::{CreateWebhook, DeleteWebhook, EnableWebhook, ListDeliveries, ListWebhooks};
use actors::webhooks::message::{ReplayDelivery, RotateSecret};
use actors::webhooks::{Attempt, Delivery, Webhook};
use hyper::StatusCode;
use serde::Serialize;
use time::{OffsetDateTime, UtcOffset};

use super::notifications::NotificationKind;
use super::refusals::{
    BadQuery, BodyRefusals, DeliveryNotFound, Failures, RotatedTooOften, TooManyWebhooks, Unauthorized,
    WebhookDisabled, WebhookNotFound,
};
use crate::error::ApiError;
use crate::query::encode_cursor;
use crate::request::Request;
use crate::response::{self, Response};

/// What the API says of a webhook that is not there.
const NO_WEBHOOK: &str = "Webhook not found";
const KINDS: [Kind; 3] = [Kind::ArticlePublished, Kind::ArticleFavorited, Kind::Followed];

/// What a webhook is made of; its words stand in the description only.
#[derive(utoipa::ToSchema)]
#[schema(description = "A webhook to be.")]
pub struct NewWebhook {
    /// Where messages are sent: `http` or `https`, without credentials, at a public address.
    #[schema(
        max_length = 2000,
        format = "uri",
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?:",
        example = "https://example.com/hooks/callboard"
    )]
    pub url: String,
    /// What it is told of; everything, unless said otherwise.
    #[schema(required = false, min_items = 1, example = json!(["article_published"]))]
    pub kinds: Option<Vec<NotificationKind>>,
}

/// Where somebody wants to be told.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookBody {
    /// Its id.
    pub id: i64,
    /// Where messages are sent.
    #[schema(example = "https://example.com/hooks/callboard")]
    pub url: String,
    /// What it is told of.
    #[schema(value_type = Vec<NotificationKind>)]
    pub kinds: Vec<&'static str>,
    /// Whether anything is sent. Not any more once its receiver has answered 410, until it is enabled.
    pub enabled: bool,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

/// A webhook that was just made.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookBody,
    /// What its messages are signed with. It is in no other answer.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
}

/// A secret that took the place of another one.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RotatedSecret {
    /// What messages are signed with from now on. It is in no other answer.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
    /// Until when they are signed with the one before as well.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub previous_until: OffsetDateTime,
}

/// All of somebody's webhooks.
#[derive(Serialize, utoipa::ToSchema)]
pub struct WebhookList {
    /// Oldest first; ten at most.
    pub webhooks: Vec<WebhookBody>,
}

/// One attempt to send a message.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct AttemptBody {
    /// Its number, from 1.
    pub attempt: i64,
    /// When it came to its end.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: OffsetDateTime,
    /// The status of the receiver's answer, if there was one.
    #[schema(required, example = 204)]
    pub status: Option<i32>,
    /// Why there was none.
    #[schema(required, example = json!(null))]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
}

/// How far a message got; its words stand in the description only.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case", description = "How far a message got.")]
pub enum DeliveryState {
    /// It is still to be sent, perhaps once more.
    Pending,
    /// The receiver took it.
    Delivered,
    /// All its attempts failed.
    Failed,
    /// The receiver wants no more messages.
    Gone,
}

/// A message to a webhook.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryBody {
    /// Its id; larger is newer.
    pub id: i64,
    /// To which webhook.
    pub webhook_id: i64,
    /// Of which notification, which may have been taken back since.
    pub notification_id: i64,
    /// What that is about.
    #[schema(value_type = NotificationKind)]
    pub kind: &'static str,
    /// Its `webhook-id`, the same in every attempt.
    #[schema(example = "msg_0f8fad5bd9cb469fa16570867728950e")]
    pub message_id: String,
    /// How far it got.
    #[schema(value_type = DeliveryState)]
    pub state: String,
    /// Its last twenty attempts, oldest first.
    pub attempts: Vec<AttemptBody>,
    /// When its notification came into being.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When it came to its end.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<OffsetDateTime>,
}

/// One page of deliveries, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<DeliveryBody>,
    /// The next page, relative to this server; null on the last one.
    #[schema(required, example = json!(null))]
    pub next: Option<String>,
}

/// What asking for a replay changed.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Replay {
    /// Whether the message is sent once more; not when it is still to be sent as it is.
    pub queued: bool,
}

impl From<Webhook> for WebhookBody {
    fn from(webhook: Webhook) -> Self {
        let kinds = webhook.kinds.iter().map(|kind| kind.as_str()).collect();
        let Webhook { id, url, enabled, created_at, .. } = webhook;
        Self { id, url, kinds, enabled, created_at }
    }
}

impl From<Attempt> for AttemptBody {
    fn from(made: Attempt) -> Self {
        let Attempt { attempt, at, status, error, duration_ms } = made;
        Self { attempt, at: at.to_offset(UtcOffset::UTC), status, error, duration_ms }
    }
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            webhook_id: delivery.webhook,
            notification_id: delivery.notification,
            kind: delivery.kind.as_str(),
            message_id: format!("msg_{}", delivery.message_id.simple()),
            state: delivery.state,
            attempts: delivery.attempts.into_iter().map(AttemptBody::from).collect(),
            created_at: delivery.created_at,
            finished_at: delivery.finished_at,
        }
    }
}

/// Have notifications sent to a URL as well.
///
/// Each is POSTed as `{"type": "notification.<kind>", "timestamp": …, "data": <the notification>}`, signed with the
/// secret of this answer by the Standard Webhooks specification. A message may come more than once, with the same
/// `webhook-id`; it is sent up to eight times until the receiver answers 2xx within fifteen seconds, after waits that
/// grow; `Retry-After` is heeded up to an hour. Redirects are failures, but for 307 and 308, of which three are
/// followed. 410 disables the webhook.
#[utoipa::path(
    post, path = "/api/webhooks", operation_id = "create_webhook", tag = "webhooks",
    security(("bearer" = [])),
    request_body = NewWebhook,
    responses(
        (status = 201, description = "The webhook, with its secret.", body = CreatedWebhook, links(
            ("deliveries" = (operation_id = "list_deliveries", parameters(("id" = "$response.body#/id")))),
            ("delete" = (operation_id = "delete_webhook", parameters(("id" = "$response.body#/id")))),
        )),
        BodyRefusals,
        (status = 401, response = Unauthorized),
        (status = 409, response = TooManyWebhooks),
        Failures,
    )
)]
pub async fn create(mut request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let mut fields = request.fields().await?;
    let url = fields.required("url", |url| Ok::<_, &str>(url.to_owned()));
    let kinds = fields.optional_list("kinds", |word| Kind::parse(word).ok_or("must list kinds of notifications"));
    if kinds.as_ref().is_some_and(Vec::is_empty) {
        fields.problem("kinds", "must not be empty");
    }
    let (url,) = fields.finish((url,))?;
    // Each once and in one order, however they were listed.
    let kinds = kinds.map_or(KINDS.to_vec(), |listed| KINDS.into_iter().filter(|kind| listed.contains(kind)).collect());
    let create = CreateWebhook { user, url, kinds };
    let created = request.app.system.webhooks.create(&request.caller, create).await?;
    let body = CreatedWebhook { webhook: created.webhook.into(), secret: created.secret.shown() };
    response::json(StatusCode::CREATED, &body)
}

/// List one's webhooks.
#[utoipa::path(
    get, path = "/api/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "One's webhooks, without their secrets.", body = WebhookList),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn list(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let webhooks = request.app.system.webhooks.list(&request.caller, ListWebhooks(user)).await?;
    response::ok(&WebhookList { webhooks: webhooks.into_iter().map(WebhookBody::from).collect() })
}

/// Delete a webhook, and all that is known of its deliveries.
#[utoipa::path(
    delete, path = "/api/webhooks/{id}", operation_id = "delete_webhook", tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "Which.", minimum = 1, example = 1)),
    responses(
        (status = 204, description = "It is deleted; nothing more is sent."),
        (status = 401, response = Unauthorized),
        (status = 404, response = WebhookNotFound),
        Failures,
    )
)]
pub async fn delete(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let delete = DeleteWebhook { user, webhook: request.id(NO_WEBHOOK)? };
    request.app.system.webhooks.delete(&request.caller, delete).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// Give a webhook another secret.
///
/// For a day, messages are signed with the one before as well: `webhook-signature` holds both signatures, the new one
/// first, with a space between them, so that the receiver can change its secret without losing a message.
#[utoipa::path(
    post, path = "/api/webhooks/{id}/secret", operation_id = "rotate_secret", tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "Which.", minimum = 1, example = 1)),
    responses(
        (status = 200, description = "The new secret.", body = RotatedSecret),
        (status = 401, response = Unauthorized),
        (status = 404, response = WebhookNotFound),
        (status = 409, response = RotatedTooOften),
        Failures,
    )
)]
pub async fn rotate_secret(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let rotate = RotateSecret { user, webhook: request.id(NO_WEBHOOK)? };
    let rotated = request.app.system.webhooks.rotate_secret(&request.caller, rotate).await?;
    let previous_until = rotated.previous_until.to_offset(UtcOffset::UTC);
    response::ok(&RotatedSecret { secret: rotated.secret.shown(), previous_until })
}

/// Have messages sent again to a webhook whose receiver had answered 410.
///
/// What would have been sent meanwhile is not; deliveries that ended with the 410 can be replayed.
#[utoipa::path(
    post, path = "/api/webhooks/{id}/enable", operation_id = "enable_webhook", tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "Which.", minimum = 1, example = 1)),
    responses(
        (status = 200, description = "The webhook; it is enabled, and may have been before.", body = WebhookBody),
        (status = 401, response = Unauthorized),
        (status = 404, response = WebhookNotFound),
        Failures,
    )
)]
pub async fn enable(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let enable = EnableWebhook { user, webhook: request.id(NO_WEBHOOK)? };
    let webhook = request.app.system.webhooks.enable(&request.caller, enable).await?;
    response::ok(&WebhookBody::from(webhook))
}

/// List a webhook's deliveries, newest first.
///
/// They are forgotten a month after they have come to their end, unless operators set another time.
#[utoipa::path(
    get, path = "/api/webhooks/{id}/deliveries", operation_id = "list_deliveries", tag = "webhooks",
    security(("bearer" = [])),
    params(
        ("id" = i64, Path, description = "Of which webhook.", minimum = 1, example = 1),
        ("limit" = Option<i64>, Query, description = "How many a page holds at most; 20 unless said otherwise.",
            minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "Where to go on: what `next` of the page before says."),
    ),
    responses(
        (status = 200, description = "A page of deliveries.", body = DeliveryPage,
            headers(("Link" = String, description = "The page after this one, as `next`."))),
        (status = 400, response = BadQuery),
        (status = 401, response = Unauthorized),
        (status = 404, response = WebhookNotFound),
        Failures,
    )
)]
pub async fn deliveries(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let webhook = request.id(NO_WEBHOOK)?;
    let mut query = request.query();
    let paging = query.paging();
    let query = query.finish()?;
    let list = ListDeliveries { user, webhook, before: paging.before, limit: paging.wanted() };
    let deliveries = request.app.system.webhooks.deliveries(&request.caller, list).await?;
    let (deliveries, more) = paging.cut(&deliveries);
    let last = deliveries.last().filter(|_| more).map(|delivery| delivery.id);
    let next = last.map(|id| query.link(request.head.uri.path(), paging.limit, ("cursor", &encode_cursor(id))));
    let page = DeliveryPage { deliveries: deliveries.iter().cloned().map(DeliveryBody::from).collect(), next };
    response::list(&page, page.next.as_deref(), None)
}

/// Send a message once more: the same bytes with the same `webhook-id`, up to eight times.
#[utoipa::path(
    post, path = "/api/webhooks/{id}/deliveries/{delivery}/replay", operation_id = "replay_delivery", tag = "webhooks",
    security(("bearer" = [])),
    params(
        ("id" = i64, Path, description = "Of which webhook.", minimum = 1, example = 1),
        ("delivery" = i64, Path, description = "Which delivery.", minimum = 1, example = 1),
    ),
    responses(
        (status = 200, description = "Nothing changed: it is still to be sent as it is.", body = Replay,
            example = json!({"queued": false})),
        (status = 202, description = "It is sent once more.", body = Replay, example = json!({"queued": true})),
        (status = 401, response = Unauthorized),
        (status = 404, response = DeliveryNotFound),
        (status = 409, response = WebhookDisabled),
        Failures,
    )
)]
pub async fn replay(request: Request) -> Result<Response, ApiError> {
    const NO_DELIVERY: &str = "Delivery not found";
    let user = request.viewer().await?.user;
    let (webhook, delivery) = (request.id(NO_DELIVERY)?, request.id_at(1, NO_DELIVERY)?);
    let replay = ReplayDelivery { user, webhook, delivery };
    let queued = request.app.system.webhooks.replay(&request.caller, replay).await?;
    response::json(if queued { StatusCode::ACCEPTED } else { StatusCode::OK }, &Replay { queued })
}
