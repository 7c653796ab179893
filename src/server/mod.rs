//! A listener: accepts connections within limits, serves them, and ends them gracefully.
//!
//! ```text
//! accept ─▶ seat (in all, by address) ─▶ connection: hyper ─▶ head ─▶ observe ─▶ … ─▶ answer
//!             │ none                        │ judged by what it does (activity)
//!             └─▶ farewell                  └─▶ cut off
//! ```
//!
//! What must stay true: a client that sends nothing, or only half of something, or does not read, holds a
//! connection for a bounded time and keeps nobody out meanwhile; there are never more connections than the setting
//! allows; once told to stop, nothing new is accepted and what is under way has the grace period to finish.

mod activity;
mod answer;
mod connection;
mod farewell;
mod framing;
pub(crate) mod head;
mod own_head;
mod progress;
mod seats;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use self::activity::Activity;
use self::connection::{Connection, Room};
use self::farewell::Farewell;
use self::seats::{Refused, Seats};
use crate::app::App;
use crate::proxies::ClientAddress;
use crate::router::Router;
use crate::telemetry::instruments;

/// Who may wait in the kernel's queue: beyond it, it drops what clients take for opened, and they come seconds late.
const BACKLOG: u32 = 4096;
/// After an accept that failed, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Lets this process have as many descriptors as it may: what shells and platforms give at first is for programs that
/// open a few files. Says so when that is less than the connections that the settings allow.
pub(crate) fn raise_descriptors(connections: usize) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard).or(Ok(soft)));
    match raised {
        Ok(limit) if limit < connections as u64 => {
            tracing::warn!(limit, connections, "there are fewer file descriptors than connections are allowed");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(exception.message = %error, "the limit on file descriptors is not known"),
    }
}

/// A bound address that is not yet served.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Where connections are let in.
struct Door {
    room: Arc<Room>,
    seats: Arc<Seats>,
    farewell: Farewell,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// When it is taken, or not ours.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Who was served a moment ago may still linger in the kernel.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The address, with the port that was chosen when it was left open.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` turns true, then lets what is under way finish within `grace`.
    pub async fn serve(self, app: Arc<App>, router: Arc<Router>, mut stop: watch::Receiver<bool>, grace: Duration) {
        let limits = &app.config.limits.front;
        let door = Door {
            seats: Arc::new(Seats::new(limits.connections, limits.connections_per_address)),
            farewell: Farewell::new(),
            room: Arc::new(Room { http: connection::http(limits), stop: stop.clone(), app, router }),
        };
        loop {
            let accepted = tokio::select! {
                biased;
                // The sender lives as long as the process serves.
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => tokio::select! {
                    () = door.enter(stream, address) => {}
                    // When everybody is at work until then, whoever stands at the door is turned away.
                    _ = stop.wait_for(|stop| *stop) => break,
                },
                Err(error) => {
                    tracing::warn!(exception.message = %error, "a connection could not be accepted");
                    // When there are no descriptors left, those who do nothing have some.
                    door.seats.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Who was let in by the kernel while we were told to stop is not turned away, however many that are.
        while let Some(Ok((stream, address))) = tokio::task::unconstrained(self.socket.accept()).now_or_never() {
            if tokio::task::unconstrained(door.enter(stream, address)).now_or_never().is_none() {
                break;
            }
        }
        drop(self.socket);
        if tokio::time::timeout(grace, door.seats.all_free()).await.is_err() {
            tracing::warn!("connections were cut off: the grace period is over");
        }
    }
}

impl Door {
    /// Gives a connection its seat, and a task that serves it.
    async fn enter(&self, stream: TcpStream, address: SocketAddr) {
        let peer = ClientAddress::from(address.ip());
        let config = &self.room.app.config;
        if let Err(error) = prepare(&stream, config.limits.front.read_within) {
            // It is gone already.
            tracing::debug!(exception.message = %error, "a connection ended at the door");
            return;
        }
        let activity = Arc::new(Activity::new());
        let trusted = config.trusted_proxies.hold(peer);
        match self.seats.take(peer.into(), trusted, &activity).await {
            Ok(seat) => {
                tokio::spawn(Connection { stream, peer, activity, seat }.serve(Arc::clone(&self.room)));
            }
            Err(Refused) => {
                instruments::connection_cut("address_limit");
                self.farewell.say(stream);
            }
        }
    }
}

fn prepare(stream: &TcpStream, read_within: Duration) -> io::Result<()> {
    // Answers are written at once and whole; there is nothing to wait for.
    stream.set_nodelay(true)?;
    // What lies in the kernel because the other side reads nothing, or is gone without a word, has its time as well. It
    // is longer than ours, so that whom we see ourselves is cut off and counted here.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(2 * read_within))?;
    #[cfg(not(target_os = "linux"))]
    let _ = read_within;
    Ok(())
}
