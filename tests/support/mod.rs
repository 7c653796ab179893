//! What the tests share: servers of their own, the real binary, a client, a receiver of telemetry.
//!
//! A test sees the service only from outside: over HTTP, in the database, in Redis, in what it writes and
//! exports.
#![allow(
    unused_imports,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

pub mod audit;
pub mod balancer;
pub mod client;
pub mod collector;
pub mod database;
pub mod events;
pub mod everything;
pub mod exposition;
pub mod frames;
pub mod hooks;
pub mod otlp;
pub mod press;
pub mod programs;
pub mod raw;
pub mod servers;
pub mod service;
pub mod tls;
pub mod tokens;
pub mod traces;
pub mod wire;

use std::time::{Duration, Instant};

pub use client::{Answer, Client, User};
pub use database::Stage;
pub use events::Events;
pub use hooks::Hooks;
pub use press::Press;
pub use service::Service;
pub use wire::Wire;

/// How long anything may take before it counts as never: generous, for machines that are slow and busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often [`eventually`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `look` sees something. Only for effects that nobody answers for: those of jobs and restarts.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    patiently(LOOK_EVERY, what, look).await
}

/// The same, for those who want to know exactly when.
pub async fn patiently<T>(every: Duration, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, every, what, look).await
}

/// The same, for what may take longer, or must not take as long.
pub async fn within<T>(patience: Duration, every: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < until, "within {patience:?} it never happened that {what}");
        tokio::time::sleep(every).await;
    }
}

/// Whether tests may take the time that is needed to see what takes long.
pub fn at_leisure() -> bool {
    std::env::var_os("CALLBOARD_LONG_TESTS").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Runs `count` calls at once and gives what each came to, in their order.
pub async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    call: impl Fn(usize) -> F,
) -> Vec<T> {
    let calls: Vec<_> = (0..count).map(|number| tokio::spawn(call(number))).collect();
    let mut results = Vec::with_capacity(count);
    for call in calls {
        results.push(call.await.unwrap());
    }
    results
}
