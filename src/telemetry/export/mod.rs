//! OTLP, over HTTP or gRPC: batches of spans, metrics and log records on their way to a collector.
//!
//! ```text
//! a span ends ─ bounded queue ─ thread of the SDK's processor ─ `Watched`: cut, bounded, counted, told ─ the SDK's
//! exporter: encodes, compresses, tries again ─ `Client`, or tonic, on the runtime of exports
//! ```
//!
//! What must stay true: no request waits for any of it, whatever the collector does. A queue that is full loses what is
//! new, a batch that is not taken within its time is lost; both are counted, and told once a minute at most.

mod encode;
mod http;
mod limited;
mod losses;
mod prepared;
mod refused;
mod tls;
mod watched;

use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol as Otlp, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatches, BatchLogProcessor};
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{BatchConfigBuilder as SpanBatches, BatchSpanProcessor};
use tokio::runtime::{Builder, Handle, Runtime};

use self::http::Client;
use self::losses::Losses;
use self::prepared::{Lean, Prepared};
use self::watched::Watched;
use super::logs::Form;
use super::settings::{AttributeLimits, Destination, Protocol};
use super::{Settings, SetupError};

pub(super) use self::encode::Record;
pub(super) use self::refused::{Refused, is_told_by_us};

/// Spans that may wait for export. The specification's 2,048 are full within milliseconds of a burst; the queue keeps
/// 400 bytes for each place, taken or not, so that 32 thousand of them were a fifth of the process' memory.
const SPAN_QUEUE: usize = 8 * 1024;
/// Spans in a request: each costs a round trip, for which the thread that exports waits. Those of a batch are kept until
/// its end, a kilobyte each.
const SPAN_BATCH: usize = 512;
/// Log records that may wait, and those in a request: a request has fewer of them than spans.
const RECORD_QUEUE: usize = 8 * 1024;
const RECORD_BATCH: usize = 512;

/// What moves the bytes, apart from the runtime that serves requests. Dropping it ends every export.
pub(super) struct Exports(Option<Runtime>);

impl Exports {
    /// Starts it, if anything is exported.
    pub(super) fn start(settings: &Settings) -> Result<Self, SetupError> {
        if settings.traces.is_none() && settings.metrics.is_none() && settings.logs.is_none() {
            return Ok(Self(None));
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("exports").enable_all().build();
        Ok(Self(Some(runtime.map_err(|error| SetupError(error.to_string()))?)))
    }

    /// Where spans go, if anywhere.
    pub(super) fn spans(&self, settings: &Settings) -> Result<Option<BatchSpanProcessor>, SetupError> {
        let Some((to, runtime)) = self.on_the_way(settings.traces.as_ref()) else { return Ok(None) };
        let _inside = runtime.enter();
        let (losses, prepared) = (Losses::default(), Prepared::default());
        let exporter = match to.protocol {
            Protocol::Http => SpanExporter::builder()
                .with_http()
                .with_protocol(Otlp::HttpBinary)
                .with_timeout(to.timeout)
                .with_http_client(Client::new(to, losses.clone())?.sending(prepared.clone()))
                .build(),
            Protocol::Grpc => match tls::of_grpc(to)? {
                Some(tls) => SpanExporter::builder().with_tonic().with_timeout(to.timeout).with_tls_config(tls).build(),
                None => SpanExporter::builder().with_tonic().with_timeout(to.timeout).build(),
            },
        };
        let exporter = Lean::new(exporter.map_err(failed)?, (to.protocol == Protocol::Http).then_some(prepared));
        let watched = Watched::new(exporter, to, runtime, losses, &settings.limits);
        let mut config = SpanBatches::default();
        if is_unset("OTEL_BSP_MAX_QUEUE_SIZE") {
            config = config.with_max_queue_size(SPAN_QUEUE);
        }
        if is_unset("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") {
            config = config.with_max_export_batch_size(SPAN_BATCH);
        }
        Ok(Some(BatchSpanProcessor::builder(watched).with_batch_config(config.build()).build()))
    }

    /// Where metrics go besides `/metrics`, if anywhere.
    pub(super) fn metrics(
        &self,
        settings: &Settings,
    ) -> Result<Option<PeriodicReader<Watched<MetricExporter>>>, SetupError> {
        let Some((to, runtime)) = self.on_the_way(settings.metrics.as_ref()) else { return Ok(None) };
        let _inside = runtime.enter();
        let losses = Losses::default();
        let exporter = match to.protocol {
            Protocol::Http => MetricExporter::builder()
                .with_http()
                .with_protocol(Otlp::HttpBinary)
                .with_timeout(to.timeout)
                .with_http_client(Client::new(to, losses.clone())?)
                .build(),
            Protocol::Grpc => match tls::of_grpc(to)? {
                Some(tls) => {
                    MetricExporter::builder().with_tonic().with_timeout(to.timeout).with_tls_config(tls).build()
                }
                None => MetricExporter::builder().with_tonic().with_timeout(to.timeout).build(),
            },
        };
        let watched = Watched::new(exporter.map_err(failed)?, to, runtime, losses, &settings.limits);
        Ok(Some(PeriodicReader::builder(watched).build()))
    }

    /// Where log records go besides standard output, if anywhere, and what they have to be for that.
    pub(super) fn logs(&self, settings: &Settings) -> Result<Option<(BatchLogProcessor, Form)>, SetupError> {
        let Some((to, runtime)) = self.on_the_way(settings.logs.as_ref()) else { return Ok(None) };
        let _inside = runtime.enter();
        let (losses, prepared) = (Losses::default(), Prepared::default());
        let exporter = match to.protocol {
            Protocol::Http => LogExporter::builder()
                .with_http()
                .with_protocol(Otlp::HttpBinary)
                .with_timeout(to.timeout)
                .with_http_client(Client::new(to, losses.clone())?.sending(prepared.clone()))
                .build(),
            Protocol::Grpc => match tls::of_grpc(to)? {
                Some(tls) => LogExporter::builder().with_tonic().with_timeout(to.timeout).with_tls_config(tls).build(),
                None => LogExporter::builder().with_tonic().with_timeout(to.timeout).build(),
            },
        };
        let (prepared, form) = match to.protocol {
            Protocol::Http => (Some(prepared), Form::Written(settings.limits.clone())),
            Protocol::Grpc => (None, Form::Values),
        };
        let exporter = Lean::new(exporter.map_err(failed)?, prepared);
        let watched = Watched::new(exporter, to, runtime, losses, &settings.limits);
        let mut config = LogBatches::default();
        if is_unset("OTEL_BLRP_MAX_QUEUE_SIZE") {
            config = config.with_max_queue_size(RECORD_QUEUE);
        }
        if is_unset("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE") {
            config = config.with_max_export_batch_size(RECORD_BATCH);
        }
        Ok(Some((BatchLogProcessor::builder(watched).with_batch_config(config.build()).build(), form)))
    }

    fn on_the_way<'a>(&self, to: Option<&'a Destination>) -> Option<(&'a Destination, Handle)> {
        Some((to?, self.0.as_ref()?.handle().clone()))
    }
}

impl Drop for Exports {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // It may be dropped within another runtime, where waiting for this one would panic.
            runtime.shutdown_background();
        }
    }
}

fn failed(error: ExporterBuildError) -> SetupError {
    SetupError(error.to_string())
}

fn is_unset(variable: &str) -> bool {
    std::env::var_os(variable).is_none_or(|value| value.is_empty())
}
