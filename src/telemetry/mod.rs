//! Traces, logs and metrics: set up once, from the variables of the OpenTelemetry specification.
//!
//! With no endpoint nothing is exported, and nothing complains: trace ids are made all the same, for error
//! bodies and log lines. Spans are made with the OpenTelemetry API by the actors' kit; `tracing` carries the
//! events, and the spans of commands and libraries, which tracing-opentelemetry joins to the same traces.

mod allocator;
mod exporters;
pub mod gauges;
pub mod instruments;
mod logs;
mod process;
mod prometheus;
mod runtime;
mod settings;
mod shown;

use std::time::Duration;

use ::prometheus::Registry;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

pub use prometheus::MEDIA as PROMETHEUS;
pub use settings::{LogFormat, Protocol, Settings};
pub use shown::shown;

/// How long the last flush of each signal may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// The providers. Whoever has this flushes them at the end.
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: Option<SdkLoggerProvider>,
    registry: Registry,
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("telemetry: {0}")]
pub struct SetupError(String);

impl Telemetry {
    /// Sets up all three signals and makes them the process' own. Call it once, within the runtime.
    ///
    /// # Errors
    /// When an exporter cannot be built from the environment.
    pub fn start(settings: &Settings) -> Result<Self, SetupError> {
        let resource = Resource::builder()
            .with_service_name(settings.service.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let registry = Registry::new();
        let metrics = metrics_provider(settings, resource.clone(), &registry)?;
        // Before the span processor is built, which counts what it has to drop.
        global::set_meter_provider(metrics.clone());
        let traces = traces_provider(settings, resource.clone())?;
        global::set_tracer_provider(traces.clone());
        let logs = match settings.export {
            true => Some(
                SdkLoggerProvider::builder()
                    .with_resource(resource)
                    .with_batch_exporter(exporters::logs(settings)?)
                    .build(),
            ),
            false => None,
        };
        logs::install(settings, traces.tracer("callboard"), logs.as_ref())?;
        Ok(Self { traces, metrics, logs, registry })
    }

    /// Every instrument as Prometheus text.
    ///
    /// # Errors
    /// When an instrument cannot be encoded.
    pub fn prometheus_text(&self) -> Result<Vec<u8>, ::prometheus::Error> {
        prometheus::text(&self.registry)
    }

    /// Exports what is left, within a few seconds, whether or not anybody receives it.
    pub fn shutdown(&self) {
        // What cannot be exported now is lost; there is nobody left to tell.
        let _ = self.traces.shutdown_with_timeout(FLUSH_WITHIN);
        let _ = self.metrics.shutdown_with_timeout(FLUSH_WITHIN);
        if let Some(logs) = &self.logs {
            let _ = logs.shutdown_with_timeout(FLUSH_WITHIN);
        }
    }
}

fn traces_provider(settings: &Settings, resource: Resource) -> Result<SdkTracerProvider, SetupError> {
    let builder = SdkTracerProvider::builder().with_resource(resource);
    Ok(match settings.export {
        // The SDK reads the sampler from the environment, unless the code sets one.
        true => builder.with_span_processor(exporters::spans(settings)?).build(),
        // Ids without spans: for error bodies, log lines and `traceresponse`.
        false => builder.with_sampler(Sampler::AlwaysOff).build(),
    })
}

fn metrics_provider(
    settings: &Settings,
    resource: Resource,
    registry: &Registry,
) -> Result<SdkMeterProvider, SetupError> {
    let builder = SdkMeterProvider::builder().with_resource(resource).with_reader(prometheus::reader(registry)?);
    Ok(match settings.export {
        true => builder.with_periodic_exporter(exporters::metrics(settings)?).build(),
        false => builder.build(),
    })
}
