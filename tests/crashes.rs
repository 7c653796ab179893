//! What crashes cost: nothing that was asked for twice, and never the service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use support::{Service, Stage, User, eventually};
use tokio_postgres::Row;

/// The paths of all supervisors below the root, and those of all other actors, in the order of the tree.
async fn paths(service: &Service) -> (Vec<String>, Vec<String>) {
    fn collect(node: &Value, paths: &mut (Vec<String>, Vec<String>)) {
        let path = node["path"].as_str().unwrap().to_owned();
        match node["kind"] == "supervisor" {
            true => paths.0.push(path),
            false => paths.1.push(path),
        }
        node["children"].as_array().into_iter().flatten().for_each(|child| collect(child, paths));
    }
    let mut paths = (Vec::new(), Vec::new());
    collect(&service.operator().get("/actors").await.expect(200)["root"], &mut paths);
    paths.0.retain(|path| path != "root");
    paths
}

/// Crashes an actor and waits until it, and all below it, is there again.
async fn crash(service: &Service, path: &str) {
    let before = service.actor(path).await["incarnation"].as_u64().unwrap();
    assert_eq!(service.operator().ask(&format!("/actors/{path}/crash")).await.status, 202, "{path}");
    fn runs(node: &Value) -> bool {
        node["status"] == "running" && node["children"].as_array().is_none_or(|below| below.iter().all(runs))
    }
    eventually(&format!("{path} comes back"), async || {
        let node = service.actor(path).await;
        let back = node["incarnation"].as_u64().unwrap() > before && runs(&node);
        back.then(|| assert!(node["restarts"]["total"].as_u64().unwrap() >= 1, "{node}"))
    })
    .await;
}

/// Everything that the service does, once; `round` tells it from the times before.
async fn works(stage: &Stage, service: &Service, ann: &User, bob: &User, round: &str) {
    let cy = service.client().register(&format!("cy{round}")).await;
    let slug = ann.publish(&format!("Round {round}")).await;
    let path = format!("/api/articles/{slug}");
    assert_eq!(bob.client.get(&path).await.expect(200)["slug"], slug);
    ann.client.put(&path, &serde_json::json!({"title": "Changed"})).await.expect(200);
    bob.client.ask(&format!("{path}/favorite")).await.expect(200);
    assert_eq!(service.client().get("/api/articles").await.expect(200)["articles"][0]["favorites_count"], 1);
    cy.client.get("/api/user").await.expect(200);
    cy.client.ask("/api/logout").await.expect(200);
    stage.jobs_done().await;
    assert_eq!(bob.inbox().await.0[0]["article"]["slug"], slug, "{round}");
}

async fn with_followed_author(stage: &Stage) -> (Service, User, User) {
    let service = Service::start(stage, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    (service, ann, bob)
}

#[tokio::test]
async fn every_actor_comes_back_after_a_crash_and_the_service_goes_on() {
    let stage = Stage::new().await;
    let (service, ann, bob) = with_followed_author(&stage).await;
    let (_, paths) = paths(&service).await;
    assert!(paths.len() >= 25, "{paths:?}");
    for path in &paths {
        crash(&service, path).await;
        works(&stage, &service, &ann, &bob, &path.replace(['/', '_'], ".")).await;
    }
    assert_eq!(service.actor("root").await["restarts"]["in_window"], 0, "no supervisor had to give up");
    let written = eventually("every restart is in the ledger", async || {
        let rows = stage.query("select * from actor_restarts order by id", &[]).await;
        let own = rows.iter().filter(|row| row.get::<_, &str>("reason") == "crashed").count();
        (own >= paths.len()).then_some(rows)
    })
    .await;
    for path in &paths {
        let own = |row: &&Row| row.get::<_, &str>("path") == path && row.get::<_, &str>("reason") == "crashed";
        let row = written.iter().find(own);
        let row = row.unwrap_or_else(|| panic!("{path} is not in the ledger"));
        assert_eq!(row.get::<_, &str>("exit_kind"), "panic", "{path}");
        assert!(row.get::<_, &str>("message").contains("fault injection"), "{path}");
    }
    service.stop().await;
}

/// The root allows three restarts in a minute, so no process gets more.
async fn come_back(part: usize) {
    let stage = Stage::new().await;
    let (service, ann, bob) = with_followed_author(&stage).await;
    let (supervisors, _) = paths(&service).await;
    let here: Vec<_> = supervisors.iter().skip(part * 3).take(3).collect();
    for (number, path) in here.iter().enumerate() {
        crash(&service, path).await;
        works(&stage, &service, &ann, &bob, &format!("{number}")).await;
    }
    assert_eq!(service.actor("root").await["restarts"]["in_window"], here.len());
    eventually("every restart is in the ledger", async || {
        let rows = stage.query("select path from actor_restarts", &[]).await;
        here.iter().all(|path| rows.iter().any(|row| row.get::<_, &str>(0) == **path)).then_some(())
    })
    .await;
    assert!(supervisors.len() <= 9, "{supervisors:?} need another part");
    service.stop().await;
}

#[tokio::test]
async fn every_supervisor_comes_back_with_all_below_it_first_part() {
    come_back(0).await;
}

#[tokio::test]
async fn every_supervisor_comes_back_with_all_below_it_second_part() {
    come_back(1).await;
}

#[tokio::test]
async fn every_supervisor_comes_back_with_all_below_it_third_part() {
    come_back(2).await;
}

#[tokio::test]
async fn a_tree_that_gives_up_ends_the_process_with_an_error() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    for _ in 0..3 {
        crash(&service, "root/articles").await;
    }
    assert_eq!(service.operator().ask("/actors/root/articles/crash").await.status, 202);
    let (status, lines) = service.ended().await;
    assert_eq!(status.code(), Some(1), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("root gives up")), "{lines:#?}");
}

/// Each of two actors on their way is crashed so often, the second one while the first one is away too.
const CRASHES: usize = 25;

#[tokio::test]
async fn readers_see_no_crash() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Of Ann").await);
    let (over, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (client, path, over, reads) = (ann.client.clone(), path.clone(), over.clone(), reads.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    client.get(&path).await.expect(200);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let again_and_again = async |path: &str| {
        for _ in 0..CRASHES {
            crash(&service, path).await;
        }
    };
    tokio::join!(again_and_again("root/articles/by_slug"), again_and_again("root/auth/sessions"));
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(reads.load(Ordering::Relaxed) > CRASHES, "{reads:?} reads");
    assert_eq!(service.actor("root").await["restarts"]["in_window"], 0, "no supervisor had to give up");
}
