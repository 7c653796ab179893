//! The only table from a domain's refusals and our own failures to HTTP. Internal detail is logged here,
//! once, and never reaches a client.

use std::borrow::Cow;

use actors::kit::{Failure, Fault};
use actors::throttle::TooMany;
use actors::{articles, auth, favorites, jobs, notifications, webhooks};
use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;

/// A field that was not fit, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Detail {
    /// The field's name in the body, the query or the path.
    pub field: Cow<'static, str>,
    /// What is wrong with it.
    pub message: String,
}

/// An answer that is not a success.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// A fixed word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: Cow<'static, str>,
    /// Every field that was not fit.
    pub details: Vec<Detail>,
    /// A header that goes with it.
    pub header: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error without details.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), header: None }
    }

    /// Fields that are not fit.
    pub fn validation(details: Vec<Detail>) -> Self {
        Self { details, ..Self::new(StatusCode::BAD_REQUEST, "validation_failed", "Some fields are not valid") }
    }

    /// One field that is not fit.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::validation(vec![Detail { field: field.into(), message: message.into() }])
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The path exists, the method does not; `allow` lists those that do.
    pub fn method_not_allowed(allow: &str) -> Self {
        let header = HeaderValue::from_str(allow).ok().map(|value| (ALLOW, value));
        Self { header, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed") }
    }

    /// The client takes nothing that we could answer in; nothing was done.
    pub fn not_acceptable(media: &'static str) -> Self {
        let message = format!("The answer would be {media}, which Accept leaves out");
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    }

    /// The body is not what we take; `header` says what that is.
    pub fn unsupported(header: HeaderName, taken: &'static str, message: &'static str) -> Self {
        let header = Some((header, HeaderValue::from_static(taken)));
        Self { header, ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message) }
    }

    /// Who asks is not known, or not any more.
    pub fn unauthorized(message: &'static str) -> Self {
        let header = Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        Self { header, ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message) }
    }

    /// Not now, but soon.
    pub fn unavailable(code: &'static str, message: &'static str) -> Self {
        let header = Some((RETRY_AFTER, HeaderValue::from_static("1")));
        Self { header, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// There were too many; there is room for one more after so many seconds.
    pub fn rate_limited(seconds: u64) -> Self {
        let message = match seconds {
            1 => "Too many of these; there is room again in a second".to_owned(),
            _ => format!("Too many of these; there is room again in {seconds} seconds"),
        };
        let header = Some((RETRY_AFTER, HeaderValue::from(seconds)));
        Self { header, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message) }
    }

    /// Something that should not happen.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side")
    }
}

/// Every failure that is not a refusal reads the same, whichever domain it comes from.
impl<R: Into<ApiError>> From<Failure<R>> for ApiError {
    fn from(failure: Failure<R>) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Overloaded(path) => {
                tracing::debug!(callboard.actor.path = %path, "a mailbox is full");
                Self::unavailable("overloaded", "Too much to do at the moment")
            }
            Failure::Died(path) => {
                tracing::warn!(callboard.actor.path = %path, "an actor died with a request in hand");
                Self::unavailable("interrupted", "Interrupted; whether it took effect is unknown")
            }
            // Logged, with the message's kind, by whoever asked.
            Failure::Poison(_) => Self::internal(),
            Failure::TooLate(path) => {
                tracing::warn!(callboard.actor.path = %path, "no answer before the deadline");
                Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", "It took too long")
            }
            Failure::Fault(fault) => fault.into(),
        }
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        if fault.is_passing() {
            tracing::warn!(exception.message = %fault, "a dependency is unavailable");
            return Self::unavailable("unavailable", "A part of the service is unavailable at the moment");
        }
        tracing::error!(exception.message = %fault, "a request failed");
        Self::internal()
    }
}

impl From<auth::Refusal> for ApiError {
    fn from(refusal: auth::Refusal) -> Self {
        match refusal {
            auth::Refusal::EmailTaken => {
                Self::new(StatusCode::CONFLICT, "email_taken", "This email address is already registered")
            }
            auth::Refusal::BadCredentials => {
                Self { code: "invalid_credentials", ..Self::unauthorized("Invalid email or password") }
            }
            auth::Refusal::InvalidToken => {
                Self { code: "invalid_token", ..Self::unauthorized("Invalid or expired token") }
            }
            auth::Refusal::NoSuchUser => Self::not_found("User not found"),
            auth::Refusal::NoSuchSession => Self::not_found("Session not found"),
            auth::Refusal::PasswordNamesOneself => Self::field("password", refusal.to_string()),
            auth::Refusal::PasswordRequired | auth::Refusal::WrongPassword => {
                Self::field("current_password", refusal.to_string())
            }
        }
    }
}

impl From<articles::Refusal> for ApiError {
    fn from(refusal: articles::Refusal) -> Self {
        match refusal {
            articles::Refusal::NotFound => Self::not_found("Article not found"),
            articles::Refusal::NotAuthor => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", "Only its author may do this")
            }
            articles::Refusal::AuthorGone => {
                Self { code: "invalid_token", ..Self::unauthorized("Invalid or expired token") }
            }
            articles::Refusal::NotExpected => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "The article is not as the request expects it; read it again",
            ),
            articles::Refusal::KeyInUse => Self {
                header: Some((RETRY_AFTER, HeaderValue::from_static("1"))),
                ..Self::new(
                    StatusCode::CONFLICT,
                    "idempotency_key_in_use",
                    "Another request with this key has not been answered yet",
                )
            },
            articles::Refusal::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This key was used to publish something else",
            ),
            articles::Refusal::NotDone => {
                Self::unavailable("unavailable", "A part of the service is unavailable at the moment")
            }
        }
    }
}

impl From<favorites::Refusal> for ApiError {
    fn from(refusal: favorites::Refusal) -> Self {
        match refusal {
            favorites::Refusal::NoSuchArticle => Self::not_found("Article not found"),
            favorites::Refusal::AlreadyFavorited => {
                Self::new(StatusCode::CONFLICT, "already_favorited", "You have already favorited this article")
            }
        }
    }
}

impl From<notifications::Refusal> for ApiError {
    fn from(refusal: notifications::Refusal) -> Self {
        match refusal {
            notifications::Refusal::NotFound => Self::not_found("Notification not found"),
            // A stream whose client is gone has its place for as long as it takes to notice that.
            notifications::Refusal::TooManyStreams => Self {
                header: Some((RETRY_AFTER, HeaderValue::from_static("15"))),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_streams",
                    "You have as many streams open as you may have",
                )
            },
        }
    }
}

impl From<webhooks::Refusal> for ApiError {
    fn from(refusal: webhooks::Refusal) -> Self {
        match refusal {
            webhooks::Refusal::NotFound => Self::not_found("Webhook not found"),
            webhooks::Refusal::DeliveryNotFound => Self::not_found("Delivery not found"),
            webhooks::Refusal::TooMany => {
                Self::new(StatusCode::CONFLICT, "too_many_webhooks", "You have as many webhooks as you may have")
            }
            webhooks::Refusal::RotatedTooOften => Self::new(
                StatusCode::CONFLICT,
                "rotated_too_often",
                "As many secrets before this one still sign as may",
            ),
            webhooks::Refusal::Unfit(unfit) => Self::field("url", unfit.to_string()),
            webhooks::Refusal::Disabled => {
                Self::new(StatusCode::CONFLICT, "webhook_disabled", "Its receiver wants no more messages")
            }
            webhooks::Refusal::OwnerGone => {
                Self { code: "invalid_token", ..Self::unauthorized("Invalid or expired token") }
            }
        }
    }
}

impl From<jobs::Refusal> for ApiError {
    fn from(refusal: jobs::Refusal) -> Self {
        match refusal {
            jobs::Refusal::NotFound => Self::not_found("There is no such job, or it is finished"),
            jobs::Refusal::NotADeadLetter => Self::not_found("There is no dead letter of this id"),
        }
    }
}

impl From<TooMany> for ApiError {
    fn from(TooMany(standing): TooMany) -> Self {
        Self::rate_limited(crate::throttling::seconds(standing.wait).max(1))
    }
}

impl From<std::convert::Infallible> for ApiError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
