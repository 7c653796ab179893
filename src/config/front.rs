//! What a client may take of the front: connections, time, bytes.

use std::time::Duration;

use super::Table;

/// The limits of both listeners. Each is bounded, whatever a client does.
#[derive(Debug, Clone)]
pub struct Front {
    /// Connections to each listener.
    pub connections: usize,
    /// Connections of one address, or of one /64 of IPv6, to each listener.
    pub connections_per_address: usize,
    /// What a client may take to send its first request, and each head from its first byte on.
    pub head_within: Duration,
    /// How long a connection may be kept between two requests.
    pub idle_within: Duration,
    /// What a body may take before [`Self::body_rate`] is asked of it.
    pub body_within: Duration,
    /// The bytes that a body has to bring for every further second.
    pub body_rate: u64,
    /// What a client may take to read the next piece of an answer.
    pub read_within: Duration,
    /// The headers of a request.
    pub headers: usize,
    /// The bytes of a request's headers, names and values together.
    pub head: usize,
    /// The bytes of a request's target.
    pub uri: usize,
    /// The bytes of a request's body.
    pub body: usize,
    /// The bytes of all bodies that are in memory at once.
    pub bodies: usize,
    /// Requests under way at once on one connection of HTTP/2.
    pub streams: u32,
}

impl Front {
    pub(super) fn read<R: Fn(&str) -> Option<String>>(table: &mut Table<R>) -> Self {
        Self {
            connections: table.count("HTTP_MAX_CONNECTIONS", 10_000),
            connections_per_address: table.count("HTTP_MAX_CONNECTIONS_PER_ADDRESS", 2000),
            head_within: table.millis("HTTP_HEAD_TIMEOUT_MS", 10_000),
            idle_within: table.millis("HTTP_IDLE_TIMEOUT_MS", 75_000),
            body_within: table.millis("HTTP_BODY_TIMEOUT_MS", 5000),
            body_rate: table.number("HTTP_BODY_RATE", 1024, 1),
            read_within: table.millis("HTTP_READER_TIMEOUT_MS", 20_000),
            headers: table.count("HTTP_HEADERS_LIMIT", 64),
            head: table.count("HTTP_HEAD_LIMIT", 16 * 1024),
            uri: table.count("HTTP_URI_LIMIT", 8 * 1024),
            body: table.count("HTTP_BODY_LIMIT", 1024 * 1024),
            bodies: table.count("HTTP_BODIES_LIMIT", 64 * 1024 * 1024),
            streams: u32::try_from(table.number("HTTP2_MAX_STREAMS", 128, 1)).unwrap_or(u32::MAX),
        }
    }
}
