//! What any HTTP client may expect, whatever it asks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::json;
use support::{Client, Service, Stage, at_once, raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn head_answers_as_get_does_without_the_body() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let slug = ann.publish("Of Ann").await;
    let article = format!("/api/articles/{slug}");
    for path in ["/api/articles", &article, "/api/user", "/api/articles/nothing", "/api/openapi.json", "/docs"] {
        let get = ann.client.get(path).await;
        let head = ann.client.send("HEAD", path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for header in ["content-type", "etag"] {
            assert_eq!(head.header(header), get.header(header), "{path} {header}");
        }
        if get.status == 200 {
            assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
        }
    }
    let head = service.operator().send("HEAD", "/healthz", &[], "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(ann.client.send("HEAD", "/api/register", &[], "").await.status, 405);
}

#[tokio::test]
async fn options_names_the_methods_of_a_path() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    for (path, methods) in [
        ("/api/articles", "GET, POST, HEAD, OPTIONS"),
        ("/api/articles/any", "GET, PUT, DELETE, HEAD, OPTIONS"),
        ("/api/login", "POST, OPTIONS"),
        ("/api/health", "GET, HEAD, OPTIONS"),
    ] {
        let answer = service.client().send("OPTIONS", path, &[], "").await;
        assert_eq!((answer.status / 100, answer.header("allow")), (2, Some(methods)), "{path}");
    }
    service.client().send("OPTIONS", "/nothing", &[], "").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_makes_no_difference() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let slug = ann.publish("Of Ann").await;
    for path in ["/api/articles", "/api/user", "/api/articles/feed", &format!("/api/articles/{slug}")] {
        let (with, without) = (ann.client.get(&format!("{path}/")).await, ann.client.get(path).await);
        assert_eq!(with.expect(200), without.expect(200), "{path}");
    }
    ann.client.post("/api/articles/", &json!({"title": "t", "body": "b"})).await.expect(201);
    ann.client.ask(&format!("/api/articles/{slug}/favorite/")).await.expect(200);
    assert_eq!(ann.client.get("/api/articles/?limit=1").await.expect(200)["count"], 1);
    service.operator().get("/actors/").await.expect(200);
}

#[tokio::test]
async fn a_request_id_is_taken_or_made_and_always_returned() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let send = async |path: &str, id: &str| service.client().send("GET", path, &[("x-request-id", id)], "").await;
    let longest = "~".repeat(128);
    for path in ["/api/articles", "/nothing", "/api/health"] {
        for id in ["mine", "a b c/{}", &longest] {
            assert_eq!(send(path, id).await.header("x-request-id"), Some(id), "{path}");
        }
        for id in ["", "x".repeat(129).as_str(), "ä", "tab\there"] {
            let made = send(path, id).await.header("x-request-id").unwrap().to_owned();
            assert!(made != id && made.len() >= 16, "{path} {id} {made}");
        }
    }
    let made = at_once(8, |_| {
        let client = service.client();
        async move { client.get("/api/articles").await.header("x-request-id").unwrap().to_owned() }
    });
    let made: std::collections::HashSet<_> = made.await.into_iter().collect();
    assert_eq!(made.len(), 8, "each request has an id of its own");
    send("/api/articles", "find-me").await;
    let line = service.logged("of this request", |line| line["request_id"] == "find-me").await;
    assert_eq!(line["http.response.status_code"], 200);
}

#[tokio::test]
async fn the_callers_trace_goes_on_and_every_response_says_which_it_is() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let send = async |path: &str, traceparent: &str| {
        service.client().send("GET", path, &[("traceparent", traceparent)], "").await
    };
    for flags in ["00", "01"] {
        let traceparent = format!("00-{trace}-00f067aa0ba902b7-{flags}");
        let error = send("/api/articles/nothing", &traceparent).await;
        assert_eq!(error.refused(404, "not_found")["trace_id"], trace);
        assert_eq!(error.trace_id(), trace);
        assert_eq!(send("/api/articles", &traceparent).await.trace_id(), trace);
        assert_eq!(send("/nothing", &traceparent).await.trace_id(), trace);
    }
    for malformed in ["", "x", "00-0-0-00", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "ff-a-b-01"] {
        let answer = send("/api/user", malformed).await;
        assert_eq!(answer.refused(401, "unauthorized")["trace_id"], answer.trace_id());
        assert_ne!(answer.trace_id(), trace);
    }
    for path in ["/api/articles", "/nothing", "/api/health", "/docs"] {
        let (first, second) = (service.client().get(path).await, service.client().get(path).await);
        assert!(first.trace_id().len() == 32 && first.trace_id() != second.trace_id(), "{path}");
    }
    assert_eq!(service.operator().get("/healthz").await.trace_id().len(), 32);
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_spoken() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let client = Client::new_http2(service.api.unwrap());
    let ann = client.register("ann").await;
    let slugs = at_once(32, |number| {
        let ann = ann.clone();
        async move { ann.publish(&format!("Number {number}")).await }
    });
    assert_eq!(slugs.await.len(), 32);
    assert_eq!(client.get("/api/articles").await.expect(200)["total"], 32);
    client.get("/api/user").await.refused(401, "unauthorized");
    let head = client.send("HEAD", "/api/articles", &[], "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    Client::new_http2(service.admin).get("/readyz").await.expect(200);
}

#[tokio::test]
async fn one_connection_serves_requests_one_after_the_other() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let request = "GET /api/articles HTTP/1.1\r\nHost: test\r\n\r\n";
    let last = "GET /api/articles HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let answers = raw::exchange(service.api.unwrap(), [request, request, last].concat().as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    let old = raw::exchange(service.api.unwrap(), b"GET /api/articles HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 OK"), "{old}");
}

async fn connected(service: &Service, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(service.api.unwrap()).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn clients_that_send_nothing_keep_nobody_out_and_nothing_from_stopping() {
    let stage = Stage::new().await;
    // With a grace period as long as this one, whoever were waited for would be waited for in vain.
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("SHUTDOWN_GRACE_MS", "600000")]).await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(connected(&service, "").await);
    }
    // A connection that is kept between two requests is no reason to wait either.
    let mut kept = connected(&service, "GET /api/articles HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let mut answer = [0; 15];
    kept.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    service.client().get("/api/articles").await.expect(200);
    service.stop().await;
    drop(silent);
}

#[tokio::test]
async fn clients_that_send_half_of_something_are_cut_off_when_the_grace_period_is_over() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("SHUTDOWN_GRACE_MS", "500")]).await;
    let mut halves = Vec::new();
    for half in ["GET", "GET /api/articles HTTP/1.1\r\nHost:", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        for _ in 0..8 {
            halves.push(connected(&service, half).await);
        }
    }
    service.client().get("/api/articles").await.expect(200);
    service.stop().await;
    drop(halves);
}

#[tokio::test]
async fn bytes_that_never_become_a_request_do_not_hold_a_connection() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("HTTP_HEAD_TIMEOUT_MS", "300")]).await;
    // Each may still become HTTP/1.1 or HTTP/2, or is HTTP/2 that asks for nothing.
    for start in ["", "P", "PRI ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /api/art", "GET / HTTP/1.1\r\nHost:"] {
        raw::exchange(service.api.unwrap(), start.as_bytes()).await;
    }
    service.client().get("/api/articles").await.expect(200);
}

#[tokio::test]
async fn a_body_that_ends_early_changes_nothing_and_harms_nobody() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("HTTP_REQUEST_TIMEOUT_MS", "2000")]).await;
    let ann = service.client().register("ann").await;
    let head = format!(
        "POST /api/articles HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{\"title\":\"t\",",
        ann.access
    );
    let mut gone = TcpStream::connect(service.api.unwrap()).await.unwrap();
    gone.write_all(head.as_bytes()).await.unwrap();
    drop(gone);
    // One that never comes is not waited for without end.
    let answer = raw::exchange(service.api.unwrap(), head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(stage.number("select count(*) from articles").await, 0);
    service.client().get("/api/articles").await.expect(200);
}
