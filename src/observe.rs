//! Around every request: the caller's trace goes on, a server span, a request id, the duration, one line
//! in the log, and an answer even when the handler panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actors::kit::trace::{Span, Tally, parse_traceparent};
use actors::kit::{Caller, Trace};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};
use opentelemetry::trace::{FutureExt as _, SpanBuilder, SpanContext, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::app::App;
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};
use crate::router::{Found, Router};
use crate::telemetry::instruments::{self, Completed};
use crate::telemetry::shown;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: &str = "traceparent";
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
/// A statement that ran more often than this in one request is probably in a loop.
const N_PLUS_ONE: u32 = 5;

/// Answers a request; never fails.
pub async fn answer(app: Arc<App>, router: &Router, request: hyper::Request<Incoming>) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let found = router.find(head.uri.path());
    let observed = found.as_ref().is_none_or(|found| found.route.observed);
    let route = found.as_ref().map(|found| found.route.pattern);
    let (method, version) = (head.method.clone(), head.version);
    let id = request_id(&head);
    let tally = Arc::new(Tally::default());
    let remote = head.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parse_traceparent);
    let span = observed.then(|| server_span(&head, remote.as_ref(), route, &tally));
    let trace = span.as_ref().map_or_else(|| Trace::unrecorded(remote.as_ref()), |span| span.trace().clone());
    let trace_id = trace.span_context().trace_id().to_string();
    let caller = Caller { trace: trace.clone(), deadline: started + app.config.limits.request_within };
    let active = instruments::active(known_method(&method));
    let handled = AssertUnwindSafe(dispatch(Arc::clone(&app), head, body, found, caller)).catch_unwind();
    let answered = handled.with_context(trace.context().clone()).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => response::error(error, &trace_id),
        Err(_) => response::error(ApiError::internal(), &trace_id),
    };
    drop(active);
    decorate(&mut response, &id, &trace);
    if version < Version::HTTP_2 && !app.ready.load(Ordering::Relaxed) {
        // A stop has begun: the client goes elsewhere with its next request, before this connection is closed.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let completed =
        Completed { method: known_method(&method), route, status: response.status(), took: started.elapsed() };
    if let Some(span) = span {
        finish(span, &completed, &tally, &id);
    }
    instruments::completed(&completed);
    if method == Method::HEAD { without_body(response) } else { response }
}

async fn dispatch(
    app: Arc<App>,
    head: Parts,
    body: Incoming,
    found: Option<Found<'_>>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let Some(Found { route, segments }) = found else {
        return Err(ApiError::not_found("There is nothing at this path"));
    };
    if head.method == Method::OPTIONS {
        let mut response = response::empty(StatusCode::NO_CONTENT);
        if let Ok(allow) = HeaderValue::from_str(&route.allow()) {
            response.headers_mut().insert(hyper::header::ALLOW, allow);
        }
        return Ok(response);
    }
    let handler = route.handler(&head.method).ok_or_else(|| ApiError::method_not_allowed(&route.allow()))?;
    let deadline = caller.deadline;
    let handled = handler(Request::new(app, head, body, segments, caller));
    // The actors keep to the deadline themselves; this is for everything between them.
    match tokio::time::timeout_at((deadline + Duration::from_millis(100)).into(), handled).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", "It took too long")),
    }
}

fn server_span(head: &Parts, remote: Option<&SpanContext>, route: Option<&'static str>, tally: &Arc<Tally>) -> Span {
    let parent = remote.map(|span| Context::new().with_remote_span_context(span.clone())).unwrap_or_default();
    let method = known_method(&head.method);
    let mut attributes = Vec::with_capacity(8);
    attributes.push(KeyValue::new("http.request.method", method));
    attributes.push(KeyValue::new("url.path", shown(head.uri.path()).into_owned()));
    attributes.push(KeyValue::new("url.scheme", "http"));
    attributes.push(KeyValue::new("network.protocol.version", protocol_version(head.version)));
    if let Some(route) = route {
        attributes.push(KeyValue::new("http.route", route));
    }
    if let Some(agent) = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()) {
        attributes.push(KeyValue::new("user_agent.original", shown(agent).into_owned()));
    }
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes);
    Trace::new(parent, Some(Arc::clone(tally))).root(builder)
}

fn finish(span: Span, completed: &Completed, tally: &Tally, id: &HeaderValue) {
    let (statements, most) = tally.totals();
    span.trace().set(|| {
        [
            KeyValue::new("http.response.status_code", i64::from(completed.status.as_u16())),
            KeyValue::new("db.query_count", i64::from(statements)),
        ]
    });
    if most > N_PLUS_ONE {
        span.trace().set(|| [KeyValue::new("db.potential_n_plus_one", true)]);
    }
    if completed.status.is_server_error() {
        span.fail(completed.status.as_str().to_owned(), || "the request failed".to_owned());
    }
    let _current = span.trace().context().clone().attach();
    tracing::info!(
        request_id = &*shown(id.to_str().unwrap_or("")),
        http.method = completed.method,
        http.route = completed.route.unwrap_or(""),
        http.status = completed.status.as_u16(),
        duration_ms = completed.took.as_secs_f64() * 1e3,
        db.queries = statements,
        "request completed"
    );
}

/// The request's own id when it is 1 to 128 printable ASCII characters, else a new one.
fn request_id(head: &Parts) -> HeaderValue {
    let printable = |value: &&HeaderValue| {
        (1..=128).contains(&value.len()) && value.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte))
    };
    let given = head.headers.get(REQUEST_ID).filter(printable).cloned();
    given.unwrap_or_else(|| {
        HeaderValue::from_str(&uuid::Uuid::new_v4().simple().to_string()).unwrap_or(HeaderValue::from_static("none"))
    })
}

fn decorate(response: &mut Response, id: &HeaderValue, trace: &Trace) {
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    headers.insert(hyper::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(Ok(value)) = trace.traceparent().map(|text| HeaderValue::from_str(&text)) {
        headers.insert(TRACERESPONSE, value);
    }
}

/// The answer to HEAD: the head that GET has, its length included.
fn without_body(response: Response) -> Response {
    use hyper::body::Body;
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact().filter(|_| head.status != StatusCode::NO_CONTENT) {
        head.headers.insert(hyper::header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, response::Body::Left(http_body_util::Full::default()))
}

/// The method for spans and metrics, whose values have to be few.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}
