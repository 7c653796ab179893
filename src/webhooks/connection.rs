//! One connection for one request. Nothing is kept for the next one: an address is looked at each time.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use actors::webhooks::{Answered, Undelivered};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::target::Target;
use super::{retry_after, tls};

/// What connecting may take, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How many of a host's addresses are tried.
const ADDRESSES: u32 = 2;
/// The head of an answer, in bytes.
const HEAD: usize = 64 * 1024;
/// As much of an answer's body is read, and thrown away.
const BODY: usize = 64 * 1024;
/// As long as that is waited for.
const BODY_WITHIN: Duration = Duration::from_secs(1);

/// An answer, as far as anybody looks at it.
pub(super) struct Reply {
    pub(super) answered: Answered,
    /// Where it says to go instead.
    pub(super) location: Option<String>,
}

/// Sends a request to one of these addresses and nowhere else.
pub(super) async fn exchange(
    target: &Target,
    addresses: &[SocketAddr],
    connector: impl FnOnce() -> Result<TlsConnector, Undelivered>,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Undelivered> {
    let connector = if target.is_tls() { Some(connector()?) } else { None };
    let connecting = async {
        let stream = connect(addresses).await?;
        let Some(connector) = connector else { return Ok((Some(stream), None)) };
        let name = ServerName::try_from(target.server_name()).map_err(|_| Undelivered("no such host".into()))?;
        let encrypted = connector.connect(name, stream).await;
        Ok((None, Some(encrypted.map_err(|error| tls::refused(&error))?)))
    };
    let connected = tokio::time::timeout(CONNECT_WITHIN, connecting).await;
    match connected.map_err(|_| Undelivered("no connection in time".into()))?? {
        (Some(plain), _) => ask(plain, request).await,
        (_, Some(encrypted)) => ask(encrypted, request).await,
        (None, None) => Err(Undelivered("no connection".into())),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Undelivered> {
    let tried = u32::try_from(addresses.len()).unwrap_or(ADDRESSES).clamp(1, ADDRESSES);
    let mut failed = Undelivered("no address".into());
    for address in addresses.iter().take(ADDRESSES as usize) {
        match tokio::time::timeout(CONNECT_WITHIN / tried, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            // Its kind is a word of ours, where the error itself could name the address.
            Ok(Err(error)) => failed = Undelivered(format!("no connection: {}", error.kind()).into()),
            Err(_) => failed = Undelivered("no connection in time".into()),
        }
    }
    Err(failed)
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Undelivered> {
    let handshake = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    // It ends with whoever asked, in time or not.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let headers = response.headers();
    let location = text(headers, LOCATION).map(str::to_owned);
    let retry_after = text(headers, RETRY_AFTER).and_then(|value| retry_after::wait(value, SystemTime::now()));
    let answered = Answered { status: response.status().as_u16(), retry_after };
    // The head has said it all; a body that breaks off, or does not end, changes nothing.
    let _ = tokio::time::timeout(BODY_WITHIN, discard(response)).await;
    Ok(Reply { answered, location })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Reads what follows the head, so that the receiver is not cut off in the middle of it; not without end.
async fn discard(response: Response<Incoming>) -> Result<(), hyper::Error> {
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame?.data_ref().map_or(0, Bytes::len);
        if read > BODY {
            break;
        }
    }
    Ok(())
}

fn broken(error: &hyper::Error) -> Undelivered {
    let what = match error {
        error if error.is_parse() => "the answer is not one of HTTP",
        error if error.is_incomplete_message() => "the connection was closed without an answer",
        _ => "the connection broke",
    };
    Undelivered(what.into())
}
