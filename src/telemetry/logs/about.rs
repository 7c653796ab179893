//! What a line says besides its event: which span, request or job it was written for, from the OpenTelemetry context
//! in which it was written.

use actors::kit::cause::Cause;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanRef};

/// What is behind a line.
pub(super) struct About<'a> {
    /// The span in whose context it was written.
    pub(super) span: Option<&'a SpanContext>,
    cause: Option<&'a Cause>,
}

/// One thing that is said.
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

impl<'a> About<'a> {
    /// What the context says; `span` is its span.
    pub(super) fn of(context: &'a Context, span: &'a SpanRef<'_>) -> Self {
        Self { span: Some(span.span_context()).filter(|span| span.is_valid()), cause: context.get::<Cause>() }
    }

    /// Everything but the ids of the span, by name.
    pub(super) fn each(&self, mut say: impl FnMut(&'static str, Value<'_>)) {
        match self.cause {
            Some(Cause::Request(request)) => {
                say("request_id", Value::Text(&request.id));
                if let Some(user) = request.user.get() {
                    say("user.id", Value::Text(&user.to_string()));
                }
            }
            Some(Cause::Attempt { job, kind, number }) => {
                say("callboard.job.id", Value::Number(*job));
                say("callboard.job.kind", Value::Text(kind));
                say("callboard.job.attempt", Value::Number((*number).into()));
            }
            None => {}
        }
    }
}

/// What `tracing-log` puts among the fields of a record of the `log` crate, and what its metadata say again.
pub(super) fn is_metadata(field: &str) -> bool {
    matches!(field, "log.target" | "log.module_path" | "log.file" | "log.line")
}
