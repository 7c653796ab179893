//! What parses bytes from outside and has no public name of its own, for those who throw anything at it: the property
//! tests (`tests/parsers.rs`) and the fuzz targets (`fuzz/`). Nothing else is to use it.

use std::net::IpAddr;

use hyper::header::HeaderValue;

use crate::api::{preferences, stream};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::request;
use crate::webhooks::{Target, is_public};

/// The token in the value of an `Authorization` header.
pub fn bearer(value: &[u8]) -> Option<String> {
    let value = HeaderValue::from_bytes(value).ok()?;
    request::token(&value).map(str::to_owned)
}

/// The number in the value of a `Last-Event-ID` header; `Some(None)` in an empty one.
pub fn last_event_id(value: &[u8]) -> Option<Option<i64>> {
    stream::position(value).ok()
}

/// How many kinds of notification a body switches.
///
/// # Errors
/// What is wrong with it.
pub fn preferences(body: &[u8]) -> Result<usize, ApiError> {
    preferences::wanted(Fields::parse(body)?).map(|wanted| wanted.len())
}

/// Where a webhook leads.
#[derive(Debug, PartialEq, Eq)]
pub struct Destination {
    /// Name or address of its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether a message may be sent there, where the host is an address.
    pub public: Option<bool>,
}

/// Where a URL leads that is fit for a webhook, as far as that can be seen by looking at it.
pub fn webhook(url: &str) -> Option<Destination> {
    let target = Target::parse(url).ok()?;
    let host = target.server_name();
    let public = host.parse::<IpAddr>().ok().map(is_public);
    Some(Destination { port: target.port(), public, host })
}
