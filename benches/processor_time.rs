//! What spans and log lines cost in processor time of all threads: of the one that makes them, and of those that gather
//! them for export. Each way is measured in a process of its own, since a subscriber and a provider are a process'.
//!
//! `COUNT` says how many of each are made, a million by itself; `ONLY` names one.
#![allow(missing_docs, clippy::expect_used, clippy::print_stdout)]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use support::Nowhere;
use tracing::Subscriber;

/// So many are made before all of them are waited for, so that none is dropped: what is dropped costs less.
const AT_ONCE: u64 = 10_000;
/// Made before it is measured.
const WARM_UP: u64 = 20_000;

const WAYS: [&str; 15] = [
    "hop, direct, sampled",
    "hop, direct, unsampled",
    "hop, direct, without an exporter",
    "hop, tracing as it comes, sampled",
    "hop, tracing as it comes, unsampled",
    "hop, tracing trimmed, sampled",
    "hop, tracing trimmed, unsampled",
    "server, direct, sampled",
    "server, direct, unsampled",
    "server, direct, without an exporter",
    "server, tracing trimmed, sampled",
    "server, tracing trimmed, unsampled",
    "log line, JSON",
    "log line, JSON and OTLP",
    "log line, below the level",
];

fn main() {
    if let Ok(way) = std::env::var("CALLBOARD_WAY") {
        return measure(&way);
    }
    println!("{:<40}{:>14}{:>14}", "microseconds for each", "processor", "wall");
    let only = std::env::var("ONLY").ok();
    for way in WAYS.iter().filter(|way| only.as_ref().is_none_or(|only| way.contains(only.as_str()))) {
        let own = std::env::current_exe().expect("the program's own path");
        let status = Command::new(own).env("CALLBOARD_WAY", way).status().expect("it can be started again");
        assert!(status.success(), "{way} failed");
    }
}

fn processor_time() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_SELF).expect("what a process may ask");
    let times = [used.user_time(), used.system_time()];
    times.iter().map(|time| Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()).cast_unsigned())).sum()
}

/// Makes many, waits for what gathers them, and says what one cost.
fn run(way: &str, make: impl Fn(), wait: impl Fn()) -> u64 {
    let count = std::env::var("COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let many = |count: u64| {
        for number in 1..=count {
            make();
            if number % AT_ONCE == 0 {
                wait();
            }
        }
        wait();
    };
    many(WARM_UP);
    let (used, started) = (processor_time(), Instant::now());
    many(count);
    let each = |took: Duration| took.as_secs_f64() * 1e6 / count as f64;
    println!("{way:<40}{:>14.3}{:>14.3}", each(processor_time() - used), each(started.elapsed()));
    count + WARM_UP
}

fn measure(way: &str) {
    if way.starts_with("log line") {
        return measure_lines(way);
    }
    let sampled = !way.ends_with("unsampled");
    let exported = Nowhere::default();
    let exporter = (!way.ends_with("without an exporter")).then(|| exported.clone());
    let to_export = exporter.is_some() && sampled;
    let by_tracing = way.contains("tracing");
    // A span of `tracing` without a parent is a root: whether it is sampled is the sampler's to say.
    let sampler = if by_tracing && !sampled { Sampler::AlwaysOff } else { Sampler::AlwaysOn };
    let provider = support::provider(exporter, sampler);
    let path: Arc<str> = Arc::from("root/articles/by_slug");
    let trace = support::caller(sampled);
    if way.contains("as it comes") {
        install(support::as_it_comes(support::tracer(&provider)));
    } else if by_tracing {
        install(support::trimmed(support::tracer(&provider)));
    }
    let wait = || flush(&provider);
    let made = match (way.starts_with("hop"), by_tracing) {
        (true, false) => run(way, || support::hop(&trace, &path), wait),
        (true, true) => run(way, || support::hop_by_tracing(&path), wait),
        (false, false) => run(way, || support::server(&trace), wait),
        (false, true) => run(way, support::server_by_tracing, wait),
    };
    assert_eq!(exported.0.load(Ordering::Relaxed), if to_export { made } else { 0 }, "{way}: some were dropped");
}

fn flush(provider: &SdkTracerProvider) {
    provider.force_flush().expect("what goes nowhere gets there");
}

fn measure_lines(way: &str) {
    let exported = Nowhere::default();
    let config = BatchConfigBuilder::default().with_max_queue_size(32 * 1024).build();
    let batches = BatchLogProcessor::builder(exported.clone()).with_batch_config(config).build();
    let provider = SdkLoggerProvider::builder().with_log_processor(batches).build();
    let over_otlp = way.ends_with("OTLP");
    install(support::lines(over_otlp.then_some(&provider)));
    let context = support::caller(true).context().clone();
    let _attached = context.attach();
    let wait = || provider.force_flush().expect("what goes nowhere gets there");
    let told = way.ends_with("level");
    let made = run(way, if told { support::line_below_the_level } else { support::line }, wait);
    assert_eq!(exported.0.load(Ordering::Relaxed), if over_otlp { made } else { 0 }, "{way}: some were dropped");
}

fn install(subscriber: impl Subscriber + Send + Sync + 'static) {
    tracing::subscriber::set_global_default(subscriber).expect("there is no other in this process");
}
