//! Which requests are recorded: decided once, by the settings of the OpenTelemetry specification and by ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeSet;

use support::otlp::Receiver;
use support::traces::{CALLER, exporting, named, traceparent};
use support::{Answer, Service, Stage};

const PATH: &str = "/api/articles";

/// Whether the answer says that the request was recorded.
fn recorded(answer: &Answer) -> bool {
    answer.header("traceresponse").unwrap().ends_with("-01")
}

async fn asked(service: &Service, headers: &[(&str, &str)]) -> Answer {
    let answer = service.client().send("GET", PATH, headers, "").await;
    answer.expect(200);
    answer
}

/// Below a half by the specification's rule: the last eight bytes of the trace's id are what counts.
fn in_the_lower_half(trace: &str) -> bool {
    u64::from_str_radix(&trace[16..], 16).unwrap() < 1 << 63
}

#[tokio::test]
async fn the_six_samplers_decide_once_for_all_of_a_trace() {
    let stage = Stage::new().await;
    // What becomes of a request without a caller, and of callers whose requests are and are not recorded.
    let (always, never, by_id) = (Some(true), Some(false), None);
    for (sampler, alone, below_recorded, below_unrecorded) in [
        ("always_on", always, always, always),
        ("always_off", never, never, never),
        ("traceidratio", by_id, by_id, by_id),
        ("parentbased_always_on", always, always, never),
        ("parentbased_always_off", never, always, never),
        ("parentbased_traceidratio", by_id, always, never),
    ] {
        let receiver = Receiver::start().await;
        let more = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
        let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &more).await;
        let mut expected = BTreeSet::new();
        let mut judge = |answer: &Answer, rule: Option<bool>| {
            let trace = answer.trace_id();
            assert_eq!(recorded(answer), rule.unwrap_or_else(|| in_the_lower_half(&trace)), "{sampler}: {trace}");
            if recorded(answer) {
                expected.insert(trace);
            }
        };
        for _ in 0..24 {
            judge(&asked(&service, &[]).await, alone);
        }
        for (flags, rule) in [("01", below_recorded), ("00", below_unrecorded)] {
            for (number, low) in ["0af7651916cd43dd", "f448eb211c80319c"].iter().enumerate() {
                // A trace of its own for each.
                let header = format!("00-4bf92f3577b34d{flags}{low}-00f067aa0ba9020{number}-{flags}");
                let answer = asked(&service, &[("traceparent", &header)]).await;
                assert!(header.contains(&answer.trace_id()), "the caller's trace goes on");
                judge(&answer, rule);
            }
        }
        service.stop().await;
        let spans = receiver.exported().spans;
        let of = |name: &str| -> BTreeSet<String> {
            spans.iter().filter(|span| span.name == name).map(|span| span.trace.clone()).collect()
        };
        assert_eq!(of("GET /api/articles"), expected, "{sampler}");
        assert_eq!(of("articles/pages"), expected, "{sampler}: a trace is recorded as a whole, or not at all");
        assert!(spans.iter().all(|span| expected.contains(&span.trace)), "{sampler}");
    }
}

#[tokio::test]
async fn a_half_is_about_a_half() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let more = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &more).await;
    let mut count = 0;
    for _ in 0..200 {
        count += u32::from(recorded(&asked(&service, &[]).await));
    }
    // A fair coin falls outside of this once in a hundred thousand million times.
    assert!((52..=148).contains(&count), "{count} of 200");
    service.stop().await;
}

#[tokio::test]
async fn routes_that_are_excluded_make_no_spans_and_are_logged_all_the_same() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let more = [("TRACE_EXCLUDE", "GET /api/articles, /api/user")];
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &more).await;
    let headers = [("traceparent", &*traceparent(true)), ("x-request-id", "excluded")];
    let excluded = asked(&service, &headers).await;
    assert_eq!((excluded.trace_id().as_str(), recorded(&excluded)), (CALLER.0, false));
    let line = service.logged("of this request", |line| line["request_id"] == "excluded").await;
    assert_eq!(line["trace_id"], CALLER.0);
    let ann = service.client().register("ann").await;
    ann.client.get("/api/user").await.expect(200);
    assert!(recorded(&ann.client.post(PATH, &serde_json::json!({"title": "t", "body": "b"})).await));
    service.stop().await;
    let spans = receiver.exported().spans;
    assert!(spans.iter().all(|span| span.trace != CALLER.0 && span.name != "GET /api/user"), "{spans:#?}");
    named(&spans, "POST /api/articles");
}

#[tokio::test]
async fn a_caller_whose_headers_do_not_count_is_none() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let more = [("OTEL_PROPAGATORS", "none")];
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &more).await;
    let answer = asked(&service, &[("traceparent", &traceparent(true))]).await;
    assert_ne!(answer.trace_id(), CALLER.0);
    let spans = receiver.trace(&answer.trace_id(), &["GET /api/articles"]).await;
    assert_eq!(named(&spans, "GET /api/articles").parent, "");
}

#[tokio::test]
async fn what_the_callers_tracing_system_says_of_the_trace_is_in_all_of_its_spans() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[]).await;
    let headers = [("traceparent", &*traceparent(true)), ("tracestate", "vendor=a1,other=b2")];
    asked(&service, &headers).await;
    let spans = receiver.trace(CALLER.0, &["GET /api/articles", "articles/pages"]).await;
    assert!(spans.iter().all(|span| span.state == "vendor=a1,other=b2"), "{spans:#?}");
}
