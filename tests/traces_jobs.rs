//! What becomes of a job is seen in the trace of the request that caused it, to the last attempt, and never holds that
//! request's spans open.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use support::hooks::{Hooks, QUICK, ann_and_bob, hook, settled};
use support::otlp::{Receiver, Span};
use support::traces::{CALLER, above, all_named, exporting, traceparent};
use support::{Stage, eventually};

fn of_caller(spans: &[Span]) -> Vec<Span> {
    spans.iter().filter(|span| span.trace == CALLER.0).cloned().collect()
}

#[tokio::test]
async fn every_attempt_of_a_job_is_in_the_trace_that_caused_it_and_the_last_says_that_it_was() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve"], &receiver.endpoint, &[("JOB_BACKOFF_MS", "1")]).await;
    let insert = "insert into jobs (kind, args, max_attempts, traceparent) values ('followed', '{}', 3, $1)";
    stage.execute(insert, &[&traceparent(true)]).await;
    stage.jobs_done().await;
    let seen = receiver
        .wait_for("three attempts", |seen| all_named(&of_caller(&seen.spans), "process followed").len() == 3)
        .await;
    let spans = of_caller(&seen.spans);
    let creation = (CALLER.0.to_owned(), CALLER.1.to_owned());
    // Sent again by the reconciler, which has just met this Redis, if the relay was faster than it.
    let producers = all_named(&spans, "send followed");
    let is_sent = |span: &&Span| (span.kind, span.parent.as_str()) == (SpanKind::Producer, CALLER.1);
    assert!(producers.iter().all(is_sent), "{producers:?}");
    let producer = producers[0];
    let mut ends = Vec::new();
    for attempt in all_named(&spans, "process followed") {
        assert_eq!((attempt.kind, attempt.parent.as_str(), attempt.status), (SpanKind::Consumer, CALLER.1, 2));
        assert!(attempt.links.contains(&creation), "{attempt:?} is linked with what made the message");
        assert_eq!(attempt.attribute("error.type"), "bad_arguments");
        assert_eq!(attempt.attribute("messaging.consumer.group.name"), "workers");
        assert_eq!(attempt.attribute("messaging.message.id"), producer.attribute("messaging.message.id"));
        ends.push((attempt.attribute("callboard.job.attempt"), attempt.attribute("callboard.job.state")));
    }
    ends.sort_unstable();
    assert_eq!(ends, [("1", "scheduled"), ("2", "scheduled"), ("3", "discarded")]);
    let jobs = service.operator().get("/jobs?state=discarded").await.expect(200);
    assert_eq!(jobs["jobs"][0]["trace_id"], CALLER.0);
}

#[tokio::test]
async fn an_attempt_whose_process_died_is_seen_as_well_as_the_one_that_made_up_for_it() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let api = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    stage.execute("insert into follows (follower_id, followed_id) values ($1, $2)", &[&bob.id, &ann.id]).await;
    let lock = stage.locked("notifications").await;
    let doomed = exporting(&stage, &["work"], &receiver.endpoint, &[]).await;
    let answer = ann.client.post("/api/articles", &json!({"title": "t", "body": "b"})).await;
    answer.expect(201);
    eventually("the attempt is under way", async || (stage.waiting_for_locks().await > 0).then_some(())).await;
    doomed.kill();
    doomed.ended().await;
    lock.batch_execute("rollback").await.unwrap();
    let other = exporting(&stage, &["work"], &receiver.endpoint, &[]).await;
    stage.jobs_done().await;
    let process = "process article_published";
    let seen = receiver
        .wait_for("both attempts", |seen| {
            seen.spans.iter().filter(|span| span.name == process && span.trace == answer.trace_id()).count() == 2
        })
        .await;
    let spans: Vec<Span> = seen.spans.into_iter().filter(|span| span.trace == answer.trace_id()).collect();
    let attempts = all_named(&spans, process);
    let attempt =
        |number: &str| *attempts.iter().find(|span| span.attribute("callboard.job.attempt") == number).unwrap();
    let (first, second) = (attempt("1"), attempt("2"));
    assert_eq!((first.status, first.attribute("error.type")), (2, "worker_died"));
    assert_eq!(
        (first.attribute("callboard.job.rescued"), first.attribute("callboard.job.state")),
        ("true", "available")
    );
    assert_eq!((second.status, second.attribute("callboard.job.state")), (0, "completed"));
    for attempt in [first, second] {
        assert_eq!(above(&spans, attempt).last(), Some(&"POST /api/articles"));
    }
    other.stop().await;
}

#[tokio::test]
async fn a_request_ends_in_its_trace_while_its_job_is_stuck() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve"], &receiver.endpoint, &[]).await;
    let (ann, _) = ann_and_bob(&stage, &service).await;
    let lock = stage.locked("notifications").await;
    let answer = ann.client.post("/api/articles", &json!({"title": "t", "body": "b"})).await;
    answer.expect(201);
    eventually("the job is stuck", async || (stage.waiting_for_locks().await > 0).then_some(())).await;
    let hop = "actor articles/creator create";
    let spans = receiver.trace(&answer.trace_id(), &["POST /api/articles", hop, "articles/create"]).await;
    assert!(all_named(&spans, "process article_published").is_empty(), "{spans:#?}");
    let running = "select count(*) from jobs where state = 'running' and kind = 'article_published'";
    assert_eq!(stage.number(running).await, 1, "it is stuck still");
    lock.batch_execute("rollback").await.unwrap();
    receiver.trace(&answer.trace_id(), &["process article_published"]).await;
    service.stop().await;
}

#[tokio::test]
async fn a_receiver_of_webhooks_is_told_the_trace_and_spans_tell_nothing_of_its_path() {
    let (stage, receiver, hooks) = (Stage::new().await, Receiver::start().await, Hooks::start().await);
    let service = exporting(&stage, &["serve"], &receiver.endpoint, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let webhook = hook(&bob, &hooks.url, None).await;
    hooks.answer(&[500]);
    let answer = ann.client.post("/api/articles", &json!({"title": "t", "body": "b"})).await;
    answer.expect(201);
    settled(&bob, &webhook, "delivered").await;
    let received = hooks.requests(2).await;
    let seen =
        receiver.wait_for("both calls", |seen| seen.spans.iter().filter(|span| span.name == "POST").count() == 2).await;
    let port = hooks.url.split([':', '/']).nth(4).unwrap();
    for (request, status) in received.iter().zip(["500", "204"]) {
        assert_eq!(request.trace_id(), answer.trace_id());
        let id = request.header("traceparent").split('-').nth(2).unwrap();
        let call = seen.spans.iter().find(|span| span.id == id).expect("the span that the receiver was told");
        assert_eq!((call.kind, call.attribute("http.request.method")), (SpanKind::Client, "POST"));
        assert_eq!(call.attribute("http.response.status_code"), status);
        assert_eq!((call.attribute("server.address"), call.attribute("server.port")), ("127.0.0.1", port));
        assert_eq!(call.attribute("url.full"), format!("http://127.0.0.1:{port}"));
        let failed = call.attributes.get("error.type").map(String::as_str);
        assert_eq!((call.status, failed), if status == "500" { (2, Some("500")) } else { (0, None) });
    }
    let attempts = all_named(&seen.spans, "process webhook_delivery");
    assert!(attempts.iter().any(|span| span.attributes.get("error.type").is_some_and(|kind| kind == "500")));
    assert!(!seen.text.contains("/hook") && !seen.text.contains("of-the-owner"));
}
