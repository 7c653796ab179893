//! The operators' page.

use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// `GET /`: the page itself holds nothing secret; what it shows it fetches with the token.
pub async fn page(_: Request) -> Result<Response, ApiError> {
    Ok(response::page(include_str!("console.html")))
}
