//! Notifications as they happen: server-sent events.
//!
//! ```text
//! opening (retry, id) ─▶ an event for each change, its number as id ─▶ … ─▶ end: a stop, or nobody signed in
//! ```
//!
//! The opening's id is where the stream begins, so that a client which has seen no event yet resumes without a
//! gap as well. What must stay true: nothing is kept here for a client that reads slowly, for the next page is
//! read when the last one has gone out; a stream outlives its token or its session by one sign of life at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::kit::{Caller, Failure, Trace};
use actors::notifications::Reader;
use actors::notifications::message::News;
use bytes::Bytes;
use futures_util::stream;
use hyper::Method;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::notifications::NotificationBody;
use super::refusals::{BadQuery, Failures, TooManyStreams, Unauthorized};
use crate::app::App;
use crate::error::ApiError;
use crate::request::Request;
use crate::response::{self, Response};

/// Between two signs of life; at each the token and its session are looked at again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long such a look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// How long clients wait before they come back, in milliseconds.
const COME_BACK_AFTER: u64 = 1000;
/// Where a client that comes back says what it saw last.
const LAST_EVENT_ID: &str = "Last-Event-ID";

struct Following {
    app: Arc<App>,
    token: String,
    reader: Reader,
    signs: Interval,
    opened: bool,
}

/// Be told as it happens.
///
/// Server-sent events, one for each notification that is new or changed: `event` is `notification`, `data` the
/// notification exactly as the list has it, `id` where to go on. An unread notification of favorites comes again
/// when its count changes. Every 15 seconds there is a comment, so that neither side takes the other for gone.
///
/// A client that comes back with `Last-Event-ID` is told what changed meanwhile, and nothing twice; several
/// changes of one notification come as one, and what was taken back does not come at all. Without it, or with a
/// number that was never given, a stream begins with what is yet to happen. It ends when the service stops and when
/// the token expires or its session ends, then within 20 seconds. Nobody may have more than a few open at once.
#[utoipa::path(
    get, path = "/api/notifications/stream", operation_id = "follow_notifications", tag = "notifications",
    security(("bearer" = [])),
    params(
        ("Last-Event-ID" = Option<i64>, Header, description = "The `id` that was seen last.", minimum = 0),
    ),
    responses(
        (status = 200, description = "The events, without end.", content_type = "text/event-stream", body = String,
            example = "id: 7\nevent: notification\ndata: {\"id\":4,\"kind\":\"followed\",…}\n\n"),
        (status = 400, response = BadQuery),
        (status = 401, response = Unauthorized),
        (status = 429, response = TooManyStreams),
        Failures,
    )
)]
pub async fn follow(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let last = request.head.headers.get(LAST_EVENT_ID).map(|value| position(value.as_bytes())).transpose()?;
    if request.head.method == Method::HEAD {
        // It is told what a stream would be like, and takes nobody's place in one.
        return Ok(response::event_stream(stream::empty()));
    }
    let reader = request.app.system.notifications.follow(&request.caller, user, last.flatten()).await?;
    let mut signs = interval_at((Instant::now() + SIGN_OF_LIFE).into(), SIGN_OF_LIFE);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let token = request.bearer()?.to_owned();
    let following = Following { app: Arc::clone(&request.app), token, reader, signs, opened: false };
    Ok(response::event_stream(stream::unfold(following, async |mut following| {
        let chunk = following.next().await?;
        Some((chunk, following))
    })))
}

/// The number in an id of ours; none in an empty one.
pub(crate) fn position(id: &[u8]) -> Result<Option<i64>, ApiError> {
    if id.is_empty() {
        return Ok(None);
    }
    let digits = std::str::from_utf8(id).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| ApiError::field(LAST_EVENT_ID, "is not the id of an event of this stream"))
}

impl Following {
    /// What is to be sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.opened, true) {
            let opening = format!("retry: {COME_BACK_AFTER}\nid: {}\n\n", self.reader.position());
            return Some(opening.into());
        }
        tokio::select! {
            news = self.reader.next() => news.map(|news| news.into_iter().map(text).collect::<String>().into()),
            _ = self.signs.tick() => self.is_welcome().await.then(|| Bytes::from_static(b": still here\n\n")),
        }
    }

    /// Whether whoever follows is still signed in, and the service goes on. When that cannot be told, they are.
    async fn is_welcome(&mut self) -> bool {
        let caller = Caller { trace: Trace::default(), deadline: Instant::now() + LOOK_WITHIN };
        tokio::select! {
            looked = self.app.system.auth.authenticate(&caller, &self.token) => {
                !matches!(looked, Err(Failure::Refused(_)))
            }
            () = self.reader.ended() => false,
        }
    }
}

fn text(news: News) -> String {
    let number = news.number;
    // Strings, numbers and objects of them are always JSON.
    let data = serde_json::to_string(&NotificationBody::from(news.notification)).unwrap_or_default();
    format!("id: {number}\nevent: notification\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_and_nothing_else_is() {
        let number = |id: &str| position(id.as_bytes()).ok();
        assert_eq!(number(""), Some(None));
        assert_eq!(number("0"), Some(Some(0)));
        assert_eq!(number("9223372036854775807"), Some(Some(i64::MAX)));
        for other in ["-1", "+1", "1 ", "x", "1.0", "9223372036854775808", "0000002a-17"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
