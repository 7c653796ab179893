//! What happens in the tree, as it happens: a ring of the latest events, read by as many as like to.
//!
//! Supervisors put events in and go on. A reader remembers how far it has read and waits for more; one that
//! is slower than the ring is long is told how much it missed, and holds nobody up. Events are numbered
//! from 1 within one process; its mark tells the numbers of two processes apart.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::watch;

use super::observer::Restarted;

/// Events kept for readers that come late or come back: minutes of trouble, days of calm.
const KEPT: usize = 4096;

/// Events given to a reader at once, who comes again for the rest.
const AT_ONCE: usize = 256;

/// Something that happened in the tree.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number in this process.
    pub number: u64,
    /// When it happened.
    pub at: OffsetDateTime,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// An incarnation runs.
    Started {
        /// Where it stands.
        path: Arc<str>,
        /// Its number.
        incarnation: u64,
    },
    /// An incarnation ended, asked or unasked.
    Stopped {
        /// Where it stood.
        path: Arc<str>,
        /// What it said, or why it was stopped.
        message: String,
    },
    /// An actor is back.
    Restarted(Arc<Restarted>),
    /// A supervisor gave up: its parent's turn.
    Escalated {
        /// Which supervisor.
        path: Arc<str>,
        /// Why.
        message: String,
    },
    /// An actor makes no progress.
    Stalled {
        /// Which.
        path: Arc<str>,
        /// In what way.
        message: String,
    },
}

/// The ring. Cheap to clone.
#[derive(Clone)]
pub struct Events(Arc<Shared>);

struct Shared {
    mark: u32,
    ring: Mutex<VecDeque<Event>>,
    /// The number of the latest event; `None` once no more will come.
    latest: watch::Sender<Option<u64>>,
}

impl Default for Events {
    fn default() -> Self {
        let (latest, mark) = (watch::Sender::new(Some(0)), rand::random());
        Self(Arc::new(Shared { mark, ring: Mutex::default(), latest }))
    }
}

impl Events {
    /// Tells this process from others, and from itself before it was started anew.
    pub fn mark(&self) -> u32 {
        self.0.mark
    }

    /// Puts an event in.
    pub(super) fn add(&self, what: What) {
        let mut ring = self.ring();
        let number = ring.back().map_or(0, |event| event.number) + 1;
        ring.push_back(Event { number, at: OffsetDateTime::now_utc(), what });
        if ring.len() > KEPT {
            ring.pop_front();
        }
        self.0.latest.send_if_modified(|latest| latest.as_mut().map(|latest| *latest = number).is_some());
    }

    /// Lets readers come to their end.
    pub fn close(&self) {
        self.0.latest.send_replace(None);
    }

    /// Reads what comes after the event of this number; only what is yet to come without one.
    pub fn read(&self, after: Option<u64>) -> Reader {
        let latest = self.0.latest.subscribe();
        let after = after.unwrap_or_else(|| self.ring().back().map_or(0, |event| event.number));
        Reader { events: self.clone(), latest, after }
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound state.
    fn ring(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who reads along.
pub struct Reader {
    events: Events,
    latest: watch::Receiver<Option<u64>>,
    after: u64,
}

impl Reader {
    /// Waits for events; gives those that are there, and how many were missed before them. `None` once no more
    /// will come. Cancel-safe.
    pub async fn next(&mut self) -> Option<(u64, Vec<Event>)> {
        let after = self.after;
        let more = self.latest.wait_for(|latest| latest.is_none_or(|latest| latest > after)).await;
        // Those that came before the end are still to be had.
        let over = more.map_or(true, |latest| latest.is_none());
        let ring = self.events.ring();
        let news: Vec<Event> = ring.iter().filter(|event| event.number > after).take(AT_ONCE).cloned().collect();
        if news.is_empty() && over {
            return None;
        }
        let missed = news.first().map_or(0, |first| first.number - after - 1);
        self.after = news.last().map_or(after, |last| last.number);
        Some((missed, news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(events: &Events, count: u64) {
        for incarnation in 1..=count {
            events.add(What::Started { path: "root".into(), incarnation });
        }
    }

    async fn numbers(reader: &mut Reader) -> Option<(u64, Vec<u64>)> {
        reader.next().await.map(|(missed, news)| (missed, news.iter().map(|event| event.number).collect()))
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_misses_nothing_and_reads_nothing_twice() {
        let events = Events::default();
        add(&events, 3);
        assert_eq!(numbers(&mut events.read(Some(1))).await, Some((0, vec![2, 3])));
        let mut late = events.read(None);
        add(&events, 1);
        assert_eq!(numbers(&mut late).await, Some((0, vec![4])));
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told_what_it_missed() {
        let events = Events::default();
        let mut reader = events.read(None);
        add(&events, KEPT as u64 + 5);
        let Some((missed, news)) = reader.next().await else { unreachable!() };
        assert_eq!((missed, news.len()), (5, AT_ONCE));
    }

    #[tokio::test]
    async fn readers_end_with_the_events_and_not_before_the_last_one() {
        let events = Events::default();
        let mut reader = events.read(None);
        add(&events, 1);
        events.close();
        assert_eq!(numbers(&mut reader).await, Some((0, vec![1])));
        assert!(reader.next().await.is_none());
    }
}
