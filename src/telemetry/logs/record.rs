//! A line as a record of OTLP: severity, the span and what the event says, and the place in the code, by the names of
//! the semantic conventions (code.*), which nobody wants to read on a terminal.
//!
//! opentelemetry-appender-tracing (0.33.1) calls the place by names that were given up, and takes "event src/x.rs:12" for
//! the name of an event; records cannot be changed later.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{Debug, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::{Context, Key};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::about::{self, About, Value};
use crate::telemetry::export::{Outbox, Record as Written};
use crate::telemetry::mask::masked;
use crate::telemetry::settings::AttributeLimits;

/// Libraries that take part in exporting: their own events would be exported in turn, without end.
const EXPORTING: [&str; 6] = ["opentelemetry", "hyper", "h2", "tonic", "reqwest", "tower"];

/// Where in the code something is written.
const FILE: &str = "code.file.path";
const LINE: &str = "code.line.number";

thread_local! {
    static MEMORY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Whether what a library writes can be exported.
pub(super) fn is_exporting(target: &str) -> bool {
    EXPORTING.iter().any(|library| target.starts_with(library))
}

/// Who takes records to the collector, and so what they are when they are handed over.
#[derive(Debug, Clone)]
pub(in crate::telemetry) enum Carrier {
    /// The SDK, which encodes their values.
    Sdk(SdkLoggerProvider),
    /// A queue of ours, where they wait as bytes, with no more in them than these limits allow.
    Outbox(Arc<Outbox<String>>, AttributeLimits),
}

impl Carrier {
    /// Has what is there exported, within this time, and nothing more.
    pub(in crate::telemetry) fn shutdown(&self, within: Duration) {
        // What could not be exported is lost, and counted.
        match self {
            Self::Sdk(provider) => drop(provider.shutdown_with_timeout(within)),
            Self::Outbox(outbox, _) => drop(outbox.end(within)),
        }
    }
}

/// Where records go.
pub(super) enum Records {
    Sdk(SdkLogger),
    Outbox(Arc<Outbox<String>>, AttributeLimits),
}

impl Records {
    pub(super) fn new(carrier: Carrier) -> Self {
        match carrier {
            // The target of each record takes the place of the scope's name.
            Carrier::Sdk(provider) => Self::Sdk(provider.logger("")),
            Carrier::Outbox(outbox, limits) => Self::Outbox(outbox, limits),
        }
    }

    /// Has a record exported, with the span of the current context.
    pub(super) fn emit(&self, now: SystemTime, metadata: &Metadata<'_>, event: &Event<'_>, about: &About<'_>) {
        if is_exporting(metadata.target()) {
            return;
        }
        let said = Said { now, metadata, event, about };
        match self {
            Self::Sdk(logger) => {
                let mut record = logger.create_log_record();
                said.in_values(&mut record);
                // Those of the `log` crate have a target of their own.
                let target = event.metadata().target();
                let is_own = target != metadata.target();
                record.set_target(if is_own { metadata.target().to_owned().into() } else { Cow::Borrowed(target) });
                logger.emit(record);
            }
            // What is said while something is exported would be exported in turn.
            Self::Outbox(..) if Context::is_current_telemetry_suppressed() => {}
            Self::Outbox(outbox, limits) => said.in_bytes(limits, |bytes| outbox.add(metadata.target(), bytes)),
        }
    }
}

/// All that a record says.
struct Said<'a> {
    now: SystemTime,
    metadata: &'a Metadata<'a>,
    event: &'a Event<'a>,
    about: &'a About<'a>,
}

impl Said<'_> {
    fn in_values(&self, record: &mut SdkLogRecord) {
        record.set_timestamp(self.now);
        record.set_observed_timestamp(self.now);
        record.set_severity_number(severity(self.metadata.level()));
        record.set_severity_text(self.metadata.level().as_str());
        if let Some(name) = self.event_name() {
            record.set_event_name(name);
        }
        self.fields(record);
    }

    fn in_bytes(&self, limits: &AttributeLimits, put: impl FnOnce(&[u8])) {
        // Taken and put back: a value that writes a line while it is shown finds another one.
        let mut memory = MEMORY.take();
        memory.clear();
        let mut record = self.without_addresses(memory, limits);
        let level = self.metadata.level();
        record.head(self.now, severity(level), level.as_str(), self.event_name().unwrap_or_default());
        if let Some(span) = self.about.span {
            record.span(span);
        }
        let mut memory = record.end();
        put(&memory);
        memory.shrink_to(super::KEEP);
        MEMORY.set(memory);
    }

    /// Few records hold anything to mask, and one look at all of it shows which; but half an address that was cut would
    /// not be known for one.
    fn without_addresses(&self, memory: Vec<u8>, limits: &AttributeLimits) -> Written {
        let begin = |memory| Written::begin(memory, limits.record_value, limits.record_attributes);
        let is_cut = limits.record_value.is_some();
        let mut record = if is_cut { begin(memory).masking() } else { begin(memory) };
        self.fields(&mut record);
        if is_cut || !record.is_suspicious() {
            return record;
        }
        let mut memory = record.end();
        memory.clear();
        record = begin(memory).masking();
        self.fields(&mut record);
        record
    }

    fn event_name(&self) -> Option<&'static str> {
        let name = self.event.metadata().name();
        // What has no name is called after its place.
        (!name.starts_with("event ")).then_some(name)
    }

    fn fields(&self, record: &mut impl Record) {
        let mut fields = Fields { record, placed: false, scratch: String::new() };
        self.event.record(&mut fields);
        if !fields.placed {
            place(record, self.metadata);
        }
        self.about.each(|name, value| match value {
            Value::Text(text) => record.text(name, text),
            Value::Number(number) => record.integer(name, number),
        });
    }
}

/// What takes what a record says, one after the other.
trait Record {
    fn body(&mut self, text: &str);
    fn text(&mut self, name: &'static str, text: &str);
    fn switch(&mut self, name: &'static str, value: bool);
    fn integer(&mut self, name: &'static str, value: i64);
    fn double(&mut self, name: &'static str, value: f64);
}

impl Record for SdkLogRecord {
    fn body(&mut self, text: &str) {
        self.set_body(masked(text).into_owned().into());
    }

    fn text(&mut self, name: &'static str, text: &str) {
        self.add_attribute(Key::from_static_str(name), masked(text).into_owned());
    }

    fn switch(&mut self, name: &'static str, value: bool) {
        self.add_attribute(Key::from_static_str(name), value);
    }

    fn integer(&mut self, name: &'static str, value: i64) {
        self.add_attribute(Key::from_static_str(name), value);
    }

    fn double(&mut self, name: &'static str, value: f64) {
        self.add_attribute(Key::from_static_str(name), value);
    }
}

impl Record for Written {
    fn body(&mut self, text: &str) {
        self.body(text);
    }

    fn text(&mut self, name: &'static str, text: &str) {
        self.text(name, text);
    }

    fn switch(&mut self, name: &'static str, value: bool) {
        self.switch(name, value);
    }

    fn integer(&mut self, name: &'static str, value: i64) {
        self.integer(name, value);
    }

    fn double(&mut self, name: &'static str, value: f64) {
        self.double(name, value);
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

fn place(record: &mut impl Record, metadata: &Metadata<'_>) {
    if let Some(file) = metadata.file() {
        record.text(FILE, file_of(file));
    }
    if let Some(line) = metadata.line() {
        record.integer(LINE, line.into());
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

struct Fields<'a, R> {
    record: &'a mut R,
    /// The event says itself where it belongs.
    placed: bool,
    scratch: String,
}

impl<R: Record> Visit for Fields<'_, R> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut shown = std::mem::take(&mut self.scratch);
        shown.clear();
        // Memory takes all of it.
        let _ = write!(shown, "{value:?}");
        self.record_str(field, &shown);
        self.scratch = shown;
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record.body(value),
            name if about::is_metadata(name) => {}
            name => {
                self.placed |= name == FILE;
                self.record.text(name, value);
            }
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record.switch(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record.double(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record.integer(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if !about::is_metadata(field.name()) {
            self.record.integer(field.name(), i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
