//! The variables of OpenTelemetry do what README says of them, against collectors that look at what they get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeMap;

use support::collector::{Collector, Mood};
use support::otlp::{Exported, Span};
use support::tls::Authority;
use support::{Service, Stage, eventually, service};

/// Quick, so that tests do not wait.
const QUICK: [(&str, &str); 3] =
    [("OTEL_BSP_SCHEDULE_DELAY", "50"), ("OTEL_BLRP_SCHEDULE_DELAY", "50"), ("OTEL_METRIC_EXPORT_INTERVAL", "200")];
const TRACES: [&str; 2] = ["/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"];
const LOGS: [&str; 2] = ["/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"];
const METRICS: [&str; 2] = ["/v1/metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"];
const PROTOCOLS: [&str; 2] = ["http/protobuf", "grpc"];

async fn exporting(stage: &Stage, variables: &[(&str, &str)]) -> Service {
    Service::run(stage, &["serve", "--no-workers"], &[&QUICK[..], variables].concat()).await
}

/// A request's server span, once it was exported, and its log record.
async fn seen(service: &Service, collector: &Collector, agent: &str) -> (Span, Exported) {
    let answer = service.client().send("GET", "/api/articles/nothing", &[("user-agent", agent)], "").await;
    let trace = answer.trace_id();
    let of_it =
        |exported: &Exported| exported.spans.iter().find(|span| span.trace == trace && span.parent.is_empty()).cloned();
    let exported = collector.receiver.wait_for("the request's span", |exported| of_it(exported).is_some()).await;
    (of_it(&exported).unwrap(), exported)
}

/// The characters of the longest text; numbers are as long as they are.
fn longest<'a>(attributes: impl Iterator<Item = &'a BTreeMap<String, String>>) -> usize {
    let texts = attributes.flat_map(BTreeMap::values).filter(|value| value.parse::<f64>().is_err());
    texts.map(|value| value.chars().count()).max().unwrap_or(0)
}

#[tokio::test]
async fn settings_of_the_exporter_reach_the_collector_over_both_protocols() {
    let stage = Stage::new().await;
    for (at, protocol) in PROTOCOLS.into_iter().enumerate() {
        let collector = Collector::start(Mood::Takes).await;
        let service = exporting(
            &stage,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.receiver.endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=Basic%20a2V5,x-all=1"),
                ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-key=of-logs"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
                ("OTEL_SERVICE_NAME", "by its own variable"),
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=among%20others,team=a%2Cb%20c"),
                ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
            ],
        )
        .await;
        let (span, _) = seen(&service, &collector, "agent").await;
        assert_eq!(span.resource["service.name"], "by its own variable");
        assert_eq!(span.resource["team"], "a,b c");
        let traces = collector.asked(|sent| sent.path == TRACES[at]).await;
        assert_eq!((traces.headers["x-key"].as_str(), traces.headers["x-all"].as_str()), ("Basic a2V5", "1"));
        assert!(traces.compressed);
        let logs = collector.asked(|sent| sent.path == LOGS[at]).await;
        assert_eq!(logs.headers["x-key"], "of-logs");
        assert!(!logs.headers.contains_key("x-all") && logs.compressed, "{logs:?}");
        assert!(!collector.asked(|sent| sent.path == METRICS[at]).await.compressed);
        let what = "a counter that begins anew with each export";
        collector.receiver.wait_for(what, |exported| exported.text.contains("aggregation_temporality: Delta")).await;
        service.stop().await;
    }
}

#[tokio::test]
async fn what_a_span_and_a_log_record_hold_is_limited() {
    let (stage, collector) = (Stage::new().await, Collector::start(Mood::Takes).await);
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.receiver.endpoint.as_str());
    let lengths = [
        endpoint,
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "12"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "1"),
    ];
    let service = exporting(&stage, &lengths).await;
    let (span, _) = seen(&service, &collector, "an agent with a long name").await;
    assert_eq!(span.attribute("user_agent.original"), "an agent ");
    assert_eq!(longest(collector.receiver.exported().spans.iter().map(|span| &span.attributes)), 9);
    let records = |exported: &Exported| longest(exported.logs.iter().map(|record| &record.attributes));
    collector.receiver.wait_for("a record that was cut", |exported| records(exported) == 12).await;
    let of = |path: &str| collector.sent().iter().filter(|sent| sent.path == path).count();
    // The collector notes a request before it keeps what is in it.
    let kept = collector.receiver.exported();
    assert!(of(TRACES[0]) >= kept.spans.len() && of(LOGS[0]) >= kept.logs.len(), "batches are of one each");
    service.stop().await;

    let counts = [endpoint, ("OTEL_ATTRIBUTE_COUNT_LIMIT", "3"), ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "2")];
    let collector_before = collector.receiver.exported();
    let service = exporting(&stage, &counts).await;
    let (span, exported) = seen(&service, &collector, "agent").await;
    assert_eq!(span.attributes.len(), 3, "{span:?}");
    let records = &exported.logs[collector_before.logs.len()..];
    assert!(records.iter().all(|record| record.attributes.len() <= 2), "{records:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_signal_goes_where_its_own_variables_say_and_nowhere_else() {
    let stage = Stage::new().await;
    let (of_traces, of_logs) = (Collector::start(Mood::Takes).await, Collector::start(Mood::Takes).await);
    let logs = format!("{}/v1/logs", of_logs.receiver.endpoint);
    let scheme_less = of_traces.receiver.endpoint.trim_start_matches("http://");
    let service = exporting(
        &stage,
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", scheme_less),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &logs),
        ],
    )
    .await;
    seen(&service, &of_traces, "agent").await;
    of_logs.receiver.wait_for("a record", |exported| !exported.logs.is_empty()).await;
    let lines = service.stop().await;
    assert!(of_traces.sent().iter().all(|sent| sent.path == TRACES[1]), "{:?}", of_traces.sent());
    assert!(of_logs.sent().iter().all(|sent| sent.path == LOGS[0]), "{:?}", of_logs.sent());
    assert!(lines.iter().all(|line| !line.contains("collector")), "metrics go nowhere, and complain of nothing");
}

#[tokio::test]
async fn an_exporter_that_is_none_exports_nothing_and_what_nobody_honours_is_told_once() {
    let (stage, collector) = (Stage::new().await, Collector::start(Mood::Takes).await);
    let service = exporting(
        &stage,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.receiver.endpoint),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_CONFIG_FILE", "/etc/s3cr3t.yaml"),
            ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on"),
        ],
    )
    .await;
    service.client().get("/api/articles/nothing").await;
    let about = |exported: &Exported| exported.logs.iter().any(|record| !record.trace.is_empty());
    collector.receiver.wait_for("the request's record, with its ids", about).await;
    assert!(service.operator().get("/metrics").await.text().contains("http_requests_total"));
    let lines = service.stop().await;
    assert!(collector.sent().iter().all(|sent| sent.path == LOGS[0]), "{:?}", collector.sent());
    let told: Vec<_> = lines.iter().filter(|line| line.contains("nobody honours")).collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert!(
        told[0].contains("OTEL_CONFIG_FILE, OTEL_METRICS_EXEMPLAR_FILTER")
            || told[0].contains("OTEL_METRICS_EXEMPLAR_FILTER, OTEL_CONFIG_FILE"),
        "{told:?}"
    );
    assert!(!lines.join("").contains("s3cr3t"));
}

#[tokio::test]
async fn an_export_ends_when_its_time_is_over() {
    let stage = Stage::new().await;
    for protocol in PROTOCOLS {
        let collector = Collector::start(Mood::Silent).await;
        let limits = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.receiver.endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "300"),
            ("OTEL_BLRP_EXPORT_TIMEOUT", "300"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "300"),
        ];
        let service = exporting(&stage, &limits).await;
        assert_eq!(service.client().get("/api/articles").await.status, 200);
        for what in ["span", "log", "metric_data_point"] {
            let name = format!("otel_sdk_exporter_{what}_exported_total");
            let over = async || (service.metric(&name, "error_type=\"timeout\"").await > 0.0).then_some(());
            eventually(&format!("a {what} is lost after its time"), over).await;
        }
    }
}

#[tokio::test]
async fn over_tls_a_collector_is_believed_by_its_certificate_and_we_are_by_ours() {
    let stage = Stage::new().await;
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let (trusted, of_others) = (ours.file(), others.file());
    let (certificate, key) = others.identity("callboard");
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    for (protocol, untrusted) in PROTOCOLS.into_iter().zip(["tls", "UNAVAILABLE"]) {
        let collector = Collector::encrypted(ours.negotiating("127.0.0.1", Some(&others))).await;
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.receiver.endpoint.as_str());
        let trusted = path(&trusted);
        let shown = [
            endpoint,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.as_str()),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &path(&certificate)),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &path(&key)),
        ];
        let service = exporting(&stage, &shown).await;
        seen(&service, &collector, "agent").await;
        service.stop().await;

        let wrong = [
            endpoint,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &path(&of_others)),
        ];
        let service = exporting(&stage, &wrong).await;
        let before = collector.sent().len();
        assert_eq!(service.client().get("/api/articles").await.status, 200);
        let label = format!("error_type=\"{untrusted}\"");
        let lost = async || (service.metric("otel_sdk_exporter_span_exported_total", &label).await > 0.0).then_some(());
        eventually("the loss is counted", lost).await;
        assert_eq!(collector.sent().len(), before, "somebody who is not believed got something");
        service.stop().await;
    }
}

#[test]
fn every_variable_that_is_honoured_is_in_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme.split("\n### Telemetry's settings\n").nth(1).unwrap().split("\n#").next().unwrap();
    let files = ["tests", "src/telemetry/settings"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let files = files.into_iter().flatten().map(|file| file.unwrap().path());
    let tests = files.filter(|path| path.is_file()).map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        // Of what is compiled into the service, its unit tests.
        if path.starts_with(root.join("tests")) { text } else { text.split("#[cfg(test)]").skip(1).collect() }
    });
    let tests: String = tests.collect();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `OTEL_")).collect();
    assert!(rows.len() > 20, "{rows:?}");
    for row in rows.into_iter().filter(|row| row.split('|').nth(3).is_some_and(|by| by.trim() != "no")) {
        for name in row.split('|').nth(1).unwrap().split_whitespace().map(|name| name.trim_matches('`')) {
            assert!(tests.contains(&format!("\"{name}\"")), "no test sets {name}");
        }
    }
}

#[tokio::test]
async fn mistakes_are_reported_by_name_and_values_are_not_repeated() {
    let wrong = [
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "pigeon://hunter2"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/hunter2.pem"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "hunter2"),
        ("OTEL_TRACES_EXPORTER", "console-hunter2"),
        ("OTEL_LOGS_EXPORTER", "hunter2"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "hunter2"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "hunter2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "hunter2=%ff"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1"),
    ];
    let mut command = service::command(&["check-config"]);
    let output = command.envs(wrong).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for (name, _) in wrong {
        assert_eq!(said.matches(name).count(), 1, "{name} in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}
