//! How what is asked for was found, by whether it had to be read.

use std::sync::LazyLock;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, Counter};

use super::counter;

static FOUND: LazyLock<Counter<u64>> = LazyLock::new(|| {
    counter(
        "kept.found",
        "{answer}",
        "Answers, by how they were found: nothing was committed since (same), their rows are as they were, or their token was verified before (known), or read.",
    )
});

/// The instruments of one kind of what is kept.
pub(crate) struct Kept {
    same: BoundCounter<u64>,
    known: BoundCounter<u64>,
    read: BoundCounter<u64>,
}

impl Kept {
    pub(crate) fn new(name: &'static str) -> Self {
        let bound = |how| FOUND.bind(&[KeyValue::new("kind", name), KeyValue::new("how", how)]);
        Self { same: bound("same"), known: bound("known"), read: bound("read") }
    }

    /// Records what was known, since nothing was committed meanwhile.
    pub(crate) fn same(&self, count: usize) {
        self.same.add(count as u64);
    }

    /// Records what was known to be as it was, and what was read.
    pub(crate) fn otherwise(&self, known: usize, read: usize) {
        self.known.add(known as u64);
        self.read.add(read as u64);
    }
}
