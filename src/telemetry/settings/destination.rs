//! Where a signal goes, and what of that is ours to read.

use std::time::Duration;

use super::Reading;

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

/// How OTLP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Over gRPC.
    Grpc,
    /// Over HTTP.
    Http,
}

/// Where a signal goes. The endpoint itself, headers and compression are the SDK's to read.
#[derive(Debug, Clone)]
pub struct Destination {
    /// What goes there.
    pub signal: Signal,
    /// How.
    pub protocol: Protocol,
    /// Whether over TLS.
    pub encrypted: bool,
    /// What a batch's transfer may take; it is not tried again after that.
    pub timeout: Duration,
    /// What a batch's export may take at most, with all that is tried again.
    pub within: Duration,
    /// A file of the authorities that are trusted in place of the system's.
    pub authorities: Option<String>,
    /// Files of the certificate and the key that we show.
    pub identity: Option<(String, String)>,
}

/// What the specification says where nothing is set.
const TIMEOUT: u64 = 10_000;
const WITHIN: u64 = 30_000;

impl Signal {
    /// The signal's part in names of variables.
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    fn within(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_BSP_EXPORT_TIMEOUT",
            Self::Metrics => "OTEL_METRIC_EXPORT_TIMEOUT",
            Self::Logs => "OTEL_BLRP_EXPORT_TIMEOUT",
        }
    }
}

impl Destination {
    /// Where a signal goes, if anywhere: it needs an endpoint, and an exporter that is not `none`.
    ///
    /// # Errors
    /// What does not fit together: a variable's name, and why.
    pub(super) fn read(signal: Signal, read: &Reading<'_>) -> Result<Option<Self>, (&'static str, &'static str)> {
        let own = |what: &str| {
            read(&format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name()))
                .or_else(|| read(&format!("OTEL_EXPORTER_OTLP_{what}")))
        };
        let milliseconds = |text: Option<String>, default| {
            Duration::from_millis(text.and_then(|text| text.parse().ok()).unwrap_or(default))
        };
        let exporters = read(&format!("OTEL_{}_EXPORTER", signal.name())).unwrap_or_else(|| "otlp".to_owned());
        let wanted = exporters.split(',').any(|exporter| exporter.trim().eq_ignore_ascii_case("otlp"));
        let Some(endpoint) = own("ENDPOINT").filter(|_| wanted) else { return Ok(None) };
        let protocol = match own("PROTOCOL").as_deref() {
            Some("grpc") => Protocol::Grpc,
            _ => Protocol::Http,
        };
        let insecure = own("INSECURE").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let encrypted = match endpoint.split_once("://") {
            Some((scheme, _)) => scheme.eq_ignore_ascii_case("https"),
            None if protocol == Protocol::Grpc => !insecure,
            None => return Err(("OTEL_EXPORTER_OTLP_ENDPOINT", "must be an http or https URL")),
        };
        let identity = match (own("CLIENT_CERTIFICATE"), own("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(("OTEL_EXPORTER_OTLP_CLIENT_KEY", "must be set where the certificate is")),
            (None, Some(_)) => {
                return Err(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "must be set where the key is"));
            }
        };
        Ok(Some(Self {
            signal,
            protocol,
            encrypted,
            timeout: milliseconds(own("TIMEOUT"), TIMEOUT),
            within: milliseconds(read(signal.within()), WITHIN),
            authorities: own("CERTIFICATE"),
            identity,
        }))
    }
}
