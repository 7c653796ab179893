//! OTLP, over HTTP or gRPC. Endpoint, headers, compression and time-outs are the SDK's to read.

use opentelemetry_otlp::{ExporterBuildError, LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor};

use super::masked_spans::MaskedSpans;
use super::{Protocol, Settings, SetupError};

/// Spans that may wait for export. The specification's 2,048 are full within milliseconds of a burst.
const SPAN_QUEUE: usize = 32 * 1024;

fn failed(error: ExporterBuildError) -> SetupError {
    SetupError(error.to_string())
}

/// Where spans go.
pub(super) fn spans(settings: &Settings) -> Result<BatchSpanProcessor, SetupError> {
    let exporter = match settings.protocol {
        Protocol::Http => SpanExporter::builder().with_http().build(),
        Protocol::Grpc => SpanExporter::builder().with_tonic().build(),
    };
    let mut config = BatchConfigBuilder::default();
    if std::env::var_os("OTEL_BSP_MAX_QUEUE_SIZE").is_none() {
        config = config.with_max_queue_size(SPAN_QUEUE);
    }
    Ok(BatchSpanProcessor::builder(MaskedSpans(exporter.map_err(failed)?)).with_batch_config(config.build()).build())
}

/// Where metrics go.
pub(super) fn metrics(settings: &Settings) -> Result<MetricExporter, SetupError> {
    let exporter = match settings.protocol {
        Protocol::Http => MetricExporter::builder().with_http().build(),
        Protocol::Grpc => MetricExporter::builder().with_tonic().build(),
    };
    exporter.map_err(failed)
}

/// Where log records go.
pub(super) fn logs(settings: &Settings) -> Result<LogExporter, SetupError> {
    let exporter = match settings.protocol {
        Protocol::Http => LogExporter::builder().with_http().build(),
        Protocol::Grpc => LogExporter::builder().with_tonic().build(),
    };
    exporter.map_err(failed)
}
