//! The API's description and a page to read and try it, both in the binary.

use hyper::StatusCode;

use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// The API's description in OpenAPI 3.1.
pub fn document() -> String {
    "{}".to_owned()
}

/// `GET /api/openapi.json`
pub async fn openapi(_: Request) -> Result<Response, ApiError> {
    Ok(response::with_type(StatusCode::OK, "application/json", document()))
}

/// `GET /docs`
pub async fn page(_: Request) -> Result<Response, ApiError> {
    Ok(response::with_type(StatusCode::OK, "text/html; charset=utf-8", ""))
}
