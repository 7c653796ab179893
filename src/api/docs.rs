//! The API's description and a page to read and try it, both in the binary.

use std::sync::LazyLock;

use bytes::Bytes;

use super::openapi;
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// One page that loads nothing: its policy lets it run only what stands in it.
const PAGE: &str = concat!(
    include_str!("docs/head.html"),
    "<style>\n",
    include_str!("docs/style.css"),
    "</style>\n</head>\n<body>\n",
    include_str!("docs/body.html"),
    "<script>\n",
    include_str!("docs/describe.js"),
    include_str!("docs/try.js"),
    include_str!("docs/page.js"),
    "</script>\n</body>\n</html>\n",
);

/// The description is the same for as long as the process runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().into());

/// The API's description in OpenAPI 3.1.
pub fn document() -> String {
    openapi::json()
}

/// This description.
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "openapi", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, example = json!({"openapi": "3.1.0"})))
)]
pub async fn openapi(_: Request) -> Result<Response, ApiError> {
    Ok(response::document(response::JSON, DOCUMENT.clone()))
}

/// A page to read this description and try it.
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "service",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html",
        headers(
            ("Cache-Control" = String, description = "Asked for anew each time: it goes with this version."),
            ("Content-Security-Policy" = String, description = "What the page may do: nothing elsewhere."),
        ), example = "<!doctype html>…"))
)]
pub async fn page(_: Request) -> Result<Response, ApiError> {
    Ok(response::page(PAGE))
}
