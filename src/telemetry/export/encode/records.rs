//! Log records. Their scope goes by the name of their target.

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogBatch, SdkLogRecord};

use super::{DOUBLE, Message, OF_AN_ITEM, SHORT, SWITCH, bytes_size, integer_size};

/// The request that exports these records, appended to the buffer.
pub(in super::super) fn records(buffer: Vec<u8>, resource: &Resource, records: &LogBatch<'_>) -> Vec<u8> {
    let mut scopes: Vec<(&str, &InstrumentationScope)> = Vec::new();
    for named in records.iter().map(named) {
        // Most come from one place, one after the other.
        if !scopes.iter().rev().any(|known| *known == named) {
            scopes.push(named);
        }
    }
    super::request(buffer, resource, |batch| {
        for (name, scope) in scopes {
            batch.of_scope(name, scope, |of_scope| {
                for (record, _) in records.iter().filter(|item| named(*item) == (name, scope)) {
                    of_scope.nested(2, OF_AN_ITEM, |message| message.record(record));
                }
            });
        }
    })
}

fn named<'a>((record, scope): (&'a SdkLogRecord, &'a InstrumentationScope)) -> (&'a str, &'a InstrumentationScope) {
    (record.target().map_or(scope.name(), |target| target), scope)
}

impl Message {
    fn record(&mut self, record: &SdkLogRecord) {
        if let Some(at) = record.timestamp() {
            self.time(1, at);
        }
        // The numbers of the enumeration are those of the protocol.
        self.number(2, record.severity_number().map_or(0, |severity| severity as u64));
        self.text(3, record.severity_text().unwrap_or_default());
        if let Some(body) = record.body() {
            self.nested(5, SHORT, |message| message.any(body));
        }
        for (name, value) in record.attributes_iter() {
            self.named(6, name.as_str(), value);
        }
        if let Some(context) = record.trace_context() {
            self.fixed(8, context.trace_flags.map_or(0, |flags| u32::from(flags.to_u8())));
            self.bytes(9, &context.trace_id.to_bytes());
            self.bytes(10, &context.span_id.to_bytes());
        }
        if let Some(at) = record.observed_timestamp() {
            self.time(11, at);
        }
        self.text(12, record.event_name().unwrap_or_default());
    }

    fn named(&mut self, field: u32, name: &str, value: &AnyValue) {
        let size = match value {
            AnyValue::Boolean(_) => SWITCH,
            AnyValue::Int(value) => integer_size(*value),
            AnyValue::Double(_) => DOUBLE,
            AnyValue::String(text) => bytes_size(text.as_str().len()),
            _ => return self.pair_of_any_size(field, name, |message| message.any(value)),
        };
        self.pair_of_size(field, name, size, |message| message.any(value));
    }

    /// One of several: it is written even where it holds nothing.
    fn any(&mut self, value: &AnyValue) {
        match value {
            AnyValue::Boolean(value) => self.switch(*value),
            AnyValue::Int(value) => self.integer(*value),
            AnyValue::Double(value) => self.double(*value),
            AnyValue::String(text) => self.bytes(1, text.as_str().as_bytes()),
            AnyValue::Bytes(bytes) => self.bytes(7, bytes),
            AnyValue::ListAny(values) => {
                self.nested(5, SHORT, |message| message.each(values, |message, value| message.any(value)));
            }
            AnyValue::Map(pairs) => self.nested(6, SHORT, |message| {
                pairs.iter().for_each(|(name, value)| message.named(1, name.as_str(), value));
            }),
            _ => {}
        }
    }

    fn fixed(&mut self, field: u32, number: u32) {
        if number > 0 {
            self.key(field, 5);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId};
    use opentelemetry::{Key, KeyValue};
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
    use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
    use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
    use opentelemetry_sdk::logs::SdkLoggerProvider;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn value() -> impl Strategy<Value = AnyValue> {
        let plain = prop_oneof![
            any::<bool>().prop_map(AnyValue::Boolean),
            any::<i64>().prop_map(AnyValue::Int),
            (-1e9..1e9).prop_map(AnyValue::Double),
            ("\\PC{0,20}", 0..1200_usize).prop_map(|(text, times)| AnyValue::from(text.repeat(times))),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| AnyValue::Bytes(Box::new(bytes))),
        ];
        plain.prop_recursive(2, 8, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|all| AnyValue::ListAny(Box::new(all))),
                // One pair at most: they have no order.
                prop::option::of(("[a-z]{0,9}", inner)).prop_map(|pair| {
                    let pairs: HashMap<_, _> = pair.into_iter().map(|(key, value)| (Key::new(key), value)).collect();
                    AnyValue::Map(Box::new(pairs))
                }),
            ]
        })
    }

    prop_compose! {
        fn record()(
            (target, named, severity) in (prop::option::of(0..2_usize), any::<bool>(), 0..6_usize),
            (seconds, observed) in (any::<Option<u32>>(), any::<u32>()),
            body in prop::option::of(value()),
            attributes in prop::collection::vec(("[a-z.]{0,9}", value()), 0..8),
            context in any::<Option<(u128, u64, Option<bool>)>>(),
        ) -> SdkLogRecord {
            let at = |seconds: u32| UNIX_EPOCH + Duration::new(u64::from(seconds), seconds % 1_000_000);
            let mut record = SdkLoggerProvider::builder().build().logger("").create_log_record();
            record.set_observed_timestamp(at(observed));
            if let Some(seconds) = seconds { record.set_timestamp(at(seconds)) }
            if let Some(target) = target { record.set_target(["callboard::app", "actors::jobs"][target]) }
            if named { record.set_event_name("callboard.happened") }
            if severity < 5 {
                let severities = [Severity::Trace, Severity::Debug, Severity::Info, Severity::Warn, Severity::Fatal4];
                record.set_severity_number(severities[severity]);
                record.set_severity_text(["TRACE", "DEBUG", "INFO", "WARN", ""][severity]);
            }
            if let Some(body) = body { record.set_body(body) }
            for (name, value) in attributes { record.add_attribute(name, value) }
            if let Some((trace, span, sampled)) = context {
                let flags = sampled.map(|sampled| TraceFlags::default().with_sampled(sampled));
                record.set_trace_context(TraceId::from(trace), SpanId::from(span), flags);
            }
            record
        }
    }

    /// The SDK's scopes are in no order.
    fn in_order(mut request: ExportLogsServiceRequest) -> ExportLogsServiceRequest {
        let name = |of: &opentelemetry_proto::tonic::logs::v1::ScopeLogs| {
            of.scope.clone().map_or_else(Default::default, |scope| (scope.name, scope.version))
        };
        request.resource_logs.iter_mut().for_each(|logs: &mut ResourceLogs| logs.scope_logs.sort_by_key(name));
        request
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn records_are_written_as_the_sdk_writes_them(records in prop::collection::vec((record(), 0..2_usize), 0..6)) {
            let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "callboard")).build();
            let scopes = [
                InstrumentationScope::builder("").build(),
                InstrumentationScope::builder("front").with_version("1").with_schema_url("https://x").build(),
            ];
            let items: Vec<_> = records.iter().map(|(record, scope)| (record, &scopes[*scope])).collect();
            let batch = LogBatch::new(&items);
            let written = super::records(Vec::new(), &resource, &batch);
            let read = ExportLogsServiceRequest::decode(written.as_slice()).unwrap();
            let theirs = ResourceAttributesWithSchema::from(&resource);
            let resource_logs = group_logs_by_resource_and_scope(&batch, &theirs);
            let expected = ExportLogsServiceRequest { resource_logs };
            // No byte more than it takes.
            prop_assert_eq!(written.len(), expected.encoded_len());
            prop_assert_eq!(in_order(read), in_order(expected));
        }
    }
}
