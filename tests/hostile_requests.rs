//! Requests with two readings, too much of something, or too many at once: refused in words, and nothing behind them
//! is taken for a request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fmt::Write;

use support::{Service, Stage, raw};

async fn exchange(service: &Service, request: &str) -> String {
    raw::exchange(service.api.unwrap(), request.as_bytes()).await
}

fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

#[track_caller]
fn refused(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    for header in ["x-request-id: ", "traceresponse: ", "content-type: application/json"] {
        assert!(answer.contains(header), "{answer}");
    }
}

/// What a smuggler would have another server take for a request of its own.
const SMUGGLED: &str = "GET /api/user HTTP/1.1\r\nHost: test\r\nX: ";

#[tokio::test]
async fn a_request_with_two_lengths_is_refused_and_nothing_behind_it_is_served() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let before = "GET /api/articles HTTP/1.1\r\nHost: test\r\n\r\n";
    for (lengths, body) in [
        ("Content-Length: 6\r\nTransfer-Encoding: chunked", format!("0\r\n\r\n{SMUGGLED}")),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4", format!("5c\r\n{SMUGGLED}\r\n0\r\n\r\n")),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\nContent-Length: 5", "0\r\n\r\n".to_owned()),
    ] {
        for first in ["", before] {
            let request = format!("{first}POST /api/login HTTP/1.1\r\nHost: test\r\n{lengths}\r\n\r\n{body}");
            let answer = exchange(&service, &request).await;
            let (served, last) = answer.split_at(answer.rfind("HTTP/1.1 ").unwrap());
            refused(last, 400, "bad_framing");
            assert_eq!(answers(served), usize::from(!first.is_empty()), "{answer}");
        }
    }
}

#[tokio::test]
async fn what_has_no_clear_length_is_refused_and_the_connection_closed() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 5 5",
        "Content-Length: 99999999999999999999",
        "Content-Length : 5",
        "Content-Length:\r\n 5",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip",
        " Content-Length: 5",
        "Content\u{0}Length: 5",
    ] {
        let request = format!("POST /api/login HTTP/1.1\r\nHost: test\r\n{lengths}\r\n\r\n{SMUGGLED}\r\n\r\n");
        let answer = exchange(&service, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answers(&answer) == 1, "{lengths:?}: {answer}");
    }
    let old = "POST /api/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(exchange(&service, old).await.contains(" 400 "));
}

#[tokio::test]
async fn chunks_that_are_malformed_are_refused() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let head = "POST /api/login HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked";
    for chunks in
        ["x\r\n{}\r\n0\r\n\r\n", "2\r\n{}x\r\n0\r\n\r\n", "-1\r\n", "fffffffffffffffff\r\n{}", "2 2\r\n{}\r\n"]
    {
        let answer = exchange(&service, &format!("{head}\r\n\r\n{chunks}")).await;
        refused(&answer, 400, "incomplete_body");
        assert_eq!(answers(&answer), 1, "{answer}");
    }
    // Chunks of one byte are a body like any other.
    let body = r#"{"email":"ann@example.com","password":"correct horse"}"#;
    let chunks: String = body.chars().map(|byte| format!("1;x=y\r\n{byte}\r\n")).collect();
    let request = format!("{head}\r\nConnection: close\r\n\r\n{chunks}0\r\nTrailer: x\r\n\r\n");
    refused(&exchange(&service, &request).await, 401, "invalid_credentials");
}

#[tokio::test]
async fn it_has_to_be_clear_which_host_is_asked() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let get = async |target: &str, hosts: &str| {
        exchange(&service, &format!("GET {target} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")).await
    };
    for hosts in
        ["", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: b\r\n", "Host: a b\r\n", "Host: u@a\r\n", "Host: a/\r\n"]
    {
        refused(&get("/api/articles", hosts).await, 400, "bad_host");
    }
    for host in ["Host: test\r\n", "Host: [::1]:80\r\n", "Host:\r\n", "host: example.com:8000\r\n"] {
        assert!(get("/api/articles", host).await.starts_with("HTTP/1.1 200 "), "{host}");
    }
    // The form that proxies are asked in.
    let absolute = get("http://example.com/api/articles", "Host: example.com\r\n").await;
    assert!(absolute.starts_with("HTTP/1.1 200 "), "{absolute}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_in_words() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let headers = |count: usize, size: usize| {
        (0..count).fold(String::new(), |mut all, number| {
            write!(all, "X-{number}: {}\r\n", "x".repeat(size)).unwrap();
            all
        })
    };
    let get = async |target: &str, headers: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
        exchange(&service, &request).await
    };
    let articles = "/api/articles";
    assert!(get(articles, &headers(62, 10)).await.starts_with("HTTP/1.1 200 "));
    refused(&get(articles, &headers(63, 10)).await, 431, "too_many_headers");
    assert!(get(articles, &headers(1, 16_000)).await.starts_with("HTTP/1.1 200 "));
    refused(&get(articles, &headers(1, 17_000)).await, 431, "headers_too_large");
    let target = |length: usize| format!("/api/articles?x={}", "x".repeat(length));
    assert!(get(&target(8000), "").await.starts_with("HTTP/1.1 200 "));
    refused(&get(&target(8192), "").await, 414, "uri_too_long");
    // Far beyond, it is not read any more.
    for (target, headers) in
        [(articles, headers(1000, 10)), (articles, headers(1, 1_000_000)), (&target(1_000_000), String::new())]
    {
        let answer = get(target, &headers).await;
        assert!(answer.starts_with("HTTP/1.1 431 ") || answer.starts_with("HTTP/1.1 414 "), "{answer}");
    }
    service.client().get(articles).await.expect(200);
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_their_order_and_one_at_a_time() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let count = 500;
    let mut requests = String::new();
    for number in 0..count {
        let last = if number + 1 == count { "Connection: close\r\n" } else { "" };
        write!(requests, "GET /nothing HTTP/1.1\r\nHost: test\r\nX-Request-Id: no-{number}.\r\n{last}\r\n").unwrap();
    }
    let answer = exchange(&service, &requests).await;
    let ids: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
    assert_eq!(ids, (0..count).map(|number| format!("no-{number}.")).collect::<Vec<_>>());
    // A refusal in between ends the connection where it is not clear what follows.
    let unclear = "GET /a HTTP/1.1\r\nHost: test\r\n\r\nnonsense\r\n\r\nGET /b HTTP/1.1\r\nHost: test\r\n\r\n";
    let answer = exchange(&service, unclear).await;
    assert_eq!(answers(&answer), 2, "{answer}");
    assert!(answer.rsplit("HTTP/1.1 ").next().unwrap().starts_with("400 "), "{answer}");
}

#[tokio::test]
async fn json_may_be_so_deep_and_numbers_so_large() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let post = async |body: String| {
        let answer = service.client().send("POST", "/api/login", &[("content-type", "application/json")], body).await;
        answer.refused(
            400,
            if answer.text().contains("valid JSON") || answer.text().contains("deeper") {
                "invalid_json"
            } else {
                "validation_failed"
            },
        )
    };
    let nested = |levels: usize| format!("{{\"email\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(post(nested(31)).await["code"], "validation_failed");
    for deep in [nested(32), nested(500_000), "{\"a\":".repeat(100_000)] {
        assert!(post(deep).await["message"].as_str().unwrap().contains("deeper"));
    }
    assert_eq!(post("{\"email\":1e999}".to_owned()).await["code"], "invalid_json");
    assert_eq!(post(format!("{{\"email\":{}}}", "9".repeat(100_000))).await["code"], "invalid_json");
}
