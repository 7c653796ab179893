//! One connection: hyper serves it, and its task looks at what it does.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Version;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::activity::{Activity, Cut};
use super::answer::{Answer, UnderWay};
use super::head::TwoLengths;
use super::own_head;
use super::progress::Progress;
use super::seats::Seat;
use crate::app::App;
use crate::config::Front;
use crate::observe;
use crate::proxies::ClientAddress;
use crate::router::{Audience, Router};
use crate::telemetry::instruments::{self, Door};

/// How long a connection that has asked for nothing yet is waited for when we stop.
const FIRST_REQUEST_AT_STOP: Duration = Duration::from_millis(250);
/// Above our own limits, as all that hyper is told, so that what is a little too large is refused in words.
const BUFFER_AT_LEAST: usize = 64 * 1024;
/// What hyper takes without being told: it keeps as many on its stack, and others where memory has to be had for them.
const HEADERS_USUAL: usize = 100;
/// A request over HTTP/2 that was reset before we saw it, for each connection (CVE-2023-44487).
const RESETS_UNSEEN: usize = 20;
/// Streams that a client has had us reset by its mistakes, for each connection (CVE-2025-8671).
const RESETS_BY_MISTAKE: usize = 256;
/// What a client may send ahead of what is read: for a stream, for a connection.
const WINDOWS: (u32, u32) = (64 * 1024, 256 * 1024);
/// Between two questions over HTTP/2 whether the client is still there, and what it may take to answer.
const SIGN_OF_LIFE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// What all connections of a listener have in common.
pub(super) struct Room {
    pub(super) app: Arc<App>,
    pub(super) router: Arc<Router>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) http: Builder<TokioExecutor>,
}

/// A connection that has a seat.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: ClientAddress,
    pub(super) activity: Arc<Activity>,
    pub(super) seat: Seat,
}

/// How hyper speaks; what comes when is judged here, and not by it.
pub(super) fn http(limits: &Front) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let headers = limits.headers + limits.headers / 2;
    if headers > HEADERS_USUAL {
        builder.http1().max_headers(headers);
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size((2 * (limits.head + limits.uri)).max(BUFFER_AT_LEAST));
    let list = u32::try_from(2 * (limits.head + limits.uri)).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(SIGN_OF_LIFE.0)
        .keep_alive_timeout(SIGN_OF_LIFE.1)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(list)
        .max_pending_accept_reset_streams(RESETS_UNSEEN)
        .max_local_error_reset_streams(RESETS_BY_MISTAKE)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(BUFFER_AT_LEAST);
    builder
}

impl Connection {
    /// Serves it until its end, whoever ends it.
    pub(super) async fn serve(self, room: Arc<Room>) {
        let Self { stream, peer, activity, seat: _seat } = self;
        let _open = instruments::open_connection(match room.router.audience {
            Audience::Everyone => Door::Api,
            Audience::Operators => Door::Admin,
        });
        let service = service_fn(|request| answer(Arc::clone(&room), peer, Arc::clone(&activity), request));
        let io = TokioIo::new(Progress::new(stream, Arc::clone(&activity)));
        let mut served = pin!(room.http.serve_connection(io, service));
        let mut stopping = pin!(stopping(room.stop.clone(), &activity));
        let mut is_stopping = false;
        loop {
            let look = match activity.judge(Instant::now(), &room.app.config.limits.front) {
                Ok(look) => look,
                Err(cut) => {
                    tracing::debug!(reason = cut.as_str(), "a connection was cut off");
                    instruments::connection_cut(cut.as_str());
                    return;
                }
            };
            tokio::select! {
                biased;
                ended = served.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(exception.message = %error, "a connection ended early");
                        if is_timed_out(&*error) {
                            instruments::connection_cut(Cut::SlowReader.as_str());
                        }
                    }
                    return;
                }
                () = &mut stopping, if !is_stopping => {
                    is_stopping = true;
                    served.as_mut().graceful_shutdown();
                }
                () = activity.told() => {}
                () = tokio::time::sleep_until(look.into()) => {}
            }
        }
    }
}

/// Whether the kernel gave up a client that took nothing more, before we saw it ourselves.
fn is_timed_out(error: &(dyn Error + 'static)) -> bool {
    let system = error.downcast_ref::<io::Error>();
    system.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) || error.source().is_some_and(is_timed_out)
}

/// Waits for the stop. Who has just connected may have something on its way still.
async fn stopping(mut stop: watch::Receiver<bool>, activity: &Activity) {
    // The sender lives as long as the process serves.
    let _ = stop.wait_for(|stop| *stop).await;
    if !activity.has_asked() {
        tokio::time::sleep(FIRST_REQUEST_AT_STOP).await;
    }
}

fn answer(
    room: Arc<Room>,
    peer: ClientAddress,
    activity: Arc<Activity>,
    mut request: hyper::Request<Incoming>,
) -> impl Future<Output = Result<hyper::Response<Answer>, Infallible>> {
    // From this very moment, and not from when the answer is first worked on.
    let mut under_way = UnderWay::new(Arc::clone(&activity), request.version() >= Version::HTTP_2);
    if under_way.is_ambiguous() {
        request.extensions_mut().insert(TwoLengths);
    }
    let has_body = !request.body().is_end_stream();
    // Now, for hyper reads on as soon as this returns; over HTTP/2 heads have memory of their own.
    if request.version() < Version::HTTP_2 {
        own_head::own(&mut request);
    }
    async move {
        let app = Arc::clone(&room.app);
        let response = observe::answer(app, &room.router, request, peer).await;
        under_way.answered();
        let refused = response.status().is_client_error() || response.status().is_server_error();
        activity.refused_a_body(has_body && refused);
        Ok(response.map(|body| Answer::new(body, under_way)))
    }
}
