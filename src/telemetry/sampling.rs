//! Head sampling: whether a trace is recorded, decided once, before anything is built.
//!
//! ```text
//! parent, if any ─┬▶ recorded  ─▶ name, attributes, server span; everything below follows it
//! new trace id ───┘▶ not       ─▶ ids for the answer and the log, and nothing else
//! ```
//!
//! The decision goes by the parent and the trace id alone. The SDK is given the same sampler and, for a trace that
//! begins here, the id that was judged: what it decides for spans of commands and libraries is the same decision.

use std::cell::Cell;
use std::sync::Arc;

use actors::kit::Trace;
use actors::kit::cause::Cause;
use actors::kit::scope::Tally;
use actors::kit::trace::{Span, new_trace_id};
use opentelemetry::trace::{Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, SamplingResult, ShouldSample,
};

thread_local! {
    /// The id of the trace whose first span is being made on this thread.
    static JUDGED: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// The sampler of `OTEL_TRACES_SAMPLER`.
#[derive(Debug, Clone)]
pub struct Head {
    /// Whether a caller's decision is kept.
    parent_based: bool,
    /// Decides about the others, by their trace ids.
    root: Sampler,
}

impl Head {
    /// Records nothing.
    pub fn off() -> Self {
        Self { parent_based: false, root: Sampler::AlwaysOff }
    }

    /// The sampler that the variables ask for; `parentbased_always_on` where they are silent. They were checked before.
    pub(super) fn read(read: impl Fn(&str) -> Option<String>) -> Self {
        let name = read("OTEL_TRACES_SAMPLER").unwrap_or_default();
        let ratio = read("OTEL_TRACES_SAMPLER_ARG").and_then(|share| share.trim().parse().ok()).unwrap_or(1.0);
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            // No name at all is the default.
            None => (name.is_empty(), name.as_str()),
        };
        let root = match root {
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(ratio),
            _ => Sampler::AlwaysOn,
        };
        Self { parent_based, root }
    }

    /// Begins the work that a caller asked for, below its span if it has one: a span, or only the ids where nothing is
    /// to be recorded; `cause` is what lines are told of by. `builder` is called for a span alone; `wanted` says whether there may be one.
    pub fn begin(
        &self,
        parent: Option<SpanContext>,
        (tally, cause): (Arc<Tally>, Cause),
        wanted: bool,
        builder: impl FnOnce() -> SpanBuilder,
    ) -> Begun {
        let trace_id = parent.as_ref().map_or_else(new_trace_id, SpanContext::trace_id);
        if !(wanted && self.records(parent.as_ref(), trace_id)) {
            let state = parent.map_or(TraceState::NONE, |parent| parent.trace_state().clone());
            return Begun::Unrecorded(Trace::unrecorded(trace_id, state, Some(tally)).caused_by(cause));
        }
        let context = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => {
                JUDGED.set(Some(trace_id));
                Context::new()
            }
        };
        let span = Trace::new(context, Some(tally)).caused_by(cause).root(builder());
        JUDGED.set(None);
        Begun::Recorded(span)
    }

    fn records(&self, parent: Option<&SpanContext>, trace_id: TraceId) -> bool {
        match parent {
            // What began in this process has been decided about.
            Some(parent) if self.parent_based || !parent.is_remote() => parent.is_sampled(),
            _ => {
                let result = self.root.should_sample(None, trace_id, "", &SpanKind::Server, &[], &[]);
                result.decision == SamplingDecision::RecordAndSample
            }
        }
    }
}

impl ShouldSample for Head {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|context| context.span());
        let parent = parent.as_ref().map(|span| span.span_context()).filter(|parent| parent.is_valid());
        SamplingResult {
            decision: match self.records(parent, trace_id) {
                true => SamplingDecision::RecordAndSample,
                false => SamplingDecision::Drop,
            },
            attributes: Vec::new(),
            trace_state: parent.map_or(TraceState::NONE, |parent| parent.trace_state().clone()),
        }
    }
}

/// Random ids, but for the trace that was judged already.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        JUDGED.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> opentelemetry::trace::SpanId {
        self.0.new_span_id()
    }
}

/// What the work that begins is told of by.
pub enum Begun {
    /// A span of its own.
    Recorded(Span),
    /// Its ids alone.
    Unrecorded(Trace),
}

impl Begun {
    /// What to make spans below it with.
    pub fn trace(&self) -> &Trace {
        match self {
            Self::Recorded(span) => span.trace(),
            Self::Unrecorded(trace) => trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags};
    use proptest::prelude::*;

    use super::*;

    fn head(name: &str, share: &str) -> Head {
        Head::read(|variable| match variable {
            "OTEL_TRACES_SAMPLER" => Some(name.to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some(share.to_owned()),
            _ => None,
        })
    }

    /// The SDK's own sampler of that name.
    fn of_the_sdk(name: &str, share: f64) -> Sampler {
        let root = |name: &str| match name {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            _ => Sampler::TraceIdRatioBased(share),
        };
        match name.strip_prefix("parentbased_") {
            Some(name) => Sampler::ParentBased(Box::new(root(name))),
            None => root(name),
        }
    }

    proptest! {
        #[test]
        fn each_of_the_six_samplers_decides_as_that_of_the_sdk(
            id in 1_u128..,
            span in 1_u64..,
            share in 0.0..=1.0_f64,
            parent in prop::option::of(any::<bool>()),
        ) {
            let trace = TraceId::from(id);
            let parent = parent.map(|sampled| {
                let flags = TraceFlags::default().with_sampled(sampled);
                SpanContext::new(trace, SpanId::from(span), flags, true, TraceState::NONE)
            });
            let context = parent.clone().map(|parent| Context::new().with_remote_span_context(parent));
            for name in ["always_on", "always_off", "traceidratio"] {
                for name in [name.to_owned(), format!("parentbased_{name}")] {
                    let ours = head(&name, &share.to_string()).records(parent.as_ref(), trace);
                    let sdk = of_the_sdk(&name, share);
                    let theirs = sdk.should_sample(context.as_ref(), trace, "", &SpanKind::Server, &[], &[]);
                    prop_assert_eq!(ours, theirs.decision == SamplingDecision::RecordAndSample, "{}", name);
                }
            }
        }
    }

    #[test]
    fn what_is_not_recorded_builds_nothing_and_keeps_the_callers_trace() {
        let parent = SpanContext::new(
            TraceId::from(7),
            SpanId::from(9),
            TraceFlags::SAMPLED,
            true,
            "vendor=1".parse().unwrap_or_default(),
        );
        let begun = Head::off()
            .begin(Some(parent), (Arc::default(), Cause::request("r")), true, || unreachable!("nothing is built"));
        assert_eq!(begun.trace().span_context().trace_id(), TraceId::from(7));
        assert_ne!(begun.trace().span_context().span_id(), SpanId::from(9));
        assert!(!begun.trace().is_sampled());
        assert_eq!(begun.trace().tracestate().as_deref(), Some("vendor=1"));
        let on = head("always_on", "");
        let excluded =
            on.begin(None, (Arc::default(), Cause::request("r")), false, || unreachable!("it is not wanted"));
        assert!(matches!(excluded, Begun::Unrecorded(_)));
    }
}
