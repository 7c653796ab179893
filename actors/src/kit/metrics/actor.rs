//! What is measured of every actor, by its path in the tree.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

use super::{counter, seconds};

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(Instruments::new);

struct Instruments {
    queue: Histogram<f64>,
    handle: Histogram<f64>,
    refused: Counter<u64>,
    late: Counter<u64>,
    poisoned: Counter<u64>,
    stalls: Counter<u64>,
    restarts: Counter<u64>,
}

impl Instruments {
    fn new() -> Self {
        Self {
            queue: seconds("actor.queue.duration", "How long a message waited in a mailbox."),
            handle: seconds("actor.handle.duration", "How long the work on a message, or on a batch, took."),
            refused: counter(
                "actor.mailbox.refused",
                "{message}",
                "Messages refused because the mailbox was full: overload, answered with 503.",
            ),
            late: counter(
                "actor.messages.late",
                "{message}",
                "Messages without an answer when the caller's deadline passed, which is told 504.",
            ),
            poisoned: counter(
                "actor.messages.poisoned",
                "{message}",
                "Messages not given to an actor again that they keep ending.",
            ),
            stalls: counter("actor.stalls", "{stall}", "Actors that held a message, or their turn, for too long."),
            restarts: counter(
                "actor.restarts",
                "{restart}",
                "Actors started again after they ended unasked, by how they ended.",
            ),
        }
    }
}

/// One actor's instruments, bound to its path.
pub(crate) struct Actor {
    path: KeyValue,
    queue: BoundHistogram<f64>,
    handle: BoundHistogram<f64>,
    refused: BoundCounter<u64>,
    late: BoundCounter<u64>,
}

impl Actor {
    pub(crate) fn new(path: &Arc<str>) -> Self {
        let path = KeyValue::new("path", Arc::clone(path));
        let attributes = std::slice::from_ref(&path);
        Self {
            queue: INSTRUMENTS.queue.bind(attributes),
            handle: INSTRUMENTS.handle.bind(attributes),
            refused: INSTRUMENTS.refused.bind(attributes),
            late: INSTRUMENTS.late.bind(attributes),
            path,
        }
    }

    pub(crate) fn waited(&self, wait: Duration) {
        self.queue.record(wait.as_secs_f64());
    }

    pub(crate) fn handled(&self, took: Duration) {
        self.handle.record(took.as_secs_f64());
    }

    pub(crate) fn refused(&self) {
        self.refused.add(1);
    }

    pub(crate) fn late(&self) {
        self.late.add(1);
    }

    pub(crate) fn poisoned(&self, message: &'static str) {
        INSTRUMENTS.poisoned.add(1, &[self.path.clone(), KeyValue::new("message", message)]);
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
