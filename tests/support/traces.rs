//! What tests of traces have in common: a service that exports, and how spans are looked at.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::otlp::Span;
use super::{Service, Stage};

/// A caller's trace, and its span in it.
pub const CALLER: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");

/// A service that exports soon.
pub async fn exporting(stage: &Stage, arguments: &[&str], endpoint: &str, more: &[(&str, &str)]) -> Service {
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ];
    variables.extend(more);
    Service::run(stage, arguments, &variables).await
}

/// The only span of this name.
#[track_caller]
pub fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = all_named(spans, name);
    assert_eq!(found.len(), 1, "spans named {name} in {:#?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    found[0]
}

/// All spans of this name.
pub fn all_named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// What lies above a span, from its parent to the root of what we have.
pub fn above<'a>(spans: &'a [Span], span: &Span) -> Vec<&'a str> {
    match spans.iter().find(|other| other.id == span.parent) {
        Some(parent) => [&[parent.name.as_str()], above(spans, parent).as_slice()].concat(),
        None => Vec::new(),
    }
}

/// Whether a span says of a statement what it should, and nothing that was written.
#[track_caller]
pub fn is_statement(span: &Span, summary: &str) {
    assert_eq!(span.kind, SpanKind::Client, "{span:?}");
    assert_eq!(span.attribute("db.system.name"), "postgresql");
    assert_eq!(span.attribute("db.query.summary"), summary);
    assert!(span.attribute("db.namespace").starts_with("test_") && !span.attribute("server.address").is_empty());
    let text = span.attribute("db.query.text");
    assert!(text.contains("$1"), "no placeholder in {text}");
    assert!(!text.contains("at length") && !text.contains("News"), "a value is in {text}");
}

/// A `traceparent` of the caller's trace.
pub fn traceparent(sampled: bool) -> String {
    format!("00-{}-{}-{:02x}", CALLER.0, CALLER.1, u8::from(sampled))
}
