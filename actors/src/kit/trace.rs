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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue, global};

use super::cause::Cause;
use super::scope::Tally;

/// Resolved on first use, so the tracer provider has to be set before the first request.
static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer("callboard"));

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

    /// A trace with ids and nothing else: for work that is named in answers and logs, and makes no spans. What the
    /// caller's tracing system says of the trace is kept for whoever is asked next.
    pub fn unrecorded(trace_id: TraceId, state: TraceState, tally: Option<Arc<Tally>>) -> Self {
        let span_id = SpanId::from_bytes(rand::random());
        let ids = SpanContext::new(trace_id, span_id, TraceFlags::default(), false, state);
        Self { context: Context::new().with_remote_span_context(ids), tally }
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
        self.set(|| [KeyValue::new("user.id", user.to_string())]);
    }

    /// The OpenTelemetry context, to correlate logs with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Where statements are counted that run for this.
    pub(super) fn tally(&self) -> Option<&Tally> {
        self.tally.as_deref()
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
        let trace = Self { context: self.context.with_span(span), tally: self.tally.clone() };
        Span { trace, own: true, owed: AtomicBool::new(false) }
    }

    /// Starts a span below this one; `builder` is not called when unsampled.
    pub fn child(&self, builder: impl FnOnce() -> SpanBuilder) -> Span {
        if !self.is_sampled() {
            return Span { trace: self.clone(), own: false, owed: AtomicBool::new(false) };
        }
        self.root(builder())
    }

    /// Starts the span of a message's way to an actor and of the work on it.
    pub fn hop(&self, pool: &'static str, path: &Arc<str>, message: &'static str) -> Span {
        self.child(|| {
            // With room for what is said of it later, so that nothing is moved.
            let mut attributes = Vec::with_capacity(6);
            attributes.push(KeyValue::new("callboard.actor.path", Arc::clone(path)));
            attributes.push(KeyValue::new("callboard.actor.message", message));
            SpanBuilder::from_name(name_of_hop(pool, message)).with_kind(SpanKind::Internal).with_attributes(attributes)
        })
        .owed()
    }

    /// The W3C `traceparent` of this span, to be carried by a job; `None` outside a trace.
    pub fn traceparent(&self) -> Option<String> {
        let span = self.span_context();
        if !span.is_valid() {
            return None;
        }
        // Every answer has one: written by hand, it costs a tenth of what it costs to be formatted.
        let mut text = Vec::with_capacity(55);
        text.extend_from_slice(b"00-");
        hexadecimal(&mut text, &span.trace_id().to_bytes());
        text.push(b'-');
        hexadecimal(&mut text, &span.span_id().to_bytes());
        text.push(b'-');
        hexadecimal(&mut text, &[span.trace_flags().to_u8()]);
        String::from_utf8(text).ok()
    }

    /// What the caller's tracing system says of the trace, as a W3C `tracestate`; `None` when that is nothing.
    pub fn tracestate(&self) -> Option<String> {
        let state = self.context.span().span_context().trace_state().header();
        (!state.is_empty()).then_some(state)
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

/// The name of a message's hop. Made once and kept for ever, since there are as many as there are kinds of messages, and
/// every request has some.
fn name_of_hop(pool: &'static str, message: &'static str) -> &'static str {
    static NAMES: RwLock<Vec<(&str, &str, &str)>> = RwLock::new(Vec::new());
    let known = |names: &[(&'static str, &'static str, &'static str)]| {
        names.iter().find(|(of, about, _)| *of == pool && *about == message).map(|(_, _, name)| *name)
    };
    // Nothing panics while it holds the lock, so a poisoned one still guards a sound list.
    if let Some(name) = known(&NAMES.read().unwrap_or_else(PoisonError::into_inner)) {
        return name;
    }
    let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    known(&names).unwrap_or_else(|| {
        let name = Box::leak(format!("actor {pool} {message}").into_boxed_str());
        names.push((pool, message, name));
        name
    })
}

/// Writes bytes in hexadecimal, as ids are written everywhere.
pub fn hexadecimal(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    out.reserve(2 * bytes.len());
    bytes.iter().for_each(|byte| out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]));
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

/// The longest `tracestate` that is passed on: what the W3C asks of everybody.
const TRACESTATE_MAX: usize = 512;

/// The same span with a W3C `tracestate`, unless that is malformed or too long.
pub fn with_tracestate(span: SpanContext, text: &str) -> SpanContext {
    let state = Some(text).filter(|text| text.len() <= TRACESTATE_MAX).and_then(|text| text.parse().ok());
    match state {
        Some(state) => SpanContext::new(span.trace_id(), span.span_id(), span.trace_flags(), span.is_remote(), state),
        None => span,
    }
}

/// The id of a trace that begins here.
pub fn new_trace_id() -> TraceId {
    TraceId::from_bytes(rand::random())
}

/// A span that was started here. It ends when this is dropped.
pub struct Span {
    trace: Trace,
    /// Below an unsampled root this stands for the caller's span, which is not ours to end.
    own: bool,
    /// Somebody waits for what it comes to, and has not been told.
    owed: AtomicBool,
}

impl Span {
    /// Has its end count as a failure, unless [`Self::settle`] comes before.
    pub fn owed(self) -> Self {
        self.owed.store(self.own, Ordering::Relaxed);
        self
    }

    /// Says that the work came to what it came to: it was not cut off.
    pub fn settle(&self) {
        self.owed.store(false, Ordering::Relaxed);
    }

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
            if std::thread::panicking() {
                self.fail("panic", || "the work panicked".to_owned());
            } else if self.owed.load(Ordering::Relaxed) {
                self.fail("unanswered", || "the work was cut off".to_owned());
            }
            self.trace.context.span().end();
        }
    }
}
