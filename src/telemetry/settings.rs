//! What of the environment concerns telemetry: read here as far as it is ours, and looked at as far as it is the SDK's,
//! which would only warn of a mistake, or end a start that had begun.

use tracing_subscriber::filter::EnvFilter;
use url::Url;

use super::logs::Limits;
use crate::config::Mistake;

/// What of the environment concerns telemetry and is not the SDK's to read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What lines look like.
    pub format: LogFormat,
    /// How many lines there may be.
    pub lines: Limits,
    /// Which lines there are, in the syntax of `RUST_LOG`.
    pub filter: String,
    /// Whether anything is exported.
    pub export: bool,
    /// The protocol of OTLP.
    pub protocol: Protocol,
    /// What the service is called.
    pub service: String,
}

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// How OTLP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Over gRPC.
    Grpc,
    /// Over HTTP.
    Http,
}

/// What is wrong with a value, unless it is fit.
type Rule = fn(&str) -> Option<&'static str>;

/// What the SDK reads by itself: each variable, and what it has to be.
const OF_THE_SDK: [(&str, Rule); 23] = [
    ("OTEL_SDK_DISABLED", switch),
    ("OTEL_RESOURCE_ATTRIBUTES", pairs),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", endpoint),
    ("OTEL_EXPORTER_OTLP_HEADERS", pairs),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", pairs),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", pairs),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", pairs),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", number),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", number),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", number),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", number),
    ("OTEL_TRACES_SAMPLER", sampler),
    ("OTEL_BSP_SCHEDULE_DELAY", number),
    ("OTEL_BSP_EXPORT_TIMEOUT", number),
    ("OTEL_BSP_MAX_QUEUE_SIZE", size),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", size),
    ("OTEL_BLRP_SCHEDULE_DELAY", number),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", size),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", size),
    ("OTEL_METRIC_EXPORT_INTERVAL", size),
];

impl Settings {
    /// Reads the settings through `read`; `terminal` says whether somebody looks at the output.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn from(read: impl Fn(&str) -> Option<String>, terminal: bool) -> Result<Self, Vec<Mistake>> {
        let read = |name: &str| read(name).filter(|value| !value.is_empty());
        let wrong = |(variable, rule): &(&'static str, Rule)| {
            let problem = rule(&read(variable)?)?;
            Some(Mistake { variable, problem: problem.to_owned() })
        };
        let mut mistakes: Vec<_> = OF_THE_SDK.iter().filter_map(wrong).collect();
        let lines = Limits::from(&read, terminal, &mut mistakes);
        let mut mistake = |variable, problem: &str| mistakes.push(Mistake { variable, problem: problem.to_owned() });
        let format = match read("LOG_FORMAT").as_deref() {
            None if terminal => LogFormat::Pretty,
            None | Some("json") => LogFormat::Json,
            Some("pretty") => LogFormat::Pretty,
            Some(_) => {
                mistake("LOG_FORMAT", "must be pretty or json");
                LogFormat::Json
            }
        };
        let filter = read("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        if !["trace", "debug", "info", "warn", "error", "off"].contains(&filter.to_ascii_lowercase().as_str()) {
            mistake("LOG_LEVEL", "must be trace, debug, info, warn, error or off");
        }
        if read("RUST_LOG").is_some_and(|refined| EnvFilter::try_new(refined).is_err()) {
            mistake("RUST_LOG", "must be levels, like info,actors=debug");
        }
        let protocol = match read("OTEL_EXPORTER_OTLP_PROTOCOL").as_deref() {
            None | Some("http/protobuf") => Protocol::Http,
            Some("grpc") => Protocol::Grpc,
            Some(_) => {
                mistake("OTEL_EXPORTER_OTLP_PROTOCOL", "must be http/protobuf or grpc");
                Protocol::Http
            }
        };
        // What the argument has to be depends on the sampler; only ratios have one.
        let by_ratio = read("OTEL_TRACES_SAMPLER").is_some_and(|sampler| sampler.ends_with("traceidratio"));
        let share = |text: String| text.trim().parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share));
        if by_ratio && !read("OTEL_TRACES_SAMPLER_ARG").is_none_or(share) {
            mistake("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1");
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let disabled = read("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let signals = ["", "_TRACES", "_METRICS", "_LOGS"];
        let endpoint = signals.iter().any(|signal| read(&format!("OTEL_EXPORTER_OTLP{signal}_ENDPOINT")).is_some());
        // The SDK lets `service.name` among the resource attributes win, against the specification.
        let service = read("OTEL_SERVICE_NAME").or_else(|| {
            let attributes = read("OTEL_RESOURCE_ATTRIBUTES")?;
            attributes.split(',').find_map(|pair| pair.trim().strip_prefix("service.name=").map(str::to_owned))
        });
        let service = service.unwrap_or_else(|| "callboard".to_owned());
        let filter = read("RUST_LOG").map_or_else(|| filter.clone(), |refined| format!("{filter},{refined}"));
        Ok(Self { format, lines, filter, export: endpoint && !disabled, protocol, service })
    }
}

fn switch(text: &str) -> Option<&'static str> {
    let known = ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    (!known).then_some("must be true or false")
}

fn number(text: &str) -> Option<&'static str> {
    text.parse::<u64>().is_err().then_some("must be a whole number of milliseconds")
}

fn size(text: &str) -> Option<&'static str> {
    (!text.parse::<u64>().is_ok_and(|size| size > 0)).then_some("must be a whole number from 1 on")
}

/// The value is not repeated: headers hold keys.
fn pairs(text: &str) -> Option<&'static str> {
    let pair = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty());
    let sound = text.split(',').filter(|part| !part.trim().is_empty()).all(pair);
    (!sound).then_some("must be pairs like name=value, separated by commas")
}

fn endpoint(text: &str) -> Option<&'static str> {
    let sound = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    (!sound).then_some("must be an http or https URL")
}

fn sampler(text: &str) -> Option<&'static str> {
    let known = ["always_on", "always_off", "traceidratio"];
    let known = known.contains(&text.strip_prefix("parentbased_").unwrap_or(text));
    (!known).then_some("must be always_on, always_off or traceidratio, or one of them after parentbased_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(pairs: &[(&str, &str)]) -> Vec<Mistake> {
        let read = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::from(read, false).err().unwrap_or_default()
    }

    #[test]
    fn every_mistake_is_reported_by_name_and_no_value_is_repeated() {
        let wrong = OF_THE_SDK.map(|(name, _)| (name, "s3cr3t ://?"));
        let ours =
            ["LOG_FORMAT", "LOG_LEVEL", "RUST_LOG", "OTEL_EXPORTER_OTLP_PROTOCOL"].map(|name| (name, "s3cr3t=://?"));
        let found = mistakes(&[&wrong[..], &ours].concat());
        let names: Vec<_> = found.iter().map(|mistake| mistake.variable).collect();
        for (name, _) in wrong.iter().chain(&ours) {
            assert!(names.contains(name), "{name} is not reported");
        }
        assert!(!format!("{found:?}").contains("s3cr3t"), "{found:?}");
        let ratio = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")];
        assert_eq!(mistakes(&ratio).len(), 1);
    }

    #[test]
    fn what_the_specification_allows_is_taken() {
        let fit = [
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20a2V5,x-scope=1,"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test, service.namespace=a"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
            ("RUST_LOG", "info,actors::jobs=debug"),
        ];
        assert_eq!(mistakes(&fit), []);
    }
}
