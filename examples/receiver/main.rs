//! A receiver of telemetry for terminals: takes OTLP over HTTP as any collector does, and draws each trace as a tree.
//!
//! ```text
//! POST /v1/traces, /v1/logs ─▶ kept: traces, as many as there is room for ─▶ drawn when nothing more of one comes
//! POST /v1/metrics: taken, not shown        GET /TRACE-ID ─▶ drawn at once
//! ```
//!
//! For looking on while one works, on one machine: it keeps nothing on disk, and what it has no room for is gone.

mod draw;
mod kept;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kept::Kept;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};

/// What one export may hold, unpacked.
const BODY_LIMIT: usize = 64 << 20;
/// How often it is looked whether a trace has come to rest.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Take OTLP over HTTP and draw each trace as a tree of text, with its log lines in place.
#[derive(Parser)]
#[command(name = "receiver")]
struct Arguments {
    /// Where to listen: what OTEL_EXPORTER_OTLP_ENDPOINT says, by itself.
    #[arg(long, default_value = "127.0.0.1:4318")]
    listen: SocketAddr,
    /// Draw only the trace with this id.
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// Draw a trace when nothing more of it came for so long; exporters send every 5 seconds by themselves.
    #[arg(long, value_name = "MS", default_value_t = 6000)]
    quiet_ms: u64,
}

/// What came, shared by the connections and the one who draws.
type Shared = Arc<Mutex<Kept>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let listener = match TcpListener::bind(arguments.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "receiver: {}: {error}", arguments.listen);
            return ExitCode::FAILURE;
        }
    };
    let address = listener.local_addr().unwrap_or(arguments.listen);
    let _ = writeln!(std::io::stderr(), "listening on http://{address}, until Ctrl-C");
    let kept = Shared::default();
    let quiet = Duration::from_millis(arguments.quiet_ms);
    let mut clock = tokio::time::interval(LOOK_EVERY);
    let ended = tokio::signal::ctrl_c();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => drop(tokio::spawn(converse(stream, Arc::clone(&kept)))),
            _ = clock.tick() => show(&kept, quiet, arguments.trace.as_deref()),
            _ = &mut ended => break,
        }
    }
    show(&kept, Duration::ZERO, arguments.trace.as_deref());
    ExitCode::SUCCESS
}

fn locked(kept: &Shared) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws the traces of which nothing came for `quiet` and that were not drawn since.
fn show(kept: &Shared, quiet: Duration, only: Option<&str>) {
    let mut kept = locked(kept);
    for id in kept.at_rest(quiet) {
        if only.is_none_or(|only| only == id) {
            // Nobody reads any more: Ctrl-C follows.
            let _ = writeln!(std::io::stdout(), "{}\n", draw::trace(&kept, &id).join("\n"));
        }
    }
}

async fn converse(stream: TcpStream, kept: Shared) {
    let service = service_fn(move |request| answer(Arc::clone(&kept), request));
    // An exporter that breaks off sends again.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(kept: Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let (status, body) = match (head.method, head.uri.path()) {
        (Method::GET, path) => drawn(&kept, path.trim_start_matches('/')),
        (_, path) => match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => {
                let packed = head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
                (take(&kept, path, &unpacked(body.to_bytes(), packed)), Bytes::new())
            }
            Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()),
        },
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    Ok(response)
}

fn drawn(kept: &Shared, id: &str) -> (StatusCode, Bytes) {
    let kept = locked(kept);
    match kept.trace(id) {
        Some(_) => (StatusCode::OK, format!("{}\n", draw::trace(&kept, id).join("\n")).into()),
        None => (StatusCode::NOT_FOUND, format!("nothing came of a trace with the id {id}\n").into()),
    }
}

/// An empty message is the answer to an export that was taken whole.
fn take(kept: &Shared, path: &str, body: &[u8]) -> StatusCode {
    let taken = match path {
        "/v1/traces" => ExportTraceServiceRequest::decode(body).map(|export| locked(kept).spans(export)).is_ok(),
        "/v1/logs" => ExportLogsServiceRequest::decode(body).map(|export| locked(kept).lines(export)).is_ok(),
        "/v1/metrics" => true,
        _ => return StatusCode::NOT_FOUND,
    };
    if taken { StatusCode::OK } else { StatusCode::BAD_REQUEST }
}

fn unpacked(body: Bytes, packed: bool) -> Bytes {
    let mut plain = Vec::new();
    if packed && GzDecoder::new(&body[..]).take(BODY_LIMIT as u64).read_to_end(&mut plain).is_ok() {
        return plain.into();
    }
    body
}
