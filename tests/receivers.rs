//! Telemetry through a receiver that we did not write: Rotel takes what the service exports, as a collector does, and
//! passes on what it understood. What arrives behind it has to be the whole story.
//!
//! Where Rotel cannot be had, this says so: look for SKIPPED in what the tests print.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use support::otlp::{Exported, Receiver, Span};
use support::{Service, Stage, eventually, programs};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// The spans of a publication and of the job that it leaves, as far as others are linked with them by name.
const STORY: [&str; 9] = [
    "POST /api/articles",
    "actor auth/sessions check_session",
    "auth/check_sessions",
    "actor articles/creator create",
    "articles/create",
    "send article_published",
    "process article_published",
    "notifications/tell_followers",
    "jobs/complete",
];

/// Rotel between the service and our receiver. Dropping it kills it.
struct Rotel {
    http: SocketAddr,
    grpc: SocketAddr,
    child: Child,
    _place: TempDir,
}

/// A port that nobody has.
async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// The program itself, which the package brings for some Python.
fn agent(place: &Path) -> Result<PathBuf, String> {
    let pythons = std::fs::read_dir(place.join("lib")).map_err(|error| error.to_string())?;
    let agents = pythons.flatten().map(|python| python.path().join("site-packages/rotel/rotel-agent"));
    agents.into_iter().find(|agent| agent.is_file()).ok_or_else(|| "the package has no program".to_owned())
}

impl Rotel {
    /// Starts it, or says why it cannot be had.
    async fn start(behind: &Receiver) -> Result<Self, String> {
        let agent = agent(&programs::prepared("rotel").await?)?;
        let version = Command::new(&agent).arg("--version").output().await.map_err(|error| error.to_string())?;
        if !version.status.success() {
            return Err(format!("it does not run here: {}", programs::written(&version).trim()));
        }
        println!("receivers: {}", programs::written(&version).trim());
        let place = tempfile::tempdir().unwrap();
        let (http, grpc) = (free().await, free().await);
        let child = Command::new(&agent)
            .arg("start")
            .args(["--otlp-http-endpoint", &http.to_string(), "--otlp-grpc-endpoint", &grpc.to_string()])
            .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--otlp-exporter-endpoint", &behind.endpoint, "--batch-timeout", "100ms"])
            .arg("--pid-file")
            .arg(place.path().join("pid"))
            .env_clear()
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        for address in [http, grpc] {
            let there = async || TcpStream::connect(address).await.ok().map(drop);
            eventually("Rotel listens", there).await;
        }
        Ok(Self { http, grpc, child, _place: place })
    }

    /// What the service has to be told, for a protocol of OTLP.
    fn endpoint(&self, protocol: &str) -> String {
        format!("http://{}", if protocol == "grpc" { self.grpc } else { self.http })
    }
}

/// The spans of a trace.
fn of_trace(seen: &Exported, trace: &str) -> Vec<Span> {
    seen.spans.iter().filter(|span| span.trace == trace).cloned().collect()
}

/// That a trace is one tree below its only root, each span there once.
#[track_caller]
fn is_whole(spans: &[Span]) {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (&span.id, span)).collect();
    assert_eq!(by_id.len(), spans.len(), "some came twice: {spans:#?}");
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).map(|span| &span.name).collect();
    assert_eq!(roots, ["POST /api/articles"]);
    let lost: Vec<_> =
        spans.iter().filter(|span| !span.parent.is_empty() && !by_id.contains_key(&span.parent)).collect();
    assert!(lost.is_empty(), "the parents of these did not arrive: {lost:#?}");
}

#[tokio::test]
async fn a_collector_of_others_passes_on_the_whole_story_by_either_protocol() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let mut rotel = match Rotel::start(&receiver).await {
        Ok(rotel) => rotel,
        Err(why) => return println!("SKIPPED: rotel: {why}"),
    };
    for (number, protocol) in ["http/protobuf", "grpc"].into_iter().enumerate() {
        let endpoint = rotel.endpoint(protocol);
        let name = format!("callboard-{number}");
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_SERVICE_NAME", name.as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ];
        let service = Service::start(&stage, &variables).await;
        let ann = service.client().register(&format!("ann {number}")).await;
        let ben = service.client().register(&format!("ben {number}")).await;
        ben.follow(&ann).await;
        stage.jobs_done().await;
        let published = ann.client.post("/api/articles", &json!({"title": "News", "body": "at length"})).await;
        published.expect(201);
        stage.jobs_done().await;
        let trace = published.trace_id();
        // What it sends at its end is behind all else.
        service.stop().await;
        receiver.trace(&trace, &STORY).await;
        let told =
            |seen: &Exported| seen.logs.iter().any(|line| line.trace == trace && line.body == "request completed");
        let seen = receiver.wait_for("the log line of the request", told).await;
        let spans = of_trace(&seen, &trace);
        is_whole(&spans);
        let kind = |name: &str| spans.iter().find(|span| span.name == name).unwrap().kind;
        assert_eq!(kind("POST /api/articles"), SpanKind::Server, "{protocol}");
        assert_eq!(kind("process article_published"), SpanKind::Consumer, "{protocol}");
        assert!(spans.iter().all(|span| span.resource["service.name"] == name), "{protocol}");
        let durations = |seen: &Exported| seen.metrics.iter().any(|metric| metric == "http.server.request.duration");
        receiver.wait_for("the metrics", durations).await;
        println!("receivers: {} spans of a publication by {protocol}, through Rotel", spans.len());
        assert!(rotel.child.try_wait().unwrap().is_none(), "Rotel ended");
    }
}
