//! Bad input: a clear refusal in the one envelope, and nothing changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{Answer, Client, Service, Stage, User, raw};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Everything that a request could have changed, as one text.
async fn everything(stage: &Stage) -> String {
    let tables = ["users", "sessions", "refresh_tokens", "follows", "articles", "favorites", "jobs", "notifications"];
    let mut all = String::new();
    for table in tables {
        let rows =
            stage.query(&format!("select coalesce(jsonb_agg(t order by t)::text, '') from {table} t"), &[]).await;
        all.push_str(rows[0].get(0));
    }
    all
}

/// Every call that takes a body: its method, its path, and a body that would be taken.
fn writes(slug: &str) -> Vec<(&'static str, String, Value)> {
    let credentials = json!({"email": "new@example.com", "password": "long enough"});
    vec![
        ("POST", "/api/register".into(), json!({"email": "new@example.com", "name": "New", "password": "long enough"})),
        ("POST", "/api/login".into(), credentials),
        ("POST", "/api/token/refresh".into(), json!({"refresh_token": "x"})),
        ("POST", "/api/articles".into(), json!({"title": "t", "description": "d", "body": "b"})),
        ("PUT", format!("/api/articles/{slug}"), json!({"title": "t", "description": "d", "body": "b"})),
    ]
}

async fn world(stage: &Stage) -> (Service, User, String) {
    let service = Service::run(stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let slug = ann.publish("Of Ann").await;
    (service, ann, slug)
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let stage = Stage::new().await;
    let (_service, ann, slug) = world(&stage).await;
    let before = everything(&stage).await;
    let deep = "[".repeat(100_000);
    for (method, path, _) in writes(&slug) {
        for broken in ["", "{", "nonsense", "{\"title\":\"\\ud800\"}", "{\"title\": \"x\",}", "[]", "null", "7", &deep]
        {
            let answer = ann.client.send(method, &path, &[JSON], broken.to_owned()).await;
            answer.refused(400, "invalid_json");
        }
        let not_utf8 = ann.client.send(method, &path, &[JSON], &b"{\"title\":\"\xff\"}"[..]).await;
        not_utf8.refused(400, "invalid_json");
    }
    assert_eq!(everything(&stage).await, before);
}

#[tokio::test]
async fn fields_of_the_wrong_type_are_named() {
    let stage = Stage::new().await;
    let (_service, ann, slug) = world(&stage).await;
    let before = everything(&stage).await;
    for (method, path, body) in writes(&slug) {
        for name in body.as_object().unwrap().keys() {
            for wrong in [json!(7), json!(true), json!(["x"]), json!({"x": 1})] {
                let mut body = body.clone();
                body[name] = wrong;
                let answer = ann.client.json(method, &path, &body).await;
                assert_eq!(answer.unfit_fields(), std::slice::from_ref(name), "{method} {path} {body}");
            }
        }
    }
    assert_eq!(everything(&stage).await, before);
}

#[tokio::test]
async fn a_nul_character_is_refused_in_every_text() {
    let stage = Stage::new().await;
    let (service, ann, slug) = world(&stage).await;
    let before = everything(&stage).await;
    for (method, path, body) in writes(&slug) {
        for name in body.as_object().unwrap().keys() {
            let mut body = body.clone();
            body[name] = json!(format!("{}\0", body[name].as_str().unwrap()));
            let answer = ann.client.json(method, &path, &body).await;
            match (path.as_str(), name.as_str()) {
                // What nobody has stored is nobody's.
                ("/api/login" | "/api/token/refresh", _) => assert_eq!(answer.status, 401),
                // A password is hashed and may be anything.
                ("/api/register", "password") => {
                    answer.expect(201);
                    stage.execute("delete from users where email = 'new@example.com'", &[]).await;
                }
                _ => assert_eq!(answer.unfit_fields(), std::slice::from_ref(name), "{method} {path}"),
            }
        }
    }
    assert_eq!(everything(&stage).await, before);
    for query in ["search=a%00b", "author=%00", "favorited_by=1%00", "limit=%001", "offset=0%00", "cursor=%00"] {
        ann.client.get(&format!("/api/articles?{query}")).await.refused(400, "validation_failed");
    }
    ann.client.get("/api/notifications?unread=%00").await.refused(400, "validation_failed");
    ann.client.get("/api/articles?other=%00").await.expect(200);
    ann.client.get("/api/articles/%00").await.refused(404, "not_found");
    let jobs = service.operator().get("/jobs?kind=a%00b").await;
    assert!([200, 400].contains(&jobs.status), "{jobs:?}");
}

#[tokio::test]
async fn a_text_that_is_too_long_is_refused_and_one_that_just_fits_is_not() {
    let stage = Stage::new().await;
    let (_service, ann, slug) = world(&stage).await;
    let before = everything(&stage).await;
    let article = |title: usize, description: usize| json!({"title": "ä".repeat(title), "description": "🦀".repeat(description), "body": "b"});
    let path = format!("/api/articles/{slug}");
    for (title, description, fields) in
        [(256, 0, vec!["title"]), (1, 1001, vec!["description"]), (300, 2000, vec!["title", "description"])]
    {
        assert_eq!(ann.client.post("/api/articles", &article(title, description)).await.unfit_fields(), fields);
        assert_eq!(ann.client.put(&path, &article(title, description)).await.unfit_fields(), fields);
    }
    let search = "w".repeat(201);
    assert_eq!(ann.client.get(&format!("/api/articles?search={search}")).await.unfit_fields(), ["search"]);
    assert_eq!(everything(&stage).await, before);
    ann.client.put(&path, &article(255, 1000)).await.expect(200);
    // Text without spaces is one word, which an index of words may not be able to hold.
    for body in ["x".repeat(900_000), "ä🦀 ".repeat(100_000), "a b ".repeat(200_000)] {
        ann.client.put(&path, &json!({"body": body})).await.expect(200);
    }
}

#[tokio::test]
async fn fields_that_nobody_knows_are_ignored() {
    let stage = Stage::new().await;
    let (_service, ann, slug) = world(&stage).await;
    let body = json!({"title": "New", "id": 7, "slug": "mine", "author_id": 9, "favorites_count": 99, "x\u{0}y": null});
    let article = ann.client.put(&format!("/api/articles/{slug}"), &body).await.expect(200);
    assert_eq!((&article["title"], &article["slug"]), (&json!("New"), &json!(slug)));
    assert_eq!((&article["favorites_count"], &article["author"]["id"]), (&json!(0), &json!(ann.id)));
    ann.client.get("/api/articles?nobody=knows&limit=5&=&&").await.expect(200);
}

async fn all_refused(client: &Client, path: &str, queries: &[(&str, &[&str])]) {
    for (query, fields) in queries {
        let answer = client.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.unfit_fields(), *fields, "{path}?{query}");
    }
}

#[tokio::test]
async fn numbers_out_of_range_in_the_query_are_refused() {
    let stage = Stage::new().await;
    let (service, ann, _) = world(&stage).await;
    let paging: &[(&str, &[&str])] = &[
        ("limit=0", &["limit"]),
        ("limit=101", &["limit"]),
        ("limit=-1", &["limit"]),
        ("limit=abc", &["limit"]),
        ("limit=1.5", &["limit"]),
        ("limit=1e2", &["limit"]),
        ("limit=99999999999999999999999", &["limit"]),
        ("limit=-9223372036854775808", &["limit"]),
        ("limit=5&limit=0", &["limit"]),
        ("per_page=0", &["per_page"]),
        ("per_page=101", &["per_page"]),
        ("page=0", &["page"]),
        ("page=-1", &["page"]),
        ("page=9223372036854775807", &["page"]),
        ("offset=-1", &["offset"]),
        ("offset=9223372036854775808", &["offset"]),
        ("offset=x", &["offset"]),
        ("cursor=x", &["cursor"]),
        ("cursor=1", &["cursor"]),
        ("cursor=czzzzzzzzzzzzzzzz", &["cursor"]),
        ("cursor=c0000000000000000000", &["cursor"]),
        ("cursor=%F0%9F%A6%80%F0%9F%A6%80%F0%9F%A6%80", &["cursor"]),
        ("limit=0&offset=-1&page=0&cursor=x", &["limit", "offset", "page", "cursor"]),
    ];
    for path in ["/api/articles", "/api/articles/feed", "/api/notifications"] {
        all_refused(&ann.client, path, paging).await;
    }
    let filters: &[(&str, &[&str])] = &[
        ("author=0", &["author"]),
        ("author=-1", &["author"]),
        ("author=ann", &["author"]),
        ("author=9223372036854775808", &["author"]),
        ("favorited_by=x&author=x&limit=x", &["author", "favorited_by", "limit"]),
    ];
    all_refused(&ann.client, "/api/articles", filters).await;
    all_refused(&ann.client, "/api/notifications", &[("unread=maybe", &["unread"]), ("unread=1", &["unread"])]).await;
    all_refused(&service.operator(), "/jobs", &[("limit=0", &["limit"]), ("cursor=x", &["cursor"])]).await;
    ann.client.get("/api/articles?author=9223372036854775807&limit=100&offset=0").await.expect(200);
    ann.client.get("/api/articles?limit=&offset=&cursor=&author=").await.expect(200);
}

/// A POST of so many bytes, on a connection of its own.
async fn post_large(service: &Service, token: &str, bytes: usize, chunked: bool) -> String {
    let body = format!("{{\"title\":\"t\",\"body\":\"{}\"}}", "x".repeat(bytes));
    let (length, body) = match chunked {
        true => ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
        false => (format!("Content-Length: {}", body.len()), body),
    };
    let head = format!(
        "POST /api/articles HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n{length}\r\n\r\n"
    );
    raw::exchange(service.api.unwrap(), (head + &body).as_bytes()).await
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused() {
    let stage = Stage::new().await;
    let (service, ann, _) = world(&stage).await;
    let before = everything(&stage).await;
    let refused = ann.client.post("/api/articles", &json!({"title": "t", "body": "x".repeat(1024 * 1024)})).await;
    refused.refused(413, "payload_too_large");
    for (chunked, mebibytes) in [(false, 1), (true, 1), (false, 16), (true, 16)] {
        let answer = post_large(&service, &ann.access, mebibytes * 1024 * 1024, chunked).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{mebibytes} MiB: {answer}");
        assert!(answer.contains("payload_too_large"), "{answer}");
    }
    assert_eq!(everything(&stage).await, before);
    let answer = post_large(&service, &ann.access, 900_000, true).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let stage = Stage::new().await;
    let (_service, ann, slug) = world(&stage).await;
    let before = everything(&stage).await;
    for (method, path, body) in writes(&slug) {
        ann.client.send(method, &path, &[], body.to_string()).await.refused(415, "unsupported_media_type");
        for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""] {
            let answer = ann.client.send(method, &path, &[("content-type", other)], body.to_string()).await;
            answer.refused(415, "unsupported_media_type");
        }
    }
    assert_eq!(everything(&stage).await, before);
    for json in ["application/json; charset=utf-8", "Application/JSON"] {
        let body = json!({"title": "t", "body": "b"}).to_string();
        ann.client.send("POST", "/api/articles", &[("content-type", json)], body).await.expect(201);
    }
}

fn allowed(answer: &Answer) -> Vec<&str> {
    answer.refused(405, "method_not_allowed");
    answer.header("allow").unwrap().split(", ").collect()
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_refused_with_those_it_has() {
    let stage = Stage::new().await;
    let (service, ann, slug) = world(&stage).await;
    let before = everything(&stage).await;
    let send = async |method: &str, path: &str| ann.client.send(method, path, &[JSON], "{}").await;
    assert_eq!(allowed(&send("DELETE", "/api/articles").await), ["GET", "POST", "HEAD", "OPTIONS"]);
    assert_eq!(
        allowed(&send("PATCH", &format!("/api/articles/{slug}")).await),
        ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"]
    );
    assert_eq!(allowed(&send("GET", "/api/register").await), ["POST", "OPTIONS"]);
    assert_eq!(allowed(&send("FROBNICATE", "/api/user").await.clone())[..1], ["GET"]);
    assert_eq!(allowed(&send("TRACE", "/api/login").await), ["POST", "OPTIONS"]);
    assert_eq!(allowed(&send("PUT", "/api/health").await), ["GET", "HEAD", "OPTIONS"]);
    let operator = service.operator();
    assert_eq!(allowed(&operator.ask("/metrics").await), ["GET", "HEAD", "OPTIONS"]);
    assert_eq!(allowed(&operator.delete("/jobs").await), ["GET", "HEAD", "OPTIONS"]);
    assert_eq!(everything(&stage).await, before);
}

#[tokio::test]
async fn an_unknown_path_is_not_found_in_the_same_words_as_everything_else() {
    let stage = Stage::new().await;
    let (service, ann, _) = world(&stage).await;
    for path in ["/", "/api", "/api/", "/api/nothing", "/API/articles", "/api/articles//", "//api/articles", "/metrics"]
    {
        ann.client.get(path).await.refused(404, "not_found");
        ann.client.delete(path).await.refused(404, "not_found");
    }
    for path in ["/nothing", "/api/articles", "/actors/root/nothing/crash/", "/jobs/1/2/3"] {
        service.operator().ask(path).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_path_that_is_not_well_formed_is_refused() {
    let stage = Stage::new().await;
    let (service, ..) = world(&stage).await;
    let targets =
        ["/api/articles/%", "/api/articles/%zz", "/api/articles/%ff%fe", "/api/articles/a%2", "/api/users/%ff/follow"];
    for target in targets {
        let answer = raw::get(service.api.unwrap(), target).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{target}: {answer}");
        assert!(answer.contains("\"trace_id\""), "{target}: {answer}");
    }
    // What is not HTTP is refused below the API, which then goes on.
    for target in ["/api/<x> y", "api", "*"] {
        let answer = raw::get(service.api.unwrap(), target).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{target}: {answer}");
    }
    raw::exchange(service.api.unwrap(), b"\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n").await;
    service.client().get("/api/articles").await.expect(200);
}
