//! What is measured of jobs: by kind, of which there are as many as domains bring, and by priority, of which there are
//! three.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Gauge, Histogram};

use super::{counter, meter, sizes};

/// Upper bounds in milliseconds.
const MILLIS: [f64; 14] =
    [1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0, 10_000.0, 60_000.0, 600_000.0];

static INSTRUMENTS: LazyLock<Jobs> = LazyLock::new(Jobs::new);

/// What the jobs count.
pub struct Jobs {
    enqueued: Counter<u64>,
    completed: Counter<u64>,
    failed: Counter<u64>,
    discarded: Counter<u64>,
    duration: Histogram<f64>,
    queue_latency: Histogram<f64>,
    batch: Histogram<u64>,
    /// Jobs sent again because Redis, or a process, lost them, by `reason`.
    pub resent: Counter<u64>,
    /// How long the oldest job that is due has waited.
    pub oldest: Gauge<f64>,
    /// Jobs by `state`, read by the reconciler.
    pub by_state: Gauge<u64>,
}

/// What is measured of the jobs of one kind.
pub struct OfKind {
    kind: KeyValue,
    /// Jobs that took effect.
    pub completed: BoundCounter<u64>,
    /// Attempts that failed.
    pub failed: BoundCounter<u64>,
    /// Jobs given up after their last attempt.
    pub discarded: BoundCounter<u64>,
    duration: BoundHistogram<f64>,
    /// How many took effect in one transaction.
    pub batch: BoundHistogram<u64>,
}

impl Jobs {
    fn new() -> Self {
        Self {
            enqueued: counter("jobs.enqueued", "{job}", "Jobs that the relay moved to the stream."),
            completed: counter("jobs.completed", "{job}", "Jobs that took effect."),
            failed: counter("jobs.failed", "{attempt}", "Attempts that failed, whether or not they are tried again."),
            discarded: counter("jobs.discarded", "{job}", "Jobs given up after their last attempt: dead letters."),
            duration: millis("jobs.duration_ms", "How long an attempt ran."),
            queue_latency: millis(
                "jobs.queue_latency_ms",
                "How long a job waited, from being due to the start of an attempt.",
            ),
            batch: sizes("jobs.batch.size", "{job}", "How many jobs took effect in one transaction."),
            resent: counter(
                "jobs.resent",
                "{job}",
                "Jobs sent to Redis again: it, or a process that took them, had lost them.",
            ),
            oldest: meter()
                .f64_gauge("jobs.oldest_waiting")
                .with_unit("s")
                .with_description("How long the oldest job that is due has waited; 0 when none waits.")
                .build(),
            by_state: meter()
                .u64_gauge("jobs.stored")
                .with_unit("{job}")
                .with_description("Unfinished jobs and dead letters in the database, of all processes, by state.")
                .build(),
        }
    }

    /// Counts a job that the relay sent on its way.
    pub fn enqueued(&self, kind: &str, priority: i16) {
        self.enqueued.add(1, &[KeyValue::new("kind", kind.to_owned()), of_priority(priority)]);
    }

    /// The instruments of one kind.
    pub fn of_kind(&self, kind: &'static str) -> OfKind {
        let kind = KeyValue::new("kind", kind);
        let attributes = std::slice::from_ref(&kind);
        OfKind {
            completed: self.completed.bind(attributes),
            failed: self.failed.bind(attributes),
            discarded: self.discarded.bind(attributes),
            duration: self.duration.bind(attributes),
            batch: self.batch.bind(attributes),
            kind,
        }
    }
}

impl OfKind {
    /// Records how long a job waited from being due until it started.
    pub fn waited(&self, seconds: f64, priority: i16) {
        INSTRUMENTS.queue_latency.record(seconds.max(0.0) * 1e3, &[self.kind.clone(), of_priority(priority)]);
    }

    /// Records how long an attempt ran.
    pub fn ran(&self, took: Duration) {
        self.duration.record(took.as_secs_f64() * 1e3);
    }
}

fn of_priority(priority: i16) -> KeyValue {
    KeyValue::new("priority", i64::from(priority))
}

fn millis(name: &'static str, description: &'static str) -> Histogram<f64> {
    meter().f64_histogram(name).with_unit("ms").with_description(description).with_boundaries(MILLIS.into()).build()
}

/// What the jobs count.
pub fn jobs() -> &'static Jobs {
    &INSTRUMENTS
}
