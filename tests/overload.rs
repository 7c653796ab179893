//! Too much to do: refused at the door in good time, and forgotten as soon as it is over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{Answer, Service, Stage, at_once, eventually};

/// Twenty times as many as there is room for at the slowest actor.
const BURST: usize = 20 * 32;

/// What a counter of an actor shows.
async fn counter(service: &Service, path: &str, name: &str) -> u64 {
    service.actor(path).await[name].as_u64().unwrap()
}

/// The most memory that the process ever had, in MiB.
fn peak_memory(service: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn served_or_refused(answers: &[Answer], served: u16) -> (usize, usize) {
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    for answer in answers.iter().filter(|answer| answer.status == 503) {
        answer.refused(503, "overloaded");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(count(served) + count(503), answers.len(), "{answers:?}");
    (count(served), count(503))
}

#[tokio::test]
async fn a_burst_of_twenty_times_what_there_is_room_for_is_served_or_refused_with_bounded_memory() {
    let stage = Stage::new().await;
    let limits = [("PASSWORD_QUEUE", "32"), ("PASSWORD_WORKERS", "2")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &limits).await;
    let ann = service.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Of Ann").await);
    let login = json!({"email": ann.email, "password": support::client::PASSWORD});
    service.client().post("/api/login", &login).await.expect(200);
    let before = peak_memory(&service);
    let api = service.client();
    let logins = at_once(BURST, move |_| {
        let (api, login) = (api.clone(), login.clone());
        async move { api.post("/api/login", &login).await }
    });
    let reader = service.client();
    let reads = async {
        let mut reads = Vec::new();
        for _ in 0..50 {
            reads.push(reader.get(&path).await);
        }
        reads
    };
    let (logins, reads) = tokio::join!(logins, reads);
    let (served, refused) = served_or_refused(&logins, 200);
    assert!(served >= 32 && refused > 0, "{served} served, {refused} refused");
    assert!(reads.iter().all(|read| read.status == 200), "who asks for something else is served as ever");
    let after = peak_memory(&service);
    // Each hash takes 19 MiB: unbounded, they would have taken 12 GiB.
    assert!(after < before + 200, "{before} MiB before, {after} MiB at the peak");
    for name in ["mailbox_depth", "in_flight"] {
        assert_eq!(counter(&service, "root/auth/passwords", name).await, 0, "nothing is left to be done: {name}");
    }
}

#[tokio::test]
async fn who_is_let_in_behind_something_slow_is_answered_and_everybody_else_is_refused_at_once() {
    let stage = Stage::new().await;
    let limits = [("MAILBOX_CAPACITY", "16"), ("BATCH_MAX", "4"), ("DATABASE_STATEMENT_TIMEOUT_MS", "60000")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &limits).await;
    let ann = service.client().register("ann").await;
    let mut locked = stage.another_client().await;
    let lock = locked.transaction().await.unwrap();
    lock.batch_execute("lock table articles in access exclusive mode").await.unwrap();
    // Two statements of at most four under way, and sixteen that wait.
    let publishing = tokio::spawn(at_once(20 * 16, move |number| {
        let ann = ann.clone();
        let body = json!({"title": format!("Number {number}"), "body": "b"});
        async move { ann.client.post("/api/articles", &body).await }
    }));
    eventually("everybody was let in or refused, while nothing could be done", async || {
        let metrics = service.operator().get("/metrics").await.text();
        let refused = metrics.lines().filter(|line| line.starts_with("actor_mailbox_refused_total{"));
        let refused: u64 = refused.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        let waiting = counter(&service, "root/articles/creator", "mailbox_depth").await;
        let in_hand = counter(&service, "root/articles/creator", "in_flight").await;
        (refused + waiting + in_hand == 20 * 16).then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    let (served, refused) = served_or_refused(&publishing.await.unwrap(), 201);
    assert!((1..=24).contains(&served), "{served} served, {refused} refused");
    assert_eq!(stage.number("select count(*) from articles").await, i64::try_from(served).unwrap());
}

#[tokio::test]
async fn what_the_database_gives_up_on_was_not_done_and_may_be_asked_again() {
    let stage = Stage::new().await;
    let impatient = [("DATABASE_STATEMENT_TIMEOUT_MS", "500")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &impatient).await;
    let ann = service.client().register("ann").await;
    let lock = stage.locked("articles").await;
    let publish = json!({"title": "News", "body": "b"});
    for answer in [ann.client.post("/api/articles", &publish).await, ann.client.get("/api/articles").await] {
        answer.refused(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    lock.batch_execute("rollback").await.unwrap();
    assert_eq!(stage.number("select count(*) from articles").await, 0);
    ann.client.post("/api/articles", &publish).await.expect(201);
    assert_eq!(stage.number("select count(*) from articles").await, 1);
}

#[tokio::test]
async fn nothing_is_done_for_clients_that_have_gone() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("PASSWORD_WORKERS", "1")]).await;
    let ann = service.client().register("ann").await;
    let login = json!({"email": ann.email, "password": support::client::PASSWORD});
    let handled = counter(&service, "root/auth/passwords", "handled_total").await;
    let api = service.client();
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let (api, login) = (api.clone(), login.clone());
            tokio::spawn(async move { api.post("/api/login", &login).await })
        })
        .collect();
    eventually("many wait", async || {
        (counter(&service, "root/auth/passwords", "mailbox_depth").await >= 20).then_some(())
    })
    .await;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("nobody waits any more", async || {
        let left = counter(&service, "root/auth/passwords", "mailbox_depth").await
            + counter(&service, "root/auth/passwords", "in_flight").await;
        (left == 0).then_some(())
    })
    .await;
    let done = counter(&service, "root/auth/passwords", "handled_total").await - handled;
    assert!(done < 35, "{done} of 40 passwords were computed, though most clients had gone");
    tokio::time::timeout(Duration::from_secs(30), api.post("/api/login", &login)).await.unwrap().expect(200);
}
