//! Publishing with an `Idempotency-Key`: once, however often it is asked for, on whichever node, whoever dies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{Answer, Client, Service, Stage, User, at_once, eventually};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";
/// Statements of the test's database that wait for a lock.
const WAITING: &str =
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";

fn article(title: &str) -> Value {
    json!({"title": title, "description": "in short", "body": "at length"})
}

async fn publish(client: &Client, key: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    client.send("POST", "/api/articles", &headers, body.to_string()).await
}

#[track_caller]
fn same(first: &Answer, again: &Answer) {
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for header in ["location", "content-location", "etag", "content-type"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
}

#[tokio::test]
async fn the_same_request_with_the_same_key_gets_the_first_answer_again() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (one.client().register("ann").await, one.client().register("bob").await);
    let first = publish(&ann.client, KEY, &article("Once")).await;
    first.expect(201);
    let path = first.header("location").unwrap();
    same(&first, &publish(&ann.client, KEY, &article("Once")).await);
    same(&first, &publish(&ann.at(&other.client()), KEY, &article("Once")).await);
    // However it is written down, and whatever became of it and of its author.
    let spaced = r#" { "body":"at length", "title":" Once ", "description":"in short", "unknown":1 } "#;
    let headers = [("content-type", "application/json"), ("idempotency-key", KEY)];
    same(&first, &ann.client.send("POST", "/api/articles", &headers, spaced).await);
    bob.client.ask(&format!("{path}/favorite")).await.expect(200);
    ann.client.put(path, &json!({"title": "Changed", "body": "shorter"})).await.expect(200);
    stage.execute("update users set name = 'Anna', bio = 'new' where id = $1", &[&ann.id]).await;
    same(&first, &publish(&ann.client, KEY, &article("Once")).await);
    assert_eq!(stage.number("select count(*) from articles").await, 1);
    assert_eq!(stage.number("select count(*) from jobs where kind = 'article_published'").await, 1);
    ann.client.delete(path).await.expect(204);
    same(&first, &publish(&ann.client, KEY, &article("Once")).await);
    assert_eq!(stage.number("select count(*) from articles").await, 0);
    // Another's key is another key, and no key is none.
    let of_bob = publish(&bob.client, KEY, &article("Once")).await;
    assert_eq!(
        (of_bob.expect(201)["author"]["id"].clone(), of_bob.header("idempotency-replayed")),
        (json!(bob.id), None)
    );
    let plain = ann.client.post("/api/articles", &article("Once")).await;
    assert_ne!(plain.expect(201)["id"], first.json()["id"]);
}

#[tokio::test]
async fn a_key_that_was_used_for_something_else_is_refused() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let first = publish(&ann.client, KEY, &article("Once")).await;
    first.expect(201);
    let mut others = vec![article("Twice"), article("Once"), article("Once"), article("Once")];
    others[1]["body"] = json!("at length ");
    others[2]["description"] = json!("in shor");
    others[3].as_object_mut().unwrap().remove("description");
    for other in others {
        publish(&ann.client, KEY, &other).await.refused(422, "idempotency_key_reused");
    }
    same(&first, &publish(&ann.client, KEY, &article("Once")).await);
    assert_eq!(stage.number("select count(*) from articles").await, 1);
}

#[tokio::test]
async fn what_is_refused_uses_up_no_key_and_what_cannot_be_one_is_refused() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    assert_eq!(publish(&ann.client, KEY, &json!({"title": ""})).await.unfit_fields(), ["title", "body"]);
    publish(&service.client(), KEY, &article("Once")).await.refused(401, "unauthorized");
    let long = "~".repeat(256);
    for key in ["", "ä", "tab\there", &long] {
        assert_eq!(publish(&ann.client, key, &article("Once")).await.unfit_fields(), ["Idempotency-Key"], "{key}");
    }
    let twice = [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")];
    let answer = ann.client.send("POST", "/api/articles", &twice, article("Once").to_string()).await;
    assert_eq!(answer.unfit_fields(), ["Idempotency-Key"]);
    for key in [KEY, "\"quoted\"", &long[1..], "a b"] {
        let first = publish(&ann.client, key, &article("Once")).await;
        first.expect(201);
        same(&first, &publish(&ann.client, key, &article("Once")).await);
    }
}

#[tokio::test]
async fn while_the_first_is_in_flight_others_are_told_so_on_every_node() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = one.client().register("ann").await;
    // Whoever publishes makes sure that the author stays, and so has to wait.
    let keeper = stage.another_client().await;
    keeper.batch_execute("begin; select from users for update").await.unwrap();
    let first = {
        let ann = ann.clone();
        tokio::spawn(async move { publish(&ann.client, KEY, &article("Once")).await })
    };
    eventually("the first waits", async || (stage.number(WAITING).await == 1).then_some(())).await;
    for client in [&ann.client, &ann.at(&other.client())] {
        for title in ["Once", "Twice"] {
            let told = publish(client, KEY, &article(title)).await;
            told.refused(409, "idempotency_key_in_use");
            assert_eq!(told.header("retry-after"), Some("1"));
        }
    }
    keeper.batch_execute("rollback").await.unwrap();
    let first = first.await.unwrap();
    first.expect(201);
    same(&first, &publish(&ann.at(&other.client()), KEY, &article("Once")).await);
    assert_eq!(stage.number("select count(*) from articles").await, 1);
}

/// Asks until the key is free.
async fn patiently(client: &Client, body: &Value) -> Answer {
    eventually("the key is free", async || {
        let answer = publish(client, KEY, body).await;
        (answer.status != 409).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn of_many_with_one_key_at_once_on_two_nodes_one_publishes() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = one.client().register("ann").await;
    for round in 1..=4 {
        let key = format!("round {round}");
        let answers = at_once(24, |number| {
            let client = ann.at(&if number % 2 == 0 { one.client() } else { other.client() });
            let key = key.clone();
            async move { publish(&client, &key, &article("Once")).await }
        });
        let answers = answers.await;
        assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 409)), "{answers:?}");
        let firsts: Vec<_> =
            answers.iter().filter(|a| a.status == 201 && a.header("idempotency-replayed").is_none()).collect();
        assert_eq!(firsts.len(), 1, "{answers:?}");
        // Once it is answered, all who ask again at once get it, and nobody is in another's way.
        let again = at_once(24, |number| {
            let client = ann.at(&if number % 2 == 0 { one.client() } else { other.client() });
            let key = key.clone();
            async move { publish(&client, &key, &article("Once")).await }
        });
        again.await.iter().for_each(|again| same(firsts[0], again));
        assert_eq!(stage.number("select count(*) from articles").await, round);
        assert_eq!(stage.number("select count(*) from jobs").await, round);
    }
}

#[tokio::test]
async fn a_process_that_dies_between_commit_and_answer_leaves_the_answer_to_the_others() {
    let stage = Stage::new().await;
    let doomed = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = other.client().register("ann").await;
    // Commits wait at their very end for as long as we hold this lock.
    stage
        .execute(
            "create function wait_before_commit() returns trigger language plpgsql as
             $$ begin perform pg_advisory_xact_lock(4711); return null; end $$",
            &[],
        )
        .await;
    stage
        .execute(
            "create constraint trigger wait_before_commit after insert on articles deferrable initially deferred
             for each row execute function wait_before_commit()",
            &[],
        )
        .await;
    let keeper = stage.another_client().await;
    keeper.batch_execute("select pg_advisory_lock(4711)").await.unwrap();
    let lost = {
        let client = ann.at(&doomed.client());
        tokio::spawn(async move {
            let headers = [("content-type", "application/json"), ("idempotency-key", KEY)];
            client.try_send("POST", "/api/articles", &headers, article("Once").to_string(), support::PATIENCE).await
        })
    };
    eventually("it is about to commit", async || (stage.number(WAITING).await == 1).then_some(())).await;
    doomed.kill();
    lost.await.unwrap().expect_err("nobody answers");
    publish(&ann.client, KEY, &article("Once")).await.refused(409, "idempotency_key_in_use");
    keeper.batch_execute("select pg_advisory_unlock(4711)").await.unwrap();
    let answer = patiently(&ann.client, &article("Once")).await;
    assert_eq!(
        (answer.expect(201)["title"].clone(), answer.header("idempotency-replayed")),
        (json!("Once"), Some("true"))
    );
    assert_eq!(ann.client.get(answer.header("location").unwrap()).await.expect(200), answer.json());
    assert_eq!(stage.number("select count(*) from articles").await, 1);
    assert_eq!(stage.number("select count(*) from jobs").await, 1);
}

#[tokio::test]
async fn a_crash_of_the_creator_publishes_nothing_twice() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann: User = service.client().register("ann").await;
    let keeper = stage.another_client().await;
    keeper.batch_execute("begin; select from users for update").await.unwrap();
    let first = {
        let client = ann.client.clone();
        tokio::spawn(async move { publish(&client, KEY, &article("Once")).await })
    };
    eventually("the first waits", async || (stage.number(WAITING).await == 1).then_some(())).await;
    assert_eq!(service.operator().ask("/actors/root/articles/creator/crash").await.status, 202);
    eventually("the creator is back", async || {
        (service.actor("root/articles/creator").await["restarts"]["total"] == 1).then_some(())
    })
    .await;
    keeper.batch_execute("rollback").await.unwrap();
    // It was asked again: behind its own statement, or beside it while that was in flight.
    let first = first.await.unwrap();
    assert!(matches!(first.status, 201 | 409), "{first:?}");
    patiently(&ann.client, &article("Once")).await.expect(201);
    assert_eq!(stage.number("select count(*) from articles").await, 1);
    assert_eq!(stage.number("select count(*) from jobs").await, 1);
}

#[tokio::test]
async fn a_key_is_good_for_a_day_and_then_forgotten() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let first = publish(&ann.client, KEY, &article("Once")).await;
    first.expect(201);
    let age = async |hours: &str| {
        let age = format!("update idempotency_keys set created_at = created_at - interval '{hours}'");
        stage.execute(&age, &[]).await;
    };
    age("23 hours 50 minutes").await;
    let again = publish(&ann.client, KEY, &article("Once")).await;
    assert_eq!(again.json()["id"], first.json()["id"], "it is good still");
    age("20 minutes").await;
    let second = publish(&ann.client, KEY, &article("Twice")).await;
    assert_ne!(second.expect(201)["id"], first.json()["id"]);
    same(&second, &publish(&ann.client, KEY, &article("Twice")).await);
    age("25 hours").await;
    publish(&ann.client, "fresh", &article("Thrice")).await.expect(201);
    // Each process looks when it starts.
    let _another = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let keys = "select count(*) from idempotency_keys";
    eventually("the old key is forgotten", async || (stage.number(keys).await == 1).then_some(())).await;
    assert_eq!(stage.number("select count(*) from idempotency_keys where key = 'fresh'").await, 1);
}
