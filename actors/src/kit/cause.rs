//! What work is done for: the request or the attempt of a job that is behind it, in the OpenTelemetry context that it is
//! done in. So every line that is written on the way can say so, without anybody's having to pass it on.
//!
//! What must stay true: it is read when a line is written and decides nothing.

use std::sync::{Arc, OnceLock};

/// What is behind some work.
#[derive(Debug, Clone)]
pub enum Cause {
    /// A request of a client.
    Request(Arc<Requested>),
    /// An attempt of a job.
    Attempt {
        /// The job's id.
        job: i64,
        /// Its kind.
        kind: Arc<str>,
        /// The attempt's number, from 1.
        number: i32,
    },
}

/// A request, as lines know it.
#[derive(Debug)]
pub struct Requested {
    /// What `X-Request-Id` says, as far as it may be shown.
    pub id: Box<str>,
    /// Whose it is, once that is known.
    pub user: OnceLock<i64>,
}

impl Cause {
    /// A request of this id, fit to be shown.
    pub fn request(id: impl Into<Box<str>>) -> Self {
        Self::Request(Arc::new(Requested { id: id.into(), user: OnceLock::new() }))
    }

    /// Notes whose request it is. The first who is known stays.
    pub fn is_of(&self, user: i64) {
        if let Self::Request(request) = self {
            let _ = request.user.set(user);
        }
    }
}
