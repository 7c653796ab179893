//! What people are told, and what they are not. Every event is told once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{Service, Stage, User, at_once};

const FIELDS: [&str; 9] = ["actor", "article", "count", "created_at", "id", "kind", "message", "read", "updated_at"];

async fn people<const N: usize>(service: &Service, names: [&str; N]) -> [User; N] {
    let mut people = Vec::new();
    for name in names {
        people.push(service.client().register(name).await);
    }
    people.try_into().unwrap_or_else(|_| unreachable!())
}

/// The only thing that somebody was told.
async fn only(user: &User) -> Value {
    let (told, unread) = user.inbox().await;
    assert_eq!((told.len(), unread), (1, 1), "{told:?}");
    told[0].clone()
}

#[tokio::test]
async fn publishing_tells_every_follower_once_and_nobody_else() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let [ann, bob, cy, dee] = people(&service, ["ann", "bob", "cy", "dee"]).await;
    bob.follow(&ann).await;
    cy.follow(&ann).await;
    ann.follow(&dee).await;
    stage.jobs_done().await;
    ann.client.ask("/api/notifications/read").await.expect(200);
    let slug = ann.publish("News").await;
    stage.jobs_done().await;
    for follower in [&bob, &cy] {
        let told = only(follower).await;
        let mut fields: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, FIELDS);
        assert_eq!(
            (&told["kind"], &told["count"], &told["read"]),
            (&json!("article_published"), &json!(1), &json!(false))
        );
        assert_eq!(told["article"], json!({"slug": slug, "title": "News"}));
        assert_eq!(told["actor"], json!({"id": ann.id, "name": "ann"}));
        assert_eq!(told["message"], "ann published “News”");
    }
    assert_eq!(ann.inbox().await.1, 0, "authors are not told of themselves");
    let (told, _) = dee.inbox().await;
    assert_eq!(told.len(), 1, "dee does not follow: {told:?}");
    assert_eq!(told[0]["kind"], "followed");
}

#[tokio::test]
async fn an_author_is_told_of_favorites_and_followers_but_not_of_their_own() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let [ann, bob] = people(&service, ["ann", "bob"]).await;
    let slug = ann.publish("Likable").await;
    let path = format!("/api/articles/{slug}/favorite");
    ann.client.ask(&path).await.expect(200);
    stage.jobs_done().await;
    assert_eq!(ann.inbox().await.0, [""; 0]);

    bob.client.ask(&path).await.expect(200);
    stage.jobs_done().await;
    let told = only(&ann).await;
    assert_eq!((&told["kind"], &told["count"]), (&json!("article_favorited"), &json!(1)));
    assert_eq!(told["article"]["slug"], slug);
    assert_eq!(told["message"], "bob favorited “Likable”");

    bob.follow(&ann).await;
    bob.follow(&ann).await;
    stage.jobs_done().await;
    let (told, unread) = ann.inbox().await;
    assert_eq!((told.len(), unread), (2, 2), "{told:?}");
    assert_eq!((&told[0]["kind"], &told[0]["article"]), (&json!("followed"), &Value::Null), "newest first");
    assert_eq!(told[0]["actor"], json!({"id": bob.id, "name": "bob"}));
    assert_eq!(bob.inbox().await.0, [""; 0]);
}

#[tokio::test]
async fn unread_favorites_of_one_article_collapse_into_one_with_a_count() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let [ann, bob, cy, dee] = people(&service, ["ann", "bob", "cy", "dee"]).await;
    let (slug, other) = (ann.publish("One").await, ann.publish("Other").await);
    for reader in [&bob, &cy] {
        reader.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
        stage.jobs_done().await;
    }
    let told = only(&ann).await;
    assert_eq!((&told["count"], &told["actor"]["name"]), (&json!(2), &json!("cy")));
    assert_eq!(told["message"], "cy and 1 other favorited “One”");
    bob.client.ask(&format!("/api/articles/{other}/favorite")).await.expect(200);
    stage.jobs_done().await;
    assert_eq!(ann.inbox().await.1, 2, "another article is told apart");

    ann.client.ask("/api/notifications/read").await.expect(200);
    dee.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
    stage.jobs_done().await;
    let (told, unread) = ann.inbox().await;
    assert_eq!((told.len(), unread), (3, 1), "what was read stays: {told:?}");
    assert_eq!((&told[0]["count"], &told[0]["read"]), (&json!(1), &json!(false)));
}

#[tokio::test]
async fn an_unfavorite_takes_back_what_was_not_read() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let [ann, bob, cy] = people(&service, ["ann", "bob", "cy"]).await;
    let path = format!("/api/articles/{}/favorite", ann.publish("Likable").await);
    for reader in [&bob, &cy] {
        reader.client.ask(&path).await.expect(200);
    }
    stage.jobs_done().await;
    assert_eq!(only(&ann).await["count"], 2);
    bob.client.delete(&path).await.expect(200);
    assert_eq!(only(&ann).await["count"], 1);
    cy.client.delete(&path).await.expect(200);
    assert_eq!(ann.inbox().await, (vec![], 0));

    bob.client.ask(&path).await.expect(200);
    stage.jobs_done().await;
    ann.client.ask("/api/notifications/read").await.expect(200);
    bob.client.delete(&path).await.expect(200);
    let (told, unread) = ann.inbox().await;
    assert_eq!((told.len(), unread), (1, 0), "what was read stays");
}

#[tokio::test]
async fn what_is_taken_back_before_it_is_told_is_not_told() {
    let stage = Stage::new().await;
    // Nobody works yet: the jobs wait.
    let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let [ann, bob] = people(&api, ["ann", "bob"]).await;
    let path = format!("/api/articles/{}/favorite", ann.publish("Likable").await);
    bob.client.ask(&path).await.expect(200);
    bob.client.delete(&path).await.expect(200);
    bob.follow(&ann).await;
    bob.client.delete(&format!("/api/users/{}/follow", ann.id)).await.expect(200);
    let deleted = bob.publish("Deleted").await;
    ann.follow(&bob).await;
    bob.client.delete(&format!("/api/articles/{deleted}")).await.expect(204);
    assert_eq!(stage.number("select count(*) from jobs where state = 'available'").await, 5);
    let _worker = Service::run(&stage, &["work"], &[]).await;
    stage.jobs_done().await;
    assert_eq!(stage.number("select count(*) from jobs where state = 'completed'").await, 5);
    assert_eq!(ann.inbox().await, (vec![], 0));
    assert_eq!(only(&bob).await["kind"], "followed");
}

#[tokio::test]
async fn reading_is_noted_for_one_or_all_and_only_by_their_owner() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let [ann, bob] = people(&service, ["ann", "bob"]).await;
    bob.follow(&ann).await;
    for title in ["One", "Two", "Three"] {
        ann.publish(title).await;
    }
    stage.jobs_done().await;
    let (told, unread) = bob.inbox().await;
    assert_eq!(unread, 3);
    let read = |notification: &Value| format!("/api/notifications/{}/read", notification["id"]);
    ann.client.ask(&read(&told[0])).await.refused(404, "not_found");
    for unknown in ["0", "-1", "x", "4711", "99999999999999999999"] {
        bob.client.ask(&format!("/api/notifications/{unknown}/read")).await.refused(404, "not_found");
    }
    for _ in 0..2 {
        assert_eq!(bob.client.ask(&read(&told[1])).await.expect(200), json!({"unread_count": 2}));
    }
    let left = bob.client.get("/api/notifications?unread=true").await.expect(200);
    let ids: Vec<_> = left["notifications"].as_array().unwrap().iter().map(|told| told["id"].clone()).collect();
    assert_eq!(ids, [told[0]["id"].clone(), told[2]["id"].clone()]);
    assert_eq!(left["unread_count"], 2);
    assert_eq!(bob.client.ask("/api/notifications/read").await.expect(200), json!({"unread_count": 0}));
    let (told, unread) = bob.inbox().await;
    assert_eq!((told.len(), unread), (3, 0));
    assert!(told.iter().all(|told| told["read"] == true), "{told:?}");
    assert_eq!(ann.inbox().await.1, 1, "of ann's nothing was read");
}

#[tokio::test]
async fn the_inbox_is_paged_newest_first() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let [ann, bob] = people(&service, ["ann", "bob"]).await;
    bob.follow(&ann).await;
    let mut titles = Vec::new();
    for number in 0..5 {
        titles.insert(0, format!("Number {number}"));
        ann.publish(&titles[0]).await;
        stage.jobs_done().await;
    }
    let mut seen = Vec::new();
    let mut next = Some("/api/notifications?limit=2".to_owned());
    while let Some(path) = next {
        let page = bob.client.get(&path).await.expect(200);
        assert_eq!(page["unread_count"], 5);
        let told = page["notifications"].as_array().unwrap().clone();
        seen.extend(told.iter().map(|told| told["article"]["title"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, titles);
}

#[tokio::test]
async fn a_process_that_only_works_tells_what_one_that_only_serves_takes() {
    let stage = Stage::new().await;
    let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let [ann, bob] = people(&api, ["ann", "bob"]).await;
    bob.follow(&ann).await;
    let slug = ann.publish("News").await;
    assert_eq!(stage.number("select count(*) from jobs where state = 'available' and attempt = 0").await, 2);
    let one = Service::run(&stage, &["work"], &[]).await;
    let other = Service::run(&stage, &["work"], &[]).await;
    assert_eq!(one.api, None);
    stage.jobs_done().await;
    assert_eq!(only(&bob).await["article"]["slug"], slug);
    for number in 0..20 {
        ann.publish(&format!("Number {number}")).await;
    }
    stage.jobs_done().await;
    assert_eq!(bob.inbox().await.1, 21);
    // All are asked at once: each may wait for what it has in hand.
    [&one, &other, &api].into_iter().for_each(Service::terminate);
    for service in [one, other, api] {
        let (status, lines) = service.ended().await;
        assert_eq!(status.code(), Some(0), "{lines:#?}");
    }
}

#[tokio::test]
async fn after_64_clients_favorited_and_unfavorited_at_once_all_counts_agree() {
    let stage = Stage::new().await;
    let (one, other) = (Service::start(&stage, &[]).await, Service::start(&stage, &[]).await);
    let ann = one.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Likable").await);
    let mut readers = Vec::new();
    for group in 0..8 {
        // Not all at once: a slow machine hashes 64 passwords for longer than a request may take.
        let registered = at_once(8, |number| {
            let api = one.client();
            async move { api.register(&format!("reader{group}-{number}")).await }
        });
        readers.extend(registered.await);
    }
    // Each changes their mind so often; who stays is told by whether that is odd.
    let crowd = |changes: fn(usize) -> std::ops::Range<usize>| {
        let api = [one.client(), other.client()];
        let (readers, favorite) = (readers.clone(), format!("{path}/favorite"));
        at_once(64, move |number| {
            let (reader, api, favorite) = (readers[number].clone(), api.clone(), favorite.clone());
            async move {
                for change in changes(number) {
                    let method = if change % 2 == 0 { "POST" } else { "DELETE" };
                    let node = reader.at(&api[(number + change) % 2]);
                    node.send(method, &favorite, &[], "").await.expect(200);
                }
            }
        })
    };
    crowd(|number| 0..5 + number % 2).await;
    stage.jobs_done().await;
    let rows = "select count(*) from favorites";
    assert_eq!(stage.number(rows).await, 32, "who stopped at an odd number of changes stays");
    assert_eq!(ann.client.get(&path).await.expect(200)["favorites_count"], 32);
    let told = only(&ann).await;
    assert_eq!((&told["kind"], &told["count"]), (&json!("article_favorited"), &json!(32)));

    // The others come back, and then all go, in one crowd.
    crowd(|number| if number % 2 == 0 { 5..6 } else { 6..10 }).await;
    stage.jobs_done().await;
    assert_eq!(stage.number(rows).await, 0);
    assert_eq!(ann.client.get(&path).await.expect(200)["favorites_count"], 0);
    assert_eq!(ann.inbox().await, (vec![], 0));
    assert_eq!(stage.number("select deadlocks from pg_stat_database where datname = current_database()").await, 0);
}
