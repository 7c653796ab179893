//! The bodies of requests: read within their size, their time and the memory that all of them have together.
//!
//! What must stay true: a body costs memory only as it arrives and not as it is announced, so that half-sent ones
//! keep nobody out; a body that comes drop by drop is given up long before the request's deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Front;
use crate::error::ApiError;

/// The memory that bodies may take, all together.
#[derive(Debug)]
pub struct Memory {
    left: Arc<Semaphore>,
    bytes: usize,
}

/// A body as a whole. The memory is given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self { left: Arc::new(Semaphore::new(bytes)), bytes }
    }

    /// The bytes that there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes that are taken.
    pub fn taken(&self) -> usize {
        self.bytes.saturating_sub(self.left.available_permits())
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.left).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }
}

/// Reads a body to its end.
pub(crate) async fn read(
    mut body: Incoming,
    limits: &Front,
    deadline: Instant,
    memory: &Memory,
) -> Result<Whole, ApiError> {
    let limit = limits.body;
    // One that says so itself need not be read for it.
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large(limit));
    }
    let patience = Instant::now() + limits.body_within;
    let mut whole = Whole::default();
    loop {
        let until = deadline.min(patience + earned(whole.bytes.len(), limits.body_rate));
        let frame = match tokio::time::timeout_at(until.into(), body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(whole),
            Ok(Some(Err(_))) => return Err(cut_short()),
            Err(_) => return Err(too_slow()),
        };
        // Trailers say nothing to us.
        let Ok(data) = frame.into_data() else { continue };
        if whole.bytes.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        let Some(taken) = memory.take(data.len()) else {
            tracing::debug!("the bodies under way take all the memory that they may");
            return Err(ApiError::unavailable("overloaded", "Too much to do at the moment"));
        };
        match &mut whole.taken {
            Some(before) => before.merge(taken),
            none => *none = Some(taken),
        }
        // Copied, for a piece of one byte would keep the whole buffer that it came in.
        whole.bytes.extend_from_slice(&data);
    }
}

/// How much longer one may take who has sent so many bytes.
fn earned(bytes: usize, rate: u64) -> Duration {
    Duration::from_millis(u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1000) / rate.max(1))
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("The body is larger than {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
}

fn cut_short() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "incomplete_body", "The body ended early, or is not well formed")
}

fn too_slow() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body came too slowly")
}
