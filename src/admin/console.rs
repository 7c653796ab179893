//! The operators' page, put together from its parts when the service is built.

use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// One page that loads nothing: its policy lets it run only what stands in it.
const PAGE: &str = concat!(
    include_str!("console/head.html"),
    "<style>\n",
    include_str!("console/style.css"),
    "</style>\n</head>\n<body>\n",
    include_str!("console/body.html"),
    "<script>\n",
    include_str!("console/ask.js"),
    include_str!("console/tree.js"),
    include_str!("console/jobs.js"),
    include_str!("console/job.js"),
    include_str!("console/restarts.js"),
    include_str!("console/events.js"),
    include_str!("console/page.js"),
    "</script>\n</body>\n</html>\n",
);

/// `GET /`: the page itself holds nothing secret; what it shows it fetches with the token.
pub async fn page(_: Request) -> Result<Response, ApiError> {
    Ok(response::page(PAGE))
}
