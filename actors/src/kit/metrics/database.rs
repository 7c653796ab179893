//! What is measured of PostgreSQL and Redis: operations, by what they are called and how they fail, and what a
//! connection is waited for. Names are those of OpenTelemetry's semantic conventions.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

use super::{counter, seconds, sizes};

/// The attribute that names a statement.
const SUMMARY: &str = "db.query.summary";

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(Instruments::new);

struct Instruments {
    duration: Histogram<f64>,
    batch: Histogram<u64>,
    waited: Histogram<f64>,
    used: Histogram<f64>,
    timeouts: Counter<u64>,
}

impl Instruments {
    fn new() -> Self {
        Self {
            duration: seconds(
                "db.client.operation.duration",
                "How long a statement or a Redis command took, as its caller saw it.",
            ),
            batch: sizes("db.client.operation.batch.size", "{message}", "How many messages one statement served."),
            waited: seconds(
                "db.client.connection.wait_time",
                "How long a connection was waited for; of shared ones, only when there was none at once.",
            ),
            used: seconds("db.client.connection.use_time", "How long a connection was kept before it was given back."),
            timeouts: counter(
                "db.client.connection.timeouts",
                "{timeout}",
                "How often a connection was not had in time.",
            ),
        }
    }
}

/// The instruments of one database's operations.
pub(crate) struct Operations {
    /// What all of them have: which database it is, and where.
    common: Vec<KeyValue>,
    /// The attribute that holds an operation's name.
    naming: &'static str,
    /// By the operation's name, of those that went well.
    bound: RwLock<HashMap<&'static str, Bound>>,
}

#[derive(Clone)]
struct Bound {
    duration: BoundHistogram<f64>,
    /// Only of statements: what Redis is told serves whoever tells it.
    batch: Option<BoundHistogram<u64>>,
}

impl Operations {
    /// Those of a PostgreSQL; they are named by their statements' summaries.
    pub(crate) fn of_postgres(common: Vec<KeyValue>) -> Self {
        Self::new("postgresql", SUMMARY, common)
    }

    /// Those of a Redis; they are named by their commands.
    pub(crate) fn of_redis(common: Vec<KeyValue>) -> Self {
        Self::new("redis", "db.operation.name", common)
    }

    fn new(system: &'static str, naming: &'static str, mut common: Vec<KeyValue>) -> Self {
        common.push(KeyValue::new("db.system.name", system));
        Self { common, naming, bound: RwLock::default() }
    }

    /// Records an operation that served `size` messages.
    pub(crate) fn done(&self, operation: &'static str, took: Duration, size: usize) {
        let Bound { duration, batch } = self.bound(operation);
        duration.record(took.as_secs_f64());
        batch.inspect(|batch| batch.record(size as u64));
    }

    /// Records an operation that failed: `error` is PostgreSQL's code, or a word of ours.
    pub(crate) fn failed(&self, operation: &'static str, took: Duration, error: &str) {
        let mut attributes = self.attributes(operation);
        attributes.push(KeyValue::new("error.type", error.to_owned()));
        INSTRUMENTS.duration.record(took.as_secs_f64(), &attributes);
    }

    fn bound(&self, operation: &'static str) -> Bound {
        // Nothing panics while it holds the lock, so a poisoned one still guards a sound map.
        let bound = self.bound.read().unwrap_or_else(PoisonError::into_inner).get(operation).cloned();
        bound.unwrap_or_else(|| {
            let attributes = self.attributes(operation);
            let made = Bound {
                duration: INSTRUMENTS.duration.bind(&attributes),
                batch: (self.naming == SUMMARY).then(|| INSTRUMENTS.batch.bind(&[KeyValue::new(SUMMARY, operation)])),
            };
            self.bound.write().unwrap_or_else(PoisonError::into_inner).insert(operation, made.clone());
            made
        })
    }

    fn attributes(&self, operation: &'static str) -> Vec<KeyValue> {
        self.common.iter().cloned().chain([KeyValue::new(self.naming, operation)]).collect()
    }
}

/// The instruments of one pool of connections.
pub(crate) struct Pool {
    waited: BoundHistogram<f64>,
    used: BoundHistogram<f64>,
    timeouts: BoundCounter<u64>,
}

impl Pool {
    pub(crate) fn new(name: &'static str) -> Self {
        let attributes = [KeyValue::new("db.client.connection.pool.name", name)];
        Self {
            waited: INSTRUMENTS.waited.bind(&attributes),
            used: INSTRUMENTS.used.bind(&attributes),
            timeouts: INSTRUMENTS.timeouts.bind(&attributes),
        }
    }

    /// Records that a connection was had, or that none was in time.
    pub(crate) fn waited(&self, wait: Duration, had: bool) {
        self.waited.record(wait.as_secs_f64());
        if !had {
            self.timeouts.add(1);
        }
    }

    /// Records that a connection was given back.
    pub(crate) fn used(&self, time: Duration) {
        self.used.record(time.as_secs_f64());
    }
}
