//! `streams`: many people listen to what they are told, and a hundred of them a second are followed by somebody.
//!
//! ```text
//! open all ─▶ "open" on stdout ─▶ a line on stdin ─▶ follows, evenly ─▶ every event is there ─▶ the report on stdout
//! ```
//!
//! Then the streams stay open until stdin ends. So whoever measures sees neither how they are opened nor how they are
//! closed. What must stay true: no two follows are alike, so that an event tells which of them it is of; each event comes
//! once, on the stream of the followed, or all of it is a failure. Time runs from when a follow is sent, on the clock of
//! this process, to when its event is there.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout, timeout_at};

use crate::client::{Answered, Client, Failure};
use crate::events::{self, Arrived};
use crate::report::Report;

/// Follows in a second.
const PER_SECOND: f64 = 100.0;
/// Connections that follow in turn: each has 160 ms for its answer before it would be late for its next.
const FEEDERS: usize = 16;
/// Streams that are being opened at once.
const OPENERS: usize = 32;
/// How long an event may be missing after the last follow was answered.
const MISSING: Duration = Duration::from_secs(10);
/// How long we wait for one that comes twice.
const TWICE: Duration = Duration::from_millis(500);

/// Who listens, and follows.
pub(crate) struct People {
    /// Where the service is.
    pub(crate) host: String,
    /// Their tokens.
    pub(crate) tokens: Vec<String>,
    /// Their ids, in the same order.
    pub(crate) ids: Vec<i64>,
}

/// A follow: whose stream it comes on, and the id of who follows.
type Follow = (usize, i64);
type Events = UnboundedReceiver<Result<Arrived, Failure>>;

/// Has so many of them listen for so many seconds, and says how long news take.
pub(crate) async fn run(people: People, streams: usize, seconds: f64) -> Result<Value, Failure> {
    let people = Arc::new(people);
    let mut events = open(&people, streams).await?;
    say("open")?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    let began = Instant::now();
    let sent = follow(&people, streams, (seconds * PER_SECOND) as usize, began).await?;
    let arrived = all(&mut events, &sent).await?;
    let mut report = Report::default();
    let mut last = began;
    for (follow, at) in arrived {
        let sent = sent.get(&follow).ok_or("somebody was told of a follow that nobody made")?;
        last = last.max(at);
        report.note(&Answered { status: 200, took: at.saturating_duration_since(*sent) }, 200);
    }
    Ok(report.finish(last.saturating_duration_since(began)))
}

/// Writes a line, and waits until stdin ends.
pub(crate) async fn report(report: &Value) -> Result<(), Failure> {
    say(&report.to_string())?;
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}

fn say(line: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

async fn open(people: &Arc<People>, streams: usize) -> Result<Events, Failure> {
    let (told, events) = unbounded_channel();
    let mut openers = JoinSet::new();
    for first in 0..OPENERS {
        let (people, told) = (Arc::clone(people), told.clone());
        openers.spawn(async move {
            for holder in (first..streams).step_by(OPENERS) {
                let token = people.tokens.get(holder).ok_or("there are more streams than tokens")?;
                events::open(&people.host, token, holder, told.clone()).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(opened) = openers.join_next().await {
        opened??;
    }
    Ok(events)
}

/// Makes the follows at their times, and says when each was sent.
async fn follow(
    people: &Arc<People>,
    streams: usize,
    count: usize,
    began: Instant,
) -> Result<HashMap<Follow, Instant>, Failure> {
    let mut feeders = JoinSet::new();
    for first in 0..FEEDERS {
        feeders.spawn(feed(Arc::clone(people), streams, (first..count).step_by(FEEDERS), began));
    }
    let mut sent = HashMap::with_capacity(count);
    while let Some(fed) = feeders.join_next().await {
        sent.extend(fed??);
    }
    Ok(sent)
}

async fn feed(
    people: Arc<People>,
    streams: usize,
    numbers: impl Iterator<Item = usize>,
    began: Instant,
) -> Result<Vec<(Follow, Instant)>, Failure> {
    let mut client = Client::connect(&people.host, "").await?;
    let mut sent = Vec::new();
    for number in numbers {
        let (holder, distance) = (number % streams, 1 + number / streams);
        let follower = (holder + distance) % streams;
        if distance >= streams {
            return Err("there are not enough people: everybody follows everybody".into());
        }
        let person = |place: usize| people.ids.get(place).copied().ok_or("there are more streams than ids");
        client.speak_as(people.tokens.get(follower).ok_or("there are more streams than tokens")?);
        let path = format!("/api/users/{}/follow", person(holder)?);
        sleep_until((began + Duration::from_secs_f64(number as f64 / PER_SECOND)).into()).await;
        let at = Instant::now();
        let answered = client.ask(Method::POST, &path, &Bytes::new()).await?;
        if answered.status != 200 {
            return Err(format!("a follow was refused with {}", answered.status).into());
        }
        sent.push(((holder, person(follower)?), at));
    }
    Ok(sent)
}

/// When the event of each follow was there. All of them come, and each only once.
async fn all(events: &mut Events, sent: &HashMap<Follow, Instant>) -> Result<HashMap<Follow, Instant>, Failure> {
    let mut arrived = HashMap::with_capacity(sent.len());
    let until = Instant::now() + MISSING;
    while arrived.len() < sent.len() {
        let missing = sent.len() - arrived.len();
        let next = timeout_at(until.into(), events.recv()).await;
        let next = next.map_err(|_| format!("{missing} of {} events did not come", sent.len()))?;
        note(&mut arrived, next.ok_or("all streams ended")??)?;
    }
    while let Ok(Some(more)) = timeout(TWICE, events.recv()).await {
        note(&mut arrived, more?)?;
    }
    Ok(arrived)
}

fn note(arrived: &mut HashMap<Follow, Instant>, Arrived { holder, follower, at }: Arrived) -> Result<(), Failure> {
    match arrived.insert((holder, follower), at) {
        None => Ok(()),
        Some(_) => Err(format!("an event came twice: person {follower} follows the holder of stream {holder}").into()),
    }
}
