//! The admin listener, as its clients on the same machine see it: where it is, one request at a time.
//!
//! ```text
//! ADMIN_ADDR ─▶ connection of its own ─▶ request, with the token ─▶ 2xx: the body · else: the envelope's message
//! ```
//!
//! Every wait has an end, but for that between two parts of a stream, which is its reader's to limit. The token
//! is in no message.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use actors::kit::Trace;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry::Context;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::cli::setting;

/// Where it is unless ADMIN_ADDR says otherwise.
const USUAL_ADDRESS: &str = "127.0.0.1:8001";
/// How long an answer may take, connecting included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where the listener is, and what is shown to it.
pub(crate) struct Listener {
    address: SocketAddr,
    token: Option<String>,
}

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The setting is wrong.
    #[error("ADMIN_ADDR must be an address with a port, like {USUAL_ADDRESS}")]
    Address,
    /// Nobody is there.
    #[error("nothing can be reached at {address}, where ADMIN_ADDR has the admin listener: {source}")]
    Unreachable {
        /// Where it should have been.
        address: SocketAddr,
        /// What kept us from it.
        source: io::Error,
    },
    /// Somebody is there and says nothing.
    #[error("no answer from {0}, where ADMIN_ADDR has the admin listener, within {ANSWER_WITHIN:?}")]
    TooLate(SocketAddr),
    /// The connection ended before the answer did.
    #[error("the answer broke off: {0}")]
    BrokenOff(#[from] hyper::Error),
    /// No request can be made of what we were given.
    #[error("this cannot be asked over HTTP: {0}")]
    Unfit(#[from] hyper::http::Error),
    /// The listener said no.
    #[error("{0}")]
    Refused(String),
    /// An answer of something else than we know.
    #[error("what listens at ADMIN_ADDR does not answer like an admin listener: {0}")]
    Strange(serde_json::Error),
    /// A stream without its signs of life.
    #[error("the stream has been silent for {0:?}: what listened at ADMIN_ADDR is gone")]
    Silent(Duration),
}

/// The envelope that every refusal comes in, as far as it is for people.
#[derive(Deserialize)]
struct Envelope {
    error: Told,
}

#[derive(Deserialize)]
struct Told {
    message: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    field: String,
    message: String,
}

impl Listener {
    /// The listener of a process that was started with the same ADMIN_ADDR.
    pub(crate) fn of_environment(token: Option<String>) -> Result<Self, Unanswered> {
        let address = setting("ADMIN_ADDR").unwrap_or_else(|| USUAL_ADDRESS.to_owned());
        let mut address: SocketAddr = address.parse().map_err(|_| Unanswered::Address)?;
        // A listener on every address is reached on the loopback one.
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        Ok(Self { address, token })
    }

    /// The status of a GET's answer, whatever it is.
    pub(crate) async fn status(&self, path: &str) -> Result<StatusCode, Unanswered> {
        self.in_time(async { Ok(self.send(Method::GET, path, None).await?.status()) }).await
    }

    /// The body of an answer that is a success.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> Result<String, Unanswered> {
        self.in_time(async { text(accepted(self.send(method, path, None).await?).await?).await }).await
    }

    /// The events after `last`, or from now on, as the bytes that they come in.
    pub(super) async fn follow(&self, path: &str, last: Option<&str>) -> Result<Incoming, Unanswered> {
        self.in_time(async { accepted(self.send(Method::GET, path, last).await?).await }).await
    }

    async fn in_time<T>(&self, asking: impl Future<Output = Result<T, Unanswered>>) -> Result<T, Unanswered> {
        tokio::time::timeout(ANSWER_WITHIN, asking).await.unwrap_or(Err(Unanswered::TooLate(self.address)))
    }

    async fn send(&self, method: Method, path: &str, last: Option<&str>) -> Result<Response<Incoming>, Unanswered> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let trace = Trace::new(Context::current(), None);
        // A command that exports nothing must not keep the process it asks from recording the request.
        if let Some(traceparent) = trace.traceparent().filter(|_| trace.is_sampled()) {
            request = request.header("traceparent", traceparent);
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let unreachable = |source| Unanswered::Unreachable { address: self.address, source };
        let stream = TcpStream::connect(self.address).await.map_err(unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // What goes wrong on it is told to whoever reads the answer.
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}

/// The body of a success; what is said in its place otherwise.
async fn accepted(response: Response<Incoming>) -> Result<Incoming, Unanswered> {
    let (head, body) = response.into_parts();
    match head.status.is_success() {
        true => Ok(body),
        false => Err(Unanswered::Refused(refusal(head.status, &text(body).await?))),
    }
}

async fn text(body: Incoming) -> Result<String, Unanswered> {
    let bytes = body.collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The envelope's message with its details; the status, where there is no envelope.
fn refusal(status: StatusCode, body: &str) -> String {
    let Ok(Envelope { error }) = serde_json::from_str(body) else {
        return format!("what listens at ADMIN_ADDR answered {status}");
    };
    let details: Vec<_> = error.details.iter().map(|Detail { field, message }| format!("{field} {message}")).collect();
    if details.is_empty() { error.message } else { format!("{}: {}", error.message, details.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_envelopes_words_and_any_other_by_its_status() {
        let told = |body| refusal(StatusCode::NOT_FOUND, body);
        assert_eq!(told(r#"{"error": {"code": "x", "message": "There is no such actor"}}"#), "There is no such actor");
        let limit = r#"{"error": {"message": "Not valid", "details": [{"field": "limit", "message": "is wrong"}]}}"#;
        assert_eq!(told(limit), "Not valid: limit is wrong");
        assert_eq!(told("<html>"), "what listens at ADMIN_ADDR answered 404 Not Found");
    }
}
