//! What people want to be told, and that they are told nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{Service, Stage, User};

const PATH: &str = "/api/user/notifications";

fn preferences(published: bool, favorited: bool, followed: bool) -> Value {
    json!({
        "article_published": {"enabled": published},
        "article_favorited": {"enabled": favorited},
        "followed": {"enabled": followed},
    })
}

async fn switch(user: &User, kind: &str, enabled: bool) {
    user.client.put(PATH, &json!({kind: {"enabled": enabled}})).await.expect(200);
}

/// The kinds of what somebody was told, newest first, each with its count.
async fn told(user: &User) -> Vec<(String, i64)> {
    let (told, _) = user.inbox().await;
    told.iter().map(|told| (told["kind"].as_str().unwrap().to_owned(), told["count"].as_i64().unwrap())).collect()
}

#[tokio::test]
async fn everybody_is_told_everything_until_they_say_otherwise_and_only_what_they_say_changes() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (one.client().register("ann").await, one.client().register("bob").await);
    assert_eq!(ann.client.get(PATH).await.expect(200), preferences(true, true, true));
    let put = async |body: Value| ann.client.put(PATH, &body).await.expect(200);
    assert_eq!(put(json!({"followed": {"enabled": false}})).await, preferences(true, true, false));
    assert_eq!(put(json!({"article_favorited": {"enabled": false}})).await, preferences(true, false, false));
    assert_eq!(put(json!({})).await, preferences(true, false, false));
    assert_eq!(put(json!({"followed": null})).await, preferences(true, false, false));
    assert_eq!(put(preferences(false, true, true)).await, preferences(false, true, true));
    assert_eq!(ann.at(&other.client()).get(PATH).await.expect(200), preferences(false, true, true));
    assert_eq!(bob.client.get(PATH).await.expect(200), preferences(true, true, true));
}

#[tokio::test]
async fn what_is_no_kind_or_no_switch_is_refused_by_its_name_and_changes_nothing() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    for (body, fields) in [
        (json!({"liked": {"enabled": true}}), vec!["liked"]),
        (json!({"followed": {"enabled": false}, "Followed": {"enabled": false}}), vec!["Followed"]),
        (json!({"followed": true}), vec!["followed"]),
        (json!({"followed": {"enabled": "false"}}), vec!["followed"]),
        (json!({"followed": {}, "article_published": []}), vec!["article_published", "followed"]),
        (json!({"\u{0}": {"enabled": true}}), vec!["\u{0}"]),
    ] {
        assert_eq!(ann.client.put(PATH, &body).await.unfit_fields(), fields, "{body}");
    }
    ann.client.put(PATH, &json!([])).await.refused(400, "invalid_json");
    assert_eq!(ann.client.get(PATH).await.expect(200), preferences(true, true, true));
    service.client().get(PATH).await.refused(401, "unauthorized");
    service.client().put(PATH, &json!({})).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_kind_that_is_not_wanted_is_not_told_and_what_was_told_stays() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let cy = service.client().register("cy").await;
    bob.follow(&ann).await;
    cy.follow(&ann).await;
    ann.publish("One").await;
    stage.jobs_done().await;
    switch(&bob, "article_published", false).await;
    switch(&ann, "followed", false).await;
    ann.publish("Two").await;
    service.client().register("dee").await.follow(&ann).await;
    stage.jobs_done().await;
    let published = |count| vec![("article_published".to_owned(), 1); count];
    assert_eq!((told(&bob).await, told(&cy).await), (published(1), published(2)));
    assert_eq!(told(&ann).await, vec![("followed".to_owned(), 1); 2]);
    switch(&bob, "article_published", true).await;
    ann.publish("Three").await;
    stage.jobs_done().await;
    assert_eq!(told(&bob).await, published(2), "two was never told, three was");
}

#[tokio::test]
async fn favorites_that_were_not_told_are_not_counted_when_later_ones_are() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let ann = service.client().register("ann").await;
    let path = format!("/api/articles/{}/favorite", ann.publish("Likable").await);
    let mut readers = Vec::new();
    for name in ["bob", "cy", "dee", "eve"] {
        readers.push(service.client().register(name).await);
    }
    let favorite = async |reader: usize| {
        readers[reader].client.ask(&path).await.expect(200);
        stage.jobs_done().await;
    };
    let unfavorite = async |reader: usize| {
        readers[reader].client.delete(&path).await.expect(200);
        stage.jobs_done().await;
    };
    let count = |count| vec![("article_favorited".to_owned(), count)];
    favorite(0).await;
    switch(&ann, "article_favorited", false).await;
    favorite(1).await;
    assert_eq!(told(&ann).await, count(1), "cy's is not told");
    switch(&ann, "article_favorited", true).await;
    favorite(2).await;
    assert_eq!(told(&ann).await, count(2), "dee's is told");
    unfavorite(1).await;
    assert_eq!(told(&ann).await, count(2), "cy's was never part of it");
    switch(&ann, "article_favorited", false).await;
    unfavorite(0).await;
    assert_eq!(told(&ann).await, count(1), "what was told is taken back, wanted or not");
    favorite(3).await;
    unfavorite(2).await;
    assert_eq!(told(&ann).await, []);
    let article = ann.client.get(path.trim_end_matches("/favorite")).await.expect(200);
    assert_eq!(article["favorites_count"], 1);
}
