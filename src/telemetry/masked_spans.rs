//! The e-mail addresses that slipped into a span: masked where it is exported, so that no request waits for it.

use std::borrow::Cow;

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;

use super::mask::{mask_value, masked};

/// Masks all that a span says.
pub(super) fn mask(span: &mut SpanData) {
    mask_text(&mut span.name);
    mask_all(&mut span.attributes);
    for event in &mut span.events.events {
        mask_text(&mut event.name);
        mask_all(&mut event.attributes);
    }
    for link in &mut span.links.links {
        mask_all(&mut link.attributes);
    }
    if let Status::Error { description } = &mut span.status {
        mask_text(description);
    }
}

fn mask_all(attributes: &mut [KeyValue]) {
    attributes.iter_mut().for_each(|attribute| mask_value(&mut attribute.value));
}

fn mask_text(text: &mut Cow<'static, str>) {
    if let Cow::Owned(clean) = masked(text) {
        *text = clean.into();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::Value;
    use opentelemetry::trace::{Span, Tracer, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter};

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap_or_else(|_| unreachable!()).extend(batch);
            Ok(())
        }
    }

    /// A span with an address wherever there may be one.
    pub(in crate::telemetry) fn full_of_addresses() -> SpanData {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let mut span = provider.tracer("test").start("mail to one@example.com");
        span.set_attribute(KeyValue::new("text", "two@example.com"));
        span.set_attribute(KeyValue::new(
            "list",
            Value::Array(opentelemetry::Array::String(vec!["three@example.com".into()])),
        ));
        span.add_event("four@example.com", vec![KeyValue::new("text", "five@example.com")]);
        span.add_link(span.span_context().clone(), vec![KeyValue::new("text", "six@example.com")]);
        span.set_status(Status::error("seven@example.com"));
        drop(span);
        kept.0.lock().unwrap_or_else(|_| unreachable!()).remove(0)
    }

    /// Panics when an address is in it that was not masked, or when one of those above is missing.
    pub(in crate::telemetry) fn assert_masked(exported: &str) {
        for name in ["one", "two", "three", "four", "five", "six", "seven"] {
            assert!(!exported.contains(&format!("{name}@")), "{exported}");
        }
        assert_eq!(exported.matches("***@example.com").count(), 7, "{exported}");
    }

    #[test]
    fn no_address_stays_in_a_span_wherever_it_is_in_it() {
        let mut span = full_of_addresses();
        mask(&mut span);
        assert_masked(&format!("{span:?}"));
    }
}
