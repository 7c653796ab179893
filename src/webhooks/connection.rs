//! One connection for one request. Nothing is kept for the next one: an address is looked at each time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actors::webhooks::Undelivered;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::target::Target;

/// What connecting may take, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How many of a host's addresses are tried.
const ADDRESSES: u32 = 2;
/// The head of an answer, in bytes.
const HEAD: usize = 64 * 1024;
/// As much of an answer's body is read, and thrown away.
const BODY: usize = 64 * 1024;

/// An answer, as far as anybody looks at it.
pub(super) struct Reply {
    pub(super) status: u16,
    /// Where it says to go instead.
    pub(super) location: Option<String>,
}

/// What TLS trusts: the certificate authorities of the system.
///
/// # Errors
/// When the system has none.
pub(super) fn tls() -> Result<TlsConnector, Undelivered> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        tracing::warn!("the system has no certificate authorities: no webhook can be sent over TLS");
        return Err(Undelivered("no certificate authorities are known here".into()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| Undelivered("TLS cannot be set up here".into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Sends a request to one of these addresses and nowhere else.
pub(super) async fn exchange(
    target: &Target,
    addresses: &[SocketAddr],
    tls: impl FnOnce() -> Result<TlsConnector, Undelivered>,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Undelivered> {
    let tls = if target.is_tls() { Some(tls()?) } else { None };
    let connecting = async {
        let stream = connect(addresses).await?;
        let Some(tls) = tls else { return Ok((Some(stream), None)) };
        let name = ServerName::try_from(target.server_name()).map_err(|_| Undelivered("no such host".into()))?;
        let encrypted = tls.connect(name, stream).await;
        let encrypted = encrypted.map_err(|error| Undelivered(format!("TLS failed: {error}").into()))?;
        Ok((None, Some(encrypted)))
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
    let location = response.headers().get(hyper::header::LOCATION);
    let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    // The head has said it all; a body that breaks off changes nothing.
    let _ = discard(response).await;
    Ok(Reply { status, location })
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
