//! What became of spans and log records before any exporter had them, under the names that the conventions have for it.

use std::sync::Arc;

use opentelemetry::metrics::BoundCounter;
use opentelemetry::{KeyValue, global};

use super::super::settings::Signal;
use super::outbox::Outbox;

/// Counts what is handed to the exporter, and what is not.
#[derive(Debug)]
pub(super) struct Processed {
    taken: BoundCounter<u64>,
    no_room: BoundCounter<u64>,
    too_late: BoundCounter<u64>,
}

/// A signal's words: in names of instruments, its unit, its component, and what it is called in a sentence.
fn words(signal: Signal) -> (&'static str, &'static str, &'static str, &'static str) {
    match signal {
        Signal::Logs => ("log", "{log_record}", "batching_log_processor", "log records"),
        _ => ("span", "{span}", "batching_span_processor", "spans"),
    }
}

fn component(kind: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("otel.component.type", kind), KeyValue::new("otel.component.name", format!("{kind}/0"))]
}

impl Processed {
    /// The counters of a signal. The provider of metrics has to be there before.
    pub(super) fn of(signal: Signal) -> Self {
        let (name, unit, kind, called) = words(signal);
        let counter = global::meter("otel.sdk")
            .u64_counter(format!("otel.sdk.processor.{name}.processed"))
            .with_unit(unit)
            .with_description(format!(
                "The number of {called} for which the processing has finished, either successful or failed."
            ))
            .build();
        let bound = |error: Option<&'static str>| {
            let mut attributes = component(kind).to_vec();
            attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
            counter.bind(&attributes)
        };
        Self { taken: bound(None), no_room: bound(Some("queue_full")), too_late: bound(Some("already_shutdown")) }
    }

    /// An exporter has them.
    pub(super) fn taken(&self, count: usize) {
        self.taken.add(count as u64);
    }

    /// One was lost, for too many wait.
    pub(super) fn no_room(&self) {
        self.no_room.add(1);
    }

    /// One was lost, for nothing is exported any more.
    pub(super) fn too_late(&self) {
        self.too_late.add(1);
    }
}

/// Has it read how much waits, and how much may, whenever metrics are collected.
pub(super) fn observe<S: Send + 'static>(signal: Signal, outbox: &Arc<Outbox<S>>) {
    let (name, unit, kind, called) = words(signal);
    let gauge = |what: &str, described: String, of: fn(&Outbox<S>) -> usize| {
        // Weak, for the meter lives as long as the process and would keep the thread that sends.
        let (outbox, component) = (Arc::downgrade(outbox), component(kind));
        global::meter("otel.sdk")
            .i64_observable_up_down_counter(format!("otel.sdk.processor.{name}.queue.{what}"))
            .with_unit(unit)
            .with_description(described)
            .with_callback(move |observer| {
                if let Some(outbox) = outbox.upgrade() {
                    observer.observe(i64::try_from(of(&outbox)).unwrap_or(i64::MAX), &component);
                }
            })
            .build();
    };
    gauge("size", format!("The number of {called} that wait for export."), Outbox::waiting);
    gauge("capacity", format!("The number of {called} that may wait for export: the next is lost."), Outbox::room);
}
