//! Traces, logs and metrics: set up once, from the variables of the OpenTelemetry specification.
//!
//! With no endpoint nothing is exported, and nothing complains: trace ids are made all the same, for error
//! bodies and log lines. Spans are made with the OpenTelemetry API by the actors' kit; `tracing` carries the
//! events, and the spans of commands and libraries, which tracing-opentelemetry joins to the same traces.

mod exporters;
pub mod instruments;
mod logs;
pub mod sampling;
mod settings;
mod shown;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Encoder, Registry, TextEncoder};

use sampling::{Head, Ids};
pub use settings::{LogFormat, Protocol, Settings};
pub use shown::shown;

/// How long the last flush of each signal may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// The providers. Whoever has this flushes them at the end.
pub struct Telemetry {
    /// Decides which traces are recorded.
    pub head: Head,
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
        let head = match settings.export {
            true => Head::read(|name| std::env::var(name).ok()),
            // Ids without spans: for error bodies, log lines and `traceresponse`.
            false => Head::off(),
        };
        let traces = traces_provider(settings, resource.clone(), head.clone())?;
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
        Ok(Self { head, traces, metrics, logs, registry })
    }

    /// Every instrument as Prometheus text.
    ///
    /// # Errors
    /// When an instrument cannot be encoded.
    pub fn prometheus_text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        let mut families = self.registry.gather();
        for family in &mut families {
            // The exporter ends every counter's name so, also that of one which is called so already.
            if let Some(name) = family.name().strip_suffix("_total_total").map(|name| format!("{name}_total")) {
                family.set_name(name);
            }
        }
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
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

fn traces_provider(settings: &Settings, resource: Resource, head: Head) -> Result<SdkTracerProvider, SetupError> {
    let builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(head);
    let builder = builder.with_id_generator(Ids::default());
    Ok(match settings.export {
        true => builder.with_span_processor(exporters::spans(settings)?).build(),
        false => builder.build(),
    })
}

fn metrics_provider(
    settings: &Settings,
    resource: Resource,
    registry: &Registry,
) -> Result<SdkMeterProvider, SetupError> {
    let prometheus = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .map_err(|error| SetupError(error.to_string()))?;
    let builder = SdkMeterProvider::builder().with_resource(resource).with_reader(prometheus);
    Ok(match settings.export {
        true => builder.with_periodic_exporter(exporters::metrics(settings)?).build(),
        false => builder.build(),
    })
}
