//! Jobs: what a write leaves for later. The table is the truth, Redis is disposable, dead letters are kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::future::poll_fn;

use serde_json::{Value, json};
use support::{Service, Stage, at_once, eventually};
use tokio::sync::mpsc;

/// A job that can never take effect, with so many attempts; its id.
async fn hopeless(stage: &Stage, attempts: i32) -> i64 {
    let insert = "insert into jobs (kind, args, max_attempts)
                  values ('article_published', '{\"article_id\": \"not a number\"}', $1) returning id";
    stage.query(insert, &[&attempts]).await[0].get(0)
}

async fn dead_letter(service: &Service, id: i64) -> Value {
    eventually("the job became a dead letter", async || {
        let page = service.operator().get("/jobs?state=discarded").await.expect(200);
        page["jobs"].as_array().unwrap().iter().find(|job| job["id"] == id).cloned()
    })
    .await
}

#[tokio::test]
async fn a_job_exists_exactly_if_its_article_does() {
    let stage = Stage::new().await;
    let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = api.client().register("ann").await;
    at_once(60, |number| {
        let client = ann.client.clone();
        // Every third one is refused.
        let body = if number % 3 == 0 { json!({"title": "", "body": "b"}) } else { json!({"title": "t", "body": "b"}) };
        async move { client.post("/api/articles", &body).await }
    })
    .await;
    let articles = "select id from articles order by id";
    let jobs = "select (args ->> 'article_id')::bigint from jobs where kind = 'article_published' order by 1";
    let ids = async |sql| stage.query(sql, &[]).await.iter().map(|row| row.get(0)).collect::<Vec<i64>>();
    assert_eq!(ids(articles).await.len(), 40);
    assert_eq!(ids(articles).await, ids(jobs).await);
}

#[tokio::test]
async fn an_article_and_its_job_commit_together_or_not_at_all() {
    let stage = Stage::new().await;
    let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = api.client().register("ann").await;
    // The database refuses the job; so there must be no article either.
    stage.execute("alter table jobs add constraint none_today check (false) not valid", &[]).await;
    let answer = ann.client.post("/api/articles", &json!({"title": "t", "body": "b"})).await;
    answer.refused(500, "internal_error");
    assert_eq!(stage.number("select count(*) from articles").await, 0);
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_and_ends_as_a_dead_letter() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("JOB_BACKOFF_MS", "10")]).await;
    let id = hopeless(&stage, 2).await;
    let job = dead_letter(&service, id).await;
    assert_eq!((&job["attempt"], &job["max_attempts"], &job["state"]), (&json!(2), &json!(2), &json!("discarded")));
    assert_eq!(job["args"], json!({"article_id": "not a number"}));
    assert_eq!(job["kind"], "article_published");
    assert!(job["last_error"].as_str().unwrap().contains("bad arguments"), "{job}");
    assert!(job["finished_at"].is_string() && job["started_at"].is_string(), "{job}");
    let errors = stage.query("select attempt from job_errors where job_id = $1 order by attempt", &[&id]).await;
    let attempts: Vec<i32> = errors.iter().map(|row| row.get(0)).collect();
    assert_eq!(attempts, [1, 2], "the error of every attempt is kept");
    let page = service.operator().get("/jobs?state=discarded&kind=article_published").await.expect(200);
    assert_eq!(page["counts"]["discarded"], 1);
    let none = service.operator().get("/jobs?state=discarded&kind=followed").await.expect(200);
    assert_eq!(none["jobs"], json!([]));
    service.operator().get("/jobs?state=lost").await.refused(400, "validation_failed");
}

#[tokio::test]
async fn a_dead_letter_that_was_mended_takes_effect_when_it_is_tried_again() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("JOB_BACKOFF_MS", "10")]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    let id = hopeless(&stage, 1).await;
    dead_letter(&service, id).await;
    let slug = ann.publish("News").await;
    stage.jobs_done().await;
    stage.execute("delete from notifications", &[]).await;
    let mend = "update jobs set args = (select jsonb_build_object('article_id', id) from articles where slug = $2)
                where id = $1";
    stage.execute(mend, &[&id, &slug]).await;
    let retried = service.operator().ask(&format!("/jobs/{id}/retry")).await.expect(200);
    assert_eq!(retried, json!({"retried": 1}));
    stage.jobs_done().await;
    let state: String = stage.query("select state from jobs where id = $1", &[&id]).await[0].get(0);
    assert_eq!(state, "completed");
    assert_eq!(bob.inbox().await.1, 1);
    service.operator().ask(&format!("/jobs/{id}/retry")).await.refused(404, "not_found");
    for unknown in ["4711", "0", "x", "99999999999999999999"] {
        service.operator().ask(&format!("/jobs/{unknown}/retry")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn losing_what_is_in_redis_loses_no_job_and_no_effect() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("JOB_WORKERS", "1")]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    stage.jobs_done().await;
    // The first job keeps the only worker busy, so that the others are in Redis and nowhere else.
    let mut locked = stage.another_client().await;
    let lock = locked.transaction().await.unwrap();
    lock.batch_execute("lock table notifications in access exclusive mode").await.unwrap();
    for number in 0..4 {
        ann.publish(&format!("Number {number}")).await;
    }
    eventually("one job runs and the others were sent", async || {
        let waiting = "select count(*) from jobs where state = 'available' and sent_at is not null";
        (stage.number(waiting).await == 3).then_some(())
    })
    .await;
    stage.flush_redis().await;
    lock.rollback().await.unwrap();
    // As if the time had passed after which a job that was sent and did not begin is sent again.
    let later = "update jobs set sent_at = now() - interval '1 h' where state = 'available' and sent_at is not null";
    assert_eq!(stage.execute(later, &[]).await, 3, "Redis was emptied before they began");
    stage.jobs_done().await;
    let (told, unread) = bob.inbox().await;
    assert_eq!((told.len(), unread), (4, 4), "{told:?}");
    // The stream and its group were made anew.
    ann.publish("Afterwards").await;
    stage.jobs_done().await;
    assert_eq!(bob.inbox().await.1, 5);
}

#[tokio::test]
async fn the_jobs_of_a_killed_process_are_done_by_another() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    stage.jobs_done().await;
    // Whoever tells bob of anything has to wait for this lock, and has to be killed with the job in hand.
    let mut locked = stage.another_client().await;
    let lock = locked.transaction().await.unwrap();
    lock.batch_execute("lock table notifications in access exclusive mode").await.unwrap();
    ann.publish("News").await;
    eventually("the job runs", async || {
        (stage.number("select count(*) from jobs where state = 'running'").await == 1).then_some(())
    })
    .await;
    service.kill();
    let (status, _) = service.ended().await;
    assert_eq!(status.code(), None, "it was killed");
    lock.rollback().await.unwrap();
    let other = Service::start(&stage, &[]).await;
    stage.jobs_done().await;
    assert_eq!(bob.at(&other.client()).get("/api/notifications").await.expect(200)["unread_count"], 1);
    assert_eq!(stage.number("select attempt::bigint from jobs order by id desc limit 1").await, 2);
}

/// Notices of jobs, as another process hears them.
async fn listening(stage: &Stage) -> (tokio_postgres::Client, mpsc::UnboundedReceiver<String>) {
    let config: tokio_postgres::Config = stage.database_url.parse().unwrap();
    let (client, mut connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    let (heard, notices) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let tokio_postgres::AsyncMessage::Notification(notice) = message {
                let _ = heard.send(notice.payload().to_owned());
            }
        }
    });
    client.batch_execute("listen callboard_jobs").await.unwrap();
    (client, notices)
}

/// Transactions that notify are committed one after the other.
#[tokio::test]
async fn what_gathers_commits_without_a_notice_and_wakes_whoever_moves_its_jobs_afterwards() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    stage.jobs_done().await;
    let (client, mut notices) = listening(&stage).await;
    let slug = ann.publish("On bells").await;
    bob.client.post(&format!("/api/articles/{slug}/favorite"), &json!({})).await.expect(200);
    stage.jobs_done().await;
    eventually("nobody is busy who waits", async || {
        (service.metric("jobs_workers_busy", "").await == 0.0).then_some(())
    })
    .await;
    client.batch_execute("select pg_notify('callboard_jobs', 'marker')").await.unwrap();
    assert_eq!(notices.recv().await.unwrap(), "marker", "a process that moves jobs wakes itself and tells nobody");

    // One that moves none tells those that do.
    service.stop().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let article = json!({"title": "On other bells", "description": "in short", "body": "at length"});
    ann.at(&service.client()).post("/api/articles", &article).await.expect(201);
    assert_eq!(notices.recv().await.unwrap(), "");
    let again = format!("/api/articles/{slug}/favorite");
    bob.at(&service.client()).delete(&again).await.expect(200);
    bob.at(&service.client()).post(&again, &json!({})).await.expect(200);
    assert_eq!(notices.recv().await.unwrap(), "");
    client.batch_execute("select pg_notify('callboard_jobs', 'marker')").await.unwrap();
    while notices.recv().await.unwrap() != "marker" {}

    // So does whoever leaves a job by hand, and nobody who leaves none.
    let none = "insert into jobs (kind, args) select 'unknown', '{}' where false;
                select pg_notify('callboard_jobs', 'marker')";
    client.batch_execute(none).await.unwrap();
    assert_eq!(notices.recv().await.unwrap(), "marker");
    client.batch_execute("insert into jobs (kind, args) values ('unknown', '{}')").await.unwrap();
    assert_eq!(notices.recv().await.unwrap(), "");
}
