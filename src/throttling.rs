//! Which limit an operation is under, and what its answers say about it.
//!
//! ```text
//! route table ─▶ admit (before the body is read) ─▶ handler ─▶ RateLimit-Policy, RateLimit on whatever it answers
//!                  └─ too many: 429 with Retry-After
//! ```
//!
//! The table says it for every method of every route, so that no handler can forget it. Only a login is counted by its
//! handler, since the account stands in the body. The headers are those of draft-ietf-httpapi-ratelimit-headers-10:
//! how much is left, and in how many seconds all of it will be there again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actors::auth::{self, Email};
use actors::kit::Failure;
use actors::throttle::{Attempt, Standing, TooMany};
use futures_util::FutureExt;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use crate::error::ApiError;
use crate::request::Request;
use crate::response::Response;

/// What a limit allows: `"writes";q=120;w=60`.
pub const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it: `"writes";r=119;t=12`.
pub const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Where it is noted how the caller stands, for the headers of the answer.
pub type Noted = Arc<OnceLock<Standing>>;

/// What an operation counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Nothing.
    Freely,
    /// A write of a user, who has to be signed in.
    Writes,
    /// A registration from an address.
    Registrations,
    /// A login into an account from an address, which its handler counts.
    Logins,
}

impl Limited {
    /// What a method counts as where the route table says nothing else.
    pub fn usually(method: &Method) -> Self {
        if method.is_safe() { Self::Freely } else { Self::Writes }
    }
}

/// Counts a request as what it is.
///
/// # Errors
/// 429 when there were too many; 401 when a write comes from nobody.
pub async fn admit(limited: Limited, request: &Request) -> Result<(), ApiError> {
    match limited {
        Limited::Freely | Limited::Logins => Ok(()),
        // In a box: reads are not counted, and each would carry two kilobytes of room for this.
        Limited::Writes | Limited::Registrations => counted(limited, request).boxed().await,
    }
}

async fn counted(limited: Limited, request: &Request) -> Result<(), ApiError> {
    let (throttle, caller) = (&request.app.system.throttle, &request.caller);
    let counted = match limited {
        Limited::Registrations => throttle.registration(caller, request.client.ip()).await,
        _ => throttle.write(caller, request.viewer().await?.user).await,
    };
    note(request, counted.as_ref().map_or_else(|TooMany(standing)| Some(*standing), |standing| *standing));
    Ok(counted.map(drop)?)
}

/// Counts an attempt to sign in; what it comes to has to be [`settle`]d.
///
/// # Errors
/// 429 when too many have failed.
pub async fn attempt(request: &Request, email: Option<&Email>) -> Result<Attempt, ApiError> {
    let attempt = request.app.system.throttle.login(&request.caller, request.client.ip(), email).await;
    if let Err(TooMany(standing)) = &attempt {
        note(request, Some(*standing));
    }
    Ok(attempt?)
}

/// Says what an attempt to sign in came to: only one with a wrong password counts.
pub async fn settle<T>(request: &Request, attempt: Attempt, outcome: &Result<T, Failure<auth::Refusal>>) {
    let standing = attempt.standing();
    match outcome {
        Ok(_) => note(request, attempt.succeeded(&request.caller).await),
        Err(Failure::Refused(auth::Refusal::BadCredentials)) => note(request, standing),
        Err(_) => attempt.withdrawn(&request.caller).await,
    }
}

fn note(request: &Request, standing: Option<Standing>) {
    if let Some(standing) = standing {
        // A request is counted once: nothing is noted there before.
        let _ = request.noted.set(standing);
    }
}

/// Says in an answer how the caller stands.
pub fn show(standing: &Standing, response: &mut Response) {
    let name = standing.policy.as_str();
    let (quota, window) = (standing.rate.quota(), standing.rate.window().as_secs());
    let (left, full) = (standing.remaining, seconds(standing.full_after));
    let fields =
        [(POLICY, format!("\"{name}\";q={quota};w={window}")), (LEFT, format!("\"{name}\";r={left};t={full}"))];
    for (header, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(header, value);
        }
    }
}

/// Whole seconds, rounded up: who comes back after them does not come too early.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
