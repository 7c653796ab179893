//! What became of batches: counted under the names that the conventions have for it, and told in a line when the
//! collector takes nothing more, and when it does again; a line a minute at most.

use std::cell::Cell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::super::settings::{Destination, Protocol, Signal};

/// How often a signal's losses are told at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

thread_local! {
    /// What the collector refused of a batch that it took: only the line says so that the SDK writes, on this thread.
    static REFUSED: Cell<u64> = const { Cell::new(0) };
}

/// Notes that the collector took a batch without so many of what it held.
pub(super) fn refused_of_this_batch(count: u64) {
    REFUSED.set(REFUSED.get().saturating_add(count));
}

/// Why the last attempt failed, where the one who knows is not the one who counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Losses(Arc<Mutex<Option<&'static str>>>);

impl Losses {
    pub(super) fn because(&self, reason: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn reason(&self) -> Option<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The books of one exporter.
#[derive(Debug)]
pub(super) struct Books {
    losses: Losses,
    signal: Signal,
    component: [KeyValue; 2],
    /// Made with the first batch: the provider of metrics has to be there before its instruments.
    exported: OnceLock<Counter<u64>>,
    told: Mutex<Told>,
}

/// What was told last, and what happened since then.
#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    /// Whether the last line said that nothing gets through.
    broken: bool,
    lost: u64,
}

impl Books {
    pub(super) fn new(to: &Destination, losses: Losses) -> Self {
        let kind = match to.protocol {
            Protocol::Http => "otlp_http_exporter",
            Protocol::Grpc => "otlp_grpc_exporter",
        };
        let component = [
            KeyValue::new("otel.component.type", kind),
            KeyValue::new("otel.component.name", format!("{kind}/{}", name(to.signal))),
        ];
        Self { losses, signal: to.signal, component, exported: OnceLock::new(), told: Mutex::default() }
    }

    /// Writes down what became of `count` spans, data points or log records.
    pub(super) fn enter(&self, count: u64, result: &OTelSdkResult) {
        let before = self.losses.reason();
        let refused = REFUSED.take().min(count);
        match result {
            Ok(()) => {
                self.count(count - refused, None);
                if refused > 0 {
                    self.count(refused, Some("rejected".to_owned()));
                    self.lost(refused, "rejected");
                } else {
                    self.went_through();
                }
            }
            Err(error) => {
                let reason = error_type(error, before);
                self.lost(count, &reason);
                self.count(count, Some(reason));
            }
        }
    }

    fn count(&self, count: u64, error_type: Option<String>) {
        if count == 0 {
            return;
        }
        let mut attributes = self.component.to_vec();
        attributes.extend(error_type.map(|error_type| KeyValue::new("error.type", error_type)));
        let counter = self.exported.get_or_init(|| {
            let (name, unit) = match self.signal {
                Signal::Traces => ("otel.sdk.exporter.span.exported", "{span}"),
                Signal::Metrics => ("otel.sdk.exporter.metric_data_point.exported", "{data_point}"),
                Signal::Logs => ("otel.sdk.exporter.log.exported", "{log_record}"),
            };
            let described = "What an exporter is done with; what has an error.type was lost.";
            global::meter("callboard").u64_counter(name).with_unit(unit).with_description(described).build()
        });
        counter.add(count, &attributes);
    }

    fn lost(&self, count: u64, reason: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.lost += count;
        if told.is_due() {
            let signal = name(self.signal);
            tracing::warn!(signal, lost = told.lost, reason, "the collector does not take telemetry: it is lost");
            *told = Told { at: Some(Instant::now()), broken: true, lost: 0 };
        }
    }

    fn went_through(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.broken && told.is_due() {
            tracing::info!(signal = name(self.signal), lost = told.lost, "the collector takes telemetry again");
            *told = Told { at: Some(Instant::now()), broken: false, lost: 0 };
        }
    }
}

impl Told {
    fn is_due(&self) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= TOLD_EVERY)
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

/// The conventions' word for an error: a status of HTTP or gRPC where the collector gave one.
fn error_type(error: &OTelSdkError, reason: Option<&'static str>) -> String {
    let text = match error {
        OTelSdkError::Timeout(_) => return "timeout".to_owned(),
        OTelSdkError::AlreadyShutdown => return "already_shutdown".to_owned(),
        OTelSdkError::InternalFailure(text) => text,
    };
    if let Some((_, status)) = text.rsplit_once("status code: ") {
        return status.to_owned();
    }
    if let Some((_, code)) = text.split_once("gRPC code: ") {
        return upper_snake(code.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default());
    }
    reason.unwrap_or("_OTHER").to_owned()
}

/// `DeadlineExceeded` as gRPC itself writes it.
fn upper_snake(code: &str) -> String {
    let mut written = String::new();
    for letter in code.chars() {
        if letter.is_ascii_uppercase() && !written.is_empty() {
            written.push('_');
        }
        written.push(letter.to_ascii_uppercase());
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_called_by_the_status_that_the_collector_gave() {
        let failure = |text: &str| OTelSdkError::InternalFailure(text.to_owned());
        for (error, reason, expected) in [
            (failure("HTTP export failed with status code: 503"), None, "503"),
            (failure("HTTP export failed: network error"), Some("connection_refused"), "connection_refused"),
            (failure("TonicLogsClient export failed with gRPC code: DeadlineExceeded: x"), None, "DEADLINE_EXCEEDED"),
            (failure("TonicLogsClient export failed with gRPC code: Unavailable"), None, "UNAVAILABLE"),
            (OTelSdkError::Timeout(TOLD_EVERY), None, "timeout"),
            (failure("who knows"), None, "_OTHER"),
        ] {
            assert_eq!(error_type(&error, reason), expected);
        }
    }
}
