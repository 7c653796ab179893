//! A receiver of webhooks, within the test: keeps every request, answers as it is told, verifies signatures. And
//! what tests of webhooks have in common.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{PATIENCE, Service, Stage, User, eventually};

/// Failed attempts are made again at once, and the test's own machine may be sent to.
pub const QUICK: [(&str, &str); 3] =
    [("WEBHOOKS_ALLOW_PRIVATE", "true"), ("WEBHOOK_BACKOFF_MS", "20"), ("WEBHOOK_BACKOFF_CAP_MS", "50")];

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its method and path.
    pub line: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// The receiver. It ends with the test.
pub struct Hooks {
    /// Where it is.
    pub url: String,
    received: watch::Receiver<Vec<Received>>,
    answers: Answers,
}

/// What the next requests are answered with: a status, and perhaps a header.
type Answers = Arc<Mutex<VecDeque<(u16, Option<(&'static str, String)>)>>>;

impl Received {
    /// A header's value.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The trace that it belongs to.
    pub fn trace_id(&self) -> &str {
        self.header("traceparent").split('-').nth(1).unwrap()
    }

    /// Checks the signature as a receiver does, with the secret as its owner was shown it.
    #[track_caller]
    pub fn is_signed_with(&self, secret: &str) {
        self.is_signed_with_each(&[secret]);
    }

    /// The same for several secrets, whose signatures come in this order.
    #[track_caller]
    pub fn is_signed_with_each(&self, secrets: &[&str]) {
        let sign = |secret: &&str| {
            let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("the secret's prefix")).unwrap();
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).as_bytes());
            mac.update(&self.body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        let signatures: Vec<_> = secrets.iter().map(sign).collect();
        assert_eq!(self.header("webhook-signature"), signatures.join(" "));
        let sent: i64 = self.header("webhook-timestamp").parse().unwrap();
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        assert!((now - sent).abs() <= PATIENCE.as_secs().cast_signed(), "sent at {sent}, and it is {now}");
    }
}

impl Hooks {
    /// Starts it on a free port. It answers 204 unless it is told otherwise.
    pub async fn start() -> Self {
        Self::at("127.0.0.1", None).await
    }

    /// The same at another address of this machine, or over TLS.
    pub async fn at(address: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/hook?token=of-the-owner", listener.local_addr().unwrap());
        let (keeper, received) = watch::channel(Vec::new());
        let answers = Answers::default();
        let told = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keeper, told, tls) = (keeper.clone(), Arc::clone(&told), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, keeper, told).await,
                        // Who does not trust us has gone.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, keeper, told).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, received, answers }
    }

    /// Where it is, with the name of this machine instead of its address.
    pub fn by_name(&self) -> String {
        self.url.replacen("127.0.0.1", "localhost", 1)
    }

    /// Has the next requests answered with these statuses.
    pub fn answer(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses.iter().map(|status| (*status, None)));
    }

    /// Has the next request answered with this status and header.
    pub fn answer_with(&self, status: u16, name: &'static str, value: impl Into<String>) {
        self.answers.lock().unwrap().push_back((status, Some((name, value.into()))));
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until so many requests have come; gives all there are.
    pub async fn requests(&self, count: usize) -> Vec<Received> {
        let mut received = self.received.clone();
        let waiting = tokio::time::timeout(PATIENCE, received.wait_for(|received| received.len() >= count));
        match waiting.await {
            Ok(Ok(received)) => received.clone(),
            _ => panic!("{count} requests never came, but {:?}", self.received()),
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    keeper: watch::Sender<Vec<Received>>,
    told: Answers,
) {
    let service = service_fn(move |request| receive(keeper.clone(), Arc::clone(&told), request));
    // However it ends: what counts is what was received.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn receive(
    keeper: watch::Sender<Vec<Received>>,
    answers: Answers,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let line = format!("{} {}", head.method, head.uri);
    let (status, header) = answers.lock().unwrap().pop_front().unwrap_or((204, None));
    keeper.send_modify(|received| received.push(Received { line, headers: head.headers, body }));
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some((name, value)) = header {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
    }
    Ok(response)
}

/// Makes a webhook of these kinds, or of all.
pub async fn hook(user: &User, url: &str, kinds: Option<Value>) -> Value {
    let mut body = json!({"url": url});
    if let Some(kinds) = kinds {
        body["kinds"] = kinds;
    }
    user.client.post("/api/webhooks", &body).await.expect(201)
}

/// The newest of its deliveries.
pub async fn deliveries(user: &User, hook: &Value) -> Vec<Value> {
    let page = user.client.get(&format!("/api/webhooks/{}/deliveries", hook["id"])).await.expect(200);
    page["deliveries"].as_array().unwrap().clone()
}

/// The only delivery, once it is in this state.
pub async fn settled(user: &User, hook: &Value, state: &str) -> Value {
    eventually("the delivery is settled", async || {
        let all = deliveries(user, hook).await;
        assert!(all.len() <= 1, "{all:?}");
        all.into_iter().find(|delivery| delivery["state"] == state)
    })
    .await
}

/// What its attempts were answered with.
pub fn statuses(delivery: &Value) -> Vec<Value> {
    delivery["attempts"].as_array().unwrap().iter().map(|attempt| attempt["status"].clone()).collect()
}

/// Why its attempts were not answered.
pub fn errors(delivery: &Value) -> Vec<Value> {
    delivery["attempts"].as_array().unwrap().iter().map(|attempt| attempt["error"].clone()).collect()
}

/// Ann, who writes, and Bob, who follows her; that he does has been told.
pub async fn ann_and_bob(stage: &Stage, service: &Service) -> (User, User) {
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    stage.jobs_done().await;
    (ann, bob)
}
