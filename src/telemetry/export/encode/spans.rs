//! Spans, without the e-mail addresses that slipped into them.

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Event, Link, SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::{Message, OF_AN_ITEM, SHORT, Scope};
use crate::telemetry::mask::is_suspicious;
use crate::telemetry::masked_spans::mask;

/// Whether a span's context came from elsewhere: that it is known, and that it did.
const KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// A span, in the memory's place.
pub(in super::super) fn span(memory: Vec<u8>, span: &SpanData) -> Vec<u8> {
    let mut message = Message(memory);
    message.without_addresses(span);
    message.ids_and_times(span);
    message.0
}

impl Scope for InstrumentationScope {
    fn write(&self, message: &mut Message) {
        message.text(1, self.name());
        message.text(2, self.version().unwrap_or_default());
        self.attributes().for_each(|pair| message.pair(3, pair.key.as_str(), &pair.value));
    }

    fn schema_url(&self) -> &str {
        InstrumentationScope::schema_url(self).unwrap_or_default()
    }
}

impl Message {
    /// What the span says. Few say anything to mask, and one look at all that was written shows which.
    fn without_addresses(&mut self, span: &SpanData) {
        let begin = self.0.len();
        self.said(span);
        if is_suspicious(self.0.get(begin..).unwrap_or_default()) {
            self.0.truncate(begin);
            let mut clean = span.clone();
            mask(&mut clean);
            self.said(&clean);
        }
    }

    fn said(&mut self, span: &SpanData) {
        self.text(5, &span.name);
        self.attributes(9, &span.attributes);
        for event in &span.events.events {
            self.nested(11, OF_AN_ITEM, |message| message.event(event));
        }
        for link in &span.links.links {
            self.nested(13, SHORT, |message| message.link(link));
        }
        self.nested(15, SHORT, |message| match &span.status {
            Status::Unset => {}
            Status::Ok => message.number(3, 1),
            Status::Error { description } => {
                message.text(2, description);
                message.number(3, 2);
            }
        });
    }

    /// Where and when it was, which is no text of anybody's and looks like anything.
    fn ids_and_times(&mut self, span: &SpanData) {
        let context = &span.span_context;
        self.bytes(1, &context.trace_id().to_bytes());
        self.bytes(2, &context.span_id().to_bytes());
        self.text(3, &context.trace_state().header());
        if span.parent_span_id != SpanId::INVALID {
            self.bytes(4, &span.parent_span_id.to_bytes());
        }
        let kind = match span.span_kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        };
        self.number(6, kind);
        self.time(7, span.start_time);
        self.time(8, span.end_time);
        self.number(10, u64::from(span.dropped_attributes_count));
        self.number(12, u64::from(span.events.dropped_count));
        self.number(14, u64::from(span.links.dropped_count));
        self.flags(16, span.parent_span_is_remote, context.trace_flags().to_u8());
    }

    fn event(&mut self, event: &Event) {
        self.time(1, event.timestamp);
        self.text(2, &event.name);
        self.attributes(3, &event.attributes);
        self.number(4, u64::from(event.dropped_attributes_count));
    }

    fn link(&mut self, link: &Link) {
        let context = &link.span_context;
        self.bytes(1, &context.trace_id().to_bytes());
        self.bytes(2, &context.span_id().to_bytes());
        self.text(3, &context.trace_state().header());
        self.attributes(4, &link.attributes);
        self.number(5, u64::from(link.dropped_attributes_count));
        self.flags(6, context.is_remote(), context.trace_flags().to_u8());
    }

    fn flags(&mut self, field: u32, remote: bool, flags: u8) {
        let flags = u32::from(flags) | KNOWN | if remote { REMOTE } else { 0 };
        self.key(field, 5);
        self.0.extend_from_slice(&flags.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry::trace::{SpanContext, TraceFlags, TraceId, TraceState};
    use opentelemetry::{KeyValue, Value};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
    use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use proptest::prelude::*;
    use prost::Message as _;

    use super::super::{Items, batch};
    use super::*;
    use crate::telemetry::masked_spans::tests::{assert_masked, full_of_addresses};

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::I64),
            (-1e9..1e9).prop_map(Value::F64),
            // Long enough for lengths of one, two and three bytes.
            ("\\PC{0,20}", 0..1200_usize).prop_map(|(text, times)| Value::from(text.repeat(times))),
            prop::collection::vec(any::<bool>(), 0..4).prop_map(|all| Value::Array(all.into())),
            prop::collection::vec(any::<i64>(), 0..40).prop_map(|all| Value::Array(all.into())),
            prop::collection::vec("\\PC{0,9}", 0..4).prop_map(|all| Value::Array(
                all.into_iter().map(Into::into).collect::<Vec<opentelemetry::StringValue>>().into()
            )),
        ]
    }

    fn pairs() -> impl Strategy<Value = Vec<KeyValue>> {
        prop::collection::vec(("[a-z.]{0,9}", value()), 0..5)
            .prop_map(|all| all.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect())
    }

    fn context() -> impl Strategy<Value = SpanContext> {
        (any::<u128>(), any::<u64>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(trace, span, sampled, remote, state)| {
                let state =
                    if state { TraceState::from_key_value([("vendor", "1")]).unwrap() } else { TraceState::NONE };
                let flags = TraceFlags::default().with_sampled(sampled);
                SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, remote, state)
            },
        )
    }

    fn status() -> impl Strategy<Value = Status> {
        prop_oneof![Just(Status::Unset), Just(Status::Ok), "\\PC{0,9}".prop_map(Status::error)]
    }

    prop_compose! {
        fn span()(
            span_context in context(),
            (parent, remote, kind, scope) in (0..2_u64, any::<bool>(), 0..5_usize, 0..2_usize),
            times in (any::<u32>(), any::<u32>()),
            attributes in pairs(),
            of_others in prop::collection::vec((pairs(), context()), 0..3),
            status in status(),
            dropped in 0..3_u32,
        ) -> SpanData {
            let at = |seconds: u32| UNIX_EPOCH + Duration::new(u64::from(seconds), seconds % 1_000_000);
            let mut events = SpanEvents::default();
            let mut links = SpanLinks::default();
            events.dropped_count = dropped;
            links.dropped_count = dropped;
            for (attributes, context) in of_others {
                events.events.push(Event::new("happened", at(times.1), attributes.clone(), dropped));
                links.links.push(Link::new(context, attributes, dropped));
            }
            let kinds = [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
            SpanData {
                span_context,
                parent_span_id: SpanId::from(parent),
                parent_span_is_remote: remote,
                span_kind: kinds[kind].clone(),
                name: "GET /".into(),
                start_time: at(times.0),
                end_time: at(times.1),
                attributes,
                dropped_attributes_count: dropped,
                events,
                links,
                status,
                instrumentation_scope: match scope {
                    0 => InstrumentationScope::builder("kit").build(),
                    _ => InstrumentationScope::builder("front").with_version("1").with_schema_url("https://x").build(),
                },
            }
        }
    }

    #[test]
    fn no_address_leaves_with_a_span_wherever_it_is_in_it() {
        let written = super::span(Vec::new(), &full_of_addresses());
        assert_masked(&String::from_utf8_lossy(&written));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn spans_are_written_as_the_sdk_writes_them(spans in prop::collection::vec(span(), 0..5)) {
            let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "callboard")).build();
            let mut scopes: Vec<(InstrumentationScope, Items)> = Vec::new();
            for span in &spans {
                let scope = &span.instrumentation_scope;
                if !scopes.iter().any(|(known, _)| known == scope) {
                    scopes.push((scope.clone(), Items::default()));
                }
                let (_, items) = scopes.iter_mut().find(|(known, _)| known == scope).unwrap();
                items.push(&super::span(Vec::new(), span));
            }
            let written = batch(Vec::new(), &resource, &scopes);
            let read = ExportTraceServiceRequest::decode(written.as_slice()).unwrap();
            let theirs = ResourceAttributesWithSchema::from(&resource);
            // Random text is an address now and then.
            let masked = spans.into_iter().map(|mut span| {
                mask(&mut span);
                span
            });
            let resource_spans = group_spans_by_resource_and_scope(masked.collect(), &theirs);
            let expected = ExportTraceServiceRequest { resource_spans };
            // No byte more than it takes.
            prop_assert_eq!(written.len(), expected.encoded_len());
            prop_assert_eq!(read, expected);
        }
    }
}
