//! Crashes as operators see them: the ledger, the events, the trace of the request that one cost, the watchdog.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::otlp::Receiver;
use support::service::ADMIN_TOKEN;
use support::{Events, Service, Stage, eventually};

async fn crash(service: &Service, path: &str) {
    assert_eq!(service.operator().ask(&format!("/actors/{path}/crash")).await.status, 202, "{path}");
}

async fn follow(service: &Service, last: Option<&str>) -> Events {
    Events::open(&format!("http://{}/actors/events", service.admin), None, last).await
}

/// The restarts in the ledger, once there are so many.
async fn ledger(service: &Service, count: usize) -> Vec<Value> {
    eventually("the restarts are in the ledger", async || {
        let answer = service.operator().get("/actors/restarts?limit=100").await.expect(200);
        let restarts = answer["restarts"].as_array().unwrap().clone();
        (restarts.len() >= count).then_some(restarts)
    })
    .await
}

#[tokio::test]
async fn a_restart_is_explained_in_the_ledger_which_outlives_the_process() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("NODE_NAME", "node-1")]).await;
    crash(&service, "root/articles/by_slug").await;
    let restart = ledger(&service, 1).await.remove(0);
    let mut fields: Vec<_> = restart.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let of_the_contract = [
        "at",
        "backoff_ms",
        "budget",
        "exit_kind",
        "incarnation",
        "message",
        "node",
        "path",
        "reason",
        "recovered_ms",
        "restart_id",
        "trace_id",
    ];
    assert_eq!(fields, of_the_contract);
    assert_eq!(
        (&restart["node"], &restart["path"], &restart["exit_kind"], &restart["reason"], &restart["incarnation"]),
        (&json!("node-1"), &json!("root/articles/by_slug"), &json!("panic"), &json!("crashed"), &json!(2))
    );
    assert_eq!(restart["budget"], json!({"max": 60, "period_s": 10, "used": 1}));
    assert!(restart["recovered_ms"].as_f64().unwrap() > 0.0 && restart["trace_id"].is_null(), "{restart}");
    service.stop().await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[("NODE_NAME", "node-2")]).await;
    crash(&other, "root/notifications").await;
    let restarts = ledger(&other, 5).await;
    assert_eq!(restarts.last().unwrap(), &restart, "what another process wrote is still there, as it was");
    let taken_along: Vec<_> = restarts.iter().filter(|row| row["reason"] == "supervisor_ended").collect();
    assert_eq!(taken_along.len(), 3, "those below a supervisor that ended are told of as well: {restarts:#?}");
    let total = |node: &Value| node["restarts"]["total"].as_u64().unwrap();
    fn all(node: &Value) -> Vec<Value> {
        let children = node["children"].as_array().map(Vec::as_slice).unwrap_or_default();
        std::iter::once(node.clone()).chain(children.iter().flat_map(all)).collect()
    }
    let tree = other.operator().get("/actors").await.expect(200);
    let counted: u64 = all(&tree["root"]).iter().map(total).sum();
    assert_eq!(counted, 4, "the tree and the ledger count the same");
}

#[tokio::test]
async fn the_ledger_is_read_page_by_page_newest_first_and_by_operators_only() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("ADMIN_TOKEN", ADMIN_TOKEN)]).await;
    let operator = service.operator().with_token(ADMIN_TOKEN);
    for number in 0..5 {
        assert_eq!(operator.ask("/actors/root/articles/lists/crash").await.status, 202);
        eventually("it is back", async || {
            let answer = operator.get("/actors/restarts").await.expect(200);
            (answer["restarts"].as_array().unwrap().len() > number).then_some(())
        })
        .await;
    }
    let mut url = Some("/actors/restarts?limit=2".to_owned());
    let mut incarnations = Vec::new();
    while let Some(page) = url {
        let answer = operator.get(&page).await.expect(200);
        incarnations
            .extend(answer["restarts"].as_array().unwrap().iter().map(|row| row["incarnation"].as_i64().unwrap()));
        url = answer["next"].as_str().map(str::to_owned);
    }
    assert_eq!(incarnations, [6, 5, 4, 3, 2]);
    operator.get("/actors/restarts?limit=0").await.refused(400, "validation_failed");
    operator.get("/actors/restarts?cursor=x").await.refused(400, "validation_failed");
    for path in ["/actors/restarts", "/actors/events"] {
        service.operator().get(path).await.refused(401, "unauthorized");
        operator.ask(path).await.refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_restart_that_cost_a_request_stands_in_its_trace_and_the_request_is_answered_all_the_same() {
    let stage = Stage::new().await;
    let receiver = Receiver::start().await;
    let exported = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &exported).await;
    let ann = service.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Of Ann").await);
    let mut locked = stage.another_client().await;
    let lock = locked.transaction().await.unwrap();
    lock.batch_execute("lock table articles in access exclusive mode").await.unwrap();
    let reading = tokio::spawn({
        let (client, path) = (service.client(), path.clone());
        async move { client.get(&path).await }
    });
    eventually("the read waits for the lock", async || {
        let waiting =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        (stage.number(waiting).await == 1).then_some(())
    })
    .await;
    crash(&service, "root/articles/by_slug").await;
    // As the tree has it: the ledger is read by the connections that the read which was lost, and the one that was asked for
    // in its place, hold up until the lock is gone or their time is over.
    eventually("the actor is back", async || {
        (service.actor("root/articles/by_slug").await["incarnation"] == 2).then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    let answer = reading.await.unwrap();
    answer.expect(200);
    let restart = ledger(&service, 1).await.remove(0);
    assert_eq!(restart["trace_id"], answer.trace_id());
    let spans =
        receiver.trace(&answer.trace_id(), &["actor restart root/articles/by_slug", "GET /api/articles/{slug}"]).await;
    let restarted = spans.iter().find(|span| span.name.starts_with("actor restart")).unwrap();
    assert_eq!(restarted.attribute("callboard.restart.id"), restart["restart_id"]);
    let hops: Vec<_> = spans.iter().filter(|span| span.name == "actor articles/by_slug find").collect();
    assert_eq!(hops.len(), 2, "the one that died, and the one that was asked again");
    let died = hops.iter().find(|hop| restarted.links.contains(&(hop.trace.clone(), hop.id.clone())));
    assert!(died.is_some(), "the restart links to the span that died: {restarted:?} {hops:?}");
    let line = service.logged("about the restart", |line| line["message"] == "an actor is back").await;
    assert_eq!((&line["trace_id"], &line["restart_id"]), (&json!(answer.trace_id()), &restart["restart_id"]));
}

#[tokio::test]
async fn events_tell_what_happens_and_go_on_where_a_client_left_off() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("NODE_NAME", "node-1")]).await;
    let mut events = follow(&service, None).await;
    crash(&service, "root/articles/by_slug").await;
    let stopped = events.next().await.unwrap();
    assert_eq!((&*stopped.name, &stopped.data["path"]), ("stopped", &json!("root/articles/by_slug")));
    assert!(stopped.data["message"].as_str().unwrap().contains("fault injection") && stopped.data["at"].is_string());
    let started = events.next().await.unwrap();
    assert_eq!((&*started.name, &started.data["incarnation"]), ("started", &json!(2)));
    let restarted = events.next().await.unwrap();
    assert_eq!(restarted.name, "restarted");
    assert_eq!(restarted.data, ledger(&service, 1).await[0], "the same as in the ledger");
    // While nobody listens something happens; who comes back reads it, and nothing twice.
    drop(events);
    crash(&service, "root/articles/lists").await;
    ledger(&service, 2).await;
    let mut events = follow(&service, Some(&restarted.id)).await;
    let next = events.next().await.unwrap();
    assert_eq!((&*next.name, &next.data["path"]), ("stopped", &json!("root/articles/lists")));
    // An id of another process is none of this one's: everything is told that is still known.
    let mut events = follow(&service, Some("ffffffff-7")).await;
    let first = events.until(|event| event.name == "stopped").await;
    assert_eq!(first.id, stopped.id);
    for _ in 0..3 {
        crash(&service, "root/favorites").await;
        events.until(|event| event.name == "restarted" && event.data["path"] == "root/favorites").await;
    }
    crash(&service, "root/favorites").await;
    let escalated = events.until(|event| event.name == "escalated").await;
    assert!(escalated.data["message"].as_str().unwrap().contains("root gives up"), "{escalated:?}");
    while events.next().await.is_some() {}
    assert_eq!(service.ended().await.0.code(), Some(1));
}

#[tokio::test]
async fn an_actor_that_hangs_is_killed_and_no_reader_notices() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("ACTOR_TURN_MS", "200")]).await;
    let ann = service.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Of Ann").await);
    for actor in ["root/articles/by_slug", "root/auth/sessions"] {
        assert_eq!(service.operator().ask(&format!("/actors/{actor}/hang")).await.status, 202);
    }
    ann.client.get(&path).await.expect(200);
    for restart in ledger(&service, 2).await {
        assert_eq!((&restart["exit_kind"], &restart["reason"]), (&json!("killed"), &json!("killed")));
        assert!(restart["message"].as_str().unwrap().contains("its turn has not ended"), "{restart}");
    }
    service.operator().get("/healthz").await.expect(200);
    let metrics = service.operator().get("/metrics").await.text();
    assert!(metrics.contains("actor_stalls_total{path=\"root/articles/by_slug\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_process_that_makes_no_progress_says_so_while_it_still_answers() {
    let stage = Stage::new().await;
    // Longer than the machine stands still when it has much else to do.
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("ACTOR_TURN_MS", "1000")]).await;
    service.operator().get("/healthz").await.expect(200);
    // Nobody is above the root, who could kill it: only a fresh process helps.
    assert_eq!(service.operator().ask("/actors/root/hang").await.status, 202);
    let answer = eventually("it is past help", async || {
        let answer = service.operator().get("/healthz").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!((&answer.json()["failing"], &answer.json()["stuck"]), (&json!(["progress"]), &json!(["root"])));
    service.client().get("/api/articles").await.expect(200);
}
