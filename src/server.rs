//! A listener: accepts connections within limits, serves them, and ends them gracefully.
//!
//! What must stay true: a client that sends nothing, or only half of something, holds a connection for a
//! bounded time; there are never more connections than the setting allows; once told to stop, nothing new
//! is accepted and what is under way has the grace period to finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::app::App;
use crate::observe;
use crate::router::Router;

/// After an accept that failed, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection that has sent nothing yet is waited for when we stop.
const FIRST_BYTE_AT_STOP: Duration = Duration::from_millis(250);

/// A bound address that is not yet served.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// When it is taken, or not ours.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The address, with the port that was chosen when it was left open.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` turns true, then lets what is under way finish within `grace`.
    pub async fn serve(self, app: Arc<App>, router: Arc<Router>, mut stop: watch::Receiver<bool>, grace: Duration) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(app.config.limits.connections));
        loop {
            let accepted = tokio::select! {
                biased;
                // The sender lives as long as the process serves.
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = accept(&self.socket, &room) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let (app, router) = (Arc::clone(&app), Arc::clone(&router));
                    connection(stream, permit, app, router, &graceful, stop.clone());
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Who was let in by the kernel while we were told to stop is not turned away, however many that are.
        while let Some(Ok((stream, permit))) = tokio::task::unconstrained(accept(&self.socket, &room)).now_or_never() {
            connection(stream, permit, Arc::clone(&app), Arc::clone(&router), &graceful, stop.clone());
        }
        drop(self.socket);
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were cut off: the grace period is over");
        }
    }
}

/// Waits for room first, so that beyond the limit clients wait in the kernel's queue and not in our memory.
async fn accept(socket: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = socket.accept().await?;
    // Answers are written at once and whole; there is nothing to wait for.
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

fn connection(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    app: Arc<App>,
    router: Arc<Router>,
    graceful: &GracefulShutdown,
    mut stop: watch::Receiver<bool>,
) {
    let watcher = graceful.watcher();
    tokio::spawn(async move {
        let _permit = permit;
        let head_within = app.config.limits.head_within;
        // The protocol is told by the first bytes, which hyper would wait for without end. When we stop, who has
        // just connected may have something on its way still.
        let mut first = [0_u8; 1];
        let stopping = async {
            // The sender lives as long as the process serves.
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(FIRST_BYTE_AT_STOP).await;
        };
        let sent = tokio::select! {
            sent = tokio::time::timeout(head_within, stream.peek(&mut first)) => matches!(sent, Ok(Ok(1))),
            () = stopping => false,
        };
        if !sent {
            return;
        }
        let asked = Arc::new(AtomicBool::new(false));
        let asking = Arc::clone(&asked);
        let service = service_fn(move |request| {
            asking.store(true, Ordering::Relaxed);
            let (app, router) = (Arc::clone(&app), Arc::clone(&router));
            async move { Ok::<_, std::convert::Infallible>(observe::answer(app, &router, request).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(head_within).max_buf_size(64 * 1024);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .max_concurrent_streams(128);
        let served = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::pin!(served);
        // While the first bytes may still become either protocol, hyper has no limit of its own.
        let ended = match tokio::time::timeout(head_within, &mut served).await {
            Ok(ended) => ended,
            Err(_) if !asked.load(Ordering::Relaxed) => return,
            Err(_) => served.await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}
