//! What OpenTelemetry's libraries say about exports. They write several lines for each batch that fails; ours say the
//! same once a minute, with counts. What they alone know, how much of a batch the collector refused, is read from them.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::losses::refused_of_this_batch;

/// Counts what collectors refused of batches that they took.
pub(in super::super) struct Refused;

impl<S: Subscriber> Layer<S> for Refused {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().name().ends_with(PARTIAL) {
            event.record(&mut Count);
        }
    }
}

const PARTIAL: &str = ".PartialSuccess";

struct Count;

impl Count {
    fn add(field: &Field, count: u64) {
        if field.name().starts_with("rejected_") {
            refused_of_this_batch(count);
        }
    }
}

impl Visit for Count {
    fn record_i64(&mut self, field: &Field, value: i64) {
        Self::add(field, u64::try_from(value).unwrap_or(0));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        Self::add(field, value);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// Whether a line is one that we say ourselves, and less often.
pub(in super::super) fn is_told_by_us(metadata: &Metadata<'_>) -> bool {
    let name = metadata.name();
    metadata.target().starts_with("opentelemetry")
        && (name.starts_with("Export.")
            || [PARTIAL, ".ExportError", ".ExportFailed", ".AfterShutdown"].iter().any(|end| name.ends_with(end)))
}
