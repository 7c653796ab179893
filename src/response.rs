//! Responses: JSON, errors, empty ones, pages, streams of events.

use std::cell::RefCell;
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use http_body_util::{Either, Full, StreamBody};
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, LINK, VARY};
use serde::Serialize;

use crate::error::{ApiError, Detail};
use crate::http::{NO_STORE, etag};

/// What nearly everything is said in.
pub const JSON: &str = "application/json";

/// What a thread keeps of the memory that it encoded an answer in: more than a page of articles takes.
const SCRATCH_KEPT: usize = 64 * 1024;

thread_local! {
    /// Where this thread encodes answers. Before a text is written, room is made for six times its length, as much as it
    /// takes at the worst: had each answer memory of its own for that, it would be had from the system and given back.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Headers that most answers have, and a few more.
const USUAL_HEADERS: usize = 20;

/// What goes out.
pub type Response = hyper::Response<Body>;

/// A body that is there as a whole, or comes bit by bit.
pub type Body = Either<Full<Bytes>, StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// A response of any type.
pub fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    // For all that an answer gets on its way out, so that the map does not grow piece by piece.
    response.headers_mut().reserve(USUAL_HEADERS);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON response.
///
/// # Errors
/// Only when a value cannot be JSON, which none of ours is.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, ApiError> {
    Ok(with_type(status, JSON, encode(value)?))
}

/// A value as JSON, for those who look at the bytes before they go out. The same bytes as serde_json's, which looks at
/// each byte of a text by itself: that was an eighth of all instructions of reading an article.
///
/// # Errors
/// As [`json`].
pub fn encode(value: &impl Serialize) -> Result<Bytes, ApiError> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        let encoded = sonic_rs::to_writer(&mut *scratch, value);
        let bytes = Bytes::copy_from_slice(scratch);
        if scratch.capacity() > SCRATCH_KEPT {
            *scratch = Vec::new();
        }
        encoded.map(|()| bytes).map_err(|error| {
            tracing::error!(exception.message = %error, "a response could not be encoded");
            ApiError::internal()
        })
    })
}

/// A page of a list as it goes out: JSON, its tag, and links to the pages beside it.
pub struct Listed {
    body: Bytes,
    tag: HeaderValue,
    links: Vec<HeaderValue>,
}

impl Listed {
    /// Encodes a page.
    ///
    /// # Errors
    /// As [`json`].
    pub fn new(page: &impl Serialize, next: Option<&str>, previous: Option<&str>) -> Result<Self, ApiError> {
        let body = encode(page)?;
        let link = |(link, relation): (Option<&str>, _)| {
            HeaderValue::try_from(format!("<{}>; rel=\"{relation}\"", link?)).ok()
        };
        let links = [(next, "next"), (previous, "prev")].into_iter().filter_map(link).collect();
        Ok(Self { tag: etag::of(&body), body, links })
    }

    /// 200 with the page.
    pub fn respond(&self) -> Response {
        let mut response = with_type(StatusCode::OK, JSON, self.body.clone());
        response.headers_mut().insert(ETAG, self.tag.clone());
        for link in &self.links {
            response.headers_mut().append(LINK, link.clone());
        }
        response
    }
}

/// 200 with a page of a list.
///
/// # Errors
/// As [`json`].
pub fn list(page: &impl Serialize, next: Option<&str>, previous: Option<&str>) -> Result<Response, ApiError> {
    Listed::new(page, next, previous).map(|listed| listed.respond())
}

/// A document that is the same for everybody for as long as the process runs.
pub fn document(content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = with_type(StatusCode::OK, content_type, body);
    // A document of an older version would tell of another one: it is not used again without asking.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// 200 with JSON.
///
/// # Errors
/// As [`json`].
pub fn ok(value: &impl Serialize) -> Result<Response, ApiError> {
    json(StatusCode::OK, value)
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}

/// What our pages may do: run what stands in them and talk to the listener that they came from. Whatever a
/// hole in them lets in can load nothing and send nothing elsewhere.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page that holds all it needs.
pub fn page(html: &'static str) -> Response {
    let mut response = document("text/html; charset=utf-8", html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    response
}

/// Server-sent events, as they come. Nothing on the way is to keep or to gather them.
pub fn event_stream(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let frames = chunks.map(|chunk| Ok(Frame::data(chunk))).boxed();
    let mut response = Response::new(Either::Right(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The envelope that every error comes in.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorContent,
}

/// What an error says.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ErrorContent {
    /// A fixed word for programs.
    #[schema(example = "not_found")]
    pub code: String,
    /// A sentence for people.
    #[schema(example = "Article not found")]
    pub message: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status_code: u16,
    /// The trace of this request, for those who look into it.
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace_id: String,
    /// Every field that was not fit, when that is what is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// An error as a response.
pub fn error(error: ApiError, trace_id: &str) -> Response {
    let body = ErrorBody {
        error: ErrorContent {
            code: error.code.to_owned(),
            message: error.message.into_owned(),
            status_code: error.status.as_u16(),
            trace_id: trace_id.to_owned(),
            details: error.details,
        },
    };
    // Strings, numbers and lists of them are always JSON.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let mut response = with_type(error.status, JSON, body);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    if let Some((name, value)) = error.header {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn answers_are_the_bytes_that_serde_json_writes(
            texts in any::<BTreeMap<String, Option<String>>>(),
            plain in "[ -~]{0,200}",
            numbers in any::<(i64, u32, bool, Vec<i32>)>(),
            millis in prop::option::of(0.0..1e6_f64),
        ) {
            let value = (texts, plain, numbers, millis);
            prop_assert_eq!(encode(&value).ok(), serde_json::to_vec(&value).ok().map(Bytes::from));
        }
    }
}
