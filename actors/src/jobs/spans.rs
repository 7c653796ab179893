//! The spans of jobs, by the conventions for messaging.
//!
//! ```text
//! the write's hop, whose `traceparent` the job carries
//! ├─ send <kind>       the relay moves it to Redis, each time that it does
//! └─ process <kind>    an attempt, linked with the write's hop as well, and with the hop that brought it to the pool
//! ```
//!
//! The job carries its trace in PostgreSQL, so that nothing that Redis loses tears it. An attempt whose process died left
//! no span: whoever takes the job back makes the one that is missing.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanBuilder, SpanContext, SpanKind};

use super::message::{Job, JobError, State};
use super::store::{Lost, Unsent};
use super::stream::GROUP;
use crate::kit::Trace;
use crate::kit::cause::Cause;
use crate::kit::trace::Span;

/// A job's way to Redis.
pub(super) fn send(job: &Unsent) -> Span {
    Trace::from_traceparent(job.traceparent.as_deref()).child(|| {
        let attributes = about("send", &job.kind, job.sent.job);
        SpanBuilder::from_name(format!("send {}", job.kind)).with_kind(SpanKind::Producer).with_attributes(attributes)
    })
}

/// An attempt, in the trace of what caused the job; `hop` brought it here.
pub(super) fn process(job: &Job, hop: &Trace) -> Span {
    let creation = Trace::from_traceparent(job.traceparent.as_deref());
    let cause = Cause::Attempt { job: job.id, kind: job.kind.as_str().into(), number: job.attempt };
    let span = creation.clone().caused_by(cause).child(|| {
        let links = [creation.span_context(), hop.span_context()];
        attempt(&job.kind, job.id, job.attempt, &links)
    });
    span.owed()
}

/// An attempt that ended without a word, from its beginning to now.
pub(super) fn lost(job: &Lost) {
    let creation = Trace::from_traceparent(job.traceparent.as_deref());
    let span = creation.child(|| {
        let began = job.started_at.unwrap_or_else(SystemTime::now);
        attempt(&job.kind, job.id, job.attempt, &[creation.span_context()]).with_start_time(began)
    });
    let error_type = if job.died { "worker_died" } else { "attempt_lost" };
    span.trace().set(|| {
        [KeyValue::new("callboard.job.state", job.state.clone()), KeyValue::new("callboard.job.rescued", true)]
    });
    span.fail(error_type, || "the attempt was taken back".to_owned());
}

/// Says where the job stands after the attempt.
pub(super) fn came_to(span: &Span, state: State) {
    span.trace().set(|| [KeyValue::new("callboard.job.state", state.as_str())]);
    span.settle();
}

/// Says why the attempt failed. The error's own text can repeat what people wrote.
pub(super) fn failed(span: &Span, error: &JobError) {
    span.fail(error.error_type(), || "the attempt failed".to_owned());
    span.settle();
}

fn attempt(kind: &str, job: i64, attempt: i32, links: &[SpanContext]) -> SpanBuilder {
    let mut attributes = about("process", kind, job);
    attributes.push(KeyValue::new("messaging.consumer.group.name", GROUP));
    attributes.push(KeyValue::new("callboard.job.attempt", i64::from(attempt)));
    let links = links.iter().filter(|span| span.is_valid()).map(|span| Link::new(span.clone(), Vec::new(), 0));
    SpanBuilder::from_name(format!("process {kind}"))
        .with_kind(SpanKind::Consumer)
        .with_attributes(attributes)
        .with_links(links.collect())
}

fn about(operation: &'static str, kind: &str, job: i64) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(7);
    attributes.push(KeyValue::new("messaging.system", "redis"));
    attributes.push(KeyValue::new("messaging.operation.type", operation));
    attributes.push(KeyValue::new("messaging.operation.name", operation));
    attributes.push(KeyValue::new("messaging.destination.name", kind.to_owned()));
    attributes.push(KeyValue::new("messaging.message.id", job.to_string()));
    attributes
}
