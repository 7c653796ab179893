//! What the domains and the limits count.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge, UpDownCounter};

use super::{counter, meter};

static DOMAIN: LazyLock<Domain> = LazyLock::new(Domain::new);
static THROTTLE: LazyLock<Throttle> = LazyLock::new(Throttle::new);

/// What the domains count.
pub struct Domain {
    /// Logins tried, by `status`.
    pub logins: Counter<u64>,
    /// Articles created.
    pub articles_created: Counter<u64>,
    /// Favorites that were not there before.
    pub favorites_added: Counter<u64>,
    /// Favorites taken back.
    pub favorites_removed: Counter<u64>,
    /// Streams of notifications that are open.
    pub streams: UpDownCounter<i64>,
    /// Streams of notifications that were refused, by the `limit` that was reached: `user` or `all`.
    pub streams_refused: Counter<u64>,
}

/// What the limits count.
pub struct Throttle {
    /// What was refused, by `policy`.
    pub refused: Counter<u64>,
    /// 1 while Redis is away and this process keeps limits of its own.
    pub fallback: Gauge<u64>,
}

impl Domain {
    fn new() -> Self {
        Self {
            logins: counter(
                "auth.login.attempts",
                "{attempt}",
                "Logins tried: success, refused (wrong address or password) or failed (a failure of ours).",
            ),
            articles_created: counter("articles.created", "{article}", "Articles published."),
            favorites_added: counter("favorites.added", "{favorite}", "Favorites that were not there before."),
            favorites_removed: counter("favorites.removed", "{favorite}", "Favorites taken back."),
            streams: meter()
                .i64_up_down_counter("notifications.streams")
                .with_unit("{stream}")
                .with_description("Streams of notifications that are open.")
                .build(),
            streams_refused: counter(
                "notifications.streams.refused",
                "{stream}",
                "Streams of notifications refused, by the limit that was reached: user or all.",
            ),
        }
    }
}

impl Throttle {
    fn new() -> Self {
        Self {
            refused: counter(
                "throttle.refused",
                "{request}",
                "Requests refused by a rate limit, by its policy: answered with 429.",
            ),
            fallback: meter()
                .u64_gauge("throttle.fallback")
                .with_unit("{process}")
                .with_description("1 while Redis is away and this process keeps rate limits of its own, else 0.")
                .build(),
        }
    }
}

/// What the domains count.
pub fn domain() -> &'static Domain {
    &DOMAIN
}

/// What the limits count.
pub fn throttle() -> &'static Throttle {
    &THROTTLE
}
