//! Traces, logs and metrics: set up once, from the variables of the OpenTelemetry specification.
//!
//! With no endpoint nothing is exported, and nothing complains: trace ids are made all the same, for error
//! bodies and log lines. Spans are made with the OpenTelemetry API by the actors' kit; `tracing` carries the
//! events, and the spans of commands and libraries, which tracing-opentelemetry joins to the same traces.

mod allocator;
mod completed;
mod export;
pub mod gauges;
pub mod instruments;
mod logs;
mod mask;
mod masked_spans;
mod process;
mod prometheus;
mod runtime;
pub mod sampling;
mod settings;
mod shown;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ::prometheus::Registry;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;

pub use self::completed::{Abandoned, CLIENT_GONE, abandoned, completed};
use self::export::Exports;
use self::logs::Carrier;
pub use self::logs::{Limits, flush, lines_to};
pub use self::prometheus::MEDIA as PROMETHEUS;
use self::sampling::{Head, Ids};
pub use self::settings::{AttributeLimits, Destination, LogFormat, Protocol, Queue, Settings, Signal};
pub use shown::shown;

/// How long the last flush of all signals together may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
/// Sets of attributes that most instruments may have; the largest, by actor, has some fifty.
const FEW: usize = 400;

/// The providers. Whoever has this flushes them at the end.
pub struct Telemetry {
    /// Decides which traces are recorded.
    pub head: Head,
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: Option<Carrier>,
    registry: Registry,
    /// The last to go: what is flushed goes through it.
    _exports: Exports,
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
        let resource = resource(settings);
        let registry = Registry::new();
        let exports = Exports::start(settings)?;
        let metrics = metrics_provider(settings, &exports, resource.clone(), &registry)?;
        // Before the processors are built, which count what they have to drop.
        global::set_meter_provider(metrics.clone());
        let head = match settings.traces {
            Some(_) => Head::read(|name| std::env::var(name).ok()),
            // Ids without spans: for error bodies, log lines and `traceresponse`.
            None => Head::off(),
        };
        let traces = traces_provider(settings, &exports, resource.clone(), head.clone())?;
        global::set_tracer_provider(traces.clone());
        let logs = exports.logs(settings, resource)?;
        logs::install(settings, traces.tracer("callboard"), logs.as_ref())?;
        if !settings.unheeded.is_empty() {
            let variables = settings.unheeded.join(", ");
            tracing::warn!(variables, "settings of OpenTelemetry that nobody honours here");
        }
        Ok(Self { head, traces, metrics, logs, registry, _exports: exports })
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
        logs::tell_rest();
        let until = Instant::now() + FLUSH_WITHIN;
        let (done, finished) = mpsc::channel();
        // Side by side, for a collector that is silent to one signal is so to all; and on threads that nobody joins, for
        // the SDK's reader of metrics knows of no deadline.
        let mut flushing = 0;
        let mut flush = |flush: Box<dyn FnOnce() + Send>| {
            let done = done.clone();
            let started = thread::Builder::new().spawn(move || {
                flush();
                // Whoever waited may have gone.
                let _ = done.send(());
            });
            flushing += i32::from(started.is_ok());
        };
        // What cannot be exported now is lost, which the SDK says.
        let (traces, metrics, logs) = (self.traces.clone(), self.metrics.clone(), self.logs.clone());
        flush(Box::new(move || drop(traces.shutdown_with_timeout(FLUSH_WITHIN))));
        flush(Box::new(move || drop(metrics.shutdown_with_timeout(FLUSH_WITHIN))));
        if let Some(logs) = logs {
            flush(Box::new(move || logs.shutdown(FLUSH_WITHIN)));
        }
        for _ in 0..flushing {
            if finished.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
                return;
            }
        }
    }
}

fn resource(settings: &Settings) -> Resource {
    let told = settings.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()))
        .with_attributes(told)
        .with_service_name(settings.service.clone())
        .build()
}

fn traces_provider(
    settings: &Settings,
    exports: &Exports,
    resource: Resource,
    head: Head,
) -> Result<SdkTracerProvider, SetupError> {
    let builder = SdkTracerProvider::builder().with_resource(resource.clone()).with_span_limits(settings.limits.span);
    let builder = builder.with_sampler(head).with_id_generator(Ids::default());
    Ok(exports.spans(settings, resource, builder)?.build())
}

/// The SDK makes room for all sets of attributes that an instrument may have, at once and for each reader: 130 KB for the 2,000
/// that it allows unless told otherwise, half of what an idle process held.
fn room_for_few(instrument: &Instrument) -> Option<Stream> {
    // These tell routes and statuses apart, or statements and errors.
    let has_many = ["http", "db."].iter().any(|domain| instrument.name().starts_with(domain));
    if has_many { None } else { Stream::builder().with_cardinality_limit(FEW).build().ok() }
}

fn metrics_provider(
    settings: &Settings,
    exports: &Exports,
    resource: Resource,
    registry: &Registry,
) -> Result<SdkMeterProvider, SetupError> {
    let builder = SdkMeterProvider::builder().with_resource(resource).with_view(room_for_few);
    let builder = builder.with_reader(prometheus::reader(registry)?);
    Ok(match exports.metrics(settings)? {
        Some(reader) => builder.with_reader(reader).build(),
        None => builder.build(),
    })
}
