//! What spans tell of the statements that a request runs, and what PostgreSQL is told of the span.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Instant;

use serde_json::json;
use support::client::PASSWORD;
use support::otlp::Receiver;
use support::traces::{exporting, is_statement, named};
use support::{Stage, eventually};

#[tokio::test]
async fn a_statement_that_a_request_runs_again_and_again_is_noticed() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[]).await;
    let ann = service.client().register("ann").await;
    // Those of somebody who leaves are deleted by the five hundred.
    let insert = "insert into articles (author_id, slug, title, body)
                  select $1, 'a-' || n, 't', 'b' from generate_series(1, 3600) as n";
    stage.execute(insert, &[&ann.id]).await;
    let left = ann.client.json("DELETE", "/api/user", &json!({"current_password": PASSWORD})).await;
    assert_eq!(left.status, 204, "{left:?}");
    let spans = receiver.trace(&left.trace_id(), &["DELETE /api/user"]).await;
    let request = named(&spans, "DELETE /api/user");
    assert_eq!(request.attribute("db.potential_n_plus_one"), "true", "{spans:#?}");
    let statements = spans.iter().filter(|span| span.attributes.contains_key("db.query.summary")).count();
    assert_eq!(request.attribute("db.query_count"), statements.to_string());
    let read = service.client().get("/api/articles").await;
    let spans = receiver.trace(&read.trace_id(), &["GET /api/articles"]).await;
    assert!(!named(&spans, "GET /api/articles").attributes.contains_key("db.potential_n_plus_one"));
}

#[tokio::test]
async fn a_sampled_statement_names_its_span_to_postgresql_where_the_settings_say_so() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    for (comments, shown) in [("true", true), ("false", false)] {
        // What was read before would not be read again.
        let more = [("TRACE_SQL_COMMENTS", comments), ("KEPT_BYTES", "0")];
        let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &more).await;
        let ann = service.client().register("ann").await;
        let (slug, title) = (ann.publish("Found").await, format!("New title, {comments}"));
        // Each connection prepares a statement once, and waits for locks then as well.
        for _ in 0..4 {
            ann.client.get("/api/user").await.expect(200);
        }
        let lock = stage.locked("users").await;
        let reading = tokio::spawn({
            let client = ann.client.clone();
            async move { client.get("/api/user").await }
        });
        // What a connection waits for is read a moment later than its query, which may still be the one before: that is idle.
        let waiting = "select query from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock' and state = 'active'";
        let query: String =
            eventually("the statement waits", async || stage.query(waiting, &[]).await.first().map(|row| row.get(0)))
                .await;
        lock.batch_execute("rollback").await.unwrap();
        let answer = reading.await.unwrap();
        assert_eq!(answer.expect(200)["name"], "ann");
        let spans = receiver.trace(&answer.trace_id(), &["auth/find_current_users", "GET /api/user"]).await;
        let statement = named(&spans, "auth/find_current_users");
        is_statement(statement, "auth/find_current_users");
        let comment = format!("/*traceparent='00-{}-{}-01'*/", statement.trace, statement.id);
        assert_eq!(query.ends_with(&comment), shown, "{query}");
        assert_eq!(query.contains("traceparent"), shown, "{query}");
        assert!(!statement.attribute("db.query.text").contains("traceparent"));
        // Writes, and transactions of several statements, go the same way.
        let changed = ann.client.put(&format!("/api/articles/{slug}"), &json!({"title": title, "body": "b"})).await;
        assert_eq!(changed.expect(200)["title"], title);
        ann.client.json("DELETE", "/api/user", &json!({"current_password": PASSWORD})).await;
        service.stop().await;
    }
}

#[tokio::test]
async fn what_redis_is_asked_is_seen_and_so_is_that_it_does_not_answer() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    // Bound and not listened at: who connects is refused, and nobody else gets the port.
    let vacant = tokio::net::TcpSocket::new_v4().unwrap();
    vacant.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = format!("redis://{}", vacant.local_addr().unwrap());
    for (url, error) in [(stage.redis_url.as_str(), None), (nobody.as_str(), Some("connection"))] {
        let more = [("RATE_LIMITS", "on"), ("REDIS_URL", url), ("RATE_LIMIT_REDIS_TIMEOUT_MS", "20000")];
        let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &more).await;
        let body = json!({"email": format!("{}@example.com", error.is_some()), "name": "n", "password": PASSWORD});
        let answer = service.client().post("/api/register", &body).await;
        answer.expect(201);
        let name = "EVALSHA throttle/weigh";
        let spans = receiver.trace(&answer.trace_id(), &[name, "POST /api/register"]).await;
        let script = spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(script.attribute("db.operation.name"), "EVALSHA");
        assert_eq!(script.attribute("db.stored_procedure.name"), "throttle/weigh");
        assert_eq!(script.attributes.get("error.type").map(String::as_str), error);
        assert_eq!(script.status, if error.is_some() { 2 } else { 0 });
    }
}

#[tokio::test]
async fn a_hop_covers_the_wait_and_the_work_and_says_how_long_the_wait_was() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[]).await;
    let slug = service.client().register("ann").await.publish("Waited for").await;
    let lock = stage.locked("articles").await;
    let mut reading = Vec::new();
    // The first ones keep the actor's hands full, so that the last one waits in its mailbox. Seen there once it
    // may be about to be taken; who is still there at a second look, when nobody came after, waits for a hand.
    eventually("one waits", async || {
        let (client, path) = (service.client(), format!("/api/articles/{slug}"));
        reading.push(tokio::spawn(async move { client.get(&path).await }));
        for _ in 0..2 {
            let actor = service.actor("root/articles/by_slug").await;
            if actor["mailbox_depth"].as_u64() == Some(0) {
                return None;
            }
        }
        Some(())
    })
    .await;
    let since = Instant::now();
    assert!(stage.waiting_for_locks().await > 0, "their statements wait");
    let waited = since.elapsed();
    lock.batch_execute("rollback").await.unwrap();
    let mut longest: f64 = 0.0;
    for reading in reading {
        let answer = reading.await.unwrap();
        answer.expect(200);
        let (hop, server) = ("actor articles/by_slug find", "GET /api/articles/{slug}");
        let spans = receiver.trace(&answer.trace_id(), &[hop, server]).await;
        let (hop, server) = (named(&spans, hop), named(&spans, server));
        let queue_ms: f64 = hop.attribute("callboard.actor.queue_ms").parse().unwrap();
        let millis = |(began, ended): (u64, u64)| (ended - began) as f64 / 1e6;
        assert!(millis(hop.time) >= queue_ms, "{hop:?}");
        assert!(millis(server.time) >= millis(hop.time), "{server:?} {hop:?}");
        if let Some(statement) = spans.iter().find(|span| span.parent == hop.id) {
            // Two clocks: one for spans, one for waits.
            assert!(
                millis((hop.time.0, statement.time.0)) + 1.0 >= queue_ms,
                "{statement:?} begins after {hop:?} waited"
            );
        }
        longest = longest.max(queue_ms);
    }
    assert!(longest >= waited.as_secs_f64() * 1e3, "{longest} ms, and nobody was answered for {waited:?}");
}
