//! Whatever a collector does, requests have their answers, memory its bound, and losses are counted and told, not often.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::collector::{Collector, Mood};
use support::otlp::Exported;
use support::{Service, Stage, at_once, eventually};

const EXPORTED: &str = "otel_sdk_exporter_span_exported_total";
const PROCESSED: &str = "otel_sdk_processor_span_processed_total";
/// How long nothing is exported of itself.
const NEVER: &str = "3600000";

async fn exporting(stage: &Stage, endpoint: &str, variables: &[(&str, &str)]) -> Service {
    let usual = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ];
    Service::run(stage, &["serve", "--no-workers"], &[&usual[..], variables].concat()).await
}

/// So many requests, all answered as they should be.
async fn answered(service: &Service, count: usize) {
    let client = service.client();
    let statuses = at_once(count, |_| {
        let client = client.clone();
        async move { client.get("/api/articles/nothing").await.status }
    });
    assert!(statuses.await.iter().all(|status| *status == 404));
}

/// The lines that say something of exports.
fn about_exports(lines: &[String]) -> Vec<&String> {
    let words = ["collector", "opentelemetry", "OTLP", "Export", "BatchSpan", "BatchLog", "PeriodicReader"];
    lines.iter().filter(|line| words.iter().any(|word| line.contains(word))).collect()
}

async fn lost(service: &Service, name: &str, error: &str) -> f64 {
    service.metric(name, &format!("error_type=\"{error}\"")).await
}

/// A collector that misbehaves in each way, and then takes what it gets again.
async fn endured(protocol: &str, moods: &[(Mood, &str)]) {
    let (stage, collector) = (Stage::new().await, Collector::start(Mood::Takes).await);
    let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")];
    let service = exporting(&stage, &collector.receiver.endpoint, &variables).await;
    for (mood, error) in moods {
        collector.becomes(*mood);
        let before = [
            lost(&service, EXPORTED, error).await,
            lost(&service, "otel_sdk_exporter_log_exported_total", error).await,
        ];
        let counted = async || {
            answered(&service, 10).await;
            let spans = lost(&service, EXPORTED, error).await > before[0];
            let records = lost(&service, "otel_sdk_exporter_log_exported_total", error).await > before[1];
            (spans && records).then_some(())
        };
        eventually(&format!("{mood:?} is counted as {error}"), counted).await;
        collector.becomes(Mood::Takes);
        let trace = service.client().get("/api/articles").await.trace_id();
        collector.receiver.trace(&trace, &["GET /api/articles"]).await;
        let of_it = |exported: &Exported| exported.logs.iter().any(|record| record.trace == trace);
        collector.receiver.wait_for("the request's record", of_it).await;
    }
    let told = service.stop().await;
    let told = about_exports(&told);
    // One of each signal, and as many again for each minute.
    assert!((2..=12).contains(&told.len()), "{told:#?}");
    assert!(told.iter().any(|line| line.contains("lost")), "{told:#?}");
}

#[tokio::test]
async fn a_collector_may_do_what_it_likes_over_http() {
    let moods = [
        (Mood::Refuses(400, 0), "400"),
        (Mood::Refuses(401, 0), "401"),
        (Mood::Refuses(429, 0), "429"),
        (Mood::Refuses(503, 0), "503"),
        (Mood::Silent, "timeout"),
        (Mood::Slow(Duration::from_secs(3600)), "timeout"),
        (Mood::Floods, "response_too_large"),
        (Mood::Cuts, "connection_broken"),
        (Mood::Rejects(1), "rejected"),
    ];
    endured("http/protobuf", &moods).await;
}

#[tokio::test]
async fn a_collector_may_do_what_it_likes_over_grpc() {
    let moods = [
        (Mood::Refuses(200, 3), "INVALID_ARGUMENT"),
        (Mood::Refuses(200, 8), "RESOURCE_EXHAUSTED"),
        (Mood::Refuses(200, 14), "UNAVAILABLE"),
        (Mood::Refuses(200, 16), "UNAUTHENTICATED"),
        (Mood::Floods, "OUT_OF_RANGE"),
        (Mood::Rejects(1), "rejected"),
    ];
    endured("grpc", &moods).await;
}

#[tokio::test]
async fn a_collector_that_comes_late_gets_what_is_new() {
    let stage = Stage::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let service = exporting(&stage, &format!("http://{address}"), &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")]).await;
    answered(&service, 10).await;
    let refused = async || (lost(&service, EXPORTED, "connection_refused").await >= 10.0).then_some(());
    eventually("what nobody took is counted", refused).await;
    let collector = Collector::serve(&address, Mood::Takes, None).await;
    let trace = service.client().get("/api/articles").await.trace_id();
    collector.receiver.trace(&trace, &["GET /api/articles"]).await;
    service.stop().await;
}

#[tokio::test]
async fn no_request_waits_for_a_collector_and_what_waits_is_bounded() {
    let (stage, collector) = (Stage::new().await, Collector::start(Mood::Silent).await);
    let variables = [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", NEVER),
        ("OTEL_BSP_EXPORT_TIMEOUT", NEVER),
        ("OTEL_BLRP_EXPORT_TIMEOUT", NEVER),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "64"),
    ];
    let service = exporting(&stage, &collector.receiver.endpoint, &variables).await;
    let paths = ["/v1/traces", "/v1/logs"];
    for path in paths {
        answered(&service, 10).await;
        collector.asked(|sent| sent.path == path).await;
    }
    // The first batch of each is under way for ever: nothing that comes now has anywhere to go.
    for _ in 0..10 {
        answered(&service, 100).await;
    }
    for path in paths {
        assert_eq!(collector.sent().iter().filter(|sent| sent.path == path).count(), 1, "{path}");
    }
    assert!(lost(&service, PROCESSED, "queue_full").await >= 1000.0);
    assert!(lost(&service, "otel_sdk_processor_log_processed_total", "queue_full").await >= 900.0);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident();
    for _ in 0..20 {
        answered(&service, 100).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB for what cannot be exported");
    assert!(about_exports(&service.lines()).len() <= 6, "{:#?}", about_exports(&service.lines()));
}

#[tokio::test]
async fn a_stop_waits_for_a_collector_that_is_silent_but_not_for_long() {
    let (stage, collector) = (Stage::new().await, Collector::start(Mood::Silent).await);
    for protocol in ["http/protobuf", "grpc"] {
        let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_TIMEOUT", NEVER)];
        let service = exporting(&stage, &collector.receiver.endpoint, &variables).await;
        answered(&service, 10).await;
        collector.asked(|sent| sent.path.to_lowercase().contains("metrics")).await;
        let from = Instant::now();
        service.stop().await;
        // Three seconds for all signals; one after the other they would take eleven.
        assert!(from.elapsed() < Duration::from_secs(9), "{:?}", from.elapsed());
    }
}

#[tokio::test]
async fn at_a_stop_the_last_span_and_the_last_line_are_exported() {
    let stage = Stage::new().await;
    for protocol in ["http/protobuf", "grpc"] {
        let collector = Collector::start(Mood::Takes).await;
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", NEVER),
            ("OTEL_BLRP_SCHEDULE_DELAY", NEVER),
            ("OTEL_METRIC_EXPORT_INTERVAL", NEVER),
        ];
        let service = exporting(&stage, &collector.receiver.endpoint, &variables).await;
        let answer = service.client().get("/api/articles/nothing").await;
        assert!(collector.sent().is_empty(), "{:?}", collector.sent());
        let lines = service.stop().await;
        let exported = collector.receiver.exported();
        assert!(exported.spans.iter().any(|span| span.trace == answer.trace_id()));
        assert!(exported.metrics.contains(&"http_requests_total".to_owned()));
        let last: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let message = last["message"].as_str().unwrap();
        assert!(exported.logs.iter().any(|record| record.body == message), "{message}: {:#?}", exported.logs);
    }
}
