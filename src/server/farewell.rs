//! What a connection is told that is not let in.

use std::sync::Arc;
use std::time::Duration;

use actors::kit::Trace;
use actors::kit::trace::new_trace_id;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use opentelemetry::trace::TraceState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::response;

/// Who is told at once; beyond that they are sent away without a word.
const AT_ONCE: usize = 64;
/// How long a client may take to listen.
const WITHIN: Duration = Duration::from_secs(1);

/// Says farewell, to so many at once.
pub(super) struct Farewell(Arc<Semaphore>);

impl Farewell {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Tells a client that its address has as many connections as it may have.
    pub(super) fn say(&self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let _permit = permit;
            let telling = async {
                stream.write_all(&text()).await?;
                stream.shutdown().await?;
                // What it has sent is read, or the kernel would take the answer back.
                let mut waste = [0; 8 * 1024];
                while stream.read(&mut waste).await? > 0 {}
                std::io::Result::Ok(())
            };
            // A client that does not listen has nothing to miss.
            let _ = tokio::time::timeout(WITHIN, telling).await;
        });
    }
}

/// An answer to whatever the request would have been.
fn text() -> Vec<u8> {
    let message = "Too many connections from this address";
    let error = ApiError {
        header: Some((RETRY_AFTER, HeaderValue::from_static("1"))),
        ..ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", message)
    };
    let trace = Trace::unrecorded(new_trace_id(), TraceState::NONE, None);
    let mut response = response::error(error, &trace.span_context().trace_id().to_string());
    crate::observe::decorate(&mut response, crate::observe::new_request_id(), &trace);
    let (head, body) = response.into_parts();
    // It is there as a whole.
    let body = body.collect().now_or_never().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
    let mut text =
        format!("HTTP/1.1 {}\r\nconnection: close\r\ncontent-length: {}\r\n", head.status, body.len()).into_bytes();
    for (name, value) in &head.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(&body);
    text
}
