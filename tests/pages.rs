//! Pages of lists: a walk from page to page meets everything that was there when it began once, whatever happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use support::{Answer, Client, Press, Service, Stage};

/// The ids on a page of a list, in their order.
fn ids(page: &Value, list: &str) -> Vec<i64> {
    page[list].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect()
}

/// The link of this relation in the headers.
fn link(answer: &Answer, relation: &str) -> Option<String> {
    let wanted = format!(">; rel=\"{relation}\"");
    let links = answer.headers.get_all("link").iter().map(|value| value.to_str().unwrap());
    links
        .flat_map(|value| value.split(", "))
        .find_map(|link| Some(link.strip_suffix(&wanted)?.strip_prefix('<').unwrap().to_owned()))
}

/// Every page from this one on, in the direction of `relation`. The links in body and headers are the same.
async fn walk(client: &Client, start: &str, relation: &str) -> Vec<Value> {
    let (mut pages, mut next) = (Vec::new(), Some(start.to_owned()));
    while let Some(path) = next {
        assert!(pages.len() < 2000, "{path} leads nowhere");
        let answer = client.get(&path).await;
        let page = answer.expect(200);
        assert_eq!(link(&answer, "next").as_deref(), page["next"].as_str(), "{path}");
        assert_eq!(link(&answer, "prev").as_deref(), page["previous"].as_str(), "{path}");
        next = link(&answer, relation);
        pages.push(page);
    }
    pages
}

#[tokio::test]
async fn a_walk_neither_repeats_nor_skips_while_several_publish_on_two_nodes() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (one.client().register("ann").await, other.client().register("bob").await);
    ann.follow(&bob).await;
    for number in 0..30 {
        bob.publish(&format!("Number {number}")).await;
    }
    let presses: Vec<_> = [&ann, &bob, &bob].map(|user| Press::start(user, Duration::from_millis(5))).into();
    for path in ["/api/articles?limit=7", "/api/articles/feed?limit=7", "/api/articles?limit=7&search=number"] {
        presses[0].prints(3).await;
        let there: HashSet<i64> = {
            let rows = stage.query("select id from articles where author_id = $1", &[&bob.id]).await;
            rows.iter().map(|row| row.get(0)).collect()
        };
        let pages = walk(&ann.at(&other.client()), path, "next").await;
        let seen: Vec<_> = pages.iter().flat_map(|page| ids(page, "articles")).collect();
        assert!(seen.is_sorted_by(|one, next| one > next), "newest first, and none twice: {seen:?}");
        assert!(there.is_subset(&seen.iter().copied().collect()), "{path}: {there:?} {seen:?}");
        // And back again, from the last page to the newest of now.
        let last = pages.last().unwrap();
        let pages = walk(&ann.client, last["previous"].as_str().unwrap(), "prev").await;
        let mut back: Vec<_> = pages.iter().rev().flat_map(|page| ids(page, "articles")).collect();
        back.extend(ids(last, "articles"));
        assert!(back.is_sorted_by(|one, next| one > next), "{back:?}");
        assert!(seen.iter().all(|id| back.contains(id)), "{path}: {seen:?} {back:?}");
    }
    for press in presses {
        press.stop().await;
    }
}

#[tokio::test]
async fn an_article_that_commits_late_is_met_in_the_next_walk_and_disturbs_nobody() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    for number in 0..4 {
        ann.publish(&format!("Number {number}")).await;
    }
    let late = stage.another_client().await;
    late.batch_execute(
        "begin; insert into articles (author_id, slug, title, body) select id, 'late', 't', 'b' from users",
    )
    .await
    .unwrap();
    ann.publish("Newest").await;
    let first = service.client().get("/api/articles?limit=1").await.expect(200);
    let mut seen = ids(&first, "articles");
    late.batch_execute("commit").await.unwrap();
    for page in walk(&service.client(), first["next"].as_str().unwrap(), "next").await {
        seen.extend(ids(&page, "articles"));
    }
    assert!(seen.is_sorted_by(|one, next| one > next) && seen.len() >= 5, "{seen:?}");
    let pages = walk(&service.client(), "/api/articles?limit=2", "next").await;
    assert_eq!(pages.iter().flat_map(|page| ids(page, "articles")).count(), 6);
}

#[tokio::test]
async fn a_list_ends_where_it_ends_in_both_directions() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    for number in 0..6 {
        ann.publish(&format!("Number {number}")).await;
    }
    for (limit, sizes) in [(2, vec![2, 2, 2]), (3, vec![3, 3]), (4, vec![4, 2]), (6, vec![6]), (100, vec![6])] {
        let pages = walk(&service.client(), &format!("/api/articles?limit={limit}"), "next").await;
        let counts: Vec<_> = pages.iter().map(|page| page["count"].as_i64().unwrap()).collect();
        assert_eq!(counts, sizes, "no page is empty, with {limit} on each");
        assert_eq!((&pages[0]["previous"], &pages[0]["total"]), (&Value::Null, &6.into()));
        let numbered = walk(&service.client(), &format!("/api/articles?limit={limit}&offset=0"), "next").await;
        let of = |pages: &[Value]| pages.iter().flat_map(|page| ids(page, "articles")).collect::<Vec<_>>();
        assert_eq!(of(&numbered), of(&pages));
        if let [first, .., last] = &pages[..] {
            let back = walk(&service.client(), last["previous"].as_str().unwrap(), "prev").await;
            assert_eq!(ids(back.last().unwrap(), "articles"), ids(first, "articles"));
        }
    }
    // The entries of a page may go while somebody stands there.
    let page = service.client().get("/api/articles?limit=3").await.expect(200);
    stage.execute("delete from articles", &[]).await;
    let empty = service.client().get(page["next"].as_str().unwrap()).await.expect(200);
    assert_eq!((&empty["count"], &empty["next"]), (&0.into(), &Value::Null));
    let back = service.client().get(empty["previous"].as_str().unwrap()).await.expect(200);
    assert_eq!((&back["count"], &back["previous"]), (&0.into(), &Value::Null));
}

#[tokio::test]
async fn notifications_are_paged_alike_and_their_cursors_lead_one_way() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let ann = service.client().register("ann").await;
    for number in 0..4 {
        service.client().register(&format!("follower {number}")).await.follow(&ann).await;
    }
    stage.jobs_done().await;
    let pages = walk(&ann.client, "/api/notifications?limit=2&unread=true", "next").await;
    assert_eq!(pages.iter().map(|page| ids(page, "notifications").len()).collect::<Vec<_>>(), [2, 2]);
    assert!(pages[0]["next"].as_str().unwrap().contains("unread=true"), "{}", pages[0]);
    for number in 0..2 {
        ann.publish(&format!("Number {number}")).await;
    }
    let first = ann.client.get("/api/articles?limit=1").await.expect(200);
    let second = ann.client.get(first["next"].as_str().unwrap()).await.expect(200);
    let cursor = second["previous"].as_str().unwrap().split("cursor=").nth(1).unwrap();
    let refused = ann.client.get(&format!("/api/notifications?cursor={cursor}")).await;
    assert_eq!(refused.unfit_fields(), ["cursor"], "towards newer ones is no way of this list");
}
