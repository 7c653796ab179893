//! Telemetry held against the conventions: what strays from them, each once, with where it was seen.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::official::Official;
use super::registry::Registry;

/// Where the conventions are, and what strays from them: a sentence, and where it was seen.
pub struct Check {
    official: Official,
    registry: Registry,
    found: BTreeMap<String, BTreeSet<String>>,
    /// The kinds of spans and the metrics that were seen, so that what nobody makes any more can be told.
    seen: BTreeSet<String>,
    /// What could be said in the registry of what is in no convention.
    drafts: BTreeMap<String, String>,
}

fn kind(pair: &KeyValue) -> Option<&'static str> {
    Some(match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(_) => "string",
        Value::BoolValue(_) => "boolean",
        Value::IntValue(_) => "int",
        Value::DoubleValue(_) => "double",
        Value::ArrayValue(_) => "string[]",
        _ => "something else",
    })
}

/// An instrument by what it exports, with the attributes of all its points.
fn instrument(metric: &Metric) -> (&'static str, Vec<&[KeyValue]>) {
    match metric.data.as_ref() {
        Some(Data::Sum(sum)) => {
            let points = sum.data_points.iter().map(|point| point.attributes.as_slice()).collect();
            (if sum.is_monotonic { "counter" } else { "updowncounter" }, points)
        }
        Some(Data::Gauge(gauge)) => {
            ("gauge", gauge.data_points.iter().map(|point| point.attributes.as_slice()).collect())
        }
        Some(Data::Histogram(histogram)) => {
            assert_ne!(histogram.aggregation_temporality(), AggregationTemporality::Unspecified);
            ("histogram", histogram.data_points.iter().map(|point| point.attributes.as_slice()).collect())
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            ("histogram", histogram.data_points.iter().map(|point| point.attributes.as_slice()).collect())
        }
        Some(Data::Summary(_)) | None => ("something else", Vec::new()),
    }
}

/// What the registry would say of a metric.
fn draft(metric: &Metric, instrument: &str, points: &[&[KeyValue]]) -> String {
    let Metric { name, unit, description, .. } = metric;
    let keys: BTreeSet<_> = points.iter().flat_map(|pairs| pairs.iter().map(|pair| &pair.key)).collect();
    let mut draft =
        format!("  - id: metric.{name}\n    type: metric\n    metric_name: {name}\n    stability: development\n");
    draft.push_str(&format!("    brief: '{description}'\n    instrument: {instrument}\n    unit: '{unit}'\n"));
    if !keys.is_empty() {
        draft.push_str("    attributes:\n");
        keys.iter().for_each(|key| draft.push_str(&format!("      - ref: {key}\n")));
    }
    draft
}

impl Check {
    /// With nothing looked at yet.
    pub fn new() -> Self {
        let (official, registry) = (Official::read(), Registry::read());
        Self { official, registry, found: BTreeMap::new(), seen: BTreeSet::new(), drafts: BTreeMap::new() }
    }

    /// What strays, a line each.
    pub fn violations(&self) -> Vec<String> {
        let told = |(what, places): (&String, &BTreeSet<String>)| {
            let some: Vec<_> = places.iter().take(4).map(String::as_str).collect();
            let more = places.len().saturating_sub(some.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!("{what}: {}{more}", some.join(", "))
        };
        self.found.iter().map(told).collect()
    }

    /// What the registry promises and nobody made.
    pub fn unseen(&self) -> Vec<String> {
        let spans = self.registry.spans.iter().map(|span| span.id.clone());
        let all = spans.chain(self.registry.metrics.keys().cloned());
        all.filter(|name| !self.seen.contains(name)).collect()
    }

    /// What the registry would have to say of all that is in no convention, if that is what it is meant to be called.
    pub fn drafts(&self) -> String {
        self.drafts.values().map(String::as_str).collect()
    }

    fn stray(&mut self, what: String, place: &str) {
        self.found.entry(what).or_default().insert(place.to_owned());
    }

    /// That an attribute is one, of the right type.
    fn attribute(&mut self, pair: &KeyValue, place: &str) {
        let name = pair.key.as_str();
        let Some(actual) = kind(pair) else { return self.stray(format!("attribute {name} has no value"), place) };
        let own = self.registry.attributes.get(name).cloned();
        let expected = match (own, self.official.attributes.get(name)) {
            (Some(own), None) => Some(own),
            (Some(_), Some(_)) => {
                return self.stray(format!("attribute {name} is OpenTelemetry's, and ours too"), place);
            }
            (None, Some(entry)) => {
                if let Some(by) = entry.deprecated.clone() {
                    return self.stray(format!("attribute {name} is deprecated, {by}"), place);
                }
                if !entry.stable && !self.registry.adopted.iter().any(|adopted| adopted == name) {
                    self.stray(
                        format!("attribute {name} is not stable, and no `ref` in the registry adopts it"),
                        place,
                    );
                }
                self.official.attributes[name].kind.map(str::to_owned)
            }
            (None, None) => {
                let draft = format!(
                    "      - id: {name}\n        type: {actual}\n        stability: development\n        brief:\n"
                );
                self.drafts.insert(name.to_owned(), draft);
                return self.stray(format!("attribute {name} ({actual}) is in no convention"), place);
            }
        };
        if expected.as_ref().is_some_and(|expected| expected != actual) {
            self.stray(
                format!("attribute {name} is a {actual} and should be a {}", expected.unwrap_or_default()),
                place,
            );
        }
    }

    fn attributes(&mut self, pairs: &[KeyValue], place: &str) {
        let mut names = BTreeSet::new();
        for pair in pairs {
            self.attribute(pair, place);
            if !names.insert(&pair.key) {
                self.stray(format!("attribute {} is there twice", pair.key), place);
            }
        }
    }

    fn resource(&mut self, resource: Option<&Resource>) {
        let pairs = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
        self.attributes(pairs, "the resource");
        for name in ["service.name", "service.version", "telemetry.sdk.name"] {
            if !pairs.iter().any(|pair| pair.key == name) {
                self.stray(format!("attribute {name} is missing"), "the resource");
            }
        }
    }

    /// The spans of an export.
    pub fn spans(&mut self, export: &ExportTraceServiceRequest) {
        for resource in &export.resource_spans {
            self.resource(resource.resource.as_ref());
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                self.span(span);
            }
        }
    }

    fn span(&mut self, span: &Span) {
        let kind = format!("{:?}", span.kind()).to_lowercase();
        let fits = |known: &&super::registry::Span| known.kind == kind && known.name.is_match(&span.name);
        let known: Vec<_> = self.registry.spans.iter().filter(fits).collect();
        let [known] = known[..] else {
            let ids: Vec<_> = known.iter().map(|known| known.id.as_str()).collect();
            let what = format!("{kind} span {} is one of {ids:?} in the registry", span.name);
            return self.stray(what, &span.name);
        };
        let (id, required) = (known.id.clone(), known.required.clone());
        self.seen.insert(id.clone());
        self.attributes(&span.attributes, &id);
        for link in &span.links {
            self.attributes(&link.attributes, &format!("links of {id}"));
        }
        for event in &span.events {
            self.attributes(&event.attributes, &format!("event {} of {id}", event.name));
        }
        for name in required {
            if !span.attributes.iter().any(|pair| pair.key == name) {
                self.stray(format!("attribute {name} is missing in {id}"), &span.name);
            }
        }
        let failed = span.status.as_ref().is_some_and(|status| status.code == 2);
        if failed && !span.attributes.iter().any(|pair| pair.key == "error.type") {
            self.stray(format!("attribute error.type is missing in {id} that failed"), &span.name);
        }
    }

    /// The log records of an export.
    pub fn logs(&mut self, export: &ExportLogsServiceRequest) {
        for resource in &export.resource_logs {
            self.resource(resource.resource.as_ref());
            for record in resource.scope_logs.iter().flat_map(|scope| &scope.log_records) {
                let body = record.body.as_ref().and_then(|body| body.value.as_ref());
                let body = match body {
                    Some(Value::StringValue(body)) => format!("log “{body}”"),
                    _ => "a log without a body".to_owned(),
                };
                self.attributes(&record.attributes, &body);
            }
        }
    }

    /// The metrics of an export.
    pub fn metrics(&mut self, export: &ExportMetricsServiceRequest) {
        for resource in &export.resource_metrics {
            self.resource(resource.resource.as_ref());
            for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                self.metric(metric);
            }
        }
    }

    fn metric(&mut self, metric: &Metric) {
        let name = metric.name.as_str();
        let place = format!("metric {name}");
        self.seen.insert(name.to_owned());
        let (actual, points) = instrument(metric);
        let own = self.registry.metrics.get(name);
        let allowed = own.map(|own| own.attributes.clone());
        let expected = match (own, self.official.metrics.get(name)) {
            (_, Some(official)) if official.deprecated.is_some() => {
                let by = official.deprecated.clone().unwrap_or_default();
                return self.stray(format!("metric {name} is deprecated, {by}"), &place);
            }
            (None, Some(official)) if !official.stable => {
                self.drafts.insert(place.clone(), draft(metric, actual, &points));
                return self.stray(format!("metric {name} is not stable, and the registry does not adopt it"), &place);
            }
            (_, Some(official)) => (official.instrument.clone(), official.unit.clone()),
            (Some(own), None) => (own.instrument.clone(), own.unit.clone()),
            (None, None) => {
                self.drafts.insert(place.clone(), draft(metric, actual, &points));
                let what = format!("metric {name} ({actual}, unit “{}”) is in no convention", metric.unit);
                return self.stray(what, &place);
            }
        };
        if (actual, metric.unit.as_str()) != (expected.0.as_str(), expected.1.as_str()) {
            let (instrument, unit) = expected;
            let what = format!("{place} is a {actual} of “{}” and should be a {instrument} of “{unit}”", metric.unit);
            self.stray(what, &place);
        }
        if metric.description.is_empty() {
            self.stray(format!("{place} does not say what it is"), &place);
        }
        let required = self.official.metrics.get(name).map(|entry| entry.required.clone()).unwrap_or_default();
        for pairs in points {
            self.attributes(pairs, &place);
            let named = |constant: &str| pairs.iter().any(|pair| pair.key.to_uppercase().replace('.', "_") == constant);
            for constant in required.iter().filter(|constant| !named(constant)) {
                self.stray(format!("attribute {constant} is missing in {place}"), &place);
            }
            for pair in pairs {
                if allowed.as_ref().is_some_and(|allowed| !allowed.contains(&pair.key)) {
                    self.stray(
                        format!("{place} has the attribute {}, of which the registry says nothing", pair.key),
                        &place,
                    );
                }
            }
        }
    }
}
