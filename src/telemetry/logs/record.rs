//! A line as a record of OTLP: severity, the span and what the event says, and the place in the code, by the names of
//! the semantic conventions (code.*), which nobody wants to read on a terminal.
//!
//! opentelemetry-appender-tracing (0.33.1) calls the place by names that were given up, and takes "event src/x.rs:12" for
//! the name of an event; records cannot be changed later.

use std::borrow::Cow;
use std::fmt::Debug;
use std::time::SystemTime;

use opentelemetry::Key;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::about::{self, About, Value};
use crate::telemetry::mask::masked;

/// Libraries that take part in exporting: their own events would be exported in turn, without end.
const EXPORTING: [&str; 6] = ["opentelemetry", "hyper", "h2", "tonic", "reqwest", "tower"];

/// Where in the code something is written.
const FILE: &str = "code.file.path";
const LINE: &str = "code.line.number";

/// Whether what a library writes can be exported.
pub(super) fn is_exporting(target: &str) -> bool {
    EXPORTING.iter().any(|library| target.starts_with(library))
}

/// Where records go.
pub(super) struct Records(SdkLogger);

impl Records {
    pub(super) fn new(provider: &SdkLoggerProvider) -> Self {
        // The target of each record takes the place of the scope's name.
        Self(provider.logger(""))
    }

    /// Has a record exported; the SDK adds the span of the current context.
    pub(super) fn emit(&self, now: SystemTime, metadata: &Metadata<'_>, event: &Event<'_>, about: &About<'_>) {
        if is_exporting(metadata.target()) {
            return;
        }
        let mut record = self.0.create_log_record();
        record.set_timestamp(now);
        record.set_severity_number(severity(metadata.level()));
        record.set_severity_text(metadata.level().as_str());
        record.set_target(metadata.target().to_owned());
        let name = event.metadata().name();
        // What has no name is called after its place.
        if !name.starts_with("event ") {
            record.set_event_name(name);
        }
        let mut fields = Fields { record: &mut record, placed: false };
        event.record(&mut fields);
        if !fields.placed {
            place(&mut record, metadata);
        }
        about.each(|name, value| match value {
            Value::Text(text) => record.add_attribute(name, value_of(text)),
            Value::Number(number) => record.add_attribute(name, number),
        });
        self.0.emit(record);
    }
}

fn severity(level: &Level) -> Severity {
    match *level {
        Level::TRACE => Severity::Trace,
        Level::DEBUG => Severity::Debug,
        Level::INFO => Severity::Info,
        Level::WARN => Severity::Warn,
        Level::ERROR => Severity::Error,
    }
}

fn place(record: &mut SdkLogRecord, metadata: &Metadata<'_>) {
    if let Some(file) = metadata.file() {
        record.add_attribute(FILE, file_of(file).to_owned());
    }
    if let Some(line) = metadata.line() {
        record.add_attribute(LINE, i64::from(line));
    }
}

/// A file of a library without where it lay on the machine that compiled it.
fn file_of(path: &str) -> &str {
    // Ours are said from the root of the workspace.
    if !path.starts_with('/') {
        return path;
    }
    let registry = path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
    registry.map_or(path, |(_, file)| file)
}

fn value_of(text: &str) -> AnyValue {
    masked(text).into_owned().into()
}

struct Fields<'a> {
    record: &'a mut SdkLogRecord,
    /// The event says itself where it belongs.
    placed: bool,
}

impl Fields<'_> {
    fn text(&mut self, field: &Field, text: Cow<'_, str>) {
        match field.name() {
            "message" => self.record.set_body(value_of(&text)),
            name if about::is_metadata(name) => {}
            name => self.add(name, value_of(&text)),
        }
    }

    fn add(&mut self, name: &'static str, value: impl Into<AnyValue>) {
        self.placed |= name == FILE;
        self.record.add_attribute(Key::from_static_str(name), value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if !about::is_metadata(field.name()) {
            self.add(field.name(), i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
