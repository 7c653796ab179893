//! Every refusal of the public API in its description: one entry each, which the handlers refer to, with an
//! example for each word that `code` may be. The examples are made by the code that makes the answers.

use std::collections::{BTreeMap, BTreeSet};

use actors::{articles, auth, favorites, notifications, webhooks};
use hyper::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, Object, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoResponses, ToResponse, ToSchema};

use crate::error::ApiError;
use crate::response::{ErrorBody, ErrorContent};

/// What the description shows for a trace.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

macro_rules! refusals {
    ($($name:ident: $description:literal => [$($error:expr),* $(,)?];)+) => {
        $(
            #[doc = $description]
            pub struct $name;

            impl<'r> ToResponse<'r> for $name {
                fn response() -> (&'r str, RefOr<Response>) {
                    (stringify!($name), RefOr::T(describe($description, [$($error),*])))
                }
            }
        )+

        /// All of them, by name.
        pub(super) fn all() -> BTreeMap<String, RefOr<Response>> {
            [$($name::response()),+].into_iter().map(|(name, response)| (name.to_owned(), response)).collect()
        }
    };
}

refusals! {
    BadBody: "The body is not JSON, or some of its fields are not fit; `details` names every one of them." => [
        status(StatusCode::BAD_REQUEST, "invalid_json", "The body is not valid JSON: line 1, column 12"),
        status(StatusCode::BAD_REQUEST, "incomplete_body", "The body ended early"),
        ApiError::field("title", "must not be empty"),
    ];
    BadQuery: "Some parameters are not fit; `details` names every one of them." => [
        ApiError::field("limit", "must be a whole number from 1 to 100"),
    ];
    OneselfNotAllowed: "Nobody follows themselves." => [ApiError::field("id", "must not be your own")];
    Unauthorized: "There is no access token, or it is not valid, or not any more." => [
        ApiError::unauthorized("A bearer token is required"),
        auth::Refusal::InvalidToken.into(),
    ];
    BadCredentials: "The address is unknown or the password is wrong; the answer does not say which." => [
        auth::Refusal::BadCredentials.into(),
    ];
    BadRefreshToken: "The refresh token is not one of ours, is no longer valid, or was spent before. One that was \
                      spent before ends its session." => [auth::Refusal::InvalidToken.into()];
    NotTheAuthor: "Only its author may do this." => [articles::Refusal::NotAuthor.into()];
    UserNotFound: "There is no such user." => [auth::Refusal::NoSuchUser.into()];
    ArticleNotFound: "There is no such article." => [articles::Refusal::NotFound.into()];
    NotificationNotFound: "There is no such notification, or it is somebody else's." => [
        notifications::Refusal::NotFound.into(),
    ];
    WebhookNotFound: "There is no such webhook, or it is somebody else's." => [webhooks::Refusal::NotFound.into()];
    DeliveryNotFound: "There is no such delivery, or it is somebody else's." => [
        webhooks::Refusal::DeliveryNotFound.into(),
    ];
    BodyTooSlow: "The body did not arrive in time." => [
        status(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body came too slowly"),
    ];
    EmailTaken: "Somebody has registered this address." => [auth::Refusal::EmailTaken.into()];
    AlreadyFavorited: "One has favorited it before." => [favorites::Refusal::AlreadyFavorited.into()];
    TooManyWebhooks: "One has as many as anybody may have." => [webhooks::Refusal::TooMany.into()];
    WebhookDisabled: "Nothing is sent to it any more." => [webhooks::Refusal::Disabled.into()];
    BodyTooLarge: "The body is larger than 1 MiB." => [
        status(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is larger than 1048576 bytes"),
    ];
    HeadTooLarge: "The URL and the headers are larger than 64 KiB together, over HTTP/2 16 KiB, or the headers are more \
                   than a hundred. The answer has no body and none of our headers." => [];
    NotJson: "The body is not said to be JSON." => [status(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body must be JSON, with Content-Type: application/json",
    )];
    Internal: "Something went wrong on our side." => [ApiError::internal()];
    Unavailable: "Not now, but soon: too much to do, a dependency is away, or an actor died with the request in \
                  hand." => [
        ApiError::unavailable("overloaded", "Too much to do at the moment"),
        ApiError::unavailable("unavailable", "A part of the service is unavailable at the moment"),
        ApiError::unavailable("interrupted", "Interrupted; whether it took effect is unknown"),
    ];
    TooLate: "The deadline passed before there was an answer." => [
        status(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", "It took too long"),
    ];
}

/// What can befall every request that reaches an actor.
pub struct Failures;

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [refer::<Internal>(500), refer::<Unavailable>(503), refer::<TooLate>(504)].into()
    }
}

/// What can be wrong with a body.
pub struct BodyRefusals;

impl IntoResponses for BodyRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [refer::<BadBody>(400), refer::<BodyTooSlow>(408), refer::<BodyTooLarge>(413), refer::<NotJson>(415)].into()
    }
}

pub(super) fn refer<'r, R: ToResponse<'r>>(status: u16) -> (String, RefOr<Response>) {
    (status.to_string(), RefOr::Ref(Ref::from_response_name(R::response().0)))
}

fn status(status: StatusCode, code: &'static str, message: &'static str) -> ApiError {
    ApiError::new(status, code, message)
}

fn describe<const N: usize>(description: &str, errors: [ApiError; N]) -> Response {
    let mut response = ResponseBuilder::new().description(description);
    for (name, value) in errors.iter().filter_map(|error| error.header.clone()) {
        let value = Value::from(value.to_str().unwrap_or_default());
        let schema = ObjectBuilder::new().schema_type(Type::String).examples([value]).build();
        let everywhere = errors.iter().all(|error| error.header.as_ref().is_some_and(|(other, _)| *other == name));
        // utoipa knows no field for it.
        let required: Extensions = everywhere.then_some(("required", true)).into_iter().collect();
        let header = HeaderBuilder::new().schema(Some(schema)).extensions(Some(required)).build();
        response = response.header(titled(name.as_str()), header);
    }
    if errors.is_empty() {
        return response.build();
    }
    let no_store = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["no-store"])).build();
    let cache = HeaderBuilder::new().description(Some("An error is never kept.")).schema(Some(no_store));
    let cache = cache.extensions(Some([("required", true)].into_iter().collect())).build();
    response = response.header("Cache-Control", cache);
    let envelope = AllOfBuilder::new().item(Ref::from_schema_name(ErrorBody::name())).item(words(&errors));
    let content =
        ContentBuilder::new().schema(Some(envelope)).examples_from_iter(errors.into_iter().map(example)).build();
    response.content("application/json", content).build()
}

/// The words that `code` may be in this answer, and its status.
fn words(errors: &[ApiError]) -> Object {
    let codes: BTreeSet<_> = errors.iter().map(|error| error.code).collect();
    let statuses: BTreeSet<_> = errors.iter().map(|error| error.status.as_u16()).collect();
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
    let status = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some(statuses));
    let error = ObjectBuilder::new().property("code", code).property("status_code", status);
    ObjectBuilder::new().property("error", error).build()
}

/// A header's name as people write it: `retry-after` is `Retry-After`.
fn titled(name: &str) -> String {
    let part = |part: &str| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect();
    name.split('-').map(part).collect::<Vec<String>>().join("-").replace("Www-", "WWW-")
}

fn example(error: ApiError) -> (String, RefOr<Example>) {
    let ApiError { status, code, message, details, .. } = error;
    let content = ErrorContent {
        code: code.to_owned(),
        message: message.into_owned(),
        status_code: status.as_u16(),
        trace_id: TRACE_ID.to_owned(),
        details,
    };
    let example = ExampleBuilder::new().value(Some(json!(ErrorBody { error: content })));
    (code.to_owned(), RefOr::T(example.build()))
}
