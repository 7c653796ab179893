//! The front's instruments, and the gauges that read the actors' state when metrics are collected.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actors::supervision::Snapshot;
use hyper::StatusCode;
use opentelemetry::metrics::{Counter, Histogram, UpDownCounter};
use opentelemetry::{KeyValue, global};

use crate::app::App;

/// Upper bounds in seconds, as the semantic conventions advise them.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(Instruments::new);

struct Instruments {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
    requests: Counter<u64>,
    connections: UpDownCounter<i64>,
    cut: Counter<u64>,
}

/// A request that was answered.
#[derive(Debug)]
pub struct Completed {
    /// Its method, one of a few.
    pub method: &'static str,
    /// Its route's pattern.
    pub route: Option<&'static str>,
    /// The answer's status.
    pub status: StatusCode,
    /// How long it took.
    pub took: Duration,
}

/// A request under way. Dropping it says that it is over.
pub struct Active(&'static str);

impl Instruments {
    fn new() -> Self {
        let meter = global::meter("callboard");
        Self {
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("How long requests took.")
                .with_boundaries(SECONDS.into())
                .build(),
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_description("Requests under way.")
                .build(),
            requests: meter.u64_counter("http_requests_total").with_description("Requests answered.").build(),
            connections: meter
                .i64_up_down_counter("http.server.open_connections")
                .with_description("Connections of clients.")
                .build(),
            cut: meter
                .u64_counter("http.server.connections.cut")
                .with_description("Connections that were refused or cut off, by reason.")
                .build(),
        }
    }
}

/// Notes that a request is under way.
pub fn active(method: &'static str) -> Active {
    INSTRUMENTS.active.add(1, &[KeyValue::new("http.request.method", method)]);
    Active(method)
}

impl Drop for Active {
    fn drop(&mut self) {
        INSTRUMENTS.active.add(-1, &[KeyValue::new("http.request.method", self.0)]);
    }
}

/// A connection that is open. Dropping it says that it is not any more.
pub struct OpenConnection(());

/// Notes that a connection was opened.
pub fn open_connection() -> OpenConnection {
    INSTRUMENTS.connections.add(1, &[]);
    OpenConnection(())
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        INSTRUMENTS.connections.add(-1, &[]);
    }
}

/// Notes that a connection was refused or cut off, for one of a few reasons.
pub fn connection_cut(reason: &'static str) {
    INSTRUMENTS.cut.add(1, &[KeyValue::new("reason", reason)]);
}

/// Notes that a request was answered.
pub fn completed(request: &Completed) {
    let attributes = [
        KeyValue::new("http.request.method", request.method),
        KeyValue::new("http.response.status_code", i64::from(request.status.as_u16())),
        KeyValue::new("http.route", request.route.unwrap_or("")),
    ];
    INSTRUMENTS.duration.record(request.took.as_secs_f64(), &attributes);
    INSTRUMENTS.requests.add(1, &attributes);
}

/// Has the state of the actors and connections read whenever metrics are collected.
pub fn observe(app: &Arc<App>) {
    let meter = global::meter("callboard");
    // Weak, for the meter lives as long as the process and would keep the app.
    let watched = Arc::downgrade(app);
    meter
        .u64_observable_gauge("actor.mailbox.depth")
        .with_description("Messages that wait at an actor.")
        .with_callback(move |observer| {
            let Some(app) = watched.upgrade() else { return };
            for_each(&app.system.tree(), &mut |node| {
                if let Some([depth, ..]) = node.mailbox {
                    observer.observe(depth, &[KeyValue::new("path", Arc::clone(&node.path))]);
                }
            });
        })
        .build();
    let watched = Arc::downgrade(app);
    meter
        .u64_observable_gauge("db.client.connections")
        .with_description("Connections to PostgreSQL, by what they are for.")
        .with_callback(move |observer| {
            let Some(app) = watched.upgrade() else { return };
            let (readers, writing, writers) = app.system.connections();
            for (count, state) in [(readers, "reading"), (writing, "writing"), (writers - writing.min(writers), "idle")]
            {
                observer.observe(count as u64, &[KeyValue::new("state", state)]);
            }
        })
        .build();
    let watched = Arc::downgrade(app);
    meter
        .u64_observable_gauge("http.server.request.bodies")
        .with_unit("By")
        .with_description("The bodies of requests in memory.")
        .with_callback(move |observer| {
            if let Some(app) = watched.upgrade() {
                observer.observe(app.bodies.taken() as u64, &[]);
            }
        })
        .build();
    let watched = Arc::downgrade(app);
    meter
        .u64_observable_counter("actor.restarts.unrecorded")
        .with_description("Restarts that will never be in the ledger: its buffer was full, or the process ended first.")
        .with_callback(move |observer| {
            if let Some(app) = watched.upgrade() {
                observer.observe(app.system.restarts_dropped(), &[]);
            }
        })
        .build();
}

fn for_each(node: &Snapshot, visit: &mut impl FnMut(&Snapshot)) {
    visit(node);
    for child in &node.children {
        for_each(child, visit);
    }
}
