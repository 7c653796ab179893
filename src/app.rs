//! The order in which things start and stop.
//!
//! Start: telemetry → actors → listeners, the admin one first. Stop: `/readyz` says no, and streams of
//! notifications end → a short delay, so that balancers notice → nothing new is accepted, what is under way finishes → the tree drains, bottom
//! up → the admin listener ends → telemetry is flushed. A tree that gives up ends the process with an error: a fresh one may do better.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::system::Tree;
use actors::{System, jobs};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::body::Memory;
use crate::config::Config;
use crate::router::{self, Router};
use crate::server::Listener;
use crate::telemetry::Telemetry;

/// What requests of operators have to come to an end; by then everything else has.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// What every request can reach.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The actors.
    pub system: System,
    /// Whether new requests should come here.
    pub ready: AtomicBool,
    /// The exporters behind `/metrics`.
    pub telemetry: Telemetry,
    /// What the bodies of requests may take of it.
    pub bodies: Memory,
}

/// What a server process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// API and jobs.
    All,
    /// The API alone.
    Api,
    /// Jobs alone; the admin listener is there all the same.
    Worker,
}

/// Why a server process could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address could not be bound.
    #[error("{variable}: cannot listen on {address}: {source}")]
    Bind {
        /// The setting.
        variable: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The actors could not be set up.
    #[error(transparent)]
    Actors(#[from] actors::kit::Fault),
    /// The route table contradicts itself.
    #[error("routes: {0}")]
    Routes(#[from] matchit::InsertError),
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The supervision tree gave up.
    #[error("the supervision tree gave up; the last lines of the log say why")]
    GaveUp,
}

/// Where a running server listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The public API; `None` in a process that only works.
    pub public: Option<SocketAddr>,
    /// The operators' listener.
    pub admin: SocketAddr,
}

/// Serves until SIGTERM or SIGINT, then stops in order. `started` is told where it listens.
///
/// # Errors
/// When it cannot start, or the supervision tree gives up.
pub async fn serve(
    config: Config,
    role: Role,
    telemetry: Telemetry,
    started: impl FnOnce(&Addresses),
) -> Result<(), AppError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    crate::server::raise_descriptors(config.limits.front.connections);
    let public = match role {
        Role::Worker => None,
        Role::All | Role::Api => Some(bind("HTTP_ADDR", config.http_addr).await?),
    };
    let admin = bind("ADMIN_ADDR", config.admin_addr).await?;
    let addresses = Addresses { public: public.as_ref().map(Listener::address), admin: admin.address() };
    let (system, mut tree) = System::start(&config.system(role != Role::Api)).await?;
    let bodies = Memory::new(config.limits.front.bodies);
    let app = Arc::new(App { config, system, ready: AtomicBool::new(true), telemetry, bodies });
    crate::telemetry::gauges::observe(&app);
    let (stop_public, stop_admin) = (watch::Sender::new(false), watch::Sender::new(false));
    let grace = app.config.limits.shutdown_grace;
    let start = |listener: Listener, router: Router, stop: &watch::Sender<bool>, grace| {
        tokio::spawn(listener.serve(Arc::clone(&app), Arc::new(router), stop.subscribe(), grace))
    };
    let admin = start(admin, router::admin()?, &stop_admin, ADMIN_GRACE);
    let public = match public {
        Some(listener) => Some(start(listener, router::public()?, &stop_public, grace)),
        None => None,
    };
    tracing::info!(api = addresses.public.map(tracing::field::display), admin = %addresses.admin, "listening");
    started(&addresses);

    let gave_up = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = tree.gave_up() => true,
    };
    tracing::info!(gave_up, "stopping");
    app.ready.store(false, Ordering::Relaxed);
    // They would not end by themselves: their clients come back elsewhere, and go on where they were.
    app.system.notifications.end_streams();
    if !gave_up {
        tokio::time::sleep(app.config.limits.shutdown_delay).await;
    }
    stop_public.send_replace(true);
    if let Some(public) = public {
        // A listener that panicked has nothing left to finish.
        let _ = public.await;
    }
    stop_tree(tree, grace).await;
    app.system.events().close();
    // Last, so that probes and operators are answered while everything else comes to its end.
    stop_admin.send_replace(true);
    let _ = admin.await;
    tracing::info!("stopped");
    app.telemetry.shutdown();
    if gave_up { Err(AppError::GaveUp) } else { Ok(()) }
}

async fn bind(variable: &'static str, address: SocketAddr) -> Result<Listener, AppError> {
    Listener::bind(address).await.map_err(|source| AppError::Bind { variable, address, source })
}

async fn stop_tree(tree: Tree, grace: Duration) {
    if tokio::time::timeout(grace, tree.stop()).await.is_err() {
        tracing::warn!("the actors did not stop within the grace period");
    }
}

/// What the keys in Redis begin with.
pub const REDIS_PREFIX: &str = "callboard:";

/// How jobs are executed, from the settings.
pub(crate) fn job_settings(config: &Config) -> jobs::Settings {
    use actors::kit::retry::Backoff;
    jobs::Settings {
        workers: config.job_workers,
        batch: config.limits.job_batch,
        attempt_within: config.limits.job_within,
        backoff: Backoff { base: config.limits.job_backoff, cap: config.limits.job_backoff_cap },
        dead_after: Duration::from_secs(5),
        deaths: config.limits.job_deaths,
        resend_after: Duration::from_secs(300),
        keep: config.limits.jobs_keep,
        prefix: REDIS_PREFIX.to_owned(),
    }
}
