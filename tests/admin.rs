//! The operators' listener: probes, metrics, the tree, who may see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::service::ADMIN_TOKEN;
use support::{Service, Stage, eventually};

/// A node and all below it.
fn all(node: &Value) -> Vec<Value> {
    let children = node["children"].as_array().map(Vec::as_slice).unwrap_or_default();
    std::iter::once(node.clone()).chain(children.iter().flat_map(all)).collect()
}

#[tokio::test]
async fn the_tree_shows_every_actor_with_its_state() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("NODE_NAME", "node-1")]).await;
    service.client().register("ann").await;
    let tree = service.operator().get("/actors").await.expect(200);
    assert_eq!(tree["node"], "node-1");
    let root = &tree["root"];
    assert_eq!((&root["path"], &root["kind"]), (&json!("root"), &json!("supervisor")));
    assert_eq!((&root["strategy"], &root["status"]), (&json!("one_for_one"), &json!("running")));
    assert_eq!(root["restarts"], json!({"total": 0, "in_window": 0, "max": 3, "period_s": 60}));
    let nodes = all(root);
    let paths: Vec<_> = nodes.iter().map(|node| node["path"].as_str().unwrap()).collect();
    for path in [
        "root/ledger/writer",
        "root/postgres/readers",
        "root/postgres/scanners",
        "root/auth/passwords",
        "root/auth/accounts",
        "root/auth/users",
        "root/auth/sessions",
        "root/auth/pruner",
        "root/articles/by_slug",
        "root/articles/lists",
        "root/articles/creator",
        "root/articles/editor-0",
        "root/favorites/shard-0",
        "root/notifications/inbox",
        "root/webhooks/desk",
        "root/notifications/live",
        "root/notifications/listener",
        "root/operators/health",
        "root/operators/jobs",
        "root/jobs/pool",
        "root/jobs/consumer",
        "root/jobs/relay",
        "root/jobs/listener",
        "root/jobs/scheduler",
        "root/jobs/rescuer",
        "root/jobs/reconciler",
    ] {
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
    }
    for node in &nodes {
        assert_eq!((&node["status"], &node["restarts"]["total"]), (&json!("running"), &json!(0)), "{node}");
        assert!(node["started_at"].is_string() && node["incarnation"] == 1, "{node}");
        match node["kind"].as_str().unwrap() {
            "supervisor" => assert!(!node["children"].as_array().unwrap().is_empty(), "{node}"),
            "pool" | "batcher" => {
                for counter in ["mailbox_depth", "in_flight", "handled_total", "failed_total"] {
                    assert!(node[counter].is_u64(), "{counter} in {node}");
                }
            }
            kind => assert_eq!(kind, "routine"),
        }
    }
    let accounts = nodes.iter().find(|node| node["path"] == "root/auth/accounts").unwrap();
    assert_eq!((&accounts["handled_total"], &accounts["failed_total"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_process_without_workers_has_no_actors_that_work_on_jobs() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let tree = service.operator().get("/actors").await.expect(200);
    let nodes = all(&tree["root"]);
    assert!(nodes.iter().all(|node| node["path"] != "root/jobs/consumer"), "{tree}");
    service.operator().get("/jobs").await.expect(200);
}

#[tokio::test]
async fn only_an_actor_that_is_there_can_be_crashed_and_only_where_it_is_allowed() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    for unknown in ["root/nothing", "nothing", "root/articles/by_slug/", "root//articles", "root/jobs/consumer"] {
        service.operator().ask(&format!("/actors/{unknown}/crash")).await.refused(404, "not_found");
    }
    service.operator().ask("/actors/root/articles/by_slug").await.refused(404, "not_found");
    service.operator().get("/actors/root/articles/by_slug/crash").await.refused(405, "method_not_allowed");
    let crashed = service.operator().ask("/actors/root/articles/by_slug/crash").await;
    assert_eq!(crashed.status, 202);

    let tame = Service::run(&stage, &["serve", "--no-workers"], &[("CHAOS_ENABLED", "false")]).await;
    tame.operator().ask("/actors/root/articles/by_slug/crash").await.refused(403, "forbidden");
    let tree = tame.operator().get("/actors").await.expect(200);
    assert!(all(&tree["root"]).iter().all(|node| node["restarts"]["total"] == 0), "{tree}");
}

#[tokio::test]
async fn operators_show_a_token_where_one_is_set_and_probes_need_none() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("ADMIN_TOKEN", ADMIN_TOKEN)]).await;
    let ann = service.client().register("ann").await;
    let operator = service.operator();
    let closed = [
        ("GET", "/actors"),
        ("POST", "/actors/root/articles/by_slug/crash"),
        ("GET", "/jobs"),
        ("POST", "/jobs/1/retry"),
        ("GET", "/metrics"),
    ];
    for (method, path) in closed {
        for client in [operator.clone(), operator.with_token("wrong"), operator.with_token(&ann.access)] {
            client.send(method, path, &[], "").await.refused(401, "unauthorized");
        }
        let let_in = operator.with_token(ADMIN_TOKEN).send(method, path, &[], "").await;
        assert!([200, 202, 404].contains(&let_in.status), "{method} {path} {let_in:?}");
    }
    for probe in ["/healthz", "/readyz"] {
        operator.get(probe).await.expect(200);
    }
    service.client().with_token(ADMIN_TOKEN).get("/api/user").await.refused(401, "invalid_token");
}

#[tokio::test]
async fn probes_say_that_the_process_is_alive_and_ready() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("SHUTDOWN_DELAY_MS", "20000")]).await;
    let operator = service.operator();
    operator.get("/healthz").await.expect(200);
    operator.get("/readyz").await.expect(200);
    service.terminate();
    // From the start of a shutdown no new traffic is wanted; what comes all the same is answered.
    let failing = eventually("it says that it is not ready", async || {
        let answer = operator.get("/readyz").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert!(failing.text().contains("shutdown"), "{failing:?}");
    operator.get("/healthz").await.expect(200);
    service.client().get("/api/articles").await.expect(200);
}

#[tokio::test]
async fn health_names_the_parts_and_needs_a_worker_anywhere() {
    let stage = Stage::new().await;
    let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let alone = api.client().get("/api/health").await;
    let body = alone.expect(503);
    assert_eq!(body["status"], "unhealthy");
    assert_eq!(body["components"], json!({"database": "healthy", "redis": "healthy", "workers": "unhealthy"}));
    assert_eq!(body["service"]["name"], "callboard");
    assert!(body["service"]["version"].is_string());
    let _worker = Service::run(&stage, &["work"], &[]).await;
    let body = eventually("the worker is seen by the other process", async || {
        let answer = api.client().get("/api/health").await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["components"], json!({"database": "healthy", "redis": "healthy", "workers": "healthy"}));
}

#[tokio::test]
async fn metrics_hold_what_is_promised_and_nothing_about_people() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("JOB_BACKOFF_MS", "1")]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    let slug = ann.publish("Metered").await;
    let path = format!("/api/articles/{slug}/favorite");
    bob.client.ask(&path).await.expect(200);
    bob.client.delete(&path).await.expect(200);
    let login = |password: &str| json!({"email": ann.email, "password": password});
    service.client().post("/api/login", &login("wrong password")).await.expect(401);
    service.client().post("/api/login", &login(support::client::PASSWORD)).await.expect(200);
    let hopeless = "insert into jobs (kind, args, max_attempts) values ('article_published', '{}', 1)";
    stage.execute(hopeless, &[]).await;
    stage.jobs_done().await;
    service.operator().ask("/actors/root/articles/by_slug/crash").await.expect(202);
    let metrics = eventually("the restart and the dead letter are counted", async || {
        let metrics = service.operator().get("/metrics").await;
        assert!(metrics.header("content-type").unwrap().starts_with("text/plain"), "{metrics:?}");
        let text = metrics.text();
        (text.contains("\nactor_restarts_total{") && text.contains("\njobs_discarded_total{")).then_some(text)
    })
    .await;
    for name in [
        "http_server_request_duration_seconds_bucket",
        "http_server_active_requests",
        "http_requests_total",
        "auth_login_attempts_total",
        "articles_created_total",
        "favorites_added_total",
        "favorites_removed_total",
        "jobs_enqueued_total",
        "jobs_completed_total",
        "jobs_failed_total",
        "jobs_discarded_total",
        "jobs_duration_ms",
        "jobs_queue_latency_ms",
        "actor_restarts_total",
        "actor_mailbox_depth",
        "actor_queue_duration_seconds_bucket",
        "actor_handle_duration_seconds_bucket",
        "db_client_operation_duration_seconds_bucket",
    ] {
        let there = metrics.lines().any(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']) && !rest.starts_with("_total"))
        });
        assert!(there, "{name} is not in {metrics}");
    }
    let value = |start: &str| -> f64 {
        let lines = metrics.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    assert_eq!(value("articles_created_total"), 1.0);
    assert_eq!((value("favorites_added_total"), value("favorites_removed_total")), (1.0, 1.0));
    assert_eq!(value("auth_login_attempts_total"), 2.0);
    assert_eq!(value("jobs_discarded_total"), 1.0);
    assert_eq!(value("actor_restarts_total"), 1.0);
    for private in [slug.as_str(), "example.com", "Metered"] {
        assert!(!metrics.contains(private), "{private} is in the metrics");
    }
    assert!(metrics.split(|c: char| !c.is_alphanumeric()).all(|word| word != "ann"), "ann is in the metrics");
    assert!(metrics.contains("/api/articles/{slug}"), "routes are patterns, not paths");
}
