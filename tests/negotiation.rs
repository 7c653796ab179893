//! What a client says that it takes and sends, and what browsers are told: the same over HTTP/1.1 and HTTP/2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use support::{Client, Events, Service, Stage, raw};

const ARTICLE: &str = r#"{"title":"t","body":"b"}"#;

async fn both(stage: &Stage) -> (Service, [Client; 2]) {
    let service = Service::run(stage, &["serve", "--no-workers"], &[]).await;
    let clients = [service.client(), Client::new_http2(service.api.unwrap())];
    (service, clients)
}

#[tokio::test]
async fn who_takes_nothing_that_we_have_is_refused_before_anything_is_done() {
    let stage = Stage::new().await;
    let (service, clients) = both(&stage).await;
    let ann = service.client().register("ann").await;
    let json = ("content-type", "application/json");
    for client in clients.map(|client| ann.at(&client)) {
        let accept = async |path: &str, accept: &str| client.send("GET", path, &[("accept", accept)], "").await;
        for taken in ["*/*", "application/*", "text/html, */*;q=0.1", "application/json; charset=utf-8", ""] {
            accept("/api/articles", taken).await.expect(200);
        }
        for other in ["text/html", "application/json;q=0", "*/*;q=0", "application/json;q=0, */*"] {
            accept("/api/articles", other).await.refused(406, "not_acceptable");
            let headers = [json, ("accept", other)];
            client.send("POST", "/api/articles", &headers, ARTICLE).await.refused(406, "not_acceptable");
        }
        accept("/nothing", "text/html").await.refused(404, "not_found");
        assert_eq!(accept("/docs", "text/html").await.status, 200);
        accept("/docs", "application/json").await.refused(406, "not_acceptable");
        accept("/api/notifications/stream", "application/json").await.refused(406, "not_acceptable");
    }
    assert_eq!(stage.number("select count(*) from articles").await, 0);
    let probe = service.operator().send("GET", "/healthz", &[("accept", "image/png")], "").await;
    assert_eq!(probe.status, 200, "probes are not asked what they take");
}

#[tokio::test]
async fn a_body_is_json_in_utf_8_as_it_is() {
    let stage = Stage::new().await;
    let (service, clients) = both(&stage).await;
    let ann = service.client().register("ann").await;
    for client in clients.map(|client| ann.at(&client)) {
        let send = async |headers: &[(&str, &str)]| client.send("POST", "/api/articles", headers, ARTICLE).await;
        for json in ["application/json", "Application/JSON;charset=UTF-8", "application/json; charset=\"utf-8\"; x=y"] {
            send(&[("content-type", json)]).await.expect(201);
        }
        send(&[("content-type", "application/json"), ("content-encoding", "identity")]).await.expect(201);
        for other in ["text/plain", "application/json; charset=iso-8859-1", "application/x-www-form-urlencoded"] {
            let answer = send(&[("content-type", other)]).await;
            answer.refused(415, "unsupported_media_type");
            assert_eq!(answer.header("accept"), Some("application/json"), "{other}");
        }
        for coding in ["gzip", "identity, gzip", "br"] {
            let answer = send(&[("content-type", "application/json"), ("content-encoding", coding)]).await;
            answer.refused(415, "unsupported_media_type");
            assert_eq!(answer.header("accept-encoding"), Some("identity"), "{coding}");
        }
    }
    assert_eq!(stage.number("select count(*) from articles").await, 8);
}

#[tokio::test]
async fn every_answer_tells_browsers_to_leave_it_alone() {
    let stage = Stage::new().await;
    let (service, [one, two]) = both(&stage).await;
    for client in [one, two, service.operator()] {
        for path in ["/api/articles", "/nothing", "/api/user", "/docs", "/actors", "/"] {
            for method in ["GET", "HEAD", "OPTIONS", "PATCH"] {
                let answer = client.send(method, path, &[], "").await;
                for (header, value) in [
                    ("x-content-type-options", "nosniff"),
                    ("referrer-policy", "no-referrer"),
                    ("x-frame-options", "DENY"),
                    ("cross-origin-resource-policy", "same-origin"),
                ] {
                    assert_eq!(answer.header(header), Some(value), "{method} {path} {header}");
                }
                let policy = answer.header("content-security-policy").unwrap();
                assert!(
                    policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                    "{policy}"
                );
            }
        }
    }
}

#[tokio::test]
async fn methods_that_are_for_no_path_or_for_nobody_are_answered_soundly() {
    let stage = Stage::new().await;
    let (service, [one, two]) = both(&stage).await;
    let whole = raw::exchange(service.api.unwrap(), b"OPTIONS * HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let whole = whole.await.to_lowercase();
    assert!(
        whole.starts_with("http/1.1 204") && whole.contains("allow: get, head, post, put, delete, options"),
        "{whole}"
    );
    for client in [one, two] {
        for method in ["TRACE", "PATCH", "BREW"] {
            let answer = client.send(method, "/api/articles", &[], "").await;
            answer.refused(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("GET, POST, HEAD, OPTIONS"), "{method}");
        }
        // No header makes one method another.
        let headers = [("x-http-method-override", "DELETE")];
        client.send("POST", "/api/articles/any", &headers, "").await.refused(405, "method_not_allowed");
    }
    let connect = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";
    let connect = raw::exchange(service.api.unwrap(), connect).await;
    assert!(connect.starts_with("HTTP/1.1 404"), "{connect}");
}

#[tokio::test]
async fn head_of_a_stream_tells_what_it_would_be_and_opens_none() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("LIVE_STREAMS_MAX", "1")]).await;
    let ann = service.client().register("ann").await;
    // The only place is taken.
    let url = format!("http://{}/api/notifications/stream", service.api.unwrap());
    let _open = Events::open(&url, Some(&ann.access), None).await;
    ann.client.get("/api/notifications/stream").await.refused(503, "overloaded");
    for _ in 0..3 {
        let head = ann.client.send("HEAD", "/api/notifications/stream", &[], "").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!((head.header("cache-control"), head.header("content-length")), (Some("no-store"), None));
    }
    service.client().send("HEAD", "/api/notifications/stream", &[], "").await;
    let head = service.operator().send("HEAD", "/actors/events", &[], "").await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
}
