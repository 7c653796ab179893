//! What of the environment concerns telemetry: read here as far as it is ours, and looked at as far as it is the SDK's,
//! which would only warn of a mistake, or end a start that had begun.

mod destination;
mod limits;
mod queue;
mod rules;
mod variables;

use percent_encoding::percent_decode_str;
use tracing_subscriber::filter::EnvFilter;

use self::variables::{By, Variable};
use super::logs::Limits;
use crate::config::Mistake;

pub use self::destination::{Destination, Protocol, Signal};
pub use self::limits::AttributeLimits;
pub use self::queue::Queue;

/// How a variable's value is looked up.
type Reading<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What of the environment concerns telemetry and is not the SDK's to read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What lines look like.
    pub format: LogFormat,
    /// How many lines there may be.
    pub lines: Limits,
    /// Which lines there are, in the syntax of `RUST_LOG`.
    pub filter: String,
    /// Where spans go, if they are exported.
    pub traces: Option<Destination>,
    /// Where metrics go besides `/metrics`.
    pub metrics: Option<Destination>,
    /// Where log records go besides standard output.
    pub logs: Option<Destination>,
    /// What the service is called.
    pub service: String,
    /// What else is to be told of the process, decoded.
    pub attributes: Vec<(String, String)>,
    /// How much a span or a log record may hold.
    pub limits: AttributeLimits,
    /// Spans that wait for export.
    pub span_queue: Queue,
    /// Log records that wait for export.
    pub record_queue: Queue,
    /// The variables that are set although nobody honours them.
    pub unheeded: Vec<&'static str>,
}

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// Reads the settings through `read`; `terminal` says whether somebody looks at the output.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn from(read: impl Fn(&str) -> Option<String>, terminal: bool) -> Result<Self, Vec<Mistake>> {
        let read = |name: &str| read(name).filter(|value| !value.is_empty());
        let wrong = |variable: &Variable| {
            let problem = (variable.rule)(&read(variable.name)?)?;
            Some(Mistake { variable: variable.name, problem: problem.to_owned() })
        };
        let mut mistakes: Vec<_> = variables::all().filter_map(wrong).collect();
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
        let mut destination = |signal| match Destination::read(signal, &read) {
            Ok(destination) => destination.filter(|_| !disabled),
            Err((variable, problem)) => {
                mistakes.push(Mistake { variable, problem: problem.to_owned() });
                None
            }
        };
        let [traces, metrics, logs] = [Signal::Traces, Signal::Metrics, Signal::Logs].map(&mut destination);
        if !mistakes.is_empty() {
            // What is for all signals is as wrong for each.
            mistakes.dedup();
            return Err(mistakes);
        }
        let attributes = attributes(&read("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
        // The SDK lets `service.name` among the resource attributes win, against the specification.
        let among = || attributes.iter().find(|(name, _)| name == "service.name").map(|(_, value)| value.clone());
        let service = read("OTEL_SERVICE_NAME").or_else(among).unwrap_or_else(|| "callboard".to_owned());
        let filter = read("RUST_LOG").map_or_else(|| filter.clone(), |refined| format!("{filter},{refined}"));
        let unheeded = |variable: &&Variable| variable.by == By::Nobody && read(variable.name).is_some();
        let unheeded = variables::all().filter(unheeded).map(|variable| variable.name).collect();
        Ok(Self {
            format,
            lines,
            filter,
            traces,
            metrics,
            logs,
            service,
            attributes,
            limits: AttributeLimits::read(&read),
            span_queue: Queue::of_spans(&read),
            record_queue: Queue::of_records(&read),
            unheeded,
        })
    }
}

/// The pairs of `OTEL_RESOURCE_ATTRIBUTES`. The SDK would leave them encoded.
fn attributes(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
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
        let anything = variables::all().filter(|variable| (variable.rule)("s3cr3t ://?").is_some());
        let wrong: Vec<_> = anything.map(|variable| (variable.name, "s3cr3t ://?")).collect();
        assert!(wrong.len() > 50, "{wrong:?}");
        let ours = ["LOG_FORMAT", "LOG_LEVEL", "RUST_LOG"].map(|name| (name, "s3cr3t=://?"));
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
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20a2V5,x-scope=1,"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test, service.namespace=a"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_PROPAGATORS", "tracecontext,baggage"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
            ("RUST_LOG", "info,actors::jobs=debug"),
        ];
        assert_eq!(mistakes(&fit), []);
    }

    #[test]
    fn what_does_not_fit_together_is_a_mistake() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
        let found = mistakes(&[endpoint]);
        assert_eq!(
            found.iter().map(|mistake| mistake.variable).collect::<Vec<_>>(),
            [endpoint.0],
            "no scheme, no gRPC"
        );
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let found = mistakes(&[("OTEL_EXPORTER_OTLP_CERTIFICATE", manifest)]);
        assert!(found.iter().any(|mistake| mistake.problem.contains("PEM")), "{found:?}");
        let open = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@collector:4318")];
        assert!(!mistakes(&open).is_empty() && !format!("{:?}", mistakes(&open)).contains("hunter2"));
    }

    #[test]
    fn only_signals_with_an_endpoint_go_anywhere() {
        let settings = |pairs: &[(&str, &str)]| {
            let read = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            let settings = Settings::from(read, false).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
            [settings.traces, settings.metrics, settings.logs].map(|destination| destination.is_some())
        };
        assert_eq!(settings(&[]), [false; 3]);
        let logs = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://collector:4318/v1/logs");
        assert_eq!(settings(&[logs]), [false, false, true]);
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert_eq!(settings(&[all]), [true; 3]);
        assert_eq!(settings(&[all, ("OTEL_TRACES_EXPORTER", "none")]), [false, true, true]);
        assert_eq!(settings(&[all, ("OTEL_METRICS_EXPORTER", "prometheus")]), [true, false, true]);
        assert_eq!(settings(&[all, ("OTEL_LOGS_EXPORTER", "None")]), [true, true, false]);
        assert_eq!(settings(&[all, ("OTEL_SDK_DISABLED", "True")]), [false; 3]);
    }

    #[test]
    fn the_service_is_called_as_its_own_variable_says() {
        let pairs = [("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=a%2Cb%20c"), ("OTEL_SERVICE_NAME", "b")];
        let settings = |pairs: &[(&str, &str)]| {
            let read = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            Settings::from(read, false).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
        };
        assert_eq!(settings(&pairs).service, "b");
        assert_eq!(settings(&pairs[..1]).service, "a");
        assert!(settings(&pairs).attributes.contains(&("team".to_owned(), "a,b c".to_owned())));
    }
}
