//! Spans that end: encoded at once, where they are, and put where they wait for export.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::outbox::Outbox;
use super::{encode, limited};
use crate::telemetry::masked_spans::mask;

/// A thread keeps no more memory than this for the next span that it encodes, in bytes.
const KEEP: usize = 4 * 1024;
/// How long a flush waits where nobody says it.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

thread_local! {
    static MEMORY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Takes spans from the SDK.
#[derive(Debug)]
pub(super) struct Spans {
    pub(super) outbox: Arc<Outbox<InstrumentationScope>>,
    /// How long a value may be, in characters.
    pub(super) longest: Option<usize>,
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if let Some(longest) = self.longest {
            // Half an address would not be known for one.
            mask(&mut span);
            limited::span(&mut span, longest);
        }
        // Taken and put back: what is dropped meanwhile may end a span of its own.
        let mut memory = MEMORY.take();
        memory.clear();
        let mut memory = encode::span(memory, &span);
        self.outbox.add(&span.instrumentation_scope, &memory);
        memory.shrink_to(KEEP);
        MEMORY.set(memory);
    }

    fn force_flush(&self) -> OTelSdkResult {
        flushed(self.outbox.flush(FLUSH_WITHIN), FLUSH_WITHIN)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        flushed(self.outbox.end(timeout), timeout)
    }
}

fn flushed(all: bool, within: Duration) -> OTelSdkResult {
    if all { Ok(()) } else { Err(OTelSdkError::Timeout(within)) }
}
