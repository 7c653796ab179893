//! Spans: the only place where the actors make them.
//!
//! Spans on a request's path are made directly with the OpenTelemetry API, which costs a third of a
//! `tracing` span, and their parent travels explicitly, in the message. Whether a trace is sampled is
//! decided once, at its root: below an unsampled root no span, name or attribute is ever built.
//!
//! ```text
//! server span ─▶ Trace ─▶ hop span, begun when the message is sent ─▶ Scope ─▶ statement spans
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue, global};

use super::cause::Cause;

/// Resolved on first use, so the tracer provider has to be set before the first request.
static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer("callboard"));

/// How often each statement ran for one request.
#[derive(Debug, Default)]
pub struct Tally(Mutex<HashMap<&'static str, u32>>);

impl Tally {
    fn count(&self, statement: &'static str) {
        if let Ok(mut counts) = self.0.lock() {
            *counts.entry(statement).or_default() += 1;
        }
    }

    /// Statements in all, and the most that a single one ran.
    pub fn totals(&self) -> (u32, u32) {
        self.0.lock().map_or((0, 0), |counts| (counts.values().sum(), counts.values().copied().max().unwrap_or(0)))
    }
}

/// Where in which trace some work belongs. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trace {
    context: Context,
    tally: Option<Arc<Tally>>,
}

impl Trace {
    /// Work below `context`'s active span (or remote parent), its statements counted into `tally`.
    pub fn new(context: Context, tally: Option<Arc<Tally>>) -> Self {
        Self { context, tally }
    }

    /// A trace with ids and nothing else: for work that is named in answers and logs, and makes no spans.
    pub fn unrecorded(parent: Option<&SpanContext>) -> Self {
        let trace_id = parent.map_or_else(|| TraceId::from_bytes(rand::random()), SpanContext::trace_id);
        let span_id = SpanId::from_bytes(rand::random());
        let ids = SpanContext::new(trace_id, span_id, TraceFlags::default(), false, TraceState::default());
        Self { context: Context::new().with_remote_span_context(ids), tally: None }
    }

    /// Work below a span that was started, and may have ended, elsewhere.
    pub fn below(span: &SpanContext) -> Self {
        Self { context: Context::new().with_remote_span_context(span.clone()), tally: None }
    }

    /// The same place in the same trace, for which this is behind the work.
    #[must_use]
    pub fn caused_by(self, cause: Cause) -> Self {
        Self { context: self.context.with_value(cause), ..self }
    }

    /// Notes whose the request behind the work is.
    pub fn is_of(&self, user: i64) {
        if let Some(cause) = self.context.get::<Cause>() {
            cause.is_of(user);
        }
        self.set(|| [KeyValue::new("user.id", user)]);
    }

    /// The OpenTelemetry context, to correlate logs with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The ids of the span that this points at.
    pub fn span_context(&self) -> SpanContext {
        self.context.span().span_context().clone()
    }

    /// Whether spans below this one are made at all.
    pub fn is_sampled(&self) -> bool {
        self.context.has_active_span() && self.context.span().span_context().is_sampled()
    }

    /// Adds attributes to the span that this points at; `attributes` is not called when unsampled.
    pub fn set<const N: usize>(&self, attributes: impl FnOnce() -> [KeyValue; N]) {
        let span = self.context.span();
        if span.is_recording() {
            span.set_attributes(attributes());
        }
    }

    /// Starts a span whose trace may be new, deciding about sampling.
    pub fn root(&self, builder: SpanBuilder) -> Span {
        let span = TRACER.build_with_context(builder, &self.context);
        Span { trace: Self { context: self.context.with_span(span), tally: self.tally.clone() }, own: true }
    }

    /// Starts a span below this one; `builder` is not called when unsampled.
    pub fn child(&self, builder: impl FnOnce() -> SpanBuilder) -> Span {
        if !self.is_sampled() {
            return Span { trace: self.clone(), own: false };
        }
        self.root(builder())
    }

    /// Starts the span of a message's way to an actor and of the work on it.
    pub fn hop(&self, pool: &'static str, path: &Arc<str>, message: &'static str) -> Span {
        self.child(|| {
            SpanBuilder::from_name(format!("actor {pool} {message}")).with_kind(SpanKind::Internal).with_attributes([
                KeyValue::new("callboard.actor.path", Arc::clone(path)),
                KeyValue::new("callboard.actor.message", message),
            ])
        })
    }

    /// The W3C `traceparent` of this span, to be carried by a job; `None` outside a trace.
    pub fn traceparent(&self) -> Option<String> {
        let span = self.span_context();
        span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
    }

    /// A trace that goes on from a `traceparent`; an empty one when it is missing or malformed.
    pub fn from_traceparent(traceparent: Option<&str>) -> Self {
        let remote = traceparent.and_then(parse_traceparent);
        Self {
            context: remote.map(|span| Context::new().with_remote_span_context(span)).unwrap_or_default(),
            tally: None,
        }
    }
}

/// Reads a W3C `traceparent` of version 00 (or later ones' first four fields).
pub fn parse_traceparent(text: &str) -> Option<SpanContext> {
    let mut fields = text.trim().split('-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let lower_hex = |s: &str, len| s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let well_formed = lower_hex(version, 2) && lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
    if !well_formed || version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// A span that was started here. It ends when this is dropped.
pub struct Span {
    trace: Trace,
    /// Below an unsampled root this stands for the caller's span, which is not ours to end.
    own: bool,
}

impl Span {
    /// What to make spans below it with.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Marks the span as failed; `error_type` is of low cardinality.
    pub fn fail(&self, error_type: impl Into<Cow<'static, str>>, description: impl FnOnce() -> String) {
        let span = self.trace.context.span();
        if self.own && span.is_recording() {
            span.set_attribute(KeyValue::new("error.type", error_type.into()));
            span.set_status(Status::error(description()));
        }
    }

    /// Renames it, once it is known what it is about.
    pub fn rename(&self, name: String) {
        self.trace.context.span().update_name(name);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.own {
            self.trace.context.span().end();
        }
    }
}

/// What the work on one message, or on the messages of one batch, is done for.
pub struct Scope {
    /// The hop span of the message, or of the first one in the batch.
    pub trace: Trace,
    /// The other messages that the same statement serves.
    pub others: Vec<Trace>,
    /// After this nobody waits any more.
    pub deadline: Instant,
}

impl Scope {
    /// Work for one message.
    pub fn new(trace: Trace, deadline: Instant) -> Self {
        Self { trace, others: Vec::new(), deadline }
    }

    /// Starts a client span in the trace of the first sampled message, linked both ways with the others.
    pub fn client(&self, builder: impl FnOnce() -> SpanBuilder) -> Span {
        if self.others.is_empty() {
            return self.trace.child(builder);
        }
        let mut sampled = std::iter::once(&self.trace).chain(&self.others).filter(|trace| trace.is_sampled());
        let Some(first) = sampled.next() else {
            return self.trace.child(builder);
        };
        let others: Vec<&Trace> = sampled.collect();
        let links = others.iter().map(|trace| Link::new(trace.span_context(), Vec::new(), 0)).collect();
        let span = first.child(|| builder().with_links(links));
        let served_by = span.trace().span_context();
        for other in others {
            other.context.span().add_link(served_by.clone(), Vec::new());
        }
        span
    }

    /// The trace of the message at `position` in the batch.
    pub fn trace_of(&self, position: usize) -> Option<&Trace> {
        position.checked_sub(1).map_or(Some(&self.trace), |other| self.others.get(other))
    }

    /// How many messages it is done for.
    pub fn size(&self) -> usize {
        1 + self.others.len()
    }

    /// Counts `statement` to every request that it serves.
    pub fn count(&self, statement: &'static str) {
        for trace in std::iter::once(&self.trace).chain(&self.others) {
            if let Some(tally) = &trace.tally {
                tally.count(statement);
            }
        }
    }
}
