//! What the telemetry tells: one trace from a request to the notification it causes, and nothing private.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use support::client::PASSWORD;
use support::otlp::{Receiver, Span};
use support::service::JWT_SECRET;
use support::traces::{above, exporting, is_statement, named};
use support::{Service, Stage, eventually};

#[tokio::test]
async fn one_trace_leads_from_a_request_to_the_notification_that_it_causes() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let api = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[("OTEL_SERVICE_NAME", "api")]).await;
    let worker = exporting(&stage, &["work"], &receiver.endpoint, &[("OTEL_SERVICE_NAME", "worker")]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    bob.follow(&ann).await;
    stage.jobs_done().await;
    let answer = ann.client.post("/api/articles", &json!({"title": "News", "body": "at length"})).await;
    let slug = answer.expect(201)["slug"].as_str().unwrap().to_owned();
    stage.jobs_done().await;
    assert_eq!(bob.inbox().await.1, 1);
    let (server, send, process) = ("POST /api/articles", "send article_published", "process article_published");
    let spans =
        receiver.trace(&answer.trace_id(), &[server, send, process, "jobs/complete", "XADD", "XACK XDEL"]).await;

    let request = named(&spans, server);
    assert_eq!((request.kind, request.parent.as_str(), request.status), (SpanKind::Server, "", 0));
    let traceresponse = format!("00-{}-{}-01", request.trace, request.id);
    assert_eq!(answer.header("traceresponse"), Some(traceresponse.as_str()));
    assert_eq!(request.attribute("http.request.method"), "POST");
    assert_eq!(request.attribute("http.route"), "/api/articles");
    assert_eq!(request.attribute("http.response.status_code"), "201");
    assert_eq!(request.attribute("user.id"), ann.id.to_string());
    assert_eq!(request.attribute("db.query_count"), "2");
    assert_eq!(request.resource["service.name"], "api");
    let api_port = api.api.unwrap().port().to_string();
    for (name, value) in [
        ("server.address", "127.0.0.1"),
        ("server.port", api_port.as_str()),
        ("url.scheme", "http"),
        ("url.path", "/api/articles"),
        ("network.protocol.version", "1.1"),
        ("callboard.request.id", answer.header("x-request-id").unwrap()),
    ] {
        assert_eq!(request.attribute(name), value, "{name}");
    }
    assert!(!request.attributes.contains_key("client.address"), "addresses are told only where somebody wants that");

    for (hop, path, message, statement) in [
        ("actor auth/sessions check_session", "root/auth/sessions", "check_session", "auth/check_sessions"),
        ("actor articles/creator create", "root/articles/creator", "create", "articles/create"),
    ] {
        let hop = named(&spans, hop);
        assert_eq!((hop.kind, &hop.parent), (SpanKind::Internal, &request.id));
        assert_eq!(hop.attribute("callboard.actor.path"), path);
        assert_eq!(hop.attribute("callboard.actor.message"), message);
        assert!(hop.attribute("callboard.actor.queue_ms").parse::<f64>().unwrap() >= 0.0);
        let query = named(&spans, statement);
        assert_eq!(query.parent, hop.id);
        is_statement(query, statement);
    }
    assert_eq!(named(&spans, "actor articles/creator create").attribute("article.slug"), slug);

    let producer = named(&spans, send);
    assert_eq!((producer.kind, producer.attribute("messaging.operation.type")), (SpanKind::Producer, "send"));
    assert_eq!(producer.attribute("messaging.destination.name"), "article_published");
    assert_eq!(above(&spans, producer).last(), Some(&server), "{spans:#?}");
    assert_eq!(producer.resource["service.name"], "worker");
    let consumer = named(&spans, process);
    assert_eq!((consumer.kind, consumer.attribute("messaging.operation.type")), (SpanKind::Consumer, "process"));
    assert_eq!(consumer.attribute("callboard.job.attempt"), "1");
    assert_eq!(consumer.attribute("messaging.message.id"), producer.attribute("messaging.message.id"));
    assert_eq!(above(&spans, consumer).last(), Some(&server), "{spans:#?}");
    for statement in ["notifications/tell_followers", "jobs/complete"] {
        let query = named(&spans, statement);
        assert_eq!(query.parent, consumer.id);
        is_statement(query, statement);
    }
    for (command, operation, parent) in [("XADD", "XADD", producer), ("XACK XDEL", "PIPELINE", consumer)] {
        let redis = named(&spans, command);
        assert_eq!((redis.kind, &redis.parent), (SpanKind::Client, &parent.id));
        assert_eq!((redis.attribute("db.system.name"), redis.attribute("db.operation.name")), ("redis", operation));
        assert_eq!(redis.attribute("db.namespace"), stage.redis_url.rsplit(['/', '=']).next().unwrap());
        assert!(!redis.attribute("server.address").is_empty());
        assert_eq!(redis.attributes.contains_key("db.operation.batch.size"), operation == "PIPELINE");
    }
    api.stop().await;
    worker.stop().await;
}

#[tokio::test]
async fn the_callers_span_is_the_parent_and_its_decision_is_kept() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[]).await;
    let (sampled, unsampled) = ("4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c");
    for (trace, flags) in [(unsampled, "00"), (sampled, "01")] {
        let header = format!("00-{trace}-00f067aa0ba902b7-{flags}");
        let answer = service.client().send("GET", "/api/articles", &[("traceparent", &header)], "").await;
        assert_eq!(answer.trace_id(), trace);
        assert!(answer.header("traceresponse").unwrap().ends_with(flags), "{answer:?}");
    }
    let spans = receiver.trace(sampled, &["GET /api/articles", "articles/pages"]).await;
    assert_eq!(named(&spans, "GET /api/articles").parent, "00f067aa0ba902b7");
    service.stop().await;
    assert!(receiver.exported().spans.iter().all(|span| span.trace != unsampled));
}

#[tokio::test]
async fn failures_are_seen_in_the_trace_and_refusals_are_none() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[]).await;
    let refused = service.client().get("/api/articles/nothing").await;
    let spans = receiver.trace(&refused.trace_id(), &["GET /api/articles/{slug}"]).await;
    let request = named(&spans, "GET /api/articles/{slug}");
    assert_eq!((request.status, request.attribute("http.response.status_code")), (0, "404"));
    assert_eq!(request.attribute("url.path"), "/api/articles/nothing");

    let ann = service.client().register("ann").await;
    stage.execute("alter table jobs add constraint none_today check (false) not valid", &[]).await;
    let failed = ann.client.post("/api/articles", &json!({"title": "t", "body": "b"})).await;
    failed.refused(500, "internal_error");
    let spans = receiver.trace(&failed.trace_id(), &["POST /api/articles"]).await;
    let request = named(&spans, "POST /api/articles");
    assert_eq!((request.status, request.attribute("error.type")), (2, "internal_error"));
    let statement = named(&spans, "articles/create");
    assert_eq!((statement.status, statement.attribute("error.type")), (2, "23514"), "a code, no text");
    assert_eq!(statement.attribute("db.response.status_code"), "23514");
    let hop = named(&spans, "actor articles/creator create");
    assert_eq!((hop.status, hop.attribute("error.type")), (2, "23514"));
    let unknown = service.client().get("/nothing/of/this/name").await;
    let spans = receiver.trace(&unknown.trace_id(), &["GET"]).await;
    assert!(!named(&spans, "GET").attributes.contains_key("http.route"), "a raw path is no route");
}

#[tokio::test]
async fn a_statement_that_serves_several_requests_is_linked_with_all_of_them() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[]).await;
    let ann = service.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Shared").await);
    // How many gather is up to chance; that some do is only a matter of time.
    let shared = eventually("two requests share a statement", async || {
        support::at_once(32, |_| {
            let (client, path) = (service.client(), path.clone());
            async move { client.get(&path).await.expect(200) }
        })
        .await;
        let shares = |span: &&Span| span.attributes.contains_key("db.operation.batch.size");
        receiver.exported().spans.iter().find(shares).cloned()
    })
    .await;
    let size: usize = shared.attribute("db.operation.batch.size").parse().unwrap();
    assert_eq!((shared.name.as_str(), shared.links.len()), ("articles/find_by_slugs", size - 1));
    let hop = "actor articles/by_slug find";
    for (trace, id) in &shared.links {
        let spans = receiver.trace(trace, &[hop, "GET /api/articles/{slug}"]).await;
        let hop = named(&spans, hop);
        assert_eq!(&hop.id, id);
        assert!(hop.links.contains(&(shared.trace.clone(), shared.id.clone())), "{hop:?} is linked back");
        assert_eq!(named(&spans, "GET /api/articles/{slug}").attribute("db.query_count"), "1");
    }
}

#[tokio::test]
async fn log_records_carry_the_ids_of_their_request_here_and_there() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &[]).await;
    let answer = service.client().send("GET", "/api/articles", &[("x-request-id", "find-me")], "").await;
    let trace = answer.trace_id();
    let span = answer.header("traceresponse").unwrap().split('-').nth(2).unwrap().to_owned();
    let line = service.logged("of this request", |line| line["request_id"] == "find-me").await;
    assert_eq!((line["trace_id"].as_str(), line["span_id"].as_str()), (Some(trace.as_str()), Some(span.as_str())));
    for field in ["timestamp", "level", "message"] {
        assert!(line[field].is_string(), "{field} is not in {line}");
    }
    let seen = receiver.wait_for("the record", |seen| seen.logs.iter().any(|record| record.trace == trace)).await;
    let record = seen.logs.iter().find(|record| record.trace == trace).unwrap();
    assert_eq!((record.body.as_str(), record.attributes["request_id"].as_str()), ("request completed", "find-me"));
    for name in ["http.server.request.duration", "http_requests_total", "actor.handle.duration"] {
        receiver.wait_for(name, |seen| seen.metrics.iter().any(|metric| metric == name)).await;
    }
}

#[tokio::test]
async fn nothing_private_is_exported_or_logged() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let more = [("LOG_LEVEL", "debug"), ("ADMIN_TOKEN", support::service::ADMIN_TOKEN)];
    let service = exporting(&stage, &["serve"], &receiver.endpoint, &more).await;
    let api = service.client();
    let (ann, bob) = (api.register("ann").await, api.register("bob").await);
    bob.follow(&ann).await;
    let article = json!({"title": "t", "description": "d", "body": "a very private text"});
    let slug = ann.client.post("/api/articles", &article).await.expect(201)["slug"].as_str().unwrap().to_owned();
    ann.client.put(&format!("/api/articles/{slug}"), &article).await.expect(200);
    bob.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
    let login = |email: &str, password: &str| json!({"email": email, "password": password});
    api.post("/api/login", &login(&ann.email, PASSWORD)).await.expect(200);
    api.post("/api/login", &login(&ann.email, "a wrong guess")).await.expect(401);
    api.post("/api/login", &login("somebody@else.example", PASSWORD)).await.expect(401);
    api.post("/api/register", &json!({"email": ann.email, "name": "x", "password": PASSWORD})).await.expect(409);
    api.post("/api/register", &json!({"email": "not.fit@example.com", "name": "", "password": "x"})).await.expect(400);
    let spent = json!({"refresh_token": ann.refresh});
    let next = api.post("/api/token/refresh", &spent).await.expect(200);
    api.post("/api/token/refresh", &spent).await.expect(401);
    bob.client.ask("/api/logout").await.expect(200);
    service.operator().with_token(support::service::ADMIN_TOKEN).get("/actors").await.expect(200);
    // A failure of ours is logged with what the database said, which can repeat what people wrote.
    stage.execute("alter table users add constraint nobody_today check (false) not valid", &[]).await;
    let body = json!({"email": "late@example.com", "name": "Late", "password": PASSWORD});
    api.post("/api/register", &body).await.expect(500);
    stage.jobs_done().await;
    let last = api.get("/api/articles").await.trace_id();
    receiver.trace(&last, &["GET /api/articles"]).await;
    let lines = service.stop().await.join("\n");
    let exported = receiver.exported().text;
    let refreshed = next["token"]["refresh_token"].as_str().unwrap();
    let private = [
        "ann@example.com",
        "bob@example.com",
        "somebody@else.example",
        "not.fit@example.com",
        "late@example.com",
        PASSWORD,
        "a wrong guess",
        "argon2id$",
        "a very private text",
        JWT_SECRET,
        support::service::ADMIN_TOKEN,
        ann.access.as_str(),
        ann.refresh.as_str(),
        refreshed,
        ann.access.rsplit('.').next().unwrap(),
    ];
    for secret in private {
        assert!(!exported.contains(secret), "{secret} was exported");
        assert!(!lines.contains(secret), "{secret} was logged");
    }
    assert!(exported.contains("POST /api/login") && lines.contains("request completed"), "there was something to see");
}

#[tokio::test]
async fn probes_make_no_spans() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let service = exporting(&stage, &["serve"], &receiver.endpoint, &[]).await;
    for _ in 0..3 {
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(service.operator().get(path).await.status, 200, "{path}");
        }
        service.client().get("/api/health").await;
    }
    let seen = service.client().get("/api/articles").await.trace_id();
    receiver.trace(&seen, &["GET /api/articles"]).await;
    let lines = service.stop().await;
    // An idle service looks at its jobs all the time, which is nobody's request either.
    let others: Vec<_> = receiver.exported().spans.into_iter().filter(|span| span.trace != seen).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(lines.iter().all(|line| !line.contains("/healthz") && !line.contains("/api/health")), "{lines:#?}");
}

#[tokio::test]
async fn without_a_place_to_export_to_nothing_is_exported_and_nothing_complains() {
    let stage = Stage::new().await;
    let receiver = Receiver::start().await;
    let disabled = [("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str())];
    for variables in [&[][..], &disabled] {
        let service = Service::start(&stage, variables).await;
        let answer = service.client().get("/api/articles/nothing").await;
        assert_eq!(answer.refused(404, "not_found")["trace_id"], answer.trace_id());
        let line = service.logged("of this request", |line| line["http.response.status_code"] == 404).await;
        assert_eq!(line["trace_id"], answer.trace_id());
        let lines = service.stop().await.join("\n").to_lowercase();
        for word in ["otlp", "export", "opentelemetry", "\"warn\"", "\"error\""] {
            assert!(!lines.contains(word), "{lines}");
        }
    }
    assert_eq!(receiver.exported().text, "");
}

#[tokio::test]
async fn a_receiver_that_never_answers_harms_nobody() {
    let stage = Stage::new().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let service = exporting(&stage, &["serve"], &endpoint, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")]).await;
    let ann = service.client().register("ann").await;
    for number in 0..20 {
        ann.publish(&format!("Number {number}")).await;
    }
    stage.jobs_done().await;
    service.stop().await;
}

#[tokio::test]
async fn a_span_says_where_its_request_came_from_as_far_as_that_is_to_be_believed() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    for (trusted, expected) in [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.9")] {
        let more = [("TRUSTED_PROXIES", trusted), ("TRACE_CLIENT_ADDRESS", "true")];
        let api = exporting(&stage, &["serve", "--no-workers"], &receiver.endpoint, &more).await;
        let headers = [("x-forwarded-for", "198.51.100.1, 203.0.113.9")];
        let answer = api.client().send("GET", "/api/articles", &headers, "").await;
        let trace = receiver.trace(&answer.trace_id(), &["GET /api/articles"]).await;
        assert_eq!(named(&trace, "GET /api/articles").attribute("client.address"), expected);
    }
}
