//! What sends messages to webhooks: hop by hop, each looked at before it is taken, each with a span of its own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Instant;

use actors::kit::trace::Span;
use actors::kit::{Scope, Under};
use actors::webhooks::{Answered, Letter, Post, Undelivered, Unfit};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use tokio_rustls::TlsConnector;

use super::allowed::Allowed;
use super::connection::{self, Reply};
use super::target::Target;
use super::tls::Authorities;
use crate::config::Propagation;

/// Who says so.
const AGENT: &str = concat!("callboard/", env!("CARGO_PKG_VERSION"));
/// What is said of a receiver that takes too long.
const LATE: &str = "no answer in time";
/// How many redirects are followed.
const REDIRECTS: i64 = 3;

/// Sends messages over HTTP/1.1. Cheap: it holds no connections.
pub struct Client {
    /// Where messages may be sent.
    allowed: Allowed,
    /// What TLS trusts besides the system's authorities.
    authorities: Authorities,
    /// Whether receivers are told the trace.
    propagation: Propagation,
    /// Made when it is first needed, since the system's certificates take a while to read.
    connector: OnceLock<Result<TlsConnector, Undelivered>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// One that sends to addresses that are `allowed` and trusts these authorities besides the system's.
    pub fn new(allowed: Allowed, authorities: Authorities) -> Self {
        Self { allowed, authorities, propagation: Propagation::default(), connector: OnceLock::new() }
    }

    /// The same, telling receivers the trace or not.
    pub fn propagating(self, propagation: Propagation) -> Self {
        Self { propagation, ..self }
    }

    /// Whether every address that the host has now may be sent to.
    async fn look(&self, target: &Target) -> Result<(), Unfit> {
        let addresses = target.addresses().await?;
        if addresses.iter().all(|address| self.allowed.allows(address.ip())) { Ok(()) } else { Err(Unfit::Private) }
    }

    /// The addresses of the host that may be sent to: these are connected to, and not looked up again.
    async fn look_up(&self, target: &Target) -> Result<Vec<SocketAddr>, Undelivered> {
        let mut addresses = target.addresses().await.map_err(|_| Undelivered("the host cannot be found".into()))?;
        addresses.retain(|address| self.allowed.allows(address.ip()));
        if addresses.is_empty() { Err(Undelivered("the address is not a public one".into())) } else { Ok(addresses) }
    }

    async fn send(&self, letter: Letter<'_>, scope: &Scope) -> Result<Answered, Undelivered> {
        let mut target = Target::parse(letter.url).map_err(|unfit| Undelivered(format!("the URL {unfit}").into()))?;
        for hop in 0..=REDIRECTS {
            let span = scope.client(|| describe(&target, hop));
            let reply = tokio::time::timeout_at(scope.deadline.into(), self.hop(&target, &letter, &span)).await;
            let reply = reply.unwrap_or_else(|_| Err(Undelivered(LATE.into())));
            match &reply {
                Ok(Reply { answered: Answered { status, .. }, .. }) => {
                    span.trace().set(|| [KeyValue::new("http.response.status_code", i64::from(*status))]);
                    if *status >= 400 {
                        span.fail(status.to_string(), String::new);
                    }
                }
                Err(undelivered) => span.fail(error_type(undelivered), || undelivered.to_string()),
            }
            // Its owner knows the URL, and has to be told that this is not about that.
            let reply = reply.map_err(|undelivered| match hop {
                0 => undelivered,
                _ => Undelivered(format!("after a redirect: {undelivered}").into()),
            });
            match reply? {
                // Only these have the same request made elsewhere; what others mean is a GET.
                Reply { answered: Answered { status: 307 | 308, .. }, location: Some(location) } => {
                    let next = target.redirected(&location);
                    target = next.map_err(|_| Undelivered("redirected to where nothing is sent".into()))?;
                }
                Reply { answered, .. } => return Ok(answered),
            }
        }
        Err(Undelivered("redirected too often".into()))
    }

    async fn hop(&self, target: &Target, letter: &Letter<'_>, span: &Span) -> Result<Reply, Undelivered> {
        let addresses = self.look_up(target).await?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(target.path_and_query())
            .header(HOST, target.authority())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close");
        for (name, value) in &letter.headers {
            request = request.header(*name, value);
        }
        if self.propagation == Propagation::TraceContext
            && let Some(traceparent) = span.trace().traceparent()
        {
            request = request.header("traceparent", traceparent);
            if let Some(tracestate) = span.trace().tracestate() {
                request = request.header("tracestate", tracestate);
            }
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(letter.body.as_bytes())));
        let request = request.map_err(|_| Undelivered("no request can be made of the URL".into()))?;
        let connector = || self.connector.get_or_init(|| self.authorities.connector()).clone();
        connection::exchange(target, &addresses, connector, request).await
    }
}

/// All that took too long says so at its end.
fn error_type(undelivered: &Undelivered) -> &'static str {
    if undelivered.0.ends_with("in time") { "timeout" } else { "undelivered" }
}

fn describe(target: &Target, hop: i64) -> SpanBuilder {
    let mut attributes = vec![
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("server.address", target.server_name()),
        KeyValue::new("server.port", i64::from(target.port())),
        KeyValue::new("url.full", target.origin()),
        KeyValue::new("network.protocol.version", "1.1"),
    ];
    if hop > 0 {
        attributes.push(KeyValue::new("http.request.resend_count", hop));
    }
    SpanBuilder::from_name("POST").with_kind(SpanKind::Client).with_attributes(attributes)
}

impl Post for Client {
    fn admit<'a>(&'a self, url: &'a str, deadline: Instant) -> BoxFuture<'a, Result<(), Unfit>> {
        Box::pin(async move {
            let target = Target::parse(url)?;
            let looking = tokio::time::timeout_at(deadline.into(), self.look(&target)).await;
            looking.unwrap_or(Err(Unfit::UnknownHost))
        })
    }

    fn post<'a>(&'a self, letter: Letter<'a>, scope: &'a Scope) -> BoxFuture<'a, Result<Answered, Undelivered>> {
        Box::pin(self.send(letter, scope))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use actors::kit::Trace;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Allows one loopback address and takes every other one for private.
    fn only_first() -> Client {
        Client::new(Allowed::parse("127.0.0.1").unwrap_or_default(), Authorities::default())
    }

    /// Answers every request with these bytes, and counts connections.
    async fn receiver(address: &str, answer: String) -> std::io::Result<(SocketAddr, Arc<AtomicUsize>)> {
        let listener = TcpListener::bind((address, 0)).await?;
        let at = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let mut seen = [0; 4096];
                let _ = stream.read(&mut seen).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                // Open until the other side has had enough.
                let _ = stream.read(&mut seen).await;
            }
        });
        Ok((at, connections))
    }

    async fn post(client: &Client, url: &str) -> Result<u16, Undelivered> {
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name, "x".to_owned()));
        let scope = Scope::new(Trace::default(), Instant::now() + Duration::from_secs(5));
        client.post(Letter { url, headers, body: "{}" }, &scope).await.map(|answered| answered.status)
    }

    fn redirect(status: u16, to: &str) -> String {
        format!("HTTP/1.1 {status} There\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
    }

    #[tokio::test]
    async fn a_redirect_is_followed_to_addresses_that_are_allowed_and_to_no_other() -> std::io::Result<()> {
        let client = only_first();
        let done = "HTTP/1.1 204 Done\r\n\r\n".to_owned();
        let (open, _) = receiver("127.0.0.1", done.clone()).await?;
        let (private, connections) = receiver("127.0.0.2", done).await?;
        assert_eq!(post(&client, &format!("http://{open}/")).await, Ok(204));
        for status in [307, 308] {
            let (to_open, _) = receiver("127.0.0.1", redirect(status, &format!("http://{open}/there"))).await?;
            assert_eq!(post(&client, &format!("http://{to_open}/")).await, Ok(204));
            let (to_private, _) = receiver("127.0.0.1", redirect(status, &format!("http://{private}/"))).await?;
            let refused = post(&client, &format!("http://{to_private}/")).await;
            assert_eq!(refused, Err(Undelivered("after a redirect: the address is not a public one".into())));
        }
        assert_eq!(connections.load(Ordering::Relaxed), 0);
        Ok(())
    }

    #[tokio::test]
    async fn redirects_that_mean_another_request_or_never_end_are_failures() -> std::io::Result<()> {
        let client = only_first();
        for status in [301, 302, 303] {
            let (elsewhere, _) = receiver("127.0.0.1", redirect(status, "/there")).await?;
            assert_eq!(post(&client, &format!("http://{elsewhere}/")).await, Ok(status));
        }
        let (circle, _) = receiver("127.0.0.1", redirect(307, "/again")).await?;
        let refused = post(&client, &format!("http://{circle}/")).await;
        assert_eq!(refused, Err(Undelivered("redirected too often".into())));
        Ok(())
    }

    #[tokio::test]
    async fn a_receiver_that_never_ends_takes_no_longer_than_the_deadline() -> std::io::Result<()> {
        let client = only_first();
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", silent.local_addr()?);
        let scope = Scope::new(Trace::default(), Instant::now() + Duration::from_millis(200));
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name, "x".to_owned()));
        let refused = client.post(Letter { url: &url, headers, body: "{}" }, &scope).await;
        assert_eq!(refused, Err(Undelivered("no answer in time".into())));
        assert!(scope.deadline.elapsed() < Duration::from_secs(2));
        // A body without an end is not waited for: what the head says counts.
        let endless = format!("HTTP/1.1 200 Yes\r\ncontent-length: 9999999999\r\n\r\n{}", "x".repeat(200_000));
        let (endless, _) = receiver("127.0.0.1", endless).await?;
        assert_eq!(post(&client, &format!("http://{endless}/")).await, Ok(200));
        let (stuck, _) = receiver("127.0.0.1", "HTTP/1.1 200 Yes\r\ncontent-length: 9\r\n\r\nx".to_owned()).await?;
        assert_eq!(post(&client, &format!("http://{stuck}/")).await, Ok(200));
        Ok(())
    }

    #[tokio::test]
    async fn what_is_not_allowed_is_not_connected_to_by_name_or_by_address() -> std::io::Result<()> {
        let client = Client::new(Allowed::Public, Authorities::default());
        let (loopback, connections) = receiver("127.0.0.1", "HTTP/1.1 204 Done\r\n\r\n".to_owned()).await?;
        let port = loopback.port();
        for host in ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"] {
            let refused = post(&client, &format!("http://{host}:{port}/")).await;
            assert_eq!(refused, Err(Undelivered("the address is not a public one".into())), "{host}");
        }
        assert_eq!(connections.load(Ordering::Relaxed), 0);
        Ok(())
    }
}
