//! The span of a request, by the conventions for HTTP servers: what is known of it when it comes, and what it came to.
//!
//! What must stay true: no value of a query, no header but those named here, and nothing of unbounded length. What
//! clients chose goes through [`shown`].

use std::borrow::Cow;
use std::net::SocketAddr;

use actors::kit::scope::Tally;
use actors::kit::trace::{Span, parse_traceparent, with_tracestate};
use hyper::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Version};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanContext, SpanKind};

use crate::config::Propagation;
use crate::proxies::ClientAddress;
use crate::telemetry::instruments::Completed;
use crate::telemetry::shown;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// The longest path, and name of an agent, in characters.
const LONG: usize = 512;
/// The longest name of a host (RFC 1035), and of a method that is none.
const SHORT: usize = 253;

/// The caller's span, if it has one and that counts here.
pub(crate) fn caller(headers: &HeaderMap, propagation: Propagation) -> Option<SpanContext> {
    if propagation == Propagation::None {
        return None;
    }
    let span = parse_traceparent(headers.get(TRACEPARENT)?.to_str().ok()?)?;
    let states: Vec<&str> = headers.get_all(TRACESTATE).iter().filter_map(|value| value.to_str().ok()).collect();
    Some(if states.is_empty() { span } else { with_tracestate(span, &states.join(",")) })
}

/// What is known of a request before it is worked on.
pub(crate) struct Incoming<'a> {
    pub(crate) head: &'a Parts,
    /// The method, if it is one of few.
    pub(crate) method: &'static str,
    pub(crate) route: Option<&'static str>,
    /// What the route calls spans of this method, if it does.
    pub(crate) name: Option<&'static str>,
    /// The request's id, ours or the client's.
    pub(crate) id: &'a HeaderValue,
    /// Whom it came from, where the settings have spans say so.
    pub(crate) client: Option<ClientAddress>,
    /// Where we listen, for requests that do not say whom they mean.
    pub(crate) listener: SocketAddr,
}

/// The span of a request.
pub(crate) fn describe(incoming: &Incoming<'_>) -> SpanBuilder {
    let Incoming { head, method, route, name, id, client, listener } = incoming;
    let (host, port) = asked(head).unwrap_or_else(|| (listener.ip().to_string(), Some(listener.port())));
    let mut attributes = Vec::with_capacity(16);
    attributes.push(KeyValue::new("http.request.method", *method));
    if *method == OTHER {
        attributes.push(KeyValue::new("http.request.method_original", told(head.method.as_str(), SHORT)));
    }
    attributes.push(KeyValue::new("url.path", told(head.uri.path(), LONG)));
    attributes.push(KeyValue::new("url.scheme", "http"));
    attributes.push(KeyValue::new("server.address", host));
    if let Some(port) = port {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    attributes.push(KeyValue::new("network.protocol.version", protocol_version(head.version)));
    attributes.push(KeyValue::new("callboard.request.id", told(id.to_str().unwrap_or_default(), LONG)));
    if let Some(client) = client {
        attributes.push(KeyValue::new("client.address", client.to_string()));
    }
    if let Some(route) = route {
        attributes.push(KeyValue::new("http.route", *route));
    }
    if let Some(agent) = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()) {
        attributes.push(KeyValue::new("user_agent.original", told(agent, LONG)));
    }
    // Names are few, whatever clients send.
    let method: &'static str = if *method == OTHER { "HTTP" } else { method };
    let name = match (name, route) {
        (Some(name), _) => Cow::Borrowed(*name),
        (None, Some(route)) => format!("{method} {route}").into(),
        (None, None) => method.into(),
    };
    SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes)
}

/// Says what a request came to. What clients do wrong is no error of ours.
pub(crate) fn conclude(span: &Span, completed: &Completed, tally: &Tally) {
    span.trace().set(|| {
        [
            KeyValue::new("http.response.status_code", i64::from(completed.status.as_u16())),
            KeyValue::new("db.query_count", i64::from(tally.statements())),
        ]
    });
    if tally.repeats() {
        span.trace().set(|| [KeyValue::new("db.potential_n_plus_one", true)]);
    }
    if let Some(error) = completed.error {
        span.fail(error, || "the request failed".to_owned());
    }
}

/// Whom the request means: host and port, as far as it says so.
fn asked(head: &Parts) -> Option<(String, Option<u16>)> {
    let host = || Authority::try_from(head.headers.get(HOST)?.as_bytes()).ok();
    let authority = head.uri.authority().cloned().or_else(host)?;
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    (!name.is_empty() && name.len() <= SHORT).then(|| (shown(&name).into_owned(), authority.port_u16()))
}

/// Text that a client chose, as it may be told.
fn told(text: &str, longest: usize) -> String {
    let text = shown(text);
    // Characters are no more than bytes: most texts need not be looked at.
    let end = if text.len() > longest { text.char_indices().nth(longest) } else { None };
    match end {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text.into_owned(),
    }
}

/// What stands for methods that are none of HTTP's.
const OTHER: &str = "_OTHER";

/// The method for spans and metrics, whose values have to be few.
pub(crate) fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => OTHER,
    }
}

pub(crate) fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn described(request: hyper::http::request::Builder) -> (String, Vec<String>) {
        let Ok((head, ())) = request.body(()).map(Request::into_parts) else { unreachable!() };
        let id = HeaderValue::from_static("an-id");
        let method = known_method(&head.method);
        let listener = SocketAddr::from(([127, 0, 0, 1], 8000));
        let builder =
            describe(&Incoming { head: &head, method, route: None, name: None, id: &id, client: None, listener });
        let attributes = builder.attributes.unwrap_or_default();
        (builder.name.into_owned(), attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect())
    }

    fn says(request: hyper::http::request::Builder, expected: &[&str]) {
        let (_, attributes) = described(request);
        for pair in expected {
            assert!(attributes.iter().any(|attribute| attribute == pair), "{pair} is not in {attributes:?}");
        }
    }

    #[test]
    fn a_request_says_whom_it_means_or_the_listener_does() {
        let to = |host: &str| Request::get("/a").header(HOST, host);
        says(to("API.example.com:8443"), &["server.address=api.example.com", "server.port=8443"]);
        says(to("[2001:db8::1]:80"), &["server.address=2001:db8::1", "server.port=80"]);
        says(to("alice@example.com"), &["server.address=example.com"]);
        for unfit in ["", "a b", &"x".repeat(300)] {
            says(to(unfit), &["server.address=127.0.0.1", "server.port=8000"]);
        }
        says(Request::get("http://from.target/a").header(HOST, "other"), &["server.address=from.target"]);
    }

    #[test]
    fn what_clients_choose_is_bounded_and_cleaned_and_queries_are_not_told() {
        let long = "x".repeat(9000);
        let (name, attributes) = described(
            Request::builder()
                .method("BREW-alice@example.com".replace('@', "-at-").as_str())
                .uri(format!("/users/alice%40example.com/{long}?token=secret"))
                .header(USER_AGENT, format!("agent (alice@example.com) {long}")),
        );
        assert_eq!(name, "HTTP");
        let all = attributes.join("\n");
        assert!(!all.contains("secret") && !all.contains("alice@") && !all.contains("alice%40"), "{all}");
        assert!(attributes.iter().all(|attribute| attribute.len() < 600), "{all}");
        assert!(
            all.contains("http.request.method=_OTHER") && all.contains("http.request.method_original=BREW"),
            "{all}"
        );
    }
}
