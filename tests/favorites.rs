//! Favorites: exact counts, whoever comes at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{Client, Service, Stage, User, at_once, eventually};

async fn crowd(api: &Client, count: usize) -> Vec<User> {
    at_once(count, |number| {
        let api = api.clone();
        async move { api.register(&format!("reader{number}")).await }
    })
    .await
}

async fn count_is_exact(stage: &Stage, api: &Client, slug: &str) -> i64 {
    let rows = stage.number("select count(*) from favorites").await;
    let article = api.get(&format!("/api/articles/{slug}")).await.expect(200);
    assert_eq!(article["favorites_count"], rows);
    rows
}

#[tokio::test]
async fn a_second_favorite_is_refused_and_an_unfavorite_never() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let slug = ann.publish("Likable").await;
    let path = format!("/api/articles/{slug}/favorite");
    let favorited = bob.client.ask(&path).await.expect(200);
    assert_eq!((&favorited["favorited"], &favorited["favorites_count"]), (&json!(true), &json!(1)));
    assert_eq!(favorited["body"], "at length");
    bob.client.ask(&path).await.refused(409, "already_favorited");
    assert_eq!(count_is_exact(&stage, &api.client(), &slug).await, 1);
    for _ in 0..2 {
        let article = bob.client.delete(&path).await.expect(200);
        assert_eq!((&article["favorited"], &article["favorites_count"]), (&json!(false), &json!(0)));
        assert_eq!(count_is_exact(&stage, &api.client(), &slug).await, 0);
    }
}

#[tokio::test]
async fn everybody_sees_their_own_favorites() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let slug = ann.publish("Likable").await;
    bob.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
    let favorited = async |client: &Client| {
        let one = client.get(&format!("/api/articles/{slug}")).await.expect(200);
        let listed = client.get("/api/articles").await.expect(200)["articles"][0].clone();
        assert_eq!(one["favorited"], listed["favorited"]);
        assert_eq!((&one["favorites_count"], &listed["favorites_count"]), (&json!(1), &json!(1)));
        one["favorited"].clone()
    };
    assert_eq!(favorited(&bob.client).await, Value::Bool(true));
    assert_eq!(favorited(&ann.client).await, Value::Bool(false));
    assert_eq!(favorited(&api.client()).await, Value::Bool(false));
    // Asked for at once, so that the readers share a statement.
    let answers = at_once(24, |number| {
        let (client, slug) = ([&ann.client, &bob.client, &api.client()][number % 3].clone(), slug.clone());
        async move { client.get(&format!("/api/articles/{slug}")).await.expect(200)["favorited"].clone() }
    });
    for (number, favorited) in answers.await.into_iter().enumerate() {
        assert_eq!(favorited, Value::Bool(number % 3 == 1));
    }
}

#[tokio::test]
async fn the_count_is_exact_when_many_favorite_one_article_at_once() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = one.client().register("ann").await;
    let readers = crowd(&one.client(), 32).await;
    let slug = ann.publish("Likable").await;
    let all_at = async |method: &'static str| {
        at_once(readers.len(), |number| {
            let node = if number % 2 == 0 { &one } else { &other };
            let (client, path) = (readers[number].at(&node.client()), format!("/api/articles/{slug}/favorite"));
            async move { client.send(method, &path, &[], "").await }
        })
        .await
    };
    for answer in all_at("POST").await {
        assert_eq!(answer.expect(200)["favorited"], true);
    }
    assert_eq!(count_is_exact(&stage, &other.client(), &slug).await, 32);
    for answer in all_at("POST").await {
        answer.refused(409, "already_favorited");
    }
    assert_eq!(count_is_exact(&stage, &one.client(), &slug).await, 32);
    for answer in all_at("DELETE").await {
        assert_eq!(answer.expect(200)["favorited"], false);
    }
    assert_eq!(count_is_exact(&stage, &one.client(), &slug).await, 0);
}

#[tokio::test]
async fn of_one_readers_simultaneous_favorites_exactly_one_counts() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (one.client().register("ann").await, one.client().register("bob").await);
    for round in 0..5 {
        let slug = ann.publish(&format!("Round {round}")).await;
        let answers = at_once(8, |number| {
            let node = if number % 2 == 0 { &one } else { &other };
            let (client, path) = (bob.at(&node.client()), format!("/api/articles/{slug}/favorite"));
            async move { client.ask(&path).await }
        })
        .await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.refused(409, "already_favorited");
        }
        let article = bob.client.get(&format!("/api/articles/{slug}")).await.expect(200);
        assert_eq!((&article["favorites_count"], &article["favorited"]), (&json!(1), &json!(true)));
    }
    assert_eq!(stage.number("select count(*) from favorites").await, 5);
}

#[tokio::test]
async fn the_count_is_exact_after_favorites_come_and_go_in_any_order() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let readers = crowd(&api.client(), 8).await;
    let slug = ann.publish("Likable").await;
    at_once(96, |number| {
        let (client, path) = (readers[number % 8].client.clone(), format!("/api/articles/{slug}/favorite"));
        let method = if number / 8 % 2 == 0 { "POST" } else { "DELETE" };
        async move {
            let status = client.send(method, &path, &[], "").await.status;
            assert!(status == 200 || method == "POST" && status == 409, "{method} {status}");
        }
    })
    .await;
    count_is_exact(&stage, &api.client(), &slug).await;
    stage.jobs_done().await;
    let told = "select coalesce(sum(count), 0)::bigint from notifications where kind = 'article_favorited'";
    assert_eq!(stage.number(told).await, stage.number("select count(*) from favorites").await);
}

#[tokio::test]
async fn a_favorite_that_waits_for_somebody_s_lock_holds_up_no_other_article_s() {
    let stage = Stage::new().await;
    let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let (held, free) = (ann.publish("Held").await, ann.publish("Free").await);
    let editor = stage.another_client().await;
    editor.batch_execute("begin").await.unwrap();
    editor.execute("select from articles where slug = $1 for update", &[&held]).await.unwrap();
    let waits = {
        let bob = bob.client.clone();
        tokio::spawn(async move { bob.ask(&format!("/api/articles/{held}/favorite")).await })
    };
    eventually("it waits for the lock", async || (stage.waiting_for_locks().await == 1).then_some(())).await;
    bob.client.ask(&format!("/api/articles/{free}/favorite")).await.expect(200);
    assert!(!waits.is_finished(), "while the other one still waits");
    editor.batch_execute("rollback").await.unwrap();
    waits.await.unwrap().expect(200);
}
