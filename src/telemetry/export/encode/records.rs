//! Log records, without the e-mail addresses that slipped into them. Their scope goes by the name of their target.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::logs::Severity;
use opentelemetry::trace::SpanContext;

use super::{DOUBLE, Message, SWITCH, Scope, bytes_size, integer_size};
use crate::telemetry::export::limited;
use crate::telemetry::mask::{is_suspicious, masked};

/// A target.
impl Scope for String {
    fn write(&self, message: &mut Message) {
        message.text(1, self);
    }
}

/// A record that is being written.
pub(in crate::telemetry) struct Record {
    message: Message,
    longest: Option<usize>,
    /// How many more attributes it may have.
    room: usize,
    masks: bool,
}

impl Record {
    /// Begins one in this memory, with values no longer than `longest` characters and so many attributes at the most.
    pub(in crate::telemetry) fn begin(memory: Vec<u8>, longest: Option<usize>, attributes: usize) -> Self {
        Self { message: Message(memory), longest, room: attributes, masks: false }
    }

    /// Has addresses masked in whatever is written from now on, which takes a look at each text.
    pub(in crate::telemetry) fn masking(self) -> Self {
        Self { masks: true, ..self }
    }

    /// Whether there may be an address in what was written so far.
    pub(in crate::telemetry) fn is_suspicious(&self) -> bool {
        is_suspicious(&self.message.0)
    }

    /// When it was written, how bad it is, and what the event is called, where it has a name.
    pub(in crate::telemetry) fn head(&mut self, at: SystemTime, severity: Severity, level: &str, event: &str) {
        self.message.time(1, at);
        // The numbers of the enumeration are those of the protocol.
        self.message.number(2, severity as u64);
        self.message.text(3, level);
        self.message.time(11, at);
        self.message.text(12, event);
    }

    /// The span that it was written for.
    pub(in crate::telemetry) fn span(&mut self, span: &SpanContext) {
        let flags = u32::from(span.trace_flags().to_u8());
        if flags > 0 {
            self.message.key(8, 5);
            self.message.0.extend_from_slice(&flags.to_le_bytes());
        }
        self.message.bytes(9, &span.trace_id().to_bytes());
        self.message.bytes(10, &span.span_id().to_bytes());
    }

    pub(in crate::telemetry) fn body(&mut self, text: &str) {
        let text = self.clean(text);
        self.message.key(5, 2);
        self.message.varint(bytes_size(text.len()) as u64);
        self.message.bytes(1, text.as_bytes());
    }

    pub(in crate::telemetry) fn text(&mut self, name: &str, text: &str) {
        let clean = self.clean(text);
        let text = self.cut(&clean);
        self.pair(name, bytes_size(text.len()), |message| message.bytes(1, text.as_bytes()));
    }

    pub(in crate::telemetry) fn switch(&mut self, name: &str, value: bool) {
        self.pair(name, SWITCH, |message| message.switch(value));
    }

    pub(in crate::telemetry) fn integer(&mut self, name: &str, value: i64) {
        self.pair(name, integer_size(value), |message| message.integer(value));
    }

    pub(in crate::telemetry) fn double(&mut self, name: &str, value: f64) {
        self.pair(name, DOUBLE, |message| message.double(value));
    }

    /// What was written.
    pub(in crate::telemetry) fn end(self) -> Vec<u8> {
        self.message.0
    }

    fn pair(&mut self, name: &str, size: usize, value: impl FnOnce(&mut Message)) {
        if let Some(room) = self.room.checked_sub(1) {
            self.room = room;
            self.message.pair_of_size(6, name, size, value);
        }
    }

    fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.masks { masked(text) } else { Cow::Borrowed(text) }
    }

    fn cut<'a>(&self, text: &'a str) -> &'a str {
        let end = self.longest.and_then(|longest| limited::end(text, longest));
        end.and_then(|end| text.get(..end)).unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};
    use opentelemetry::{InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
    use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
    use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::logs::{LogBatch, SdkLogRecord, SdkLoggerProvider};
    use proptest::prelude::*;
    use prost::Message as _;

    use super::super::{Items, batch};
    use super::*;

    const EVENTS: [Option<&str>; 2] = [None, Some("callboard.happened")];
    const LEVELS: [(Severity, &str); 3] =
        [(Severity::Trace, "TRACE"), (Severity::Info, "INFO"), (Severity::Error, "ERROR")];

    #[derive(Debug, Clone)]
    enum Said {
        Switch(bool),
        Integer(i64),
        Double(f64),
        Text(String),
    }

    #[derive(Debug, Clone)]
    struct Emitted {
        target: &'static str,
        event: Option<&'static str>,
        level: (Severity, &'static str),
        at: SystemTime,
        body: Option<String>,
        said: Vec<(String, Said)>,
        span: Option<SpanContext>,
    }

    fn said() -> impl Strategy<Value = Said> {
        prop_oneof![
            any::<bool>().prop_map(Said::Switch),
            any::<i64>().prop_map(Said::Integer),
            (-1e9..1e9).prop_map(Said::Double),
            ("\\PC{0,20}", 0..1200_usize).prop_map(|(text, times)| Said::Text(text.repeat(times))),
        ]
    }

    prop_compose! {
        fn emitted()(
            (target, event, level) in (0..2_usize, 0..2_usize, 0..3_usize),
            (seconds, body) in (any::<u32>(), any::<Option<String>>()),
            said in prop::collection::vec(("[a-z.]{0,9}", said()), 0..8),
            context in any::<Option<(u128, u64, bool)>>(),
        ) -> Emitted {
            let span = context.map(|(trace, span, sampled)| {
                let flags = TraceFlags::default().with_sampled(sampled);
                SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, false, TraceState::NONE)
            });
            Emitted {
                target: ["callboard::app", "actors::jobs"][target],
                event: EVENTS[event],
                level: LEVELS[level],
                at: UNIX_EPOCH + Duration::new(u64::from(seconds), seconds % 1_000_000),
                body,
                said,
                span,
            }
        }
    }

    impl Emitted {
        fn written(&self, record: Record) -> Vec<u8> {
            let mut record = record;
            record.head(self.at, self.level.0, self.level.1, self.event.unwrap_or_default());
            if let Some(body) = &self.body {
                record.body(body);
            }
            for (name, said) in &self.said {
                match said {
                    Said::Switch(value) => record.switch(name, *value),
                    Said::Integer(value) => record.integer(name, *value),
                    Said::Double(value) => record.double(name, *value),
                    Said::Text(text) => record.text(name, text),
                }
            }
            if let Some(span) = &self.span {
                record.span(span);
            }
            record.end()
        }

        fn as_the_sdk_has_it(&self) -> SdkLogRecord {
            let mut record = blank();
            record.set_target(self.target);
            record.set_timestamp(self.at);
            record.set_observed_timestamp(self.at);
            record.set_severity_number(self.level.0);
            record.set_severity_text(self.level.1);
            if let Some(event) = self.event {
                record.set_event_name(event);
            }
            if let Some(body) = &self.body {
                record.set_body(body.clone().into());
            }
            for (name, said) in &self.said {
                let value = match said {
                    Said::Switch(value) => AnyValue::Boolean(*value),
                    Said::Integer(value) => AnyValue::Int(*value),
                    Said::Double(value) => AnyValue::Double(*value),
                    Said::Text(text) => text.clone().into(),
                };
                record.add_attribute(name.clone(), value);
            }
            if let Some(span) = &self.span {
                record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
            }
            record
        }
    }

    fn blank() -> SdkLogRecord {
        SdkLoggerProvider::builder().build().logger("").create_log_record()
    }

    fn whole() -> Record {
        Record::begin(Vec::new(), None, 128)
    }

    /// The SDK's scopes are in no order.
    fn in_order(mut request: ExportLogsServiceRequest) -> ExportLogsServiceRequest {
        let name = |of: &ScopeLogs| of.scope.clone().map_or_else(Default::default, |scope| scope.name);
        request.resource_logs.iter_mut().for_each(|logs: &mut ResourceLogs| logs.scope_logs.sort_by_key(name));
        request
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn records_are_written_as_the_sdk_writes_them(emitted in prop::collection::vec(emitted(), 0..6)) {
            let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "callboard")).build();
            let scope = InstrumentationScope::builder("").build();
            let mut ours = ["callboard::app", "actors::jobs"].map(|target| (target.to_owned(), Items::default()));
            for one in &emitted {
                let (_, items) = ours.iter_mut().find(|(target, _)| target == one.target).unwrap();
                items.push(&one.written(whole()));
            }
            let theirs: Vec<_> = emitted.iter().map(Emitted::as_the_sdk_has_it).collect();
            let theirs: Vec<_> = theirs.iter().map(|record| (record, &scope)).collect();
            let written = batch(Vec::new(), &resource, &ours);
            let read = ExportLogsServiceRequest::decode(written.as_slice()).unwrap();
            let of_resource = ResourceAttributesWithSchema::from(&resource);
            let resource_logs = group_logs_by_resource_and_scope(&LogBatch::new(&theirs), &of_resource);
            let expected = ExportLogsServiceRequest { resource_logs };
            // No byte more than it takes.
            prop_assert_eq!(written.len(), expected.encoded_len());
            prop_assert_eq!(in_order(read), in_order(expected));
        }
    }

    #[test]
    fn a_text_is_masked_before_it_is_cut_and_attributes_are_counted() {
        let mut record = Record::begin(Vec::new(), Some(9), 2).masking();
        record.text("who", "al and somebody@example.com");
        record.text("mail", "somebody@example.com");
        record.integer("too many", 7);
        let text = String::from_utf8_lossy(&record.end()).into_owned();
        assert!(text.contains("al and so") && text.contains("so***@exa"), "{text}");
        assert!(!text.contains("mebody") && !text.contains("too many"), "{text}");
    }
}
