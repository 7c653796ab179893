//! The same instruments as Prometheus text, for whoever scrapes.
//!
//! The text is version 0.0.4, whatever `Accept` says: Prometheus takes it, and OpenMetrics would bring nothing but
//! exemplars, which the SDK does not record. Names are the exporter's: dots become underscores, units and `_total` are
//! added, as collectors do it that follow the specification.

use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder, Registry, TextEncoder};

use super::SetupError;

/// What the text is.
pub const MEDIA: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What collects into `registry`.
pub(super) fn reader(registry: &Registry) -> Result<PrometheusExporter, SetupError> {
    opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .map_err(|error| SetupError(error.to_string()))
}

/// Every instrument, read now.
pub(super) fn text(registry: &Registry) -> Result<Vec<u8>, prometheus::Error> {
    let mut families = registry.gather();
    for family in &mut families {
        // The exporter ends every counter's name so, also that of one which is called so already.
        if let Some(name) = family.name().strip_suffix("_total_total").map(|name| format!("{name}_total")) {
            family.set_name(name);
        }
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(text)
}
