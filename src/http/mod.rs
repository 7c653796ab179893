//! What HTTP asks of every answer, whichever handler made it: validators and conditions, what may be kept and by
//! whom, compression, other origins, and what browsers are told to leave alone.
//!
//! ```text
//! head ─▶ Asked ─▶ (handler) ─▶ finish: guards ─▶ other origins ─▶ keeping ─▶ tag ─▶ 304, or compression
//! ```
//!
//! What must stay true: an answer is kept by nobody unless it is one to GET or HEAD of the public API, and then it is
//! never used again without asking us, since a read answers with every write committed before it. Two answers with one
//! tag are the same bytes. What says `no-store` (errors, tokens, secrets) is neither tagged nor compressed: the length
//! of a compressed answer tells something of what is in it.

pub mod accept;
pub mod compression;
pub mod cors;
pub mod etag;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, ORIGIN, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::config::Config;
use crate::response::{Body, Response};
use crate::router::Audience;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Kept by nobody.
pub const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Kept by the reader alone, and not used again without asking us.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Kept by anybody, and not used again without asking us.
const ANYBODY: HeaderValue = HeaderValue::from_static("no-cache");

/// What of a request's head decides how its answer goes out.
pub struct Asked {
    audience: Audience,
    /// GET or HEAD: the answer is of use to caches.
    reads: bool,
    /// It says who asks, so that the answer is for them.
    personal: bool,
    gzip: bool,
    if_none_match: Option<HeaderValue>,
    origin: Option<HeaderValue>,
}

impl Asked {
    /// What this head asks for.
    pub fn of(head: &Parts, audience: Audience) -> Self {
        let headers = &head.headers;
        Self {
            audience,
            reads: matches!(head.method, Method::GET | Method::HEAD),
            personal: headers.contains_key(AUTHORIZATION),
            gzip: headers.contains_key(ACCEPT_ENCODING) && accept::gzip(headers),
            if_none_match: etag::joined(headers, &IF_NONE_MATCH),
            origin: headers.get(ORIGIN).cloned(),
        }
    }
}

/// Gives an answer what HTTP asks of every one.
pub async fn finish(mut response: Response, asked: Asked, config: &Config) -> Response {
    let headers = response.headers_mut();
    guard(headers);
    if asked.audience == Audience::Everyone {
        cors::expose(headers, asked.origin.as_ref(), &config.cors);
    }
    if !asked.reads || asked.audience == Audience::Operators {
        headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
        return response;
    }
    let keeping = headers.entry(CACHE_CONTROL).or_insert(if asked.personal { PRIVATE } else { ANYBODY });
    if *keeping == NO_STORE {
        return response;
    }
    vary(headers, &config.cors);
    if response.status() != StatusCode::OK {
        return response;
    }
    match response.into_parts() {
        (head, Either::Left(full)) => {
            let bytes = full.into_inner().unwrap_or_default();
            let mut response = Response::from_parts(head, Body::Left(Full::default()));
            let body = validate(&mut response, bytes, &asked, config.compress_from).await;
            *response.body_mut() = Body::Left(Full::new(body));
            response
        }
        (head, body) => Response::from_parts(head, body),
    }
}

/// Tags the answer and settles what its body is: nothing where the reader has it, else itself or something shorter.
async fn validate(response: &mut Response, bytes: Bytes, asked: &Asked, compress_from: usize) -> Bytes {
    let tag = response.headers_mut().entry(ETAG).or_insert_with(|| etag::of(&bytes));
    if let Some(theirs) = asked.if_none_match.as_ref().and_then(|list| etag::matching(list, tag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        let headers = response.headers_mut();
        headers.insert(ETAG, theirs);
        headers.remove(CONTENT_TYPE);
        headers.remove(CONTENT_LENGTH);
        return Bytes::new();
    }
    // A floor of 0 is none: nothing is compressed.
    if !asked.gzip || compress_from == 0 || bytes.len() < compress_from {
        return bytes;
    }
    let of_compressed = etag::of_gzip(tag);
    let Some(compressed) = compression::gzip(bytes.clone()).await else { return bytes };
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(ETAG, of_compressed);
    compressed
}

/// What browsers are told: our answers are not pages, not parts of others' pages, and exactly what they say they are.
fn guard(headers: &mut HeaderMap) {
    const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    // Pages have a policy of their own.
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
}

/// What of a request an answer depends on. Documents say so themselves: they are the same for everybody.
fn vary(headers: &mut HeaderMap, origins: &cors::Origins) {
    const USUAL: HeaderValue = HeaderValue::from_static("authorization, accept-encoding");
    headers.entry(VARY).or_insert(USUAL);
    if origins.are_some() {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
}
