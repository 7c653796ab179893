//! Everything that the service does: every route, answers of every sort, jobs that fail, webhooks, restarts, commands.

use std::process::Stdio;

use callboard::router;
use serde_json::json;
use support::otlp::Receiver;
use support::{Client, Hooks, PATIENCE, Service, Stage, User, eventually, service};

use super::support;

/// What telemetry is told in all processes.
pub fn variables(endpoint: &str) -> Vec<(&str, &str)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("WEBHOOKS_ALLOW_PRIVATE", "true"),
        ("WEBHOOK_BACKOFF_MS", "20"),
        ("WEBHOOK_BACKOFF_CAP_MS", "50"),
        ("JOB_BACKOFF_MS", "20"),
        ("RATE_LIMITS", "on"),
        ("LOG_LEVEL", "debug"),
        ("ACTOR_TURN_MS", "500"),
    ]
}

/// Does all of it, and waits until all of it was told.
pub async fn happens(stage: &Stage, receiver: &Receiver) {
    let variables = variables(&receiver.endpoint);
    let service = Service::run(stage, &["serve"], &variables).await;
    let hooks = Hooks::start().await;
    let (ann, ben) = (service.client().register("ann").await, service.client().register("ben").await);
    let slug = publish(&service, stage, &hooks, &ann, &ben).await;
    refuse(&service, &ann).await;
    walk_all_routes(&service, &ann, &slug).await;
    crash(&service, &slug).await;
    fail_inside(&service, stage).await;
    commands(&service, stage, &receiver.endpoint).await;
    // What it gathered is sent at its end.
    service.stop().await;
}

/// What people do, with jobs and webhooks that fail at first.
async fn publish(service: &Service, stage: &Stage, hooks: &Hooks, ann: &User, ben: &User) -> String {
    ben.follow(ann).await;
    ben.client.post("/api/webhooks", &json!({"url": hooks.url})).await.expect(201);
    hooks.answer(&[500, 200]);
    for kind in ["article_published", "article_favorited"] {
        service.operator().ask(&format!("/jobs/fail?kind={kind}&times=2")).await.expect(200);
    }
    let slug = ann.publish("Everything").await;
    let article = format!("/api/articles/{slug}");
    ben.client.ask(&format!("{article}/favorite")).await.expect(200);
    let keyed = json!({"title": "Once", "description": "d", "body": "b"}).to_string();
    for _ in 0..2 {
        let headers = [("content-type", "application/json"), ("idempotency-key", "a-key-of-anns")];
        ann.client.send("POST", "/api/articles", &headers, keyed.clone()).await.expect(201);
    }
    support::at_once(32, |_| {
        let (client, path) = (ben.client.clone(), article.clone());
        async move { client.get(&path).await.expect(200) }
    })
    .await;
    stage.jobs_done().await;
    let dead = "insert into jobs (kind, args, max_attempts) values ('followed', '{}', 1)";
    stage.execute(dead, &[]).await;
    stage.jobs_done().await;
    slug
}

/// What is refused, and how.
async fn refuse(service: &Service, ann: &User) {
    let client = service.client();
    for _ in 0..2 {
        let wrong = json!({"email": ann.email, "password": "not hers at all"});
        client.post("/api/login", &wrong).await.expect(401);
    }
    client.post("/api/login", &json!({"email": ann.email, "password": support::client::PASSWORD})).await.expect(200);
    client.post("/api/token/refresh", &json!({"refresh_token": ann.refresh})).await.expect(200);
    client.get("/nothing/here").await.expect(404);
    client.delete("/api/articles").await.expect(405);
    client.send("POST", "/api/register", &[("content-type", "application/json")], "{broken").await.expect(400);
    client.send("BREW", "/api/articles", &[], "").await;
    Client::new_http2(service.api.unwrap()).get("/api/articles").await.expect(200);
}

/// Every operation of both listeners once, whatever comes of it.
async fn walk_all_routes(service: &Service, ann: &User, slug: &str) {
    let (public, admin) = (router::public().unwrap(), router::admin().unwrap());
    let fill = |pattern: &str| {
        let slugs = pattern.replace("{slug}", slug).replace("{*path}", "root/nobody/crash");
        slugs.replace("{id}", "4711").replace("{delivery}", "4711")
    };
    for (client, router) in [(ann.client.clone(), public), (service.operator(), admin)] {
        for (pattern, method) in router.entries() {
            // Streams have no end, and leaving comes last.
            let endless = ["/api/notifications/stream", "/actors/events"].contains(&pattern);
            if !endless && (pattern, method.as_str()) != ("/api/user", "DELETE") && pattern != "/api/logout" {
                client.json(method.as_str(), &fill(pattern), &json!({})).await;
            }
        }
    }
    let headers = [("accept", "text/event-stream")];
    let brief = std::time::Duration::from_millis(200);
    let _ = ann.client.try_send("GET", "/api/notifications/stream", &headers, "", brief).await;
    let other = service.client().register("somebody else").await;
    let leaving = json!({"password": support::client::PASSWORD});
    other.client.json("DELETE", "/api/user", &leaving).await;
    service.operator().ask("/jobs/resume").await.expect(200);
}

/// Actors that die alone, with a request in hand, and by the watchdog.
async fn crash(service: &Service, slug: &str) {
    for path in ["root/articles/by_slug", "root/favorites/shard-0", "root/jobs/relay"] {
        service.operator().ask(&format!("/actors/{path}/crash")).await.expect(202);
    }
    service.operator().ask("/actors/root/articles/lists/hang").await.expect(202);
    service.client().get(&format!("/api/articles/{slug}")).await;
    eventually("all are back, and in the ledger", async || {
        let restarts = service.operator().get("/actors/restarts").await.json();
        (restarts["restarts"].as_array()?.len() >= 4).then_some(())
    })
    .await;
}

/// A statement that fails.
async fn fail_inside(service: &Service, stage: &Stage) {
    stage.execute("alter table users add constraint nobody_today check (false) not valid", &[]).await;
    let late = json!({"email": "late@example.com", "name": "Late", "password": support::client::PASSWORD});
    service.client().post("/api/register", &late).await.expect(500);
}

/// Commands, each a process with telemetry of its own.
async fn commands(service: &Service, stage: &Stage, endpoint: &str) {
    let all: [&[&str]; 6] =
        [&["migrate"], &["doctor"], &["actors"], &["actors", "restarts"], &["jobs"], &["jobs", "show", "1"]];
    for arguments in all {
        let mut command = service::command(arguments);
        command.env("DATABASE_URL", &stage.database_url).env("REDIS_URL", &stage.redis_url);
        command.env("ADMIN_ADDR", service.admin.to_string()).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
    }
}
