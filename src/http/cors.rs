//! Pages of other origins: which may call the API from a browser, and what they may send and see.
//!
//! Who somebody is stands in a header that the page itself sets, never in a cookie: so there is nothing here of
//! credentials, and a page that is let in can do no more than whoever runs it could without a browser.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};

/// What they may send.
const TAKEN: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, traceparent, tracestate, \
     x-request-id",
);
/// What they may see of an answer besides what browsers show anyway.
const SHOWN: HeaderValue = HeaderValue::from_static(
    "etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, retry-after, traceresponse, www-authenticate, \
     x-request-id",
);
/// Seconds for which a browser need not ask again.
const GOOD_FOR: HeaderValue = HeaderValue::from_static("600");

/// The origins whose pages may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// None but our own.
    #[default]
    None,
    /// Any.
    Any,
    /// These.
    These(Vec<HeaderValue>),
}

impl Origins {
    /// A list of origins, with commas between them, or `*`.
    ///
    /// # Errors
    /// In words, when an entry is not an origin as browsers write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = || text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        if entries().eq(["*"]) {
            return Ok(Self::Any);
        }
        let origins: Result<Vec<_>, String> = entries().map(origin).collect();
        origins.map(|origins| if origins.is_empty() { Self::None } else { Self::These(origins) })
    }

    /// Whether answers depend on the origin that asks.
    pub fn are_some(&self) -> bool {
        matches!(self, Self::These(_))
    }

    /// What is answered to this origin, if its pages may call.
    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::These(origins) => origins.contains(origin).then(|| origin.clone()),
        }
    }
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let wanted = || format!("holds {text:?}, which is not an origin like https://app.example.com, or * alone");
    let url = url::Url::parse(text).map_err(|_| wanted())?;
    // As a browser writes it: in lower case, without a path, without the port that goes without saying. A star in a
    // name would stand for itself, and for nobody.
    let web = matches!(url.scheme(), "http" | "https") && !text.contains('*');
    let same = web && url.origin().ascii_serialization() == text;
    HeaderValue::from_str(text).ok().filter(|_| same).ok_or_else(wanted)
}

/// Lets the page that asks see the answer, if it may.
pub fn expose(headers: &mut HeaderMap, origin: Option<&HeaderValue>, origins: &Origins) {
    if let Some(allowed) = origin.and_then(|origin| origins.allow(origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
    }
}

/// What a browser is told that asks before it sends: `methods` are those of the path.
pub fn preflight(answer: &mut HeaderMap, asked: &HeaderMap, methods: &HeaderValue, origins: &Origins) {
    if *origins == Origins::None {
        return;
    }
    let vary = "origin, access-control-request-method, access-control-request-headers";
    answer.insert(VARY, HeaderValue::from_static(vary));
    let allowed = asked.get(ORIGIN).is_some_and(|origin| origins.allow(origin).is_some());
    if allowed && asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, TAKEN);
        answer.insert(ACCESS_CONTROL_MAX_AGE, GOOD_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        assert_eq!(Origins::parse(""), Ok(Origins::None));
        assert_eq!(Origins::parse(" * "), Ok(Origins::Any));
        let both = ["https://app.example.com", "http://localhost:3000"].map(HeaderValue::from_static).to_vec();
        assert_eq!(Origins::parse("https://app.example.com, http://localhost:3000"), Ok(Origins::These(both)));
        for wrong in [
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://app.example.com:443",
            "https://app.example.com/path",
            "https://user@app.example.com",
            "https://*.example.com",
            "ftp://app.example.com",
            "null",
            "*, https://app.example.com",
        ] {
            assert!(Origins::parse(wrong).is_err(), "{wrong}");
        }
    }
}
