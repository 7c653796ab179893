//! What sends a batch over HTTP/1.1: on a connection that is kept for the next one, since there is one batch at a time.
//!
//! What must stay true: an exchange ends within its time, however slowly it goes on, and as much of an answer is kept as
//! an answer needs; the rest of one that is longer is never read.

use std::error::Error;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError, ResponseBodyTooLarge};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::super::SetupError;
use super::super::settings::Destination;
use super::losses::Losses;
use super::sending::Prepared;
use super::tls;

/// The head of an answer, in bytes.
const HEAD: usize = 64 * 1024;
/// The body of an answer: a count and a sentence.
const BODY: usize = 64 * 1024;

type Connection = SendRequest<Full<Bytes>>;

/// Sends batches to one collector.
pub(super) struct Client {
    tls: Option<TlsConnector>,
    within: Duration,
    losses: Losses,
    prepared: Prepared,
    open: Mutex<Option<Connection>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchanged = tokio::time::timeout(self.within, self.exchange(request)).await;
        let answer = exchanged.unwrap_or_else(|elapsed| Err(elapsed.into()));
        if let Err(error) = &answer {
            // The SDK only says that there was an error of the network.
            self.losses.because(reason(error.as_ref()));
        }
        answer
    }
}

impl Client {
    pub(super) fn new(to: &Destination, losses: Losses) -> Result<Self, SetupError> {
        let (tls, within) = (tls::of_http(to)?, to.timeout);
        Ok(Self { tls, within, losses, prepared: Prepared::default(), open: Mutex::new(None) })
    }

    /// The same, which sends what was prepared in place of what the SDK encoded.
    pub(super) fn sending(self, prepared: Prepared) -> Self {
        Self { prepared, ..self }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut open = self.open.lock().await;
        // A collector closes connections that are idle.
        let mut kept = None;
        if let Some(mut connection) = open.take() {
            kept = connection.ready().await.is_ok().then_some(connection);
        }
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect(request.uri()).await?,
        };
        let request = self.prepared.in_place_of(to_this_host(request)?)?;
        let response = connection.send_request(request.map(Full::new)).await?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            // The status says it all; with the connection goes whatever comes behind it.
            return Ok(Response::from_parts(head, Bytes::new()));
        }
        let body = read(body).await?;
        *open = Some(connection);
        Ok(Response::from_parts(head, body))
    }

    async fn connect(&self, uri: &Uri) -> Result<Connection, HttpError> {
        let host = uri.host().ok_or("no host")?;
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
                speak(tls.connect(name, stream).await?).await
            }
            None => speak(stream).await,
        }
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Connection, HttpError> {
    let (connection, driver) = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await?;
    // It ends with the connection that it drives; an error reaches whoever waits for an answer.
    tokio::spawn(driver);
    Ok(connection)
}

/// The request as HTTP/1.1 wants it: a path, and the host among the headers.
fn to_this_host(request: Request<Bytes>) -> Result<Request<Bytes>, HttpError> {
    let (mut head, body) = request.into_parts();
    let host = head.uri.authority().ok_or("no host")?;
    head.headers.insert(HOST, HeaderValue::from_str(host.as_str())?);
    head.uri = head.uri.path_and_query().map_or_else(|| Ok(Uri::from_static("/")), |path| path.as_str().parse())?;
    Ok(Request::from_parts(head, body))
}

async fn read(body: Incoming) -> Result<Bytes, HttpError> {
    match Limited::new(body, BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ResponseBodyTooLarge::new().into()),
        Err(error) => Err(error),
    }
}

/// Why an exchange failed, as one of a few words.
fn reason(error: &(dyn Error + Send + Sync + 'static)) -> &'static str {
    if error.is::<tokio::time::error::Elapsed>() {
        return "timeout";
    }
    if error.is::<ResponseBodyTooLarge>() {
        return "response_too_large";
    }
    let Some(error) = error.downcast_ref::<io::Error>() else { return "connection_broken" };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection_refused",
        io::ErrorKind::InvalidData => "tls",
        _ => "connection_broken",
    }
}
