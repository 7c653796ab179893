//! Jobs as operators see them and decide about them, over HTTP and from a terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;

use serde_json::json;
use support::{Service, Stage, eventually, service};

/// Leaves a job as a domain's statement would; its id.
async fn leave(stage: &Stage, kind: &str, args: &str, more: &str) -> i64 {
    let (columns, values) = more
        .split_once('=')
        .map_or((String::new(), String::new()), |(column, value)| (format!(", {column}"), format!(", {value}")));
    let insert = format!("insert into jobs (kind, args{columns}) values ('{kind}', '{args}'{values}) returning id");
    stage.query(&insert, &[]).await[0].get(0)
}

async fn state(stage: &Stage, id: i64) -> String {
    stage.query("select state from jobs where id = $1", &[&id]).await[0].get(0)
}

/// What `callboard jobs …` writes, and its exit status.
async fn command(operated: &Service, arguments: &[&str]) -> (i32, String) {
    let mut command = service::command(&[&["jobs"], arguments].concat());
    command.env("ADMIN_ADDR", operated.admin.to_string()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(support::PATIENCE, command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn one_job_tells_its_attempts_their_errors_and_why_it_does_not_run() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("JOB_BACKOFF_MS", "10")]).await;
    let hopeless = leave(&stage, "article_published", r#"{"article_id": "none"}"#, "max_attempts=2").await;
    eventually("it is a dead letter", async || (state(&stage, hopeless).await == "discarded").then_some(())).await;
    let job = service.operator().get(&format!("/jobs/{hopeless}")).await.expect(200);
    assert_eq!(
        (&job["state"], &job["attempt"], &job["args"]),
        (&json!("discarded"), &json!(2), &json!({"article_id": "none"}))
    );
    let attempts = job["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|failed| failed["error"].as_str().unwrap().contains("bad arguments")), "{job}");
    assert!(job["why"].as_str().unwrap().starts_with("It is a dead letter after 2 of 2 attempts"), "{job}");
    let unknown = leave(&stage, "from_the_future", "{}", "").await;
    let (status, why) = command(&service, &["why", &unknown.to_string()]).await;
    assert_eq!((status, why.trim()), (0, "No process that takes jobs knows the kind from_the_future in version 1."));
    let (status, shown) = command(&service, &["show", &hopeless.to_string()]).await;
    assert!(status == 0 && shown.contains("discarded") && shown.contains("bad arguments"), "{shown}");
    let (status, list) = command(&service, &["list", "--state", "discarded"]).await;
    assert!(status == 0 && list.contains("1 discarded") && list.contains("article_published"), "{list}");
    service.operator().get("/jobs/4711").await.refused(404, "not_found");
    assert_eq!(command(&service, &["show", "4711"]).await.0, 1);
}

#[tokio::test]
async fn all_dead_letters_are_tried_again_at_once_and_nothing_else_is() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("JOB_BACKOFF_MS", "10")]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    ann.publish("News").await;
    stage.jobs_done().await;
    stage.execute("delete from notifications", &[]).await;
    let mut dead = Vec::new();
    for _ in 0..3 {
        dead.push(leave(&stage, "article_published", r#"{"article_id": "none"}"#, "max_attempts=1").await);
    }
    eventually("all are dead letters", async || {
        (stage.number("select count(*) from jobs where state = 'discarded'").await == 3).then_some(())
    })
    .await;
    stage.execute("update jobs set args = '{\"article_id\": 1}' where state = 'discarded'", &[]).await;
    service.operator().ask("/jobs/retry").await.refused(400, "validation_failed");
    service.operator().ask("/jobs/retry?state=completed").await.refused(400, "validation_failed");
    assert_eq!(service.operator().ask("/jobs/retry?state=discarded").await.expect(200), json!({"retried": 3}));
    stage.jobs_done().await;
    for id in dead {
        assert_eq!(state(&stage, id).await, "completed");
    }
    assert_eq!(bob.inbox().await.1, 1, "three times the same is told once");
}

#[tokio::test]
async fn a_pause_holds_for_every_process_and_publishing_goes_on() {
    let stage = Stage::new().await;
    let (one, two) = (Service::start(&stage, &[]).await, Service::start(&stage, &[]).await);
    let (ann, bob) = (one.client().register("ann").await, one.client().register("bob").await);
    bob.follow(&ann).await;
    stage.jobs_done().await;
    assert_eq!(two.operator().ask("/jobs/pause").await.expect(200), json!({"paused": true, "changed": true}));
    let since = one.operator().get("/jobs").await.expect(200)["paused_at"].clone();
    assert!(since.as_str().is_some_and(|since| since.ends_with('Z')), "{since}");
    assert_eq!(one.operator().ask("/jobs/pause").await.expect(200), json!({"paused": true, "changed": false}));
    assert_eq!(two.operator().get("/jobs").await.expect(200)["paused_at"], since, "a second pause is the first one");
    assert!(command(&one, &["list"]).await.1.contains("all jobs are paused since "));
    for number in 0..5 {
        ann.publish(&format!("Number {number}")).await;
    }
    let waiting = stage.query("select id from jobs where state <> 'completed' order by id limit 1", &[]).await[0]
        .get::<_, i64>(0);
    let (_, why) = command(&one, &["why", &waiting.to_string()]).await;
    assert_eq!(why.trim(), "All jobs are paused.");
    let cancelled = one.operator().ask(&format!("/jobs/{waiting}/cancel")).await.expect(200);
    assert_eq!(cancelled, json!({"state": "cancelled"}));
    one.operator().ask(&format!("/jobs/{waiting}/cancel")).await.refused(404, "not_found");
    assert_eq!(command(&two, &["resume"]).await.0, 0);
    assert_eq!(one.operator().get("/jobs").await.expect(200)["paused_at"], json!(null));
    stage.jobs_done().await;
    assert_eq!(bob.inbox().await.1, 4, "all but the one that was called off");
}

#[tokio::test]
async fn a_long_queue_does_not_grow_the_memory_of_who_works_it_off() {
    const JOBS: i64 = 20_000;
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["work"], &[("JOB_WORKERS", "1")]).await;
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = memory();
    // Each of them finds nothing to tell.
    let many = "insert into jobs (kind, args) select 'article_published', '{\"article_id\": 0}' from generate_series(1::bigint, $1)";
    let mut locked = stage.another_client().await;
    let lock = locked.transaction().await.unwrap();
    lock.batch_execute("lock table notifications in access exclusive mode").await.unwrap();
    stage.execute(many, &[&JOBS]).await;
    eventually("all are in Redis", async || {
        let unsent = "select count(*) from jobs where state = 'available' and sent_at is null";
        (stage.number(unsent).await == 0).then_some(())
    })
    .await;
    assert!(memory() < before + 32, "{before} MiB before, {} MiB with {JOBS} jobs waiting", memory());
    assert_eq!(stage.number("select count(*) from jobs where state = 'running'").await, 1);
    lock.rollback().await.unwrap();
    eventually("work goes on", async || {
        (stage.number("select count(*) from jobs where state = 'completed'").await > 100).then_some(())
    })
    .await;
}
