//! Values cut to the length that the limits allow. Records that are encoded where they are emitted (`encode/records.rs`)
//! are cut there, by the same rule.

use std::sync::OnceLock;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::SpanData;

/// Cuts what a span holds.
pub(super) fn span(span: &mut SpanData, longest: usize) {
    let events = span.events.events.iter_mut().flat_map(|event| &mut event.attributes);
    let links = span.links.links.iter_mut().flat_map(|link| &mut link.attributes);
    span.attributes.iter_mut().chain(events).chain(links).for_each(|pair| attribute(pair, longest));
}

fn attribute(pair: &mut KeyValue, longest: usize) {
    match &mut pair.value {
        Value::String(text) => text_value(text, longest),
        Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| text_value(text, longest)),
        _ => {}
    }
}

fn text_value(text: &mut StringValue, longest: usize) {
    if let Some(end) = end(text.as_str(), longest) {
        *text = text.as_str().get(..end).unwrap_or_default().to_owned().into();
    }
}

/// Where a text ends that is too long.
pub(super) fn end(text: &str, longest: usize) -> Option<usize> {
    // Bytes are as many as characters, or more.
    if text.len() <= longest { None } else { text.char_indices().nth(longest).map(|(end, _)| end) }
}

/// A log record with as many attributes as it may have, none longer than it may be. The SDK's cannot be changed.
pub(super) fn record(whole: &SdkLogRecord, longest: Option<usize>, most: usize) -> SdkLogRecord {
    static BLANK: OnceLock<SdkLogger> = OnceLock::new();
    let mut record = BLANK.get_or_init(|| SdkLoggerProvider::builder().build().logger("callboard")).create_log_record();
    if let Some(name) = whole.event_name() {
        record.set_event_name(name);
    }
    if let Some(target) = whole.target() {
        record.set_target(target.clone());
    }
    if let Some(at) = whole.timestamp() {
        record.set_timestamp(at);
    }
    if let Some(at) = whole.observed_timestamp() {
        record.set_observed_timestamp(at);
    }
    if let Some(text) = whole.severity_text() {
        record.set_severity_text(text);
    }
    if let Some(severity) = whole.severity_number() {
        record.set_severity_number(severity);
    }
    if let Some(body) = whole.body() {
        record.set_body(body.clone());
    }
    if let Some(context) = whole.trace_context() {
        record.set_trace_context(context.trace_id, context.span_id, context.trace_flags);
    }
    for (key, value) in whole.attributes_iter().take(most) {
        record.add_attribute(key.clone(), any_value(value, longest));
    }
    record
}

/// Whether a log record is as it may be.
pub(super) fn fits(record: &SdkLogRecord, longest: Option<usize>, most: usize) -> bool {
    record.attributes_iter().count() <= most
        && longest.is_none_or(|longest| {
            record.attributes_iter().all(|(_, value)| match value {
                AnyValue::String(text) => end(text.as_str(), longest).is_none(),
                _ => true,
            })
        })
}

fn any_value(value: &AnyValue, longest: Option<usize>) -> AnyValue {
    match (value, longest) {
        (AnyValue::String(text), Some(longest)) => {
            let mut text = text.clone();
            text_value(&mut text, longest);
            AnyValue::String(text)
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cut_between_characters() {
        for (text, longest, expected) in [("añb", 2, "añ"), ("añb", 3, "añb"), ("añb", 0, ""), ("", 0, "")] {
            let mut pair = KeyValue::new("key", text);
            attribute(&mut pair, longest);
            assert_eq!(pair.value.as_str(), expected);
        }
        let mut list = KeyValue::new("key", Value::Array(vec![StringValue::from("long"), "no".into()].into()));
        attribute(&mut list, 2);
        assert_eq!(list.value.as_str(), r#"["lo","no"]"#);
    }
}
