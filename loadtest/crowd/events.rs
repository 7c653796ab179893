//! One stream of notifications that is held open, and what comes on it.
//!
//! ```text
//! open ─▶ its opening has come: all that happens from now on will be told ─▶ an `Arrived` for each event, in a task
//! ```
//!
//! What must stay true: an event's time is taken when its last byte is there, before anything is done with it; a stream
//! that ends says so to whoever counts.

use std::time::Instant;

use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use crate::client::{Client, Failure};

const PATH: &str = "/api/notifications/stream";
/// What ends an event.
const END: &[u8] = b"\n\n";

/// Somebody was told that they are followed.
pub(crate) struct Arrived {
    /// On whose stream, by their place among the people.
    pub(crate) holder: usize,
    /// Who follows them, by id.
    pub(crate) follower: i64,
    /// When.
    pub(crate) at: Instant,
}

/// Opens a stream and has a task tell what comes on it.
pub(crate) async fn open(
    host: &str,
    token: &str,
    holder: usize,
    told: UnboundedSender<Result<Arrived, Failure>>,
) -> Result<(), Failure> {
    let mut client = Client::connect(host, token).await?;
    let answer = client.get(PATH).await?;
    if answer.status() != 200 {
        return Err(format!("a stream was refused with {}", answer.status()).into());
    }
    let mut events = Events { body: answer.into_body(), buffer: BytesMut::new() };
    events.next().await?;
    tokio::spawn(async move {
        // The connection lasts as long as the client.
        let _client = client;
        loop {
            let arrived = events.next().await.and_then(|(event, at)| {
                let follower = follower(&event)?;
                Ok(follower.map(|follower| Arrived { holder, follower, at }))
            });
            let over = arrived.is_err();
            // Nobody listens any more when all has been counted.
            if arrived.transpose().is_some_and(|arrived| told.send(arrived).is_err()) || over {
                return;
            }
        }
    });
    Ok(())
}

struct Events {
    body: Incoming,
    buffer: BytesMut,
}

impl Events {
    /// The next event or comment, and when it was there.
    async fn next(&mut self) -> Result<(BytesMut, Instant), Failure> {
        loop {
            if let Some(end) = self.buffer.windows(END.len()).position(|bytes| bytes == END) {
                return Ok((self.buffer.split_to(end + END.len()), Instant::now()));
            }
            let frame = self.body.frame().await.ok_or("a stream ended")??;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// Who follows, by an event's data; nobody by a comment.
fn follower(event: &[u8]) -> Result<Option<i64>, Failure> {
    let lines = std::str::from_utf8(event)?.lines();
    let Some(data) = lines.filter_map(|line| line.strip_prefix("data: ")).next() else { return Ok(None) };
    let told: Value = serde_json::from_str(data)?;
    let follower = told.pointer("/actor/id").and_then(Value::as_i64);
    match (told.get("kind").and_then(Value::as_str), follower) {
        (Some("followed"), Some(follower)) => Ok(Some(follower)),
        _ => Err(format!("something else was told: {data}").into()),
    }
}
