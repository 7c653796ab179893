//! A collector that is in a mood: it speaks OTLP over HTTP and gRPC, with TLS or without, and takes what it gets, or
//! misbehaves.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::otlp::{Exported, Receiver, keep};

type Body = BoxBody<Bytes, std::io::Error>;

/// What a collector does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Takes it, after a while.
    Slow(Duration),
    /// Answers with this status, of HTTP or of gRPC.
    Refuses(u16, u16),
    /// Takes it, and says that it refused so much of it.
    Rejects(u8),
    /// Never answers.
    Silent,
    /// Answers without end.
    Floods,
    /// Closes the connection in place of an answer.
    Cuts,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Whether its body was compressed.
    pub compressed: bool,
    /// The size of its body.
    pub bytes: usize,
}

/// The collector. It ends with the test, or when it is dropped.
pub struct Collector {
    /// What it took.
    pub receiver: Receiver,
    mood: watch::Sender<Mood>,
    sent: watch::Receiver<Vec<Sent>>,
    serving: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Collector {
    /// Starts it on a free port, without TLS.
    pub async fn start(mood: Mood) -> Self {
        Self::serve("127.0.0.1:0", mood, None).await
    }

    /// Starts it with TLS.
    pub async fn encrypted(acceptor: TlsAcceptor) -> Self {
        Self::serve("127.0.0.1:0", Mood::Takes, Some(acceptor)).await
    }

    /// Starts it at an address, for those who knew the address before it was there.
    pub async fn serve(address: &str, mood: Mood, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (receiver, keeper) = Receiver::fed(format!("{scheme}://{}", listener.local_addr().unwrap()));
        let (mood, moods) = watch::channel(mood);
        let (sender, sent) = watch::channel(Vec::new());
        let serving = tokio::spawn(async move {
            let at = Desk { keeper, moods, sender };
            // Dropped with this task, and the connections with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (at, tls) = (at.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                at.converse(stream).await;
                            }
                        }
                        None => at.converse(stream).await,
                    }
                });
            }
        });
        Self { receiver, mood, sent, serving }
    }

    /// Changes its mood.
    pub fn becomes(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// The requests that came, whatever became of them.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.borrow().clone()
    }

    /// Waits for a request that `wanted` takes.
    pub async fn asked(&self, wanted: impl Fn(&Sent) -> bool) -> Sent {
        let mut sent = self.sent.clone();
        let come = |sent: &Vec<Sent>| sent.iter().find(|sent| wanted(sent)).cloned();
        let waiting = tokio::time::timeout(super::PATIENCE, sent.wait_for(|sent| come(sent).is_some())).await;
        let waited = waiting.unwrap_or_else(|_| panic!("it never came: {:#?}", self.sent())).unwrap();
        come(&waited).unwrap()
    }
}

#[derive(Clone)]
struct Desk {
    keeper: watch::Sender<Exported>,
    moods: watch::Receiver<Mood>,
    sender: watch::Sender<Vec<Sent>>,
}

impl Desk {
    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| self.clone().receive(request));
        // Whoever goes away in the middle has its reasons.
        let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    async fn receive(self, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
        let path = request.uri().path().to_owned();
        let is_grpc = !path.starts_with("/v1/");
        let pairs = request.headers().iter();
        let headers: BTreeMap<_, _> =
            pairs.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned())).collect();
        let mut body = request.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
        let bytes = body.len();
        let mut compressed = headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
        if is_grpc {
            compressed = body.get_u8() == 1;
            body.advance(4);
        }
        if compressed {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(body.reader()).read_to_end(&mut plain)?;
            body = plain.into();
        }
        self.sender.send_modify(|sent| sent.push(Sent { path: path.clone(), headers, compressed, bytes }));
        let mood = *self.moods.borrow();
        match mood {
            Mood::Takes | Mood::Rejects(_) | Mood::Slow(_) => {
                if let Mood::Slow(pause) = mood {
                    tokio::time::sleep(pause).await;
                }
                assert!(keep(&self.keeper, &path, body), "{path} cannot be read");
                Ok(taken(is_grpc, if let Mood::Rejects(count) = mood { count } else { 0 }))
            }
            Mood::Refuses(http, grpc) => Ok(refused(is_grpc, http, grpc)),
            Mood::Silent => std::future::pending().await,
            Mood::Floods => Ok(flood(is_grpc)),
            Mood::Cuts => Err(std::io::Error::other("it hangs up")),
        }
    }
}

/// The answer to what was taken, but for so much of it.
fn taken(is_grpc: bool, rejected: u8) -> Response<Body> {
    assert!(rejected < 128, "a varint of one byte");
    // Field 1, the partial success: field 1, the count.
    let message = if rejected == 0 { Vec::new() } else { vec![0x0a, 2, 0x08, rejected] };
    if !is_grpc {
        return Response::new(whole(message));
    }
    let mut framed = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    framed.extend(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = whole(framed).with_trailers(async { Some(Ok(trailers)) });
    grpc(Response::new(body.boxed()))
}

fn refused(is_grpc: bool, http: u16, code: u16) -> Response<Body> {
    let mut response = Response::new(whole(b"a sentence that nobody reads".to_vec()));
    if is_grpc {
        response.headers_mut().insert("grpc-status", HeaderValue::from(code));
        *response.body_mut() = whole(Vec::new());
        return grpc(response);
    }
    *response.status_mut() = StatusCode::from_u16(http).unwrap();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("3600"));
    response
}

fn flood(is_grpc: bool) -> Response<Body> {
    let wave = Bytes::from(vec![b'a'; 64 * 1024]);
    // Of gRPC it is one message, which says that it is long.
    let first = if is_grpc { Bytes::from_static(&[0, 0x7f, 0, 0, 0]) } else { wave.clone() };
    let waves = stream::unfold(Some(first), move |first| {
        let wave = wave.clone();
        async move { Some((Ok(Frame::data(first.unwrap_or(wave))), None)) }
    });
    let response = Response::new(BodyExt::boxed(StreamBody::new(waves)));
    if is_grpc { grpc(response) } else { response }
}

fn grpc(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn whole(bytes: Vec<u8>) -> Body {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed()
}
