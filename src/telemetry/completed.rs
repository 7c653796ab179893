//! The one line that there is for every request.

use actors::kit::Trace;
use tracing::Level;

use super::instruments::Completed;

/// What the event is called, here and over OTLP.
pub(crate) const COMPLETED: &str = "callboard.request.completed";

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
