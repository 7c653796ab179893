//! Whether a request's head is one that we answer: its size, and whom it is meant for.
//!
//! hyper has bounds of its own, above these and refused below the API without an envelope. It also refuses what has
//! two readings: a `Content-Length` that differs from another, an encoding that is not `chunked`, a folded line.

use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{StatusCode, Version};

use crate::config::Front;
use crate::error::ApiError;

/// Checks a head.
///
/// # Errors
/// 414, 431, or 400 when it is not clear which host is asked.
pub(crate) fn check(head: &Parts, limits: &Front) -> Result<(), ApiError> {
    let uri = &head.uri;
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target + uri.authority().map_or(0, |authority| authority.as_str().len()) > limits.uri {
        let message = format!("The target of a request may have {} bytes", limits.uri);
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, "uri_too_long", message));
    }
    if head.headers.len() > limits.headers {
        let message = format!("A request may have {} headers", limits.headers);
        return Err(ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_headers", message));
    }
    let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > limits.head {
        let message = format!("The headers of a request may have {} bytes", limits.head);
        return Err(ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", message));
    }
    check_host(head)
}

/// Two hosts, or none where there has to be one, are read differently by different servers on the way (RFC 9112,
/// section 3.2).
fn check_host(head: &Parts) -> Result<(), ApiError> {
    let unfit = |message| Err(ApiError::new(StatusCode::BAD_REQUEST, "bad_host", message));
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version == Version::HTTP_11 => unfit("A request needs a Host"),
        (None, _) => Ok(()),
        (Some(_), Some(_)) => unfit("A request has one Host"),
        (Some(host), None) => {
            // It may be empty, where the target has no authority.
            let fit =
                host.is_empty() || Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'));
            if fit { Ok(()) } else { unfit("The Host is not one") }
        }
    }
}
