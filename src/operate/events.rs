//! The stream of events, followed until Ctrl-C, its end, or the end of whoever reads our output.
//!
//! ```text
//! bytes, cut anywhere ─▶ lines ─▶ fields ─▶ at each empty line an event ─▶ one line of output
//! ```
//!
//! A stream that its process ends in order ends us in success; one that breaks off, or forgets its signs of
//! life, is an error.

use std::time::Duration;

use http_body_util::BodyExt;

use super::draw;
use super::listener::{Listener, Unanswered};
use crate::cli::said;

/// The listener gives a sign of life every fifteen seconds: two that are lost may be slowness, three are not.
const SILENT_FOR: Duration = Duration::from_secs(45);

/// An event as it came.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: String,
    name: String,
    data: String,
}

/// What has come of the stream and is not yet an event.
#[derive(Default)]
struct Pending {
    line: Vec<u8>,
    event: Event,
}

/// Prints events as they come, those after `last` first; with `json` the data of each as it is.
pub(super) async fn follow(listener: &Listener, last: Option<&str>, json: bool) -> Result<(), Unanswered> {
    tokio::select! {
        // Without a handler Ctrl-C ends the process the hard way, which is an end too.
        Ok(()) = tokio::signal::ctrl_c() => Ok(()),
        followed = print(listener, last, json) => followed,
    }
}

async fn print(listener: &Listener, last: Option<&str>, json: bool) -> Result<(), Unanswered> {
    let mut stream = listener.follow("/actors/events", last).await?;
    let mut pending = Pending::default();
    loop {
        let frame = tokio::time::timeout(SILENT_FOR, stream.frame()).await;
        let Some(frame) = frame.map_err(|_| Unanswered::Silent(SILENT_FOR))? else { return Ok(()) };
        let bytes = frame?.into_data().unwrap_or_default();
        for Event { id, name, data } in pending.take(&bytes) {
            let line = if json { data } else { draw::event(&id, &name, &data) };
            if !said(&line) {
                return Ok(());
            }
        }
    }
}

impl Pending {
    /// The events that these bytes complete.
    fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            match line.trim_end_matches('\r') {
                "" => events.extend(Some(std::mem::take(&mut self.event)).filter(|event| !event.data.is_empty())),
                line => self.field(line),
            }
        }
        events
    }

    /// A line without a name is a comment; a name that we do not use says something to browsers.
    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => value.clone_into(&mut self.event.id),
            "event" => value.clone_into(&mut self.event.name),
            "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
            "data" => self.event.data.extend(["\n", value]),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let text = "retry: 1000\n\n: still here\n\nevent: missed\ndata: {\"count\":2}\n\n\
            id: 0000002a-1\nevent: started\ndata: {\"path\":\"gr\u{fc}n\"}\n\nid: 0000002a-2\nevent: cut";
        let event = |id: &str, name: &str, data: &str| Event { id: id.into(), name: name.into(), data: data.into() };
        let expected =
            vec![event("", "missed", r#"{"count":2}"#), event("0000002a-1", "started", "{\"path\":\"gr\u{fc}n\"}")];
        for size in [1, 2, 3, 7, text.len()] {
            let mut pending = Pending::default();
            let events: Vec<_> = text.as_bytes().chunks(size).flat_map(|bytes| pending.take(bytes)).collect();
            assert_eq!(events, expected, "{size}");
        }
    }

    #[test]
    fn lines_may_end_as_on_windows_and_data_may_have_several() {
        let events = Pending::default().take(b"data: one\r\ndata:two\r\n\r\n");
        assert_eq!(events, [Event { data: "one\ntwo".into(), ..Event::default() }]);
    }
}
