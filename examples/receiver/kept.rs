//! What came: spans and log lines by their traces, the latest that there is room for.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1;

/// Traces that are kept; the one of which nothing came for longest goes first.
const TRACES: usize = 1000;
/// Spans and lines of one trace.
const PIECES: usize = 10_000;

/// Attributes as text, by name.
pub(crate) type Attributes = BTreeMap<String, String>;

/// A span.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    /// Its id, in hexadecimal like all of them.
    pub(crate) id: String,
    /// Its parent's; empty at a root.
    pub(crate) parent: String,
    /// Who made it.
    pub(crate) service: String,
    /// `server`, `client` and so on.
    pub(crate) kind: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// From when to when, in nanoseconds since 1970.
    pub(crate) from: u64,
    /// The same.
    pub(crate) to: u64,
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// The traces and spans that it is linked with.
    pub(crate) links: Vec<(String, String)>,
    /// Its status is an error.
    pub(crate) failed: bool,
}

/// A log line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    /// The span in which it was written.
    pub(crate) span: String,
    /// When, in nanoseconds since 1970.
    pub(crate) at: u64,
    /// `INFO` and so on.
    pub(crate) level: String,
    /// What it says.
    pub(crate) body: String,
    /// What else it says.
    pub(crate) attributes: Attributes,
}

/// What came of one trace.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Its spans, as they came.
    pub(crate) spans: Vec<Span>,
    /// Its lines, as they came.
    pub(crate) lines: Vec<Line>,
    /// What there was no room for.
    pub(crate) lost: usize,
    last: Instant,
    shown: bool,
}

/// All that came.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    traces: HashMap<String, Trace>,
}

impl Trace {
    fn has_room(&mut self) -> bool {
        let room = self.spans.len() + self.lines.len() < PIECES;
        self.lost += usize::from(!room);
        room
    }
}

impl Kept {
    /// What came of a trace.
    pub(crate) fn trace(&self, id: &str) -> Option<&Trace> {
        self.traces.get(id)
    }

    /// What a span of any trace is called.
    pub(crate) fn name(&self, trace: &str, span: &str) -> Option<&str> {
        let spans = &self.traces.get(trace)?.spans;
        spans.iter().find(|other| other.id == span).map(|span| span.name.as_str())
    }

    /// The traces of which nothing came for `quiet` and that were not given since, oldest first.
    pub(crate) fn at_rest(&mut self, quiet: Duration) -> Vec<String> {
        let still = |trace: &Trace| !trace.shown && !trace.spans.is_empty() && trace.last.elapsed() >= quiet;
        let resting = self.traces.iter_mut().filter(|(_, trace)| still(trace));
        let mut resting: Vec<_> = resting
            .map(|(id, trace)| {
                trace.shown = true;
                (trace.spans.iter().map(|span| span.from).min(), id.clone())
            })
            .collect();
        resting.sort_unstable();
        resting.into_iter().map(|(_, id)| id).collect()
    }

    /// Keeps the spans of an export.
    pub(crate) fn spans(&mut self, export: ExportTraceServiceRequest) {
        for resource in export.resource_spans {
            let service = service(resource.resource.as_ref());
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.span(&hex(&span.trace_id), read(span, &service));
            }
        }
    }

    /// Keeps the log lines of an export, as far as they are in a trace.
    pub(crate) fn lines(&mut self, export: ExportLogsServiceRequest) {
        let scopes = export.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        for record in scopes.flat_map(|scope| scope.log_records).filter(|record| !record.trace_id.is_empty()) {
            self.line(&hex(&record.trace_id), line(record));
        }
    }

    /// Keeps a span.
    pub(crate) fn span(&mut self, trace: &str, span: Span) {
        let trace = self.touch(trace);
        if trace.has_room() {
            trace.spans.push(span);
        }
    }

    /// Keeps a log line.
    pub(crate) fn line(&mut self, trace: &str, line: Line) {
        let trace = self.touch(trace);
        if trace.has_room() {
            trace.lines.push(line);
        }
    }

    fn touch(&mut self, id: &str) -> &mut Trace {
        if !self.traces.contains_key(id) && self.traces.len() >= TRACES {
            let oldest = self.traces.iter().min_by_key(|(_, trace)| trace.last).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| self.traces.remove(&oldest));
        }
        let new = || Trace { spans: Vec::new(), lines: Vec::new(), lost: 0, last: Instant::now(), shown: false };
        let trace = self.traces.entry(id.to_owned()).or_insert_with(new);
        (trace.last, trace.shown) = (Instant::now(), false);
        trace
    }
}

fn read(span: v1::Span, service: &str) -> Span {
    let kind = match span.kind() {
        v1::span::SpanKind::Server => "server",
        v1::span::SpanKind::Client => "client",
        v1::span::SpanKind::Producer => "producer",
        v1::span::SpanKind::Consumer => "consumer",
        v1::span::SpanKind::Internal | v1::span::SpanKind::Unspecified => "internal",
    };
    Span {
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        service: service.to_owned(),
        kind,
        name: span.name,
        from: span.start_time_unix_nano,
        to: span.end_time_unix_nano,
        attributes: texts(span.attributes),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        failed: span.status.is_some_and(|status| status.code() == v1::status::StatusCode::Error),
    }
}

fn line(record: LogRecord) -> Line {
    let at = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
    Line {
        span: hex(&record.span_id),
        at,
        level: record.severity_text,
        body: text(record.body.as_ref()),
        attributes: texts(record.attributes),
    }
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    let named = attributes.iter().find(|pair| pair.key == "service.name");
    named.map_or_else(|| "?".to_owned(), |pair| text(pair.value.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> Attributes {
    attributes.into_iter().map(|pair| (pair.key, text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => format!("{value:.3}"),
        Some(any_value::Value::ArrayValue(array)) => {
            let values: Vec<_> = array.values.iter().map(|value| text(Some(value))).collect();
            format!("[{}]", values.join(", "))
        }
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
