//! Every environment variable that the OpenTelemetry specification knows: who honours it here, and what its value has
//! to be. The table in README.md says the same, which a test compares.

use super::rules::{self, Rule};

/// Who does what a variable says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// OpenTelemetry's SDK reads it by itself.
    Sdk,
    /// We do, since the SDK does not, or not as the specification says.
    Us,
    /// Nobody: whoever sets it is told so, once.
    Nobody,
}

/// A variable.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) by: By,
    /// What is wrong with a value, unless it is fit.
    pub(super) rule: Rule,
}

const fn sdk(name: &'static str, rule: Rule) -> Variable {
    Variable { name, by: By::Sdk, rule }
}

const fn us(name: &'static str, rule: Rule) -> Variable {
    Variable { name, by: By::Us, rule }
}

const fn nobody(name: &'static str) -> Variable {
    Variable { name, by: By::Nobody, rule: rules::anything }
}

/// A variable of the OTLP exporter: there is one for all signals, and one for each, which wins.
macro_rules! each {
    ($made:ident, $what:literal, $rule:expr) => {
        [
            $made(concat!("OTEL_EXPORTER_OTLP_", $what), $rule),
            $made(concat!("OTEL_EXPORTER_OTLP_TRACES_", $what), $rule),
            $made(concat!("OTEL_EXPORTER_OTLP_METRICS_", $what), $rule),
            $made(concat!("OTEL_EXPORTER_OTLP_LOGS_", $what), $rule),
        ]
    };
}

const GENERAL: &[Variable] = &[
    us("OTEL_SDK_DISABLED", rules::switch),
    us("OTEL_SERVICE_NAME", rules::anything),
    us("OTEL_RESOURCE_ATTRIBUTES", rules::attributes),
    us("OTEL_PROPAGATORS", rules::anything),
    us("OTEL_TRACES_SAMPLER", rules::sampler),
    us("OTEL_TRACES_SAMPLER_ARG", rules::anything),
    us("OTEL_TRACES_EXPORTER", rules::pushing),
    us("OTEL_METRICS_EXPORTER", rules::measuring),
    us("OTEL_LOGS_EXPORTER", rules::pushing),
    nobody("OTEL_LOG_LEVEL"),
    nobody("OTEL_ENTITIES"),
    nobody("OTEL_CONFIG_FILE"),
];

const QUEUES: &[Variable] = &[
    us("OTEL_BSP_SCHEDULE_DELAY", rules::milliseconds),
    us("OTEL_BSP_EXPORT_TIMEOUT", rules::deadline),
    us("OTEL_BSP_MAX_QUEUE_SIZE", rules::size),
    us("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", rules::size),
    us("OTEL_BLRP_SCHEDULE_DELAY", rules::milliseconds),
    us("OTEL_BLRP_EXPORT_TIMEOUT", rules::deadline),
    us("OTEL_BLRP_MAX_QUEUE_SIZE", rules::size),
    us("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", rules::size),
    sdk("OTEL_METRIC_EXPORT_INTERVAL", rules::size),
    us("OTEL_METRIC_EXPORT_TIMEOUT", rules::deadline),
    nobody("OTEL_METRICS_EXEMPLAR_FILTER"),
];

const LIMITS: &[Variable] = &[
    us("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", rules::number),
    us("OTEL_ATTRIBUTE_COUNT_LIMIT", rules::number),
    us("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", rules::number),
    us("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", rules::number),
    sdk("OTEL_SPAN_EVENT_COUNT_LIMIT", rules::number),
    sdk("OTEL_SPAN_LINK_COUNT_LIMIT", rules::number),
    us("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", rules::number),
    us("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", rules::number),
    us("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", rules::number),
    us("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", rules::number),
];

const OTLP: &[&[Variable]] = &[
    &each!(sdk, "ENDPOINT", rules::endpoint),
    &each!(us, "PROTOCOL", rules::protocol),
    &each!(sdk, "HEADERS", rules::pairs),
    &each!(sdk, "COMPRESSION", rules::compression),
    &each!(us, "TIMEOUT", rules::deadline),
    &each!(us, "CERTIFICATE", rules::certificates),
    &each!(us, "CLIENT_CERTIFICATE", rules::certificates),
    &each!(us, "CLIENT_KEY", rules::key),
    &each!(sdk, "INSECURE", rules::switch),
    &[
        sdk("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", rules::temporality),
        nobody("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"),
    ],
];

const OTHERS: &[Variable] = &[
    nobody("OTEL_EXPORTER_PROMETHEUS_HOST"),
    nobody("OTEL_EXPORTER_PROMETHEUS_PORT"),
    nobody("OTEL_EXPORTER_ZIPKIN_ENDPOINT"),
    nobody("OTEL_EXPORTER_ZIPKIN_TIMEOUT"),
];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Variable> {
    [GENERAL, QUEUES, LIMITS].into_iter().chain(OTLP.iter().copied()).chain([OTHERS]).flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What README.md says of each variable. A row may stand for several; that of an OTLP exporter's variable stands for
    /// those of each signal as well.
    fn told() -> BTreeMap<String, &'static str> {
        let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
        let section = readme.split("\n### Telemetry's settings\n").nth(1).unwrap_or_default();
        let section = section.split("\n#").next().unwrap_or_default();
        let mut told = BTreeMap::new();
        for row in section.lines().filter(|line| line.starts_with("| `OTEL_")) {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let [_, names, _, by, ..] = cells.as_slice() else { panic!("{row}") };
            for name in names.split(' ').map(|name| name.trim_matches('`')) {
                let of_signals = match name.strip_prefix("OTEL_EXPORTER_OTLP_") {
                    Some(what) if !what.starts_with("METRICS_") => ["TRACES", "METRICS", "LOGS"]
                        .map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}_{what}"))
                        .to_vec(),
                    _ => Vec::new(),
                };
                for name in of_signals.into_iter().chain([name.to_owned()]) {
                    assert!(told.insert(name, *by).is_none(), "{row} is there twice");
                }
            }
        }
        told
    }

    #[test]
    fn the_readme_says_of_every_variable_who_honours_it() {
        let by = |variable: &Variable| match variable.by {
            By::Sdk => "SDK",
            By::Us => "us",
            By::Nobody => "no",
        };
        let known: BTreeMap<_, _> = all().map(|variable| (variable.name.to_owned(), by(variable))).collect();
        assert_eq!(told(), known);
    }
}
