//! The operators' page.

use hyper::StatusCode;

use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// `GET /`: the page itself holds nothing secret; what it shows it fetches with the token.
pub async fn page(_: Request) -> Result<Response, ApiError> {
    Ok(response::with_type(StatusCode::OK, "text/html; charset=utf-8", include_str!("console.html")))
}
