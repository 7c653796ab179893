//! Metrics: what METRICS.md lists is what is served and exported, and nothing else; Prometheus finds nothing wrong with
//! it; clients cannot make it grow; and what it says about the process is true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point::Value};
use serde_json::json;
use support::exposition::{self, Family};
use support::otlp::Receiver;
use support::{Service, Stage, at_once, eventually, everything};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What a list of instruments says about one of them.
#[derive(Debug)]
struct Row {
    name: String,
    kind: String,
    unit: String,
    attributes: BTreeSet<String>,
    about: String,
}

impl Row {
    /// What Prometheus knows it by.
    fn prometheus(&self) -> String {
        let unit = match self.unit.as_str() {
            "s" => "_seconds",
            "ms" => "_milliseconds",
            "By" => "_bytes",
            _ => "",
        };
        let name = format!("{}{unit}", self.name.replace('.', "_"));
        if self.kind == "counter" && !name.ends_with("_total") { name + "_total" } else { name }
    }
}

fn listed() -> Vec<Row> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let [name, kind, unit, attributes, about] = cells.try_into().unwrap_or_else(|cells| panic!("{cells:?}"));
        let attributes = attributes.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Row { name, kind, unit, attributes, about }
    };
    rows.map(row).collect()
}

async fn served(service: &Service) -> BTreeMap<String, Family> {
    exposition::read(&service.operator().get("/metrics").await.text())
}

/// A service that exports to the receiver, and to which everything has happened.
async fn eventful(stage: &Stage, receiver: &Receiver) -> Service {
    let exporting = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
    ];
    let service = Service::start(stage, &[&everything::SETTINGS[..], &exporting].concat()).await;
    everything::happens(stage, &service).await;
    support::eventually("spans were exported", async || {
        (service.metric("otel_sdk_exporter_span_exported_total", "").await > 0.0).then_some(())
    })
    .await;
    service
}

/// What cannot be had to happen from outside within a test, a message that ends its actor three times, and what is in
/// `tests/logs.rs`, a flood of warnings.
const RARE: [&str; 2] = ["actor.messages.poisoned", "log.records.suppressed"];
/// Exporters fail in `tests/collectors.rs`, and not here.
const SOUND: &str = "otel.sdk.exporter.";

/// Its points' values all together, and whether they are of an instrument of this kind.
fn exported(metric: &Metric, kind: &str) -> (f64, bool) {
    let sum = |points: &[opentelemetry_proto::tonic::metrics::v1::NumberDataPoint]| -> f64 {
        let value = |value: &Option<Value>| match value {
            Some(Value::AsDouble(value)) => *value,
            #[allow(clippy::cast_precision_loss)]
            Some(Value::AsInt(value)) => *value as f64,
            None => panic!("{} has a point without a value", metric.name),
        };
        points.iter().map(|point| value(&point.value)).sum()
    };
    match metric.data.as_ref().unwrap_or_else(|| panic!("{} has no data", metric.name)) {
        Data::Gauge(gauge) => (sum(&gauge.data_points), kind == "gauge"),
        Data::Sum(counted) if counted.is_monotonic => (sum(&counted.data_points), kind == "counter"),
        Data::Sum(counted) => (sum(&counted.data_points), kind == "up-down counter"),
        #[allow(clippy::cast_precision_loss)]
        Data::Histogram(histogram) => {
            let points = &histogram.data_points;
            let bounds = points.iter().all(|point| point.explicit_bounds.len() >= 9);
            (points.iter().map(|point| point.count as f64).sum(), kind == "histogram" && bounds)
        }
        other => panic!("{} is {other:?}", metric.name),
    }
}

#[tokio::test]
async fn every_instrument_is_listed_and_the_list_is_what_is_served_and_exported() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = eventful(&stage, &receiver).await;
    let (mut rows, served) = (listed(), served(&service).await);
    rows.retain(|row| !RARE.contains(&row.name.as_str()));
    let names: BTreeSet<_> = rows.iter().map(Row::prometheus).chain(["target_info".to_owned()]).collect();
    assert_eq!(names.len(), rows.len() + 1, "METRICS.md lists something twice");
    assert_eq!(names, served.keys().cloned().collect(), "METRICS.md and /metrics differ");
    let all: BTreeSet<_> = rows.iter().map(|row| row.name.clone()).collect();
    let seen = receiver
        .wait_for("every instrument", |seen| all.iter().all(|name| seen.measured.contains_key(name)))
        .await
        .measured;
    assert_eq!(all, seen.keys().cloned().collect(), "METRICS.md and what is exported differ");
    for row in &rows {
        let (family, metric) = (&served[&row.prometheus()], &seen[&row.name]);
        let kind = if row.kind == "up-down counter" { "gauge" } else { &row.kind };
        assert_eq!((family.kind.as_str(), family.help.as_str()), (kind, row.about.as_str()), "{}", row.name);
        let shown = row.attributes.iter().filter(|name| *name != "error.type" || !row.name.starts_with(SOUND));
        let labels: BTreeSet<_> = shown.map(|name| name.replace('.', "_")).collect();
        assert_eq!(family.labels, labels, "{}", row.name);
        assert_eq!((metric.unit.as_str(), metric.description.as_str()), (row.unit.as_str(), row.about.as_str()));
        assert!(exported(metric, &row.kind).1, "{} is no {}: {metric:?}", row.name, row.kind);
        assert!(!row.unit.is_empty() && row.about.ends_with('.'), "{row:?}");
    }
    // Nothing happens any more that these count.
    for (name, value) in [("articles.created", 1.0), ("favorites.added", 1.0), ("auth.login.attempts", 2.0)] {
        let row = rows.iter().find(|row| row.name == name).unwrap();
        assert_eq!(served[&row.prometheus()].sum(""), value, "{name}");
        receiver.wait_for(name, |seen| exported(&seen.measured[name], &row.kind).0 == value).await;
    }
}

/// What promtool dislikes and we do not change: the contract's names with their unit, and names of OpenTelemetry's
/// semantic conventions that end with `count`.
const DISLIKED: [(&str, &str); 7] = [
    ("db_client_connection_count", "non-histogram and non-summary metrics should not have \"_count\" suffix"),
    ("jobs_duration_ms_milliseconds", "metric names should not contain abbreviated units"),
    ("jobs_duration_ms_milliseconds", "use base unit \"seconds\" instead of \"milliseconds\""),
    ("jobs_queue_latency_ms_milliseconds", "metric names should not contain abbreviated units"),
    ("jobs_queue_latency_ms_milliseconds", "use base unit \"seconds\" instead of \"milliseconds\""),
    ("process_thread_count", "non-histogram and non-summary metrics should not have \"_count\" suffix"),
    ("process_unix_file_descriptor_count", "non-histogram and non-summary metrics should not have \"_count\" suffix"),
];

#[tokio::test]
async fn promtool_finds_nothing_wrong_but_what_is_fixed() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/promtool/prepare.sh");
    let prepared = Command::new(place).arg(env!("CARGO_TARGET_TMPDIR")).output().await.unwrap();
    if !prepared.status.success() {
        println!("SKIPPED: promtool: {}", String::from_utf8_lossy(&prepared.stderr).trim());
        return;
    }
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = eventful(&stage, &receiver).await;
    let text = service.operator().get("/metrics").await.text();
    let mut checking = Command::new(String::from_utf8_lossy(&prepared.stdout).trim())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It begins to speak only when it has read all.
    checking.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    let checked = checking.wait_with_output().await.unwrap();
    let said = [checked.stdout, checked.stderr].map(|output| String::from_utf8_lossy(&output).into_owned()).concat();
    let said: BTreeSet<_> = said.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
    assert_eq!(said, DISLIKED.into(), "status {:?}", checked.status.code());
}

#[tokio::test]
async fn the_text_is_what_it_says_it_is_whoever_asks() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("OTEL_SERVICE_NAME", "press")]).await;
    // Of Prometheus 2.42, of Prometheus 3, of who takes anything, of who takes only what we do not speak.
    for accept in [
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
         text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;\
         escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "*/*",
        "application/openmetrics-text;version=1.0.0",
    ] {
        let answer = service.operator().send("GET", "/metrics", &[("accept", accept)], "").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("text/plain; version=0.0.4; charset=utf-8"))
        );
        let families = exposition::read(&answer.text());
        assert!(families["target_info"].series.keys().any(|series| series.contains("service_name=\"press\"")));
        assert!(families.values().all(|family| !family.kind.is_empty() && !family.series.is_empty()), "{families:?}");
    }
}

#[tokio::test]
async fn whatever_clients_send_the_number_of_series_is_bounded() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let client = service.client();
    let odd = async |number: usize| {
        let agent = format!("agent/{number}");
        let headers = [("user-agent", agent.as_str()), ("x-request-id", agent.as_str())];
        for (method, path) in [
            (format!("ODD{number}"), "/api/articles".to_owned()),
            (format!("ODD{number}"), format!("/nothing/{number}")),
            ("GET".to_owned(), format!("/nothing/{number}/at/all")),
            ("GET".to_owned(), format!("/api/articles/of-{number}?x={number}")),
            ("GET".to_owned(), format!("/api/articles?search=word{number}")),
            ("DELETE".to_owned(), format!("/api/webhooks/{number}")),
        ] {
            client.send(&method, &path, &headers, "").await;
        }
    };
    odd(0).await;
    let of_requests = |families: &BTreeMap<String, Family>| -> BTreeSet<String> {
        let own = families.iter().filter(|(name, _)| name.starts_with("http_"));
        own.flat_map(|(_, family)| family.series.keys().cloned()).collect()
    };
    // The first asks for the metrics, too, and is then one of those who did.
    served(&service).await;
    let before = of_requests(&served(&service).await);
    for number in 1..100 {
        odd(number).await;
    }
    let after = served(&service).await;
    assert_eq!(before, of_requests(&after));
    let of_nothing = |series: &&String| series.contains("status_code=\"404\"") && !series.contains("http_route");
    let of_nothing: Vec<_> = after["http_requests_total"].series.keys().filter(of_nothing).collect();
    assert_eq!(of_nothing.len(), 2, "GET and _OTHER, without a route: {of_nothing:?}");
    assert!(!before.iter().any(|series| series.contains("http_route=\"\"")), "{before:?}");
    let text = service.operator().get("/metrics").await.text();
    assert!(!text.contains("ODD") && !text.contains("agent/") && !text.contains("overflow"), "{text}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_said_of_the_process_is_true() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    service.client().register("ann").await;
    let said = served(&service).await;
    let status = fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let field = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let about = |name: &str, value: f64| {
        let said = said[name].sum("");
        assert!((said - value).abs() <= value / 4.0, "{name} is {said}, and the system says {value}");
    };
    about("process_memory_usage_bytes", field("VmRSS:") * 1024.0);
    about("process_memory_virtual_bytes", field("VmSize:") * 1024.0);
    about("process_thread_count", field("Threads:"));
    #[allow(clippy::cast_precision_loss)]
    about(
        "process_unix_file_descriptor_count",
        fs::read_dir(format!("/proc/{}/fd", service.id())).unwrap().count() as f64,
    );
    let held =
        ["jemalloc_allocated_bytes", "jemalloc_active_bytes", "jemalloc_resident_bytes"].map(|name| said[name].sum(""));
    assert!(held[0] > 0.0 && held.is_sorted() && held[2] < field("VmSize:") * 1024.0, "{held:?}");
    assert!(said["process_cpu_time_seconds_total"].sum("cpu_mode=\"user\"") > 0.0);
    let workers = said["tokio_runtime_workers"].sum("");
    assert!(workers >= 1.0 && said["tokio_runtime_worker_busy_time_seconds_total"].series.len() as f64 == workers);
}

#[tokio::test]
async fn one_core_is_left_by_the_threads_that_run_tasks_unless_a_setting_says_otherwise() {
    let stage = Stage::new().await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let workers = async |settings: &[(&str, &str)]| {
        let service = Service::run(&stage, &["serve", "--no-workers"], settings).await;
        served(&service).await["tokio_runtime_workers"].sum("")
    };
    #[allow(clippy::cast_precision_loss)]
    let expected = [cores.saturating_sub(1).max(1), cores, 1].map(|threads| threads as f64);
    let all = cores.to_string();
    assert_eq!(
        [workers(&[]).await, workers(&[("WORKER_THREADS", &all)]).await, workers(&[("WORKER_THREADS", "1")]).await],
        expected
    );
}

#[tokio::test]
async fn saturation_is_seen_while_it_lasts_and_errors_by_their_cause() {
    let stage = Stage::new().await;
    let tight = [("DATABASE_WRITERS", "1"), ("HTTP_REQUEST_TIMEOUT_MS", "6000"), ("MAILBOX_CAPACITY", "4")];
    let patient = [("DATABASE_STATEMENT_TIMEOUT_MS", "60000"), ("DATABASE_CONNECT_TIMEOUT_MS", "60000")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &[&tight[..], &patient].concat()).await;
    let ann = service.client().register("ann").await;
    // Those who publish have connections of their own, and all others one.
    let (articles, notifications) = (stage.locked("articles").await, stage.locked("notifications").await);
    let publish = |count| {
        let client = ann.client.clone();
        let one = move |_| {
            let client = client.clone();
            async move { client.post("/api/articles", &json!({"title": "t", "body": "b"})).await }
        };
        tokio::spawn(at_once(count, one))
    };
    let read = || {
        let client = ann.client.clone();
        tokio::spawn(async move { client.ask("/api/notifications/read").await })
    };
    let of = async |name: &str, label: &str| served(&service).await[name].sum(label);
    let reading = read();
    let state = "pool_name=\"writers\",db_client_connection_state=\"used\"";
    eventually("the only writing connection is in use", async || {
        (of("db_client_connection_count", state).await == 1.0).then_some(())
    })
    .await;
    let another = read();
    eventually("somebody else waits for it", async || {
        let pending = of("db_client_connection_pending_requests", "pool_name=\"writers\"").await;
        (pending >= 1.0).then_some(())
    })
    .await;
    // Each takes its time until another hand is taken, so they come until all hands are full. Fewer at once than there is room
    // for: of those that gather some are older than others, and are too late before their statement is.
    let mut others = Vec::new();
    eventually("the mailbox is full, and who comes then is refused", async || {
        others.push(publish(3));
        let said = served(&service).await;
        let of = |name: &str, label: &str| said[name].sum(label);
        let (writers, creator) = ("pool_name=\"writers\"", "root/articles/creator");
        let pending = of("db_client_connection_max", writers) == 1.0
            && of("db_client_connection_pending_requests", writers) >= 1.0;
        let full = of("actor_mailbox_depth", creator) == of("actor_mailbox_capacity", creator);
        // Those who come all at once may be refused at their first actor.
        let refused = of("actor_mailbox_refused_total", "") >= 1.0;
        (pending && full && refused && of("http_server_active_requests", "POST") >= 5.0).then_some(())
    })
    .await;
    let mut answers = vec![reading.await.unwrap(), another.await.unwrap()];
    for published in others {
        answers.extend(published.await.unwrap());
    }
    articles.batch_execute("rollback").await.unwrap();
    notifications.batch_execute("rollback").await.unwrap();
    let said = served(&service).await;
    let told: Vec<_> = answers.iter().map(|answer| answer.json()["error"]["code"].clone()).collect();
    #[allow(clippy::cast_precision_loss)]
    for error in ["overloaded", "deadline_exceeded"] {
        let count = told.iter().filter(|code| **code == error).count() as f64;
        assert!(count >= 1.0, "nobody was told {error}: {told:?}");
        let counted = said["http_requests_total"].sum(&format!("error_type=\"{error}\""));
        assert_eq!(counted, count, "{error}");
    }
    assert!(said["actor_messages_late_total"].sum("root/articles/creator") >= 1.0);
}
