//! How much a span or a log record may hold.

use opentelemetry_sdk::trace::SpanLimits;

use super::Reading;

/// The limits that the SDK does not read by itself.
#[derive(Debug, Clone)]
pub struct AttributeLimits {
    /// The number of a span's attributes, events and links.
    pub span: SpanLimits,
    /// The length of values in spans, in characters; without end where there is none.
    pub span_value: Option<usize>,
    /// The length of values in log records.
    pub record_value: Option<usize>,
    /// The number of a log record's attributes.
    pub record_attributes: usize,
}

/// What the specification says where nothing is set.
const COUNT: u32 = 128;

impl AttributeLimits {
    pub(super) fn read(read: &Reading<'_>) -> Self {
        let of = |name: &str| read(name).and_then(|text| text.parse::<u32>().ok());
        let length = |name: &str| of(name).or_else(|| of("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"));
        let count = |name: &str| of(name).or_else(|| of("OTEL_ATTRIBUTE_COUNT_LIMIT")).unwrap_or(COUNT);
        let each = |name: &str| of(name).unwrap_or(COUNT);
        Self {
            span: SpanLimits {
                max_attributes_per_span: count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
                max_events_per_span: each("OTEL_SPAN_EVENT_COUNT_LIMIT"),
                max_links_per_span: each("OTEL_SPAN_LINK_COUNT_LIMIT"),
                max_attributes_per_event: each("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
                max_attributes_per_link: each("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
            },
            span_value: length("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").map(|length| length as usize),
            record_value: length("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT").map(|length| length as usize),
            record_attributes: count("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT") as usize,
        }
    }
}
