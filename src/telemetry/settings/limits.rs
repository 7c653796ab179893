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

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(pairs: &[(&str, &str)]) -> AttributeLimits {
        let read = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        AttributeLimits::read(&read)
    }

    #[test]
    fn a_limit_of_its_own_wins_over_that_for_all() {
        let all = [("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"), ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "70")];
        let of_all = limits(&all);
        assert_eq!((of_all.span.max_attributes_per_span, of_all.record_attributes), (7, 7));
        assert_eq!((of_all.span_value, of_all.record_value), (Some(70), Some(70)));
        let own = [
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "2"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "3"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "4"),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "5"),
            ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "6"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "60"),
            ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "50"),
        ];
        let own = limits(&[&all[..], &own].concat());
        assert_eq!((own.span.max_attributes_per_span, own.span.max_events_per_span), (1, 2));
        assert_eq!((own.span.max_links_per_span, own.span.max_attributes_per_event), (3, 4));
        assert_eq!((own.span.max_attributes_per_link, own.record_attributes), (5, 6));
        assert_eq!((own.span_value, own.record_value), (Some(60), Some(50)));
    }

    #[test]
    fn values_may_be_of_any_length_where_nothing_is_set() {
        let none = limits(&[]);
        assert_eq!((none.span_value, none.record_value, none.record_attributes), (None, None, 128));
    }
}
