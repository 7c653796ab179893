//! Around every request: the caller's trace goes on, a server span, a request id, the duration, one line
//! in the log, and an answer even when the handler panics.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actors::kit::cause::Cause;
use actors::kit::scope::Tally;
use actors::kit::{Caller, Trace};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};
use opentelemetry::trace::FutureExt as _;

use crate::app::App;
use crate::error::ApiError;
use crate::http::{self, Asked, accept};
use crate::outcome::{Telling, Unanswered};
use crate::proxies::ClientAddress;
use crate::request::Request;
use crate::response::{self, Response};
use crate::router::{Audience, Found, Route, Router};
use crate::server::head;
use crate::server_span::{self, Incoming as Told, known_method};
use crate::telemetry::instruments::{self, Completed};
use crate::telemetry::sampling::Begun;
use crate::telemetry::shown;
use crate::throttling::{self, Noted};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
/// What paths have, some of them each.
const EVERY_METHOD: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

/// Answers a request; never fails.
pub async fn answer(
    app: Arc<App>,
    router: &Router,
    request: hyper::Request<Incoming>,
    peer: ClientAddress,
) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let found = router.find(head.uri.path());
    let observed = found.as_ref().is_none_or(|found| found.route.observed);
    let matched = found.as_ref().map(|found| found.route);
    let route = matched.map(|route| route.pattern);
    let (method, version) = (head.method.clone(), head.version);
    let (id, asked) = (request_id(&head), Asked::of(&head, router.audience));
    let cause = Cause::request(shown(id.to_str().unwrap_or_default()));
    let client = app.config.trusted_proxies.client(peer, &head.headers);
    let tally = Arc::new(Tally::default());
    let begun = begin(&app, router.audience, &head, matched, (&id, client, cause), (observed, &tally));
    let trace = begun.trace().clone();
    // Only where no route says it.
    let path = if route.is_none() { shown(head.uri.path()).into_owned() } else { String::new() };
    let method_name = known_method(&method);
    let unanswered = Unanswered::new(Telling { begun, observed, method: method_name, route, path, started, tally });
    let caller = Caller { trace: trace.clone(), deadline: started + app.config.limits.request_within };
    let active = instruments::active(method_name);
    let noted = Noted::default();
    let from = (caller, client, router.audience);
    let answered = {
        // Here, and not within what is around it: each of these would have to move kilobytes.
        let handled = pin!(dispatch(Arc::clone(&app), head, body, found, from, Arc::clone(&noted)));
        let handled = AssertUnwindSafe(handled).catch_unwind();
        handled.with_context(trace.context().clone()).await.unwrap_or_else(|_| Err(ApiError::internal()))
    };
    let code = answered.as_ref().err().map(|error| error.code);
    let mut response = answered.unwrap_or_else(|error| response::error(error, &trace_id(&trace)));
    drop(active);
    response = http::finish(response, asked, &app.config).await;
    decorate(&mut response, id, &trace);
    if let Some(standing) = noted.get() {
        throttling::show(standing, &mut response);
    }
    if version < Version::HTTP_2 && !app.ready.load(Ordering::Relaxed) {
        // A stop has begun: the client goes elsewhere with its next request, before this connection is closed.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status();
    let completed = Completed {
        method: method_name,
        route,
        version: server_span::protocol_version(version),
        status,
        error: status.is_server_error().then_some(code.unwrap_or("unhealthy")),
        took: started.elapsed(),
    };
    unanswered.answered(&completed);
    instruments::completed(&completed);
    if method == Method::HEAD { without_body(response) } else { response }
}

async fn dispatch(
    app: Arc<App>,
    head: Parts,
    body: Incoming,
    found: Option<Found<'_>>,
    (caller, client, audience): (Caller, ClientAddress, Audience),
    noted: Noted,
) -> Result<Response, ApiError> {
    head::check(&head, &app.config.limits.front)?;
    let Some(Found { route, segments }) = found else {
        // It asks of the whole service, and of no path.
        if head.method == Method::OPTIONS && head.uri.path() == "*" {
            return Ok(options(&app, &head, EVERY_METHOD, audience));
        }
        return Err(ApiError::not_found("There is nothing at this path"));
    };
    if head.method == Method::OPTIONS {
        return Ok(options(&app, &head, &route.allow(), audience));
    }
    let operation = route.handler(&head.method);
    let (limited, handler) = operation.ok_or_else(|| ApiError::method_not_allowed(&route.allow()))?;
    // Before anything is done: who cannot read the answer would not know what was.
    if audience == Audience::Everyone && !accept::takes(&head.headers, route.media) {
        return Err(ApiError::not_acceptable(route.media));
    }
    let deadline = caller.deadline;
    let request = Request::new(app, head, body, segments, caller, client, noted);
    let handled = pin!(async {
        throttling::admit(limited, &request).await?;
        handler(request).await
    });
    // The actors keep to the deadline themselves; this is for everything between them.
    match tokio::time::timeout_at((deadline + Duration::from_millis(100)).into(), handled).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", "It took too long")),
    }
}

/// What may be done at a path; and, for a browser that asks on a page's behalf, by whom.
fn options(app: &App, head: &Parts, allow: &str, audience: Audience) -> Response {
    let mut response = response::empty(StatusCode::NO_CONTENT);
    if let Ok(allow) = HeaderValue::from_str(allow) {
        if audience == Audience::Everyone {
            http::cors::preflight(response.headers_mut(), &head.headers, &allow, &app.config.cors);
        }
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The request's span, or its ids alone: that is decided before anything is built.
fn begin(
    app: &App,
    audience: Audience,
    head: &Parts,
    route: Option<&Route>,
    (id, client, cause): (&HeaderValue, ClientAddress, Cause),
    (observed, tally): (bool, &Arc<Tally>),
) -> Begun {
    let tracing = &app.config.tracing;
    let parent = server_span::caller(&head.headers, tracing.propagation);
    let wanted = observed && !route.is_some_and(|route| tracing.excluded.covers(&head.method, route.pattern));
    app.telemetry.head.begin(parent, (Arc::clone(tally), cause), wanted, || {
        server_span::describe(&Told {
            head,
            method: known_method(&head.method),
            route: route.map(|route| route.pattern),
            name: route.and_then(|route| route.span(&head.method)),
            id,
            client: tracing.client_address.then_some(client),
            listener: match audience {
                Audience::Everyone => app.config.http_addr,
                Audience::Operators => app.config.admin_addr,
            },
        })
    })
}

fn trace_id(trace: &Trace) -> String {
    trace.span_context().trace_id().to_string()
}

/// The request's own id when it is 1 to 128 printable ASCII characters, else a new one.
fn request_id(head: &Parts) -> HeaderValue {
    let printable = |value: &&HeaderValue| {
        (1..=128).contains(&value.len()) && value.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte))
    };
    let given = head.headers.get(REQUEST_ID).filter(printable).cloned();
    given.unwrap_or_else(new_request_id)
}

/// An id of our own.
pub(crate) fn new_request_id() -> HeaderValue {
    let mut digits = uuid::Uuid::encode_buffer();
    let id = uuid::Uuid::new_v4().simple().encode_lower(&mut digits);
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("none"))
}

/// The headers that every answer has.
pub(crate) fn decorate(response: &mut Response, id: HeaderValue, trace: &Trace) {
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    if let Some(Ok(value)) = trace.traceparent().map(HeaderValue::try_from) {
        headers.insert(TRACERESPONSE, value);
    }
}

/// The answer to HEAD: the head that GET has, its length included.
fn without_body(response: Response) -> Response {
    use hyper::body::Body;
    let (mut head, body) = response.into_parts();
    let none = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(length) = body.size_hint().exact().filter(|_| !none) {
        head.headers.insert(hyper::header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, response::Body::Left(http_body_util::Full::default()))
}
