//! Traces, logs and metrics: set up once, from the variables of the OpenTelemetry specification.
//!
//! With no endpoint nothing is exported, and nothing complains: trace ids are made all the same, for error
//! bodies and log lines. Spans are made with the OpenTelemetry API by the actors' kit; `tracing` carries the
//! events, and the spans of commands and libraries, which tracing-opentelemetry joins to the same traces.

mod exporters;
pub mod instruments;
mod logs;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use prometheus::{Encoder, Registry, TextEncoder};

/// How long the last flush of each signal may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// The providers. Whoever has this flushes them at the end.
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: Option<SdkLoggerProvider>,
    registry: Registry,
}

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What of the environment concerns telemetry and is not the SDK's to read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What lines look like.
    pub format: LogFormat,
    /// Which lines there are, in the syntax of `RUST_LOG`.
    pub filter: String,
    /// Whether anything is exported.
    pub export: bool,
    /// The protocol of OTLP.
    pub protocol: Protocol,
    /// What the service is called.
    pub service: String,
}

/// How OTLP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Over gRPC.
    Grpc,
    /// Over HTTP.
    Http,
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("telemetry: {0}")]
pub struct SetupError(String);

impl Settings {
    /// Reads the settings through `read`; `terminal` says whether somebody looks at the output.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn from(read: impl Fn(&str) -> Option<String>, terminal: bool) -> Result<Self, Vec<crate::config::Mistake>> {
        let mut mistakes = Vec::new();
        let mut mistake =
            |variable, problem: &str| mistakes.push(crate::config::Mistake { variable, problem: problem.to_owned() });
        let read = |name: &str| read(name).filter(|value| !value.is_empty());
        let format = match read("LOG_FORMAT").as_deref() {
            None if terminal => LogFormat::Pretty,
            None | Some("json") => LogFormat::Json,
            Some("pretty") => LogFormat::Pretty,
            Some(_) => {
                mistake("LOG_FORMAT", "must be pretty or json");
                LogFormat::Json
            }
        };
        let filter = read("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        if !["trace", "debug", "info", "warn", "error", "off"].contains(&filter.to_ascii_lowercase().as_str()) {
            mistake("LOG_LEVEL", "must be trace, debug, info, warn, error or off");
        }
        let protocol = match read("OTEL_EXPORTER_OTLP_PROTOCOL").as_deref() {
            None | Some("http/protobuf") => Protocol::Http,
            Some("grpc") => Protocol::Grpc,
            Some(_) => {
                mistake("OTEL_EXPORTER_OTLP_PROTOCOL", "must be http/protobuf or grpc");
                Protocol::Http
            }
        };
        let disabled = read("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let signals = ["", "_TRACES", "_METRICS", "_LOGS"];
        let endpoint = signals.iter().any(|signal| read(&format!("OTEL_EXPORTER_OTLP{signal}_ENDPOINT")).is_some());
        // The SDK lets `service.name` among the resource attributes win, against the specification.
        let service = read("OTEL_SERVICE_NAME").or_else(|| {
            let attributes = read("OTEL_RESOURCE_ATTRIBUTES")?;
            attributes.split(',').find_map(|pair| pair.trim().strip_prefix("service.name=").map(str::to_owned))
        });
        let service = service.unwrap_or_else(|| "callboard".to_owned());
        let filter = read("RUST_LOG").map_or_else(|| filter.clone(), |refined| format!("{filter},{refined}"));
        if mistakes.is_empty() {
            Ok(Self { format, filter, export: endpoint && !disabled, protocol, service })
        } else {
            Err(mistakes)
        }
    }
}

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
