//! The instruments as Prometheus text.

use hyper::StatusCode;

use super::authorize;
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};
use crate::telemetry;

/// `GET /metrics`
pub async fn metrics(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    match request.app.telemetry.prometheus_text() {
        Ok(text) => Ok(response::with_type(StatusCode::OK, telemetry::PROMETHEUS, text)),
        Err(error) => {
            tracing::error!(exception.message = %error, "the metrics could not be encoded");
            Err(ApiError::internal())
        }
    }
}
