//! How much of a signal may wait for export, and for how long.

use std::time::Duration;

use super::Reading;

/// Spans, or log records, that wait.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// After so long they are exported, however few they are.
    pub delay: Duration,
    /// So many may wait; what comes then is lost.
    pub room: usize,
    /// So many are exported at once.
    pub batch: usize,
}

/// What may wait: the specification's 2,048 spans are full within milliseconds of a burst. Each is half a kilobyte, once it
/// waits.
const ROOM: u32 = 8 * 1024;
/// What is exported at once: each batch costs a round trip, for which the thread that exports waits.
const BATCH: u32 = 512;

impl Queue {
    pub(super) fn of_spans(read: &Reading<'_>) -> Self {
        Self::read(read, ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], 5000)
    }

    pub(super) fn of_records(read: &Reading<'_>) -> Self {
        let names = ["OTEL_BLRP_SCHEDULE_DELAY", "OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"];
        Self::read(read, names, 1000)
    }

    /// Whatever is set was looked at before; the specification says what the delay is where nothing is.
    fn read(read: &Reading<'_>, [delay, room, batch]: [&str; 3], usual: u64) -> Self {
        let milliseconds = read(delay).and_then(|text| text.parse().ok()).unwrap_or(usual);
        let size = |name: &str, usual: u32| read(name).and_then(|text| text.parse().ok()).unwrap_or(usual) as usize;
        let room = size(room, ROOM);
        Self { delay: Duration::from_millis(milliseconds), room, batch: size(batch, BATCH).min(room) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_no_larger_than_the_queue() {
        let set = |name: &str| (name == "OTEL_BLRP_MAX_QUEUE_SIZE").then(|| "7".to_owned());
        let (spans, records) = (Queue::of_spans(&set), Queue::of_records(&set));
        assert_eq!((spans.delay.as_secs(), spans.room, spans.batch), (5, 8192, 512));
        assert_eq!((records.delay.as_secs(), records.room, records.batch), (1, 7, 7));
    }
}
