//! Jobs that fail because an operator asked for it: as often as asked, without leaving half of what they did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;

use serde_json::{Value, json};
use support::{Service, Stage, service};

/// What `callboard jobs fail …` writes, and its exit status.
async fn fail(operated: &Service, arguments: &[&str]) -> (i32, String) {
    let mut command = service::command(&[&["jobs", "fail"], arguments].concat());
    command.env("ADMIN_ADDR", operated.admin.to_string()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(support::PATIENCE, command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// The only job of this kind, as operators see it.
async fn the_job(service: &Service, kind: &str) -> Value {
    let jobs = service.operator().get(&format!("/jobs?kind={kind}")).await.expect(200);
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs}");
    service.operator().get(&format!("/jobs/{}", jobs["jobs"][0]["id"])).await.expect(200)
}

#[tokio::test]
async fn a_job_that_fails_twice_on_purpose_takes_effect_once_and_tells_both_failures() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("JOB_BACKOFF_MS", "10")]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    stage.jobs_done().await;
    let (status, said) = fail(&service, &["article_published", "--times", "2"]).await;
    assert!(status == 0 && said.contains("article_published") && said.contains('2'), "{said}");
    ann.publish("News").await;
    stage.jobs_done().await;
    let job = the_job(&service, "article_published").await;
    assert_eq!((&job["state"], &job["attempt"]), (&json!("completed"), &json!(3)), "{job}");
    let errors: Vec<_> = job["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["error"]).collect();
    assert_eq!(errors, [&json!("failure asked for by fault injection"); 2]);
    assert_eq!(bob.inbox().await.1, 1, "what failed attempts did is undone");
    ann.publish("More news").await;
    stage.jobs_done().await;
    let last = service.operator().get("/jobs?kind=article_published&limit=1").await.expect(200)["jobs"][0].clone();
    assert_eq!((&last["state"], &last["attempt"]), (&json!("completed"), &json!(1)), "no further attempt fails");
}

#[tokio::test]
async fn jobs_of_other_kinds_and_those_that_would_go_together_are_left_alone() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("JOB_BACKOFF_MS", "10")]).await;
    let ann = service.client().register("ann").await;
    let slug = ann.publish("News").await;
    stage.jobs_done().await;
    service.operator().ask("/jobs/pause").await.expect(200);
    for number in 0..8 {
        let reader = service.client().register(&format!("reader {number}")).await;
        reader.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
        reader.follow(&ann).await;
    }
    let asked = service.operator().ask("/jobs/fail?kind=article_favorited&times=3").await.expect(200);
    assert_eq!(asked, json!({"kind": "article_favorited", "times": 3}));
    service.operator().ask("/jobs/resume").await.expect(200);
    stage.jobs_done().await;
    let failed = "select count(*), count(*) filter (where attempt > 1) from jobs where state = 'completed' and kind = ";
    for (kind, again) in [("article_favorited", 1..=3), ("followed", 0..=0)] {
        let row = &stage.query(&format!("{failed}'{kind}'"), &[]).await[0];
        let (all, tried_again): (i64, i64) = (row.get(0), row.get(1));
        assert!(all > 0 && again.contains(&tried_again), "{kind}: {tried_again} of {all} were tried again");
    }
    assert_eq!(stage.number("select count(*) from jobs where state = 'discarded'").await, 0);
}

#[tokio::test]
async fn failures_are_refused_where_they_are_not_allowed_or_not_possible() {
    let stage = Stage::new().await;
    let tame = Service::start(&stage, &[("CHAOS_ENABLED", "false")]).await;
    tame.operator().ask("/jobs/fail?kind=followed").await.refused(403, "forbidden");
    let (status, said) = fail(&tame, &["followed"]).await;
    assert!(status == 1 && said.contains("CHAOS_ENABLED"), "{said}");
    let wild = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    wild.operator().ask("/jobs/fail?kind=followed").await.refused(404, "not_found");
    let worker = Service::run(&stage, &["work"], &[]).await;
    worker.operator().ask("/jobs/fail?kind=nothing").await.refused(404, "not_found");
    for query in ["?times=2", "?kind=followed&times=-1", "?kind=followed&times=1001", "?kind=followed&times=x"] {
        worker.operator().ask(&format!("/jobs/fail{query}")).await.refused(400, "validation_failed");
    }
    assert_eq!(fail(&worker, &["followed"]).await.0, 0);
}
