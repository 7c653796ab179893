//! OTLP, over HTTP or gRPC: batches of spans, metrics and log records on their way to a collector.
//!
//! ```text
//! a span ends, a record is emitted ─ encoded ─ `Outbox` ─ thread that sends ─┐      ┌ bounded, counted, told
//!                          for gRPC: queue and thread of the SDK's processor ─┴─ `Watched` ─ the SDK's exporter: headers,
//! compression, tries again ─ `Client`, or tonic, on the runtime of exports
//! ```
//!
//! What must stay true: no request waits for any of it, whatever the collector does. A queue that is full loses what is
//! new, a batch that is not taken within its time is lost; both are counted, and told once a minute at most.

mod encode;
mod http;
mod limited;
mod losses;
mod outbox;
mod processed;
mod refused;
mod sending;
mod spans;
mod tls;
mod watched;

use std::sync::Arc;

use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol as Otlp, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatches, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{BatchConfigBuilder as SpanBatches, BatchSpanProcessor, TracerProviderBuilder};
use tokio::runtime::{Builder, Handle, Runtime};

use self::encode::Scope;
use self::http::Client;
use self::losses::Losses;
use self::processed::Processed;
use self::sending::{Exporter, Prepared, Sending};
use self::spans::Spans;
use self::watched::Watched;
use super::logs::Carrier;
use super::settings::{AttributeLimits, Destination, Protocol, Queue, Signal};
use super::{Settings, SetupError};

pub(super) use self::encode::Record;
pub(super) use self::outbox::Outbox;
pub(super) use self::refused::{Refused, is_told_by_us};

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

    /// Has spans go where the settings say, if anywhere.
    pub(super) fn spans(
        &self,
        settings: &Settings,
        resource: Resource,
        provider: TracerProviderBuilder,
    ) -> Result<TracerProviderBuilder, SetupError> {
        let Some((to, runtime)) = self.on_the_way(settings.traces.as_ref()) else { return Ok(provider) };
        let _inside = runtime.enter();
        let (losses, limits, queue) = (Losses::default(), &settings.limits, settings.span_queue);
        if to.protocol == Protocol::Grpc {
            let exporter = over_grpc(SpanExporter::builder().with_tonic(), to)?.build().map_err(failed)?;
            let watched = Watched::new(exporter, to, runtime, losses, limits);
            let config = SpanBatches::default()
                .with_scheduled_delay(queue.delay)
                .with_max_queue_size(queue.room)
                .with_max_export_batch_size(queue.batch);
            let processor = BatchSpanProcessor::builder(watched).with_batch_config(config.build()).build();
            return Ok(provider.with_span_processor(processor));
        }
        let prepared = Prepared::default();
        let client = Client::new(to, losses.clone())?.sending(prepared.clone());
        let exporter = over_http(SpanExporter::builder().with_http(), to, client).build().map_err(failed)?;
        let exporter = Watched::new(exporter, to, runtime, losses, limits);
        let outbox = started(Sending { exporter, prepared, resource }, Signal::Traces, queue)?;
        Ok(provider.with_span_processor(Spans { outbox, longest: limits.span_value }))
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
            Protocol::Http => {
                let client = Client::new(to, losses.clone())?;
                over_http(MetricExporter::builder().with_http(), to, client).build()
            }
            Protocol::Grpc => over_grpc(MetricExporter::builder().with_tonic(), to)?.build(),
        };
        let watched = Watched::new(exporter.map_err(failed)?, to, runtime, losses, &settings.limits);
        Ok(Some(PeriodicReader::builder(watched).build()))
    }

    /// Who takes log records elsewhere than to standard output, if anybody.
    pub(super) fn logs(&self, settings: &Settings, resource: Resource) -> Result<Option<Carrier>, SetupError> {
        let Some((to, runtime)) = self.on_the_way(settings.logs.as_ref()) else { return Ok(None) };
        let _inside = runtime.enter();
        let (losses, limits, queue) = (Losses::default(), &settings.limits, settings.record_queue);
        if to.protocol == Protocol::Grpc {
            let exporter = over_grpc(LogExporter::builder().with_tonic(), to)?.build().map_err(failed)?;
            let watched = Watched::new(exporter, to, runtime, losses, limits);
            let config = LogBatches::default()
                .with_scheduled_delay(queue.delay)
                .with_max_queue_size(queue.room)
                .with_max_export_batch_size(queue.batch);
            let processor = BatchLogProcessor::builder(watched).with_batch_config(config.build()).build();
            let provider = SdkLoggerProvider::builder().with_resource(resource).with_log_processor(processor).build();
            return Ok(Some(Carrier::Sdk(provider)));
        }
        let prepared = Prepared::default();
        let client = Client::new(to, losses.clone())?.sending(prepared.clone());
        let exporter = over_http(LogExporter::builder().with_http(), to, client).build().map_err(failed)?;
        let exporter = Watched::new(exporter, to, runtime, losses, limits);
        let outbox = started(Sending { exporter, prepared, resource }, Signal::Logs, queue)?;
        Ok(Some(Carrier::Outbox(outbox, limits.clone())))
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

fn over_http<B: WithExportConfig + WithHttpConfig>(exporter: B, to: &Destination, client: Client) -> B {
    exporter.with_protocol(Otlp::HttpBinary).with_timeout(to.timeout).with_http_client(client)
}

fn over_grpc<B: WithExportConfig + WithTonicConfig>(exporter: B, to: &Destination) -> Result<B, SetupError> {
    let exporter = exporter.with_timeout(to.timeout);
    Ok(match tls::of_grpc(to)? {
        Some(tls) => exporter.with_tls_config(tls),
        None => exporter,
    })
}

/// A queue of ours, and the thread that sends what waits there.
fn started<S, E>(sending: Sending<E>, signal: Signal, queue: Queue) -> Result<Arc<Outbox<S>>, SetupError>
where
    S: Scope + Send + 'static,
    E: Exporter,
{
    let outbox = Arc::new(Outbox::new(queue, Processed::of(signal)));
    processed::observe(signal, &outbox);
    let name = if signal == Signal::Traces { "export-spans" } else { "export-logs" };
    sending.start(name, Arc::clone(&outbox)).map_err(|error| SetupError(error.to_string()))?;
    Ok(outbox)
}
