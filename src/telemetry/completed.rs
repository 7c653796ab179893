//! The one line that there is for every request.

use std::time::Duration;

use actors::kit::Trace;
use tracing::Level;

use super::instruments::Completed;

/// What the event is called, here and over OTLP.
pub(crate) const COMPLETED: &str = "callboard.request.completed";

/// The `error.type` of a request whose client went away before its answer.
pub const CLIENT_GONE: &str = "client_gone";

/// A request that nobody waits for any more.
pub struct Abandoned<'a> {
    /// Its method, one of a few.
    pub method: &'static str,
    /// Its route's pattern.
    pub route: Option<&'static str>,
    /// Its path, where no route says it.
    pub path: &'a str,
    /// How long it was worked on.
    pub took: Duration,
    /// The statements that were run for it.
    pub statements: u32,
}

/// Writes the line of a request that has no answer: it is the same line, without a status.
pub fn abandoned(trace: &Trace, request: &Abandoned<'_>) {
    let _current = trace.context().clone().attach();
    tracing::event!(
        name: COMPLETED,
        Level::INFO,
        http.request.method = request.method,
        http.route = request.route,
        url.path = request.route.is_none().then_some(request.path),
        "error.type" = CLIENT_GONE,
        duration_ms = request.took.as_secs_f64() * 1e3,
        db.query_count = request.statements,
        "request completed"
    );
}

/// Writes the line, in the context of the request's span: which request it is, and whose, is said by that.
///
/// 500 is an error, for somebody must look; 503 and the like are warnings: we helped ourselves, or wait for somebody.
pub fn completed(trace: &Trace, request: &Completed, path: &str, statements: u32) {
    let _current = trace.context().clone().attach();
    let status = request.status.as_u16();
    // The level is part of what the compiler makes of the line.
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                name: COMPLETED,
                $level,
                http.request.method = request.method,
                http.route = request.route,
                // A raw path only where there is no route that says as much.
                url.path = request.route.is_none().then_some(path),
                http.response.status_code = status,
                "error.type" = request.error,
                duration_ms = request.took.as_secs_f64() * 1e3,
                db.query_count = statements,
                "request completed"
            )
        };
    }
    match status {
        500 => line!(Level::ERROR),
        501.. => line!(Level::WARN),
        _ => line!(Level::INFO),
    }
}
