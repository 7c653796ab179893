//! Log lines: pretty or JSON on standard output, and the same records over OTLP, each with the ids of the
//! span in whose context it was written.

use json_subscriber::JsonLayer;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::export::{Refused, is_told_by_us};
use super::{LogFormat, Settings, SetupError};

/// Libraries that take part in exporting: their own events would be exported in turn, without end.
const EXPORTING: [&str; 6] = ["opentelemetry", "hyper", "h2", "tonic", "reqwest", "tower"];

/// Of all that others wrote, nothing below this is told, whatever RUST_LOG says: what they tell at lower levels is what
/// they are given, statements with their values and headers with their tokens.
const OF_OTHERS: Level = Level::INFO;

/// Makes the layers the process' own, and has panics logged like everything else.
pub(super) fn install(
    settings: &Settings,
    tracer: SdkTracer,
    logs: Option<&SdkLoggerProvider>,
) -> Result<(), SetupError> {
    // ractor opens a span for the whole life of each actor.
    // h2 warns of each client that goes too far, which are as many lines as that client likes.
    // What a collector refuses is read from the exporter's warnings, which are not shown.
    let filter = format!(
        "opentelemetry-otlp=warn,h2=error,ractor=warn,refinery_core=warn,tokio_postgres=warn,{}",
        settings.filter
    );
    let filter = EnvFilter::try_new(filter).map_err(|error| SetupError(format!("RUST_LOG: {error}")))?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    let otlp = logs.map(|provider| OpenTelemetryTracingBridge::new(provider).with_filter(not_exporting()));
    tracing_subscriber::registry()
        .with(filter)
        .with(FilterFn::new(|metadata| is_ours(metadata.target()) || *metadata.level() <= OF_OTHERS))
        .with(spans.with_filter(not_exporting()))
        .with(Refused)
        .with(output(settings.format).with_filter(FilterFn::new(|metadata| !is_told_by_us(metadata))))
        .with(otlp)
        .try_init()
        .map_err(|error| SetupError(error.to_string()))?;
    log_panics();
    Ok(())
}

fn is_ours(target: &str) -> bool {
    ["callboard", "actors"].contains(&target.split("::").next().unwrap_or(target))
}

fn not_exporting() -> FilterFn {
    FilterFn::new(|metadata| !EXPORTING.iter().any(|library| metadata.target().starts_with(library)))
}

fn output<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Pretty => fmt::layer().with_target(false).boxed(),
        LogFormat::Json => {
            let mut json = JsonLayer::stdout();
            json.with_timer("timestamp", fmt::time::SystemTime);
            json.with_level("level");
            json.with_target("target");
            json.with_flattened_event();
            json.add_multiple_dynamic_fields(|_, _, writer| {
                Context::map_current(|context| {
                    let span = context.span();
                    let ids = span.span_context();
                    if ids.is_valid() {
                        // A line without its ids is still a line.
                        let _ = writer.write_field("trace_id", ids.trace_id().to_string());
                        let _ = writer.write_field("span_id", ids.span_id().to_string());
                    }
                });
            });
            json.boxed()
        }
    }
}

/// Panics become log lines, which reach OTLP too, in place of text on standard error.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("without a message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.message = message, panic.place = place, "panicked");
    }));
}
