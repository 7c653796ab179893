//! Pages of other origins: none may call unless a setting says so, and then exactly those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use support::{Answer, Client, Service, Stage};

const FRIEND: &str = "https://app.example.com";

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

async fn from(client: &Client, origin: &str, path: &str) -> Answer {
    client.send("GET", path, &[("origin", origin)], "").await
}

async fn preflight(client: &Client, origin: &str, path: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,content-type,if-match"),
    ];
    client.send("OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn nobody_may_call_unless_a_setting_says_so() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let client = service.client();
    for answer in [from(&client, FRIEND, "/api/articles").await, preflight(&client, FRIEND, "/api/articles/x").await] {
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{answer:?}");
    }
}

#[tokio::test]
async fn those_named_may_call_and_see_and_others_may_not() {
    let stage = Stage::new().await;
    let origins = format!("http://localhost:3000, {FRIEND}");
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("CORS_ORIGINS", &origins)]).await;
    let client = service.client();
    for origin in [FRIEND, "http://localhost:3000"] {
        // Errors as well: a page is to see why.
        for (path, status) in [("/api/articles", 200), ("/api/user", 401), ("/nothing", 404)] {
            let answer = from(&client, origin, path).await;
            assert_eq!((answer.status, allowed(&answer)), (status, Some(origin)), "{path}");
            let shown = answer.header("access-control-expose-headers").unwrap();
            for header in ["etag", "link", "location", "retry-after", "ratelimit", "x-request-id", "traceresponse"] {
                assert!(shown.split(", ").any(|name| name == header), "{shown}");
            }
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
        let answer = preflight(&client, origin, "/api/articles/x").await;
        assert_eq!((answer.status, allowed(&answer)), (204, Some(origin)));
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, PUT, DELETE, HEAD, OPTIONS"));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        let taken = answer.header("access-control-allow-headers").unwrap();
        for header in ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match"] {
            assert!(taken.split(", ").any(|name| name == header), "{taken}");
        }
    }
    for stranger in
        ["https://evil.example.com", "http://app.example.com", "https://app.example.com.evil.com", "null", ""]
    {
        assert_eq!(allowed(&from(&client, stranger, "/api/articles").await), None, "{stranger}");
        let answer = preflight(&client, stranger, "/api/articles/x").await;
        assert_eq!((allowed(&answer), answer.header("access-control-allow-methods")), (None, None), "{stranger}");
    }
    // A cache must not give one origin's answer to another.
    let varies: Vec<_> = client.get("/api/articles").await.headers.get_all("vary").iter().cloned().collect();
    assert!(varies.iter().any(|value| value == "origin"), "{varies:?}");
    assert_eq!(allowed(&from(&service.operator(), FRIEND, "/actors").await), None, "operators have no pages elsewhere");
}

#[tokio::test]
async fn a_star_lets_any_page_call() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("CORS_ORIGINS", "*")]).await;
    for origin in [FRIEND, "null", "http://localhost:1"] {
        assert_eq!(allowed(&from(&service.client(), origin, "/api/articles").await), Some("*"));
        assert_eq!(allowed(&preflight(&service.client(), origin, "/api/articles").await), Some("*"));
    }
    assert_eq!(allowed(&service.client().get("/api/articles").await), None, "who is no page is told nothing");
}

#[tokio::test]
async fn what_is_no_origin_is_a_mistake_in_the_settings() {
    let mut command = support::service::command(&["check-config"]);
    command.env("DATABASE_URL", "postgres://localhost/x").env("REDIS_URL", "redis://localhost");
    let output = command.env("CORS_ORIGINS", "https://app.example.com/").output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("CORS_ORIGINS"), "{said}");
}
