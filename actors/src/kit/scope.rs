//! What some work is done for: whose trace it belongs to, who else is served by it, until when it is wanted.
//!
//! A statement that serves several messages is one span, in the trace of the first that is sampled, and linked both
//! ways with the others'. It is counted to every request that it serves, sampled or not.

use std::sync::Mutex;
use std::time::Instant;

use opentelemetry::trace::{Link, SpanBuilder, TraceContextExt};

use super::trace::{Span, Trace};

/// A statement that ran more often than this for one request is probably in a loop.
const N_PLUS_ONE: u32 = 5;

/// How often each statement ran for one request. A list: a request runs a handful of different ones.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Vec<(&'static str, u32)>>);

impl Tally {
    fn count(&self, statement: &'static str) {
        if let Ok(mut counts) = self.0.lock() {
            match counts.iter_mut().find(|(counted, _)| *counted == statement) {
                Some((_, count)) => *count += 1,
                None => counts.push((statement, 1)),
            }
        }
    }

    /// Statements in all.
    pub fn statements(&self) -> u32 {
        self.0.lock().map_or(0, |counts| counts.iter().map(|(_, count)| count).sum())
    }

    /// Whether one of them ran so often that it is probably in a loop.
    pub fn repeats(&self) -> bool {
        self.0.lock().is_ok_and(|counts| counts.iter().any(|(_, count)| *count > N_PLUS_ONE))
    }
}

/// What spans of clients are made below.
pub trait Under: Sync {
    /// Starts a client span; `builder` is not called when nobody is sampled.
    fn client(&self, builder: impl FnOnce() -> SpanBuilder) -> Span;

    /// How many messages the work is done for.
    fn size(&self) -> usize {
        1
    }
}

impl Under for Trace {
    fn client(&self, builder: impl FnOnce() -> SpanBuilder) -> Span {
        self.child(builder)
    }
}

/// What the work on one message, or on the messages of one batch, is done for.
pub struct Scope {
    /// The hop span of the message, or of the first one in the batch.
    pub trace: Trace,
    /// The other messages that the same statement serves.
    pub others: Vec<Trace>,
    /// After this nobody waits any more.
    pub deadline: Instant,
}

impl Scope {
    /// Work for one message.
    pub fn new(trace: Trace, deadline: Instant) -> Self {
        Self { trace, others: Vec::new(), deadline }
    }

    /// The trace of the message at `position` in the batch.
    pub fn trace_of(&self, position: usize) -> Option<&Trace> {
        position.checked_sub(1).map_or(Some(&self.trace), |other| self.others.get(other))
    }

    /// Counts `statement` to every request that it serves.
    pub fn count(&self, statement: &'static str) {
        for tally in std::iter::once(&self.trace).chain(&self.others).filter_map(Trace::tally) {
            tally.count(statement);
        }
    }
}

impl Under for Scope {
    /// Starts it in the trace of the first sampled message, linked both ways with the others.
    fn client(&self, builder: impl FnOnce() -> SpanBuilder) -> Span {
        if self.others.is_empty() {
            return self.trace.child(builder);
        }
        let mut sampled = std::iter::once(&self.trace).chain(&self.others).filter(|trace| trace.is_sampled());
        let Some(first) = sampled.next() else {
            return self.trace.child(builder);
        };
        let others: Vec<&Trace> = sampled.collect();
        let links = others.iter().map(|trace| Link::new(trace.span_context(), Vec::new(), 0)).collect();
        let span = first.child(|| builder().with_links(links));
        let served_by = span.trace().span_context();
        for other in others {
            other.context().span().add_link(served_by.clone(), Vec::new());
        }
        span
    }

    fn size(&self) -> usize {
        1 + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry::Context;

    use super::*;

    #[test]
    fn a_statement_is_counted_to_every_request_that_it_serves_and_the_sixth_time_is_noticed() {
        let tallies = [(); 3].map(|()| Arc::<Tally>::default());
        let [first, second, alone] = &tallies;
        let trace = |tally: &Arc<Tally>| Trace::new(Context::new(), Some(Arc::clone(tally)));
        let scope = |trace| Scope::new(trace, Instant::now());
        let shared = Scope { others: vec![trace(second), Trace::default()], ..scope(trace(first)) };
        for _ in 0..5 {
            shared.count("articles/find");
            scope(trace(alone)).count("articles/list");
        }
        scope(trace(alone)).count("articles/find");
        assert_eq!(tallies.each_ref().map(|tally| tally.statements()), [5, 5, 6]);
        assert_eq!(tallies.each_ref().map(|tally| tally.repeats()), [false; 3]);
        scope(trace(second)).count("articles/find");
        assert_eq!(tallies.each_ref().map(|tally| tally.repeats()), [false, true, false]);
    }
}
