//! A receiver of OTLP over HTTP, within the test: keeps all that is exported and lets tests wait for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::PATIENCE;

/// A span, in the form that tests look at.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// Its parent's id; empty at a root.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// When it began and when it ended, in nanoseconds since 1970.
    pub time: (u64, u64),
    /// Its attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// The traces and spans that it is linked with.
    pub links: Vec<(String, String)>,
    /// What the caller's tracing system says of the trace.
    pub state: String,
    /// Its status: 0 unset, 1 ok, 2 error.
    pub status: i32,
    /// The attributes of what it came from.
    pub resource: BTreeMap<String, String>,
}

/// A log record, in the form that tests look at.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its trace, in hexadecimal; empty outside of one.
    pub trace: String,
    /// Its span's id, in hexadecimal.
    pub span: String,
    /// How bad it is, in a word.
    pub severity: String,
    /// What kind of event it is; empty for most.
    pub event: String,
    /// Where it comes from.
    pub scope: String,
    /// When it was written, in nanoseconds.
    pub time: u64,
    /// What it says.
    pub body: String,
    /// Its attributes as text.
    pub attributes: BTreeMap<String, String>,
}

/// All that was exported so far.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    /// Spans.
    pub spans: Vec<Span>,
    /// Log records.
    pub logs: Vec<Record>,
    /// The names of metrics.
    pub metrics: Vec<String>,
    /// Every metric by its name, as it was last exported.
    pub measured: BTreeMap<String, Metric>,
    /// Everything at once, names and values, for those who look for what must not be there.
    pub text: String,
    /// The exports as they came, for those who look at all there is.
    pub raw: Raw,
}

/// Exports as they came.
#[derive(Debug, Clone, Default)]
pub struct Raw {
    /// Of spans.
    pub traces: Vec<Arc<ExportTraceServiceRequest>>,
    /// Of log records.
    pub logs: Vec<Arc<ExportLogsServiceRequest>>,
    /// Of metrics.
    pub metrics: Vec<Arc<ExportMetricsServiceRequest>>,
}

/// The receiver. It ends with the test.
pub struct Receiver {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to be.
    pub endpoint: String,
    exported: watch::Receiver<Exported>,
}

impl Span {
    /// An attribute, as text.
    #[track_caller]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).unwrap_or_else(|| panic!("{} has no {name}: {:?}", self.name, self.attributes))
    }
}

impl Receiver {
    /// One that is fed by somebody else.
    pub(super) fn fed(endpoint: String) -> (Self, watch::Sender<Exported>) {
        let (keeper, exported) = watch::channel(Exported::default());
        (Self { endpoint, exported }, keeper)
    }

    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (receiver, keeper) = Self::fed(endpoint);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let keeper = keeper.clone();
                let service = service_fn(move |request| receive(keeper.clone(), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        receiver
    }

    /// What was exported so far.
    pub fn exported(&self) -> Exported {
        self.exported.borrow().clone()
    }

    /// Waits until what was exported satisfies `enough`.
    pub async fn wait_for(&self, what: &str, enough: impl Fn(&Exported) -> bool) -> Exported {
        let mut exported = self.exported.clone();
        let waiting = tokio::time::timeout(PATIENCE, exported.wait_for(|exported| enough(exported)));
        match waiting.await {
            Ok(Ok(exported)) => exported.clone(),
            _ => {
                let seen = self.exported();
                let spans: Vec<_> = seen.spans.iter().map(|span| (&span.trace, &span.name)).collect();
                panic!("{what} was not exported; these were: {spans:#?} {:#?}", seen.logs);
            }
        }
    }

    /// Waits until a trace holds spans of all these names; gives all of its spans.
    pub async fn trace(&self, id: &str, names: &[&str]) -> Vec<Span> {
        let of_trace =
            |seen: &Exported| -> Vec<Span> { seen.spans.iter().filter(|span| span.trace == id).cloned().collect() };
        let what = format!("a trace {id} with {names:?}");
        let enough = |seen: &Exported| {
            let spans = of_trace(seen);
            names.iter().all(|name| spans.iter().any(|span| span.name == *name))
        };
        of_trace(&self.wait_for(&what, enough).await)
    }
}

async fn receive(
    keeper: watch::Sender<Exported>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let packed = request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let mut body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if packed {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
        body = plain.into();
    }
    let known = keep(&keeper, &path, body);
    // An empty message is the answer to a request that was taken whole.
    let mut response = Response::new(Full::default());
    *response.status_mut() = if known { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok(response)
}

/// Keeps what was sent to a path, of HTTP or gRPC; whether it could be read.
pub(super) fn keep(keeper: &watch::Sender<Exported>, path: &str, body: Bytes) -> bool {
    let sent =
        |name: &str| path == format!("/v1/{}", name.to_lowercase()) || path.ends_with(&format!("{name}Service/Export"));
    if sent("Traces") || sent("Trace") {
        ExportTraceServiceRequest::decode(body).map(|export| keep_spans(keeper, &export)).is_ok()
    } else if sent("Logs") {
        ExportLogsServiceRequest::decode(body).map(|export| keep_logs(keeper, &export)).is_ok()
    } else if sent("Metrics") {
        ExportMetricsServiceRequest::decode(body).map(|export| keep_metrics(keeper, &export)).is_ok()
    } else {
        false
    }
}

fn keep_spans(keeper: &watch::Sender<Exported>, export: &ExportTraceServiceRequest) {
    keeper.send_modify(|seen| {
        seen.raw.traces.push(Arc::new(export.clone()));
        seen.text.push_str(&format!("{export:?}"));
        for resource in &export.resource_spans {
            let attributes = resource.resource.as_ref().map(|resource| texts(&resource.attributes)).unwrap_or_default();
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                seen.spans.push(Span {
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    name: span.name.clone(),
                    kind: span.kind(),
                    time: (span.start_time_unix_nano, span.end_time_unix_nano),
                    attributes: texts(&span.attributes),
                    links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                    state: span.trace_state.clone(),
                    status: span.status.as_ref().map_or(0, |status| status.code),
                    resource: attributes.clone(),
                });
            }
        }
    });
}

fn keep_logs(keeper: &watch::Sender<Exported>, export: &ExportLogsServiceRequest) {
    keeper.send_modify(|seen| {
        seen.raw.logs.push(Arc::new(export.clone()));
        seen.text.push_str(&format!("{export:?}"));
        let scopes = export.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        let records = scopes.flat_map(|scope| scope.log_records.iter().map(move |record| (scope, record)));
        for (scope, record) in records {
            seen.logs.push(Record {
                trace: hex(&record.trace_id),
                span: hex(&record.span_id),
                severity: record.severity_text.clone(),
                event: record.event_name.clone(),
                scope: scope.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default(),
                time: record.time_unix_nano,
                body: text(record.body.as_ref()),
                attributes: texts(&record.attributes),
            });
        }
    });
}

fn keep_metrics(keeper: &watch::Sender<Exported>, export: &ExportMetricsServiceRequest) {
    keeper.send_modify(|seen| {
        seen.raw.metrics.push(Arc::new(export.clone()));
        seen.text.push_str(&format!("{export:?}"));
        let scopes = export.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            seen.metrics.push(metric.name.clone());
            seen.measured.insert(metric.name.clone(), metric.clone());
        }
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => value.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
