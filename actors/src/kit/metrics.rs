//! Every instrument of the actors, made once. Attributes are of low cardinality: no ids, slugs, addresses.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, global};

/// Upper bounds in seconds, from what an ask costs to what a deadline allows.
const SECONDS: [f64; 14] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Upper bounds in milliseconds, for jobs.
const MILLIS: [f64; 14] =
    [1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0, 10_000.0, 60_000.0, 600_000.0];

/// Resolved on first use, so the meter provider has to be set before the actors start.
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| Instruments::new(&global::meter("callboard")));

struct Instruments {
    queue: Histogram<f64>,
    handle: Histogram<f64>,
    refused: Counter<u64>,
    poisoned: Counter<u64>,
    stalls: Counter<u64>,
    restarts: Counter<u64>,
    statements: Histogram<f64>,
    batch: Histogram<u64>,
    domain: Domain,
    jobs: Jobs,
    throttle: Throttle,
}

/// What the domains count.
pub struct Domain {
    /// Logins tried, by `status`.
    pub logins: Counter<u64>,
    /// Articles created.
    pub articles_created: Counter<u64>,
    /// Favorites that were not there before.
    pub favorites_added: Counter<u64>,
    /// Favorites taken back.
    pub favorites_removed: Counter<u64>,
    /// Streams of notifications that are open.
    pub streams: UpDownCounter<i64>,
    /// Streams of notifications that were refused, by the `limit` that was reached: `user` or `all`.
    pub streams_refused: Counter<u64>,
}

/// What the limits count.
pub struct Throttle {
    /// What was refused, by `policy`.
    pub refused: Counter<u64>,
    /// 1 while Redis is away and this process keeps limits of its own.
    pub fallback: Gauge<u64>,
}

/// What the jobs count.
pub struct Jobs {
    /// Jobs that the relay sent on their way.
    pub enqueued: Counter<u64>,
    /// Jobs that took effect.
    pub completed: Counter<u64>,
    /// Attempts that failed.
    pub failed: Counter<u64>,
    /// Jobs given up after their last attempt.
    pub discarded: Counter<u64>,
    /// How long an attempt ran.
    pub duration: Histogram<f64>,
    /// How long a job waited from being due until it started.
    pub queue_latency: Histogram<f64>,
    /// How long the oldest job that is due has waited.
    pub oldest: Gauge<f64>,
    /// Jobs by state, read by the reconciler.
    pub by_state: Gauge<u64>,
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let seconds = |name, description| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(SECONDS.into())
                .build()
        };
        let millis = |name, description| {
            meter
                .f64_histogram(name)
                .with_unit("ms")
                .with_description(description)
                .with_boundaries(MILLIS.into())
                .build()
        };
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        Self {
            queue: seconds("actor.queue.duration", "How long a message waited in a mailbox."),
            handle: seconds("actor.handle.duration", "How long the work on a message, or on a batch, took."),
            refused: counter("actor.mailbox.refused", "Messages refused because the mailbox was full."),
            poisoned: counter("actor.messages.poisoned", "Messages not given to an actor again that they keep ending."),
            stalls: counter("actor.stalls", "Actors that held a message, or their turn, for too long."),
            restarts: counter("actor.restarts", "Actors started again after they ended unasked."),
            statements: seconds("db.client.operation.duration", "How long a statement took, as its caller saw it."),
            batch: meter
                .u64_histogram("db.client.operation.batch.size")
                .with_description("How many messages one statement served.")
                .with_boundaries(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
                .build(),
            domain: Domain {
                logins: counter("auth.login.attempts", "Logins tried, by status."),
                articles_created: counter("articles.created", "Articles published."),
                favorites_added: counter("favorites.added", "Favorites that were not there before."),
                favorites_removed: counter("favorites.removed", "Favorites taken back."),
                streams: meter
                    .i64_up_down_counter("notifications.streams")
                    .with_description("Streams of notifications that are open.")
                    .build(),
                streams_refused: counter("notifications.streams.refused", "Streams refused, by limit."),
            },
            throttle: Throttle {
                refused: counter("throttle.refused", "Requests refused by a limit, by its policy."),
                fallback: meter
                    .u64_gauge("throttle.fallback")
                    .with_description("1 while Redis is away and this process keeps limits of its own.")
                    .build(),
            },
            jobs: Jobs {
                enqueued: counter("jobs.enqueued", "Jobs that the relay moved to the stream."),
                completed: counter("jobs.completed", "Jobs that took effect."),
                failed: counter("jobs.failed", "Attempts that failed."),
                discarded: counter("jobs.discarded", "Jobs given up after their last attempt."),
                duration: millis("jobs.duration_ms", "How long an attempt ran."),
                queue_latency: millis("jobs.queue_latency_ms", "How long a job waited, from being due to its start."),
                oldest: meter
                    .f64_gauge("jobs.oldest_waiting")
                    .with_unit("s")
                    .with_description("How long the oldest job that is due has waited.")
                    .build(),
                by_state: meter
                    .u64_gauge("jobs.count")
                    .with_description("Unfinished jobs and dead letters, by state.")
                    .build(),
            },
        }
    }
}

/// What the domains count.
pub fn domain() -> &'static Domain {
    &INSTRUMENTS.domain
}

/// What the limits count.
pub fn throttle() -> &'static Throttle {
    &INSTRUMENTS.throttle
}

/// What the jobs count.
pub fn jobs() -> &'static Jobs {
    &INSTRUMENTS.jobs
}

/// One actor's instruments, its attributes made once.
pub(crate) struct Actor {
    attributes: [KeyValue; 1],
}

impl Actor {
    pub(crate) fn new(path: &Arc<str>) -> Self {
        Self { attributes: [KeyValue::new("path", Arc::clone(path))] }
    }

    pub(crate) fn waited(&self, wait: Duration) {
        INSTRUMENTS.queue.record(wait.as_secs_f64(), &self.attributes);
    }

    pub(crate) fn handled(&self, took: Duration) {
        INSTRUMENTS.handle.record(took.as_secs_f64(), &self.attributes);
    }

    pub(crate) fn refused(&self) {
        INSTRUMENTS.refused.add(1, &self.attributes);
    }

    pub(crate) fn poisoned(&self, message: &'static str) {
        let [path] = &self.attributes;
        INSTRUMENTS.poisoned.add(1, &[path.clone(), KeyValue::new("message", message)]);
    }
}

/// Counts a restart; `exit_kind` is how the previous incarnation ended.
pub(crate) fn restarted(path: &Arc<str>, exit_kind: &'static str) {
    INSTRUMENTS.restarts.add(1, &[KeyValue::new("path", Arc::clone(path)), KeyValue::new("exit_kind", exit_kind)]);
}

/// Counts an actor that was found to make no progress.
pub(crate) fn stalled(path: &Arc<str>) {
    INSTRUMENTS.stalls.add(1, &[KeyValue::new("path", Arc::clone(path))]);
}

/// Records a statement that served `size` messages.
pub(crate) fn statement(summary: &'static str, took: Duration, size: usize) {
    let attributes = [KeyValue::new("db.query.summary", summary)];
    INSTRUMENTS.statements.record(took.as_secs_f64(), &attributes);
    INSTRUMENTS.batch.record(size as u64, &attributes);
}
