//! A request on its way through the front: decoded as far as its handler asks for it.

use std::sync::{Arc, OnceLock};

use actors::auth::{Agent, Viewer};
use actors::kit::Caller;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;

use crate::app::App;
use crate::body::{self, Whole};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::proxies::ClientAddress;
use crate::query::Query;
use crate::response;
use crate::throttling::Noted;

/// A request and what is known about it.
pub struct Request {
    /// The service.
    pub app: Arc<App>,
    /// Its head.
    pub head: Parts,
    /// The variable segments of its path, in their order.
    pub segments: Vec<String>,
    /// Its trace and its deadline.
    pub caller: Caller,
    /// Where it comes from, as far as we can know.
    pub client: ClientAddress,
    /// How whoever asks stands with the limit that it counts against.
    pub noted: Noted,
    viewer: OnceLock<Viewer>,
    body: Option<Incoming>,
    /// Kept, for what was parsed of it is in memory for as long as the request is.
    whole: Whole,
}

impl Request {
    /// A request that has been routed.
    pub fn new(
        app: Arc<App>,
        head: Parts,
        body: Incoming,
        segments: Vec<String>,
        caller: Caller,
        client: ClientAddress,
        noted: Noted,
    ) -> Self {
        Self {
            app,
            head,
            segments,
            caller,
            client,
            noted,
            viewer: OnceLock::new(),
            body: Some(body),
            whole: Whole::default(),
        }
    }

    /// The first variable segment of the path.
    pub fn segment(&self) -> &str {
        self.segments.first().map_or("", String::as_str)
    }

    /// The first variable segment as an id.
    ///
    /// # Errors
    /// 404 when it cannot be one: then there is no such thing.
    pub fn id(&self, missing: &'static str) -> Result<i64, ApiError> {
        self.id_at(0, missing)
    }

    /// The variable segment at `position`, from 0, as an id.
    ///
    /// # Errors
    /// As [`Self::id`].
    pub fn id_at(&self, position: usize, missing: &'static str) -> Result<i64, ApiError> {
        let id = self.segments.get(position).and_then(|segment| segment.parse().ok());
        id.filter(|id| *id > 0).ok_or_else(|| ApiError::not_found(missing))
    }

    /// The parameters of the URL.
    pub fn query(&self) -> Query {
        Query::parse(self.head.uri.query())
    }

    /// The fields of the JSON body.
    ///
    /// # Errors
    /// When there is no such body, or it is too large, too slow or not JSON.
    pub async fn fields(&mut self) -> Result<Fields, ApiError> {
        self.is_json()?;
        if let Some(body) = self.body.take() {
            let limits = &self.app.config.limits.front;
            self.whole = body::read(body, limits, self.caller.deadline, &self.app.bodies).await?;
        }
        Fields::parse(&self.whole.bytes)
    }

    /// What the client calls itself.
    pub fn agent(&self) -> Agent {
        let header = self.head.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        Agent::cut(&header.unwrap_or_default())
    }

    /// # Errors
    /// When the body is said to be something else than JSON in UTF-8 as it is, or nothing is said.
    fn is_json(&self) -> Result<(), ApiError> {
        let headers = &self.head.headers;
        if !headers.get_all(CONTENT_ENCODING).iter().all(|coding| coding == "identity") {
            return Err(ApiError::unsupported(ACCEPT_ENCODING, "identity", "The body must come as it is, not encoded"));
        }
        match headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json) {
            true => Ok(()),
            false => {
                let message = "The body must be JSON, with Content-Type: application/json";
                Err(ApiError::unsupported(ACCEPT, response::JSON, message))
            }
        }
    }

    /// The access token that came with the request.
    ///
    /// # Errors
    /// 401 when there is none.
    pub fn bearer(&self) -> Result<&str, ApiError> {
        let token = self.head.headers.get(AUTHORIZATION).and_then(token);
        token.ok_or_else(|| ApiError::unauthorized("A bearer token is required"))
    }

    /// Who asks.
    ///
    /// # Errors
    /// 401 when it is nobody, or nobody any more.
    pub async fn viewer(&self) -> Result<Viewer, ApiError> {
        // Asked once for a request, and after it arrived.
        if let Some(viewer) = self.viewer.get() {
            return Ok(*viewer);
        }
        let viewer = self.app.system.auth.authenticate(&self.caller, self.bearer()?).await?;
        self.caller.trace.is_of(viewer.user.0);
        Ok(*self.viewer.get_or_init(|| viewer))
    }

    /// Who asks, if anybody says so.
    ///
    /// # Errors
    /// 401 when somebody says so who is not, or not any more.
    pub async fn viewer_if_any(&self) -> Result<Option<Viewer>, ApiError> {
        match self.head.headers.contains_key(AUTHORIZATION) {
            true => self.viewer().await.map(Some),
            false => Ok(None),
        }
    }
}

/// The token in the value of an `Authorization` header.
pub(crate) fn token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether this is JSON, in UTF-8 if anything is said of that.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let charset = charset.map_or("utf-8", |(_, value)| value.trim_matches('"'));
    essence.eq_ignore_ascii_case("application/json") && charset.eq_ignore_ascii_case("utf-8")
}
