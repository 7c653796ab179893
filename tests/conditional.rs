//! Conditional requests: what a reader has is not sent again, and nobody overwrites what they have not seen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::json;
use support::{Answer, Client, Service, Stage, at_once, eventually};

const JSON: (&str, &str) = ("content-type", "application/json");

fn tag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer:?}")).to_owned()
}

async fn put(client: &Client, path: &str, title: &str, condition: (&str, &str)) -> Answer {
    client.send("PUT", path, &[JSON, condition], json!({"title": title}).to_string()).await
}

#[tokio::test]
async fn what_a_reader_has_already_is_not_sent_again() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let article = format!("/api/articles/{}", ann.publish("Of Ann").await);
    let paths = [&article, "/api/articles", "/api/articles/feed", "/api/user", "/api/notifications", "/docs"];
    for client in [ann.client.clone(), ann.at(&Client::new_http2(service.api.unwrap()))] {
        for (path, method) in paths.iter().flat_map(|path| [(path, "GET"), (path, "HEAD")]) {
            let first = client.send(method, path, &[], "").await;
            assert_eq!(first.status, 200, "{path}");
            let tag = tag(&first);
            let ask = async |tags: &str| client.send(method, path, &[("if-none-match", tags)], "").await;
            for tags in [tag.as_str(), &format!("\"x\", W/{tag}"), "*"] {
                let again = ask(tags).await;
                assert_eq!((again.status, again.body.len()), (304, 0), "{method} {path} {tags}");
                for header in ["etag", "cache-control", "vary"] {
                    assert_eq!(again.header(header), first.header(header), "{path} {header}");
                }
                assert_eq!((again.header("content-type"), again.header("content-length")), (None, None), "{path}");
            }
            for tags in ["\"x\"", "x", ""] {
                let again = ask(tags).await;
                assert_eq!((again.status, again.body.len()), (200, first.body.len()), "{path} {tags}");
            }
        }
    }
    let missing = ann.client.send("GET", "/api/articles/nothing", &[("if-none-match", "*")], "").await;
    missing.refused(404, "not_found");
    let before = tag(&ann.client.get(&article).await);
    ann.client.put(&article, &json!({"title": "Changed"})).await.expect(200);
    let now = ann.client.send("GET", &article, &[("if-none-match", &before)], "").await;
    assert_eq!(now.expect(200)["title"], "Changed");
    // What changes beside the row is shown too.
    let before = tag(&now);
    stage.execute("update users set name = 'Anna'", &[]).await;
    let now = ann.client.send("GET", &article, &[("if-none-match", &before)], "").await;
    assert_eq!(now.expect(200)["author"]["name"], "Anna");
}

#[tokio::test]
async fn what_may_be_kept_is_said_and_by_whom() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let article = format!("/api/articles/{}", ann.publish("Of Ann").await);
    let kept =
        |answer: &Answer| (answer.header("cache-control").map(str::to_owned), answer.header("vary").map(str::to_owned));
    let says = |keeping: &str, vary: Option<&str>| (Some(keeping.to_owned()), vary.map(str::to_owned));
    let usual = Some("authorization, accept-encoding");
    for path in [&article, "/api/articles"] {
        assert_eq!(kept(&service.client().get(path).await), says("no-cache", usual), "{path}");
        assert_eq!(kept(&ann.client.get(path).await), says("private, no-cache", usual), "{path}");
    }
    assert_eq!(kept(&service.client().get("/docs").await), says("no-cache", Some("accept-encoding")));
    let login = json!({"email": ann.email, "password": support::client::PASSWORD});
    for answer in [
        service.client().post("/api/login", &login).await,
        service.client().get("/api/health").await,
        service.client().get("/api/articles/nothing").await,
        ann.client.put(&article, &json!({})).await,
        service.operator().get("/actors").await,
    ] {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    }
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_seen() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let path = format!("/api/articles/{}", ann.publish("First").await);
    let other = tag(&ann.client.get(&format!("/api/articles/{}", ann.publish("Other").await)).await);
    let first = tag(&ann.client.get(&path).await);
    let second = put(&ann.client, &path, "Second", ("if-match", &first)).await;
    assert_eq!(second.expect(200)["title"], "Second");
    assert_eq!(second.header("content-location"), Some(path.as_str()));
    let second = tag(&second);
    assert_eq!(second, tag(&ann.client.get(&path).await), "the tag of a change is that of what it made");
    for stale in [&first, &other, "\"x\"", "x", "", &format!("W/{second}"), &format!("{first}, \"y\"")] {
        put(&ann.client, &path, "Lost", ("if-match", stale)).await.refused(412, "precondition_failed");
        ann.client.send("DELETE", &path, &[("if-match", stale)], "").await.refused(412, "precondition_failed");
    }
    put(&ann.client, &path, "Lost", ("if-none-match", "*")).await.refused(412, "precondition_failed");
    assert_eq!(ann.client.get(&path).await.expect(200)["title"], "Second");
    // Who may not, or looks for nothing, hears that first.
    put(&bob.client, &path, "Of Bob", ("if-match", &first)).await.refused(403, "forbidden");
    put(&ann.client, "/api/articles/nothing", "x", ("if-match", "*")).await.refused(404, "not_found");
    let third = put(&ann.client, &path, "Third", ("if-match", &format!("\"x\", {second}"))).await;
    assert_eq!(third.expect(200)["title"], "Third");
    put(&ann.client, &path, "Fourth", ("if-match", "*")).await.expect(200);
    let fourth = tag(&ann.client.get(&path).await);
    ann.client.send("DELETE", &path, &[("if-match", &fourth)], "").await.expect(204);
    ann.client.send("DELETE", &path, &[("if-match", &fourth)], "").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_favorite_by_somebody_else_is_in_no_editors_way() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let path = format!("/api/articles/{}", ann.publish("Liked").await);
    let before = tag(&ann.client.get(&path).await);
    let liked = bob.client.ask(&format!("{path}/favorite")).await;
    assert_eq!(liked.header("content-location"), Some(path.as_str()));
    let after = tag(&ann.client.get(&path).await);
    assert_ne!(before, after, "the bytes are others");
    put(&ann.client, &path, "Edited", ("if-match", &before)).await.expect(200);
    put(&ann.client, &path, "Again", ("if-match", &after)).await.refused(412, "precondition_failed");
}

#[tokio::test]
async fn of_edits_of_one_state_at_once_on_two_nodes_one_is_made() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = one.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Contended").await);
    for round in 1..=5 {
        let seen = tag(&ann.client.get(&path).await);
        let edits = at_once(16, |number| {
            let client = ann.at(&if number % 2 == 0 { one.client() } else { other.client() });
            let (path, seen) = (path.clone(), seen.clone());
            async move { put(&client, &path, &format!("By {number}"), ("if-match", &seen)).await.status }
        });
        let edits = edits.await;
        assert_eq!(edits.iter().filter(|status| **status == 200).count(), 1, "{edits:?}");
        assert_eq!(edits.iter().filter(|status| **status == 412).count(), 15, "{edits:?}");
        assert_eq!(stage.number("select version from articles").await, 1 + round);
    }
}

#[tokio::test]
async fn an_edit_that_is_asked_for_again_after_a_crash_is_made_once() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("First").await);
    let seen = tag(&ann.client.get(&path).await);
    let keeper = stage.another_client().await;
    keeper.batch_execute("begin; select from articles for update").await.unwrap();
    let editing = {
        let (client, path) = (ann.client.clone(), path.clone());
        tokio::spawn(async move { put(&client, &path, "Second", ("if-match", &seen)).await })
    };
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    eventually("the edit waits for its row", async || (stage.number(waiting).await == 1).then_some(())).await;
    // The statement goes on in the database, whatever becomes of who sent it.
    for editor in 0..4 {
        let crash = service.operator().ask(&format!("/actors/root/articles/editor-{editor}/crash")).await;
        assert_eq!(crash.status, 202);
    }
    eventually("the editors are back", async || {
        let restarts =
            async |n: i32| service.actor(&format!("root/articles/editor-{n}")).await["restarts"]["total"].clone();
        let all = [restarts(0).await, restarts(1).await, restarts(2).await, restarts(3).await];
        all.iter().all(|total| total == 1).then_some(())
    })
    .await;
    keeper.batch_execute("rollback").await.unwrap();
    let edited = editing.await.unwrap();
    assert_eq!(edited.expect(200)["title"], "Second", "its own success does not refuse it");
    eventually("nothing is under way", async || (stage.number(waiting).await == 0).then_some(())).await;
    assert_eq!(stage.number("select version from articles").await, 2);
    assert_eq!(ann.client.get(&path).await.header("etag"), edited.header("etag"));
}
