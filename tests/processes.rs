//! Processes: how they start, what they say about bad settings, how they stop, what they do without their servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::{Output, Stdio};

use serde_json::json;
use support::{Service, Stage, eventually, service};

const DEAD_DATABASE: &str = "postgres://nobody@localhost/nothing?host=/nonexistent";
const DEAD_REDIS: &str = "redis+unix:///nonexistent/redis.sock";

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = service::command(arguments);
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    let running = tokio::time::timeout(support::PATIENCE, command.kill_on_drop(true).output());
    running.await.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap()
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn all_bad_settings_are_reported_together_before_anything_starts() {
    let bad = [
        ("HTTP_ADDR", "nowhere"),
        ("ADMIN_ADDR", "0.0.0.0:0"),
        ("DATABASE_URL", "mysql://root:hunter2@localhost/x"),
        ("REDIS_URL", "not a url: hunter2"),
        ("JWT_SECRET", "too short: hunter2"),
        ("JOB_WORKERS", "0"),
        ("CHAOS_ENABLED", "perhaps"),
        ("RATE_LIMITS", "sometimes"),
        ("RATE_LIMIT_WRITES", "many"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "pigeon"),
        ("HTTP_REQUEST_TIMEOUT_MS", "-1"),
    ];
    for arguments in [&["check-config"][..], &["serve"], &["serve", "--no-workers"], &["work"], &["migrate"]] {
        let output = run(arguments, &bad).await;
        let said = complaints(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
        for variable in bad.map(|(name, _)| name).into_iter().filter(|name| *name != "ADMIN_ADDR") {
            assert_eq!(said.matches(variable).count(), 1, "{variable} in {said}");
        }
        assert!(said.contains("ADMIN_TOKEN"), "an admin listener for others needs one: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let output = run(&["check-config"], &[]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(["DATABASE_URL", "REDIS_URL"].iter().all(|name| complaints(&output).contains(name)));
}

#[tokio::test]
async fn good_settings_are_enough_without_any_server() {
    let fine = [("DATABASE_URL", DEAD_DATABASE), ("REDIS_URL", DEAD_REDIS)];
    let output = run(&["check-config"], &fine).await;
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let output = run(&["migrate"], &fine).await;
    assert_eq!(output.status.code(), Some(1), "{}", complaints(&output));
    assert!(complaints(&output).contains("PostgreSQL is unavailable"), "{}", complaints(&output));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let stage = Stage::new().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for variable in ["HTTP_ADDR", "ADMIN_ADDR"] {
        let urls = [("DATABASE_URL", stage.database_url.as_str()), ("REDIS_URL", &stage.redis_url)];
        let output = run(&["serve"], &[&urls[..], &[(variable, &address)]].concat()).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(complaints(&output).contains(variable) && complaints(&output).contains(&address), "{output:?}");
    }
}

#[tokio::test]
async fn migrating_twice_or_at_once_is_migrating_once() {
    let stage = Stage::new().await;
    let tables = "select count(*) from information_schema.tables where table_schema = 'public'";
    let made = stage.number(tables).await;
    let variables = [("DATABASE_URL", stage.database_url.as_str()), ("REDIS_URL", &stage.redis_url)];
    assert_eq!(run(&["migrate"], &variables).await.status.code(), Some(0));
    stage.execute("drop schema public cascade", &[]).await;
    stage.execute("create schema public", &[]).await;
    let (one, other) = tokio::join!(run(&["migrate"], &variables), run(&["migrate"], &variables));
    assert_eq!((one.status.code(), other.status.code()), (Some(0), Some(0)), "{one:?} {other:?}");
    assert_eq!(stage.number(tables).await, made);
}

#[tokio::test]
async fn requests_under_way_are_finished_before_a_process_ends() {
    let stage = Stage::new().await;
    let patient = [("DATABASE_STATEMENT_TIMEOUT_MS", "60000"), ("HTTP_REQUEST_TIMEOUT_MS", "60000")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &patient).await;
    let ann = service.client().register("ann").await;
    let mut locked = stage.another_client().await;
    let lock = locked.transaction().await.unwrap();
    lock.batch_execute("lock table articles in access exclusive mode").await.unwrap();
    let publishing: Vec<_> = (0..8)
        .map(|number| {
            let ann = ann.clone();
            tokio::spawn(async move { ann.publish(&format!("Number {number}")).await })
        })
        .collect();
    eventually("all have arrived, and the first of them wait for the lock", async || {
        let waiting =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let active = service.operator().get("/metrics").await.text();
        let posts =
            active.lines().find(|line| line.starts_with("http_server_active_requests{") && line.contains("POST"));
        let all = posts.is_some_and(|line| line.ends_with(" 8"));
        (all && stage.number(waiting).await >= 1).then_some(())
    })
    .await;
    service.terminate();
    service.logged("the begin of the stop", |line| line["message"] == "stopping").await;
    eventually("nothing new is accepted", async || {
        tokio::net::TcpStream::connect(service.api.unwrap()).await.is_err().then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    for article in publishing {
        article.await.unwrap();
    }
    let (status, lines) = service.ended().await;
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    assert_eq!(stage.number("select count(*) from articles").await, 8);
}

#[tokio::test]
async fn a_job_under_way_is_finished_before_a_process_ends() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    stage.jobs_done().await;
    let mut locked = stage.another_client().await;
    let lock = locked.transaction().await.unwrap();
    lock.batch_execute("lock table notifications in access exclusive mode").await.unwrap();
    ann.publish("News").await;
    eventually("the job runs", async || {
        (stage.number("select count(*) from jobs where state = 'running'").await == 1).then_some(())
    })
    .await;
    service.terminate();
    service.logged("the begin of the stop", |line| line["message"] == "stopping").await;
    lock.rollback().await.unwrap();
    let (status, lines) = service.ended().await;
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    let last = stage.query("select state, attempt from jobs order by id desc limit 1", &[]).await;
    assert_eq!((last[0].get::<_, &str>(0), last[0].get::<_, i32>(1)), ("completed", 1));
}

#[tokio::test]
async fn without_its_database_a_service_starts_and_says_that_it_is_unavailable() {
    let stage = Stage::new().await;
    let dead = [("DATABASE_URL", DEAD_DATABASE), ("DATABASE_CONNECT_TIMEOUT_MS", "200")];
    let service = Service::start(&stage, &dead).await;
    let api = service.client();
    let body = json!({"email": "ann@example.com", "name": "Ann", "password": support::client::PASSWORD});
    for answer in [
        api.get("/api/articles").await,
        api.get("/api/articles/any").await,
        api.post("/api/register", &body).await,
        api.post("/api/login", &body).await,
        service.operator().get("/jobs").await,
    ] {
        answer.refused(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let health = api.get("/api/health").await;
    assert_eq!(health.expect(503)["components"]["database"], "unhealthy");
    assert!(health.header("retry-after").is_some());
    assert_eq!(service.operator().get("/healthz").await.status, 200, "the process itself is well");
    let ready = service.operator().get("/readyz").await;
    assert!(ready.status == 503 && ready.text().contains("database"), "{ready:?}");
    assert_eq!(service.operator().get("/actors").await.status, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_service_heals_when_its_database_comes_back() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("DATABASE_CONNECT_TIMEOUT_MS", "500")]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    stage.jobs_done().await;
    for round in 0..2 {
        // What was sent and not begun when the database goes away is sent again, but only after a while.
        stage.jobs_done().await;
        stage.reachable(false).await;
        let article = json!({"title": "Lost", "body": "b"});
        for answer in [service.client().get("/api/articles").await, ann.client.post("/api/articles", &article).await] {
            answer.refused(503, "unavailable");
        }
        stage.reachable(true).await;
        eventually("it reads and writes again", async || {
            let read = service.client().get("/api/articles").await.status == 200;
            let body = json!({"title": format!("Back {round}"), "body": "b"});
            (read && ann.client.post("/api/articles", &body).await.status == 201).then_some(())
        })
        .await;
    }
    stage.jobs_done().await;
    let (told, _) = bob.inbox().await;
    let titles: Vec<_> = told.iter().map(|told| told["article"]["title"].as_str().unwrap()).collect();
    assert_eq!(titles.iter().filter(|title| title.starts_with("Back 1")).count(), 1, "{titles:?}");
    assert_eq!(
        stage.number("select count(*) from notifications").await,
        1 + stage.number("select count(*) from articles").await
    );
}

#[tokio::test]
async fn without_redis_publishing_goes_on_and_jobs_wait() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("REDIS_URL", DEAD_REDIS)]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    for number in 0..5 {
        ann.publish(&format!("Number {number}")).await;
    }
    assert_eq!(stage.number("select count(*) from jobs where state = 'available' and attempt = 0").await, 6);
    assert_eq!(service.operator().get("/readyz").await.status, 200);
    let health = service.client().get("/api/health").await.expect(503);
    assert_eq!(
        (&health["components"]["redis"], &health["components"]["database"]),
        (&json!("unhealthy"), &json!("healthy"))
    );
    service.stop().await;
    let _other = Service::start(&stage, &[]).await;
    stage.jobs_done().await;
    assert_eq!(stage.number("select count(*) from notifications").await, 6);
}
