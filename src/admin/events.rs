//! What happens in the supervision tree, as it happens: server-sent events.
//!
//! An event's id is the process's mark and the event's number in it. A client that comes back with the last id
//! it saw goes on right after it; one that saw another process, or the same before it was started anew, gets all
//! that this one still remembers. What it came too late for is counted in a `missed` event.

use std::time::Duration;

use actors::supervision::events::{Event, Reader, What};
use bytes::Bytes;
use futures_util::stream;
use hyper::Method;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::authorize;
use super::restarts::RestartBody;
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// Between two signs of life when nothing happens, so that neither side takes the other for gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// What a stream opens with: how long clients wait before they come back, in milliseconds.
const OPENING: &[u8] = b"retry: 1000\n\n";

struct Following {
    reader: Reader,
    mark: u32,
    node: String,
    opened: bool,
}

/// `GET /actors/events`
pub async fn follow(request: Request) -> Result<Response, ApiError> {
    authorize(&request)?;
    if request.head.method == Method::HEAD {
        return Ok(response::event_stream(stream::empty()));
    }
    let events = request.app.system.events();
    let last = request.head.headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default());
    let reader = events.read(last.map(|last| position(last, events.mark())));
    let node = request.app.config.node.clone();
    let following = Following { reader, mark: events.mark(), node, opened: false };
    Ok(response::event_stream(stream::unfold(following, async |mut following| {
        let chunk = following.next().await?;
        Some((chunk, following))
    })))
}

/// The number in an id of this process; 0, before the first event, in any other.
fn position(id: &str, mark: u32) -> u64 {
    let (theirs, number) = id.split_once('-').unwrap_or_default();
    let same = u32::from_str_radix(theirs, 16) == Ok(mark);
    number.parse().ok().filter(|_| same).unwrap_or(0)
}

impl Following {
    /// What is to be sent next; `None` at the end of the process.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.opened, true) {
            return Some(Bytes::from_static(OPENING));
        }
        match tokio::time::timeout(SIGN_OF_LIFE, self.reader.next()).await {
            Err(_) => Some(Bytes::from_static(b": still here\n\n")),
            Ok(None) => None,
            Ok(Some((missed, events))) => {
                let missed = (missed > 0).then(|| format!("event: missed\ndata: {}\n\n", json!({"count": missed})));
                let events = events.iter().map(|event| self.text(event));
                Some(missed.into_iter().chain(events).collect::<String>().into())
            }
        }
    }

    fn text(&self, event: &Event) -> String {
        let (name, mut data) = describe(&event.what, &self.node);
        if let (Some(fields), Ok(at)) = (data.as_object_mut(), event.at.format(&Rfc3339)) {
            fields.entry("at").or_insert(Value::String(at));
            fields.entry("node").or_insert(Value::String(self.node.clone()));
        }
        format!("id: {:08x}-{}\nevent: {name}\ndata: {data}\n\n", self.mark, event.number)
    }
}

/// The name of an event and what it tells beside when and where.
fn describe(what: &What, node: &str) -> (&'static str, Value) {
    match what {
        What::Started { path, incarnation } => ("started", json!({"path": **path, "incarnation": incarnation})),
        What::Stopped { path, message } => ("stopped", json!({"path": **path, "message": message})),
        What::Restarted(restart) => {
            // Strings, numbers and objects of them are always JSON.
            ("restarted", serde_json::to_value(RestartBody::of(node, restart)).unwrap_or_default())
        }
        What::Escalated { path, message } => ("escalated", json!({"path": **path, "message": message})),
        What::Stalled { path, message } => ("stalled", json!({"path": **path, "message": message})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_this_process_is_a_position_and_any_other_is_the_beginning() {
        assert_eq!(position("0000002a-17", 42), 17);
        for other in ["0000002b-17", "", "17", "-", "0000002a-", "0000002a-x", "nonsense-1"] {
            assert_eq!(position(other, 42), 0, "{other}");
        }
    }
}
