//! The same warning again and again: the first of a window are written, the others counted, and one line says how many
//! there were.
//!
//! ```text
//! warning or error ─▶ its place and message ─▶ few in this window ─▶ written
//!                                              └── too many: counted ─▶ told when the window is over
//! ```
//!
//! The same is what comes from the same place of the code with the same message, whatever its fields hold. Libraries
//! have a single line in a window: ours are about a request or a job each, theirs repeat that the collector is away.
//!
//! What must stay true: nothing is left out without being counted; `request completed`, of which there is one for every
//! request, is never left out; what is remembered is bounded.

use std::collections::HashMap;
use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::is_ours;
use crate::telemetry::completed::COMPLETED;

/// What is told apart at most. Beyond it everything new is one and the same.
const PLACES: usize = 1024;
/// What libraries may say in a window, of each place.
const OF_OTHERS: u64 = 1;

static SUPPRESSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("callboard")
        .u64_counter("log.records.suppressed")
        .with_unit("{record}")
        .with_description("Warnings and errors that were not written, since they repeated others.")
        .build()
});

/// What is said how often.
pub(super) struct Flood {
    places: Mutex<HashMap<u64, Place>>,
    lines: u64,
    window: Duration,
}

struct Place {
    since: Instant,
    written: u64,
    left_out: u64,
    level: Level,
    target: String,
    line: Option<u32>,
    message: String,
}

impl Flood {
    /// At most `lines` of the same in a `window`.
    pub(super) fn new(lines: u64, window: Duration) -> Self {
        Self { places: Mutex::default(), lines, window }
    }

    /// Whether an event is to be written.
    pub(super) fn admits(&self, event: &Event<'_>, metadata: &Metadata<'_>) -> bool {
        let exempt =
            *metadata.level() > Level::WARN || metadata.name() == COMPLETED || metadata.target() == module_path!();
        if exempt {
            return true;
        }
        let mut key = Key(DefaultHasher::new());
        (metadata.target(), metadata.line()).hash(&mut key.0);
        event.record(&mut key);
        let limit = if is_ours(metadata.target()) { self.lines } else { OF_OTHERS };
        let admitted = self.count(key.0.finish(), limit, Instant::now(), || {
            let mut message = Message(String::new());
            event.record(&mut message);
            (*metadata.level(), metadata.target().to_owned(), metadata.line(), message.0)
        });
        if !admitted {
            SUPPRESSED.add(1, &[KeyValue::new("level", metadata.level().as_str())]);
        }
        admitted
    }

    fn count(
        &self,
        key: u64,
        limit: u64,
        now: Instant,
        what: impl FnOnce() -> (Level, String, Option<u32>, String),
    ) -> bool {
        let mut places = self.lock();
        let key = if places.len() < PLACES || places.contains_key(&key) { key } else { 0 };
        let place = places.entry(key).or_insert_with(|| {
            let (level, target, line, message) = what();
            Place { since: now, written: 0, left_out: 0, level, target, line, message }
        });
        if now.saturating_duration_since(place.since) >= self.window {
            // What was left out is told by whoever looks next.
            (place.since, place.written) = (now, 0);
        }
        let admitted = place.written < limit;
        if admitted {
            place.written += 1
        } else {
            place.left_out += 1
        }
        admitted
    }

    /// Tells of what was left out, window by window, without end.
    pub(super) fn watch(&self) {
        loop {
            std::thread::sleep(self.window.clamp(Duration::from_millis(10), Duration::from_secs(1)));
            self.tell(|place, now| now.saturating_duration_since(place.since) >= self.window);
        }
    }

    /// Tells of all that was left out and is not told yet.
    pub(super) fn tell_rest(&self) {
        self.tell(|_, _| true);
    }

    fn tell(&self, due: impl Fn(&Place, Instant) -> bool) {
        let now = Instant::now();
        // Collected first: who writes a line comes by here.
        let over: Vec<Place> = self.lock().extract_if(|_, place| due(place, now)).map(|(_, place)| place).collect();
        for Place { left_out, level, target, line, message, .. } in over.into_iter().filter(|place| place.left_out > 0)
        {
            let place = line.map_or_else(|| target.clone(), |line| format!("{target}:{line}"));
            tracing::warn!(
                callboard.log.left_out = left_out,
                callboard.log.place = place,
                callboard.log.level = level.as_str(),
                callboard.log.message = message,
                "the same was said more often than is written"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message as a number, without writing it down.
struct Key(DefaultHasher);

impl Visit for Key {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // Hashing does not fail.
            let _ = write!(self, "{value:?}");
        }
    }
}

impl Write for Key {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what() -> (Level, String, Option<u32>, String) {
        (Level::WARN, "callboard::x".to_owned(), Some(1), "again".to_owned())
    }

    #[test]
    fn of_the_same_only_the_first_of_a_window_are_written_and_all_others_counted() {
        let flood = Flood::new(3, Duration::from_secs(60));
        let start = Instant::now();
        let admitted = |key, at| (0..10).filter(|_| flood.count(key, 3, at, what)).count();
        assert_eq!(admitted(1, start), 3);
        assert_eq!(admitted(2, start), 3, "another place is not concerned");
        assert_eq!(admitted(1, start + Duration::from_secs(59)), 0);
        assert_eq!(admitted(1, start + Duration::from_secs(60)), 3, "a new window");
        let left_out: Vec<_> = [1, 2].iter().map(|key| flood.lock().get(key).map(|place| place.left_out)).collect();
        assert_eq!(left_out, [Some(24), Some(7)]);
        flood.tell_rest();
        assert!(flood.lock().is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let flood = Flood::new(1, Duration::from_secs(60));
        for key in 1..=10_000 {
            flood.count(key, 1, Instant::now(), what);
        }
        assert!(flood.lock().len() <= PLACES + 1);
        let left_out: u64 = flood.lock().values().map(|place| place.left_out).sum();
        assert_eq!(left_out, 10_000 - 1 - PLACES as u64);
    }
}
