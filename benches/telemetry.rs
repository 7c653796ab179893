//! What a span and a log line cost the thread that makes them, and what they allocate. What they cost the threads that
//! export them is in `processor_time`.
#![allow(missing_docs, clippy::expect_used)]

mod support;

use std::sync::Arc;

use divan::{AllocProfiler, Bencher};
use opentelemetry_sdk::trace::Sampler;
use support::Nowhere;
use tracing::Subscriber;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    // What the kit's spans go to.
    let provider = support::provider(Some(Nowhere::default()), Sampler::AlwaysOn);
    divan::main();
    // Nobody is there to tell.
    let _ = provider.shutdown();
}

#[divan::bench(args = [true, false])]
fn hop(bencher: Bencher<'_, '_>, sampled: bool) {
    let (trace, path) = (support::caller(sampled), Arc::from("root/articles/by_slug"));
    bencher.bench_local(|| support::hop(&trace, &path));
}

#[divan::bench(args = [true, false])]
fn server(bencher: Bencher<'_, '_>, sampled: bool) {
    let trace = support::caller(sampled);
    bencher.bench_local(|| support::server(&trace));
}

fn under(subscriber: impl Subscriber + Send + Sync + 'static, bencher: Bencher<'_, '_>, make: impl Fn()) {
    tracing::subscriber::with_default(subscriber, || bencher.bench_local(make));
}

fn provider(sampled: bool) -> opentelemetry_sdk::trace::SdkTracerProvider {
    support::provider(Some(Nowhere::default()), if sampled { Sampler::AlwaysOn } else { Sampler::AlwaysOff })
}

#[divan::bench(args = [true, false])]
fn hop_by_tracing_as_it_comes(bencher: Bencher<'_, '_>, sampled: bool) {
    let path = Arc::from("root/articles/by_slug");
    under(support::as_it_comes(support::tracer(&provider(sampled))), bencher, || support::hop_by_tracing(&path));
}

#[divan::bench(args = [true, false])]
fn hop_by_tracing_trimmed(bencher: Bencher<'_, '_>, sampled: bool) {
    let path = Arc::from("root/articles/by_slug");
    under(support::trimmed(support::tracer(&provider(sampled))), bencher, || support::hop_by_tracing(&path));
}

#[divan::bench(args = [true, false])]
fn server_by_tracing_trimmed(bencher: Bencher<'_, '_>, sampled: bool) {
    under(support::trimmed(support::tracer(&provider(sampled))), bencher, support::server_by_tracing);
}

#[divan::bench]
fn log_line(bencher: Bencher<'_, '_>) {
    under(support::lines(None), bencher, support::line);
}

#[divan::bench]
fn log_line_below_the_level(bencher: Bencher<'_, '_>) {
    under(support::lines(None), bencher, support::line_below_the_level);
}
