//! The front's instruments: requests and connections.
//!
//! What must stay true: attributes have few values, whatever clients send: methods and routes that are not ours are
//! counted as such. Each set of them is bound once and then found by a number or two, for this is in every request's way.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use hyper::StatusCode;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, BoundUpDownCounter, Counter, Histogram};
use opentelemetry::{KeyValue, global};

/// Upper bounds in seconds, as the semantic conventions advise them.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The methods that are told apart, the last for all others.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"];
/// TLS ends before us.
const SCHEME: &str = "http";

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(Instruments::new);

thread_local! {
    /// What each thread has counted before, as few as there are sets of attributes.
    static BOUND: RefCell<HashMap<Key, Bound>> = RefCell::default();
}

struct Instruments {
    duration: Histogram<f64>,
    active: Vec<(&'static str, BoundUpDownCounter<i64>)>,
    requests: Counter<u64>,
    connections: [BoundUpDownCounter<i64>; 2],
    cut: Counter<u64>,
}

/// A request that was answered.
#[derive(Debug)]
pub struct Completed {
    /// Its method, one of a few.
    pub method: &'static str,
    /// Its route's pattern.
    pub route: Option<&'static str>,
    /// The version of HTTP.
    pub version: &'static str,
    /// The answer's status.
    pub status: StatusCode,
    /// The word for what went wrong, if the failure is ours.
    pub error: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
}

/// Where the words of a set of attributes stand, which is quicker to compare than what they say. Words that stand in two
/// places are bound twice, to the same series.
#[derive(PartialEq, Eq, Hash)]
struct Key([usize; 4], StatusCode);

struct Bound {
    duration: BoundHistogram<f64>,
    requests: BoundCounter<u64>,
}

/// A request under way. Dropping it says that it is over.
pub struct Active(Option<&'static BoundUpDownCounter<i64>>);

/// Which listener a connection came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The public API's.
    Api,
    /// The operators'.
    Admin,
}

impl Instruments {
    fn new() -> Self {
        let meter = global::meter("callboard");
        let active = meter
            .i64_up_down_counter("http.server.active_requests")
            .with_unit("{request}")
            .with_description("Requests under way.")
            .build();
        let of_method = |method| {
            let attributes = [KeyValue::new("http.request.method", method), KeyValue::new("url.scheme", SCHEME)];
            (method, active.bind(&attributes))
        };
        let connections = meter
            .i64_up_down_counter("http.server.open_connections")
            .with_unit("{connection}")
            .with_description("Connections of clients, by listener.")
            .build();
        Self {
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("How long requests took.")
                .with_boundaries(SECONDS.into())
                .build(),
            active: METHODS.map(of_method).into(),
            requests: meter
                .u64_counter("http_requests_total")
                .with_unit("{request}")
                .with_description("Requests answered.")
                .build(),
            connections: ["api", "admin"].map(|door| connections.bind(&[KeyValue::new("listener", door)])),
            cut: meter
                .u64_counter("http.server.connections.cut")
                .with_unit("{connection}")
                .with_description("Connections that were refused or cut off, by reason.")
                .build(),
        }
    }
}

/// Notes that a request is under way.
pub fn active(method: &'static str) -> Active {
    let counter = INSTRUMENTS.active.iter().find(|(known, _)| *known == method).map(|(_, counter)| counter);
    counter.inspect(|counter| counter.add(1));
    Active(counter)
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.inspect(|counter| counter.add(-1));
    }
}

/// A connection that is open. Dropping it says that it is not any more.
pub struct OpenConnection(&'static BoundUpDownCounter<i64>);

/// Notes that a connection was opened.
pub fn open_connection(door: Door) -> OpenConnection {
    let [api, admin] = &INSTRUMENTS.connections;
    let counter = match door {
        Door::Api => api,
        Door::Admin => admin,
    };
    counter.add(1);
    OpenConnection(counter)
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// Notes that a connection was refused or cut off, for one of a few reasons.
pub fn connection_cut(reason: &'static str) {
    INSTRUMENTS.cut.add(1, &[KeyValue::new("reason", reason)]);
}

/// Notes that a request was answered.
pub fn completed(request: &Completed) {
    let place = |word: &'static str| word.as_ptr().addr();
    let words = [request.method, request.version, request.route.unwrap_or(""), request.error.unwrap_or("")];
    BOUND.with_borrow_mut(|bound| {
        let bound = bound.entry(Key(words.map(place), request.status)).or_insert_with(|| Bound::new(request));
        bound.duration.record(request.took.as_secs_f64());
        bound.requests.add(1);
    });
}

impl Bound {
    fn new(request: &Completed) -> Self {
        let mut attributes = vec![
            KeyValue::new("http.request.method", request.method),
            KeyValue::new("http.response.status_code", i64::from(request.status.as_u16())),
            KeyValue::new("network.protocol.version", request.version),
            KeyValue::new("url.scheme", SCHEME),
        ];
        attributes.extend(request.route.map(|route| KeyValue::new("http.route", route)));
        attributes.extend(request.error.map(|error| KeyValue::new("error.type", error)));
        Self { duration: INSTRUMENTS.duration.bind(&attributes), requests: INSTRUMENTS.requests.bind(&attributes) }
    }
}
