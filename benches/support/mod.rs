//! What the benchmarks measure: one span or one log line, made in each of the ways that there are to choose from.
#![allow(dead_code, clippy::expect_used, unreachable_pub)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::kit::Trace;
use callboard::telemetry::{Limits, lines_to};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLoggerProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

/// Spans that may wait for export: as many as in the service.
const QUEUE: usize = 32 * 1024;

/// An exporter that exports nowhere, and counts.
#[derive(Debug, Clone, Default)]
pub struct Nowhere(pub Arc<AtomicU64>);

impl SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl LogExporter for Nowhere {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.0.fetch_add(batch.iter().count() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Spans that are gathered for an exporter, or, without one, made and dropped; made the process' own.
pub fn provider(exporter: Option<Nowhere>, sampler: Sampler) -> SdkTracerProvider {
    let builder = SdkTracerProvider::builder().with_sampler(Sampler::ParentBased(Box::new(sampler)));
    let provider = match exporter {
        Some(exporter) => {
            let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
            let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
            builder.with_span_processor(batches).build()
        }
        None => builder.build(),
    };
    global::set_tracer_provider(provider.clone());
    provider
}

/// The trace of somebody who asked us, and whether it is sampled.
pub fn caller(sampled: bool) -> Trace {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let ids = (TraceId::from_bytes(rand::random()), SpanId::from_bytes(rand::random()));
    Trace::below(&SpanContext::new(ids.0, ids.1, flags, true, TraceState::default()))
}

/// A hop to an actor, as the kit makes its span.
pub fn hop(trace: &Trace, path: &Arc<str>) {
    let span = trace.hop("articles/by_slug", path, "find");
    span.trace().set(|| [KeyValue::new("callboard.actor.queue_ms", 0.021)]);
}

/// A request, as the front makes its span.
pub fn server(trace: &Trace) {
    let mut attributes = Vec::with_capacity(8);
    attributes.push(KeyValue::new("http.request.method", "GET"));
    attributes.push(KeyValue::new("url.path", "/api/articles/on-actors-k7m2p9xa".to_owned()));
    attributes.push(KeyValue::new("url.scheme", "http"));
    attributes.push(KeyValue::new("client.address", "203.0.113.9".to_owned()));
    attributes.push(KeyValue::new("network.protocol.version", "1.1"));
    attributes.push(KeyValue::new("http.route", "/api/articles/{slug}"));
    attributes.push(KeyValue::new("user_agent.original", "curl/7.88.1".to_owned()));
    let name = "GET /api/articles/{slug}";
    let span = trace.root(SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes));
    span.trace().set(|| {
        [
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("db.query_count", 2),
            KeyValue::new("user.id", 7),
        ]
    });
}

/// The same hop as a span of `tracing`.
pub fn hop_by_tracing(path: &Arc<str>) {
    let span = tracing::info_span!(
        "hop",
        otel.name = format!("actor {} {}", "articles/by_slug", "find"),
        otel.kind = "internal",
        callboard.actor.path = path.as_ref(),
        callboard.actor.message = "find",
        callboard.actor.queue_ms = tracing::field::Empty,
    );
    let _entered = span.enter();
    span.record("callboard.actor.queue_ms", 0.021);
}

/// The same request as a span of `tracing`.
pub fn server_by_tracing() {
    let span = tracing::info_span!(
        "request",
        otel.name = "GET /api/articles/{slug}",
        otel.kind = "server",
        http.request.method = "GET",
        url.path = "/api/articles/on-actors-k7m2p9xa",
        url.scheme = "http",
        client.address = "203.0.113.9",
        network.protocol.version = "1.1",
        http.route = "/api/articles/{slug}",
        user_agent.original = "curl/7.88.1",
        http.response.status_code = tracing::field::Empty,
        db.query_count = tracing::field::Empty,
        user.id = tracing::field::Empty,
    );
    let _entered = span.enter();
    span.record("http.response.status_code", 200);
    span.record("db.query_count", 2);
    span.record("user.id", 7);
}

/// `tracing` with OpenTelemetry's layer as it comes.
pub fn as_it_comes(tracer: SdkTracer) -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(EnvFilter::new("info")).with(tracing_opentelemetry::layer().with_tracer(tracer))
}

/// The same without all that we do without: as the service has it.
pub fn trimmed(tracer: SdkTracer) -> impl Subscriber + Send + Sync {
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    tracing_subscriber::registry().with(EnvFilter::new("info")).with(spans)
}

/// Log lines as the service writes them, which go nowhere, and over OTLP where there is an exporter.
pub fn lines(exporter: Option<&SdkLoggerProvider>) -> impl Subscriber + Send + Sync {
    let limits =
        Limits { buffer: 4 * 1024 * 1024, flood_lines: 10, flood_window: Duration::from_secs(60), colours: false };
    let lines = lines_to(std::io::sink(), &limits, exporter).expect("a thread");
    tracing_subscriber::registry().with(EnvFilter::new("info")).with(lines)
}

/// The line that every request leaves.
pub fn line() {
    tracing::info!(
        request_id = "6f1c3c9d4b0f4a0f8a5d2c7e9b1a3d5f",
        http.request.method = "GET",
        http.route = "/api/articles/{slug}",
        http.response.status_code = 200,
        duration_ms = 1.25,
        db.query_count = 2,
        "request completed"
    );
}

/// A line that nobody asked for.
pub fn line_below_the_level() {
    tracing::debug!(request_id = "6f1c3c9d4b0f4a0f8a5d2c7e9b1a3d5f", duration_ms = 1.25, "not told");
}

/// A tracer of this provider.
pub fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer("benches")
}
