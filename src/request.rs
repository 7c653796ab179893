//! A request on its way through the front: decoded as far as its handler asks for it.

use std::sync::Arc;

use actors::auth::Viewer;
use actors::kit::Caller;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use opentelemetry::KeyValue;

use crate::app::App;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::query::Query;

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
    body: Option<Incoming>,
}

impl Request {
    /// A request that has been routed.
    pub fn new(app: Arc<App>, head: Parts, body: Incoming, segments: Vec<String>, caller: Caller) -> Self {
        Self { app, head, segments, caller, body: Some(body) }
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
        let json = self.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json);
        if !json {
            let message = "The body must be JSON, with Content-Type: application/json";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
        }
        Fields::parse(&self.bytes().await?)
    }

    async fn bytes(&mut self) -> Result<Bytes, ApiError> {
        let Some(body) = self.body.take() else { return Ok(Bytes::new()) };
        let limit = self.app.config.limits.body;
        let read = Limited::new(body, limit).collect();
        match tokio::time::timeout_at(self.caller.deadline.into(), read).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let message = format!("The body is larger than {limit} bytes");
                Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message))
            }
            Ok(Err(_)) => Err(ApiError::new(StatusCode::BAD_REQUEST, "incomplete_body", "The body ended early")),
            Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body came too slowly")),
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
        let viewer = self.app.system.auth.authenticate(&self.caller, self.bearer()?).await?;
        self.caller.trace.set(|| [KeyValue::new("user.id", viewer.user.0)]);
        Ok(viewer)
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

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}
