//! Spans on their way out, without the e-mail addresses that slipped into them: where they are exported, so that no
//! request waits for it.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::mask::{mask_value, masked};

/// An exporter that is given only what is masked.
#[derive(Debug)]
pub(super) struct MaskedSpans<E>(pub(super) E);

impl<E: SpanExporter> SpanExporter for MaskedSpans<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(mask);
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

fn mask(span: &mut SpanData) {
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
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::Value;
    use opentelemetry::trace::{Span, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<String>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap_or_else(|_| unreachable!()).push_str(&format!("{batch:?}"));
            Ok(())
        }
    }

    #[test]
    fn no_address_leaves_with_a_span_wherever_it_is_in_it() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(MaskedSpans(kept.clone())).build();
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
        let exported = kept.0.lock().unwrap_or_else(|_| unreachable!()).clone();
        for name in ["one", "two", "three", "four", "five", "six", "seven"] {
            assert!(!exported.contains(&format!("{name}@")), "{exported}");
        }
        assert_eq!(exported.matches("***@example.com").count(), 7, "{exported}");
    }
}
