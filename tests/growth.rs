//! What a request costs does not grow with what is there: hot reads go by indexes however many articles there are, and
//! totals are kept, not counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::json;
use support::client::PASSWORD;
use support::{Service, Stage, User, eventually};

/// The tables that grow with use. Whom somebody follows and what those wrote is read whole when it is all of what is there.
const LARGE: &str = "'articles', 'users', 'favorites', 'sessions'";

/// Articles, their authors and what is liked of them: written straight into the tables, with the statistics of a
/// database that has been there for a while.
async fn much(stage: &Stage, reader: &User) {
    for statement in [
        "insert into users (email, name, password_hash)
         select 'author-' || n || '@example.com', 'Author ' || n, 'none' from generate_series(1, 20000) n",
        "insert into articles (author_id, slug, title, body)
         select u.id, 'much-' || u.id || '-' || n, 'Much', repeat('lorem ipsum dolor ', 50) || 'word' || (u.id * 10 + n) from users u, generate_series(1, 1) n
         where u.email like 'author-%'",
        "insert into favorites (article_id, user_id)
         select a.id, u.id from articles a, users u where u.id % 5000 = a.id % 5000 and u.id <> a.author_id",
        "insert into follows (follower_id, followed_id)
         select u.id, w.id from users u, users w where u.id % 5000 = w.id % 5000 and u.id <> w.id",
    ] {
        stage.execute(statement, &[]).await;
    }
    let follow =
        "insert into follows (follower_id, followed_id) select $1, id from users where id <> $1 and id % 200 = 3
                  on conflict do nothing";
    stage.execute(follow, &[&reader.id]).await;
    stage.execute("analyze", &[]).await;
}

/// How PostgreSQL counts rows that were read one after the other, and those that an index led to.
const ONE_AFTER_THE_OTHER: &str = "seq_tup_read";
const BY_INDEX: &str = "idx_tup_fetch";
/// How often something was looked up in an index.
const LOOKUPS: &str = "idx_scan";

async fn rows(stage: &Stage, how: &str) -> i64 {
    // What connections did is told when they have been idle for a while, or at their next statement.
    // This one tells now, or keys that were looked up for what was seeded would count as the service's.
    stage.execute("select pg_stat_force_next_flush()", &[]).await;
    stage.execute("select pg_stat_clear_snapshot()", &[]).await;
    let read = format!("select sum({how})::bigint from pg_stat_user_tables where relname in ({LARGE})");
    stage.number(&read).await
}

/// The same when all connections have told, which they do when they end.
async fn rows_told(stage: &Stage, service: Service, how: &str) -> i64 {
    service.stop().await;
    let others =
        "select count(*) from pg_stat_activity where application_name = 'callboard' and datname = current_database()";
    eventually("all have gone", async || (stage.number(others).await == 0).then_some(())).await;
    rows(stage, how).await
}

#[tokio::test]
async fn hot_requests_scan_no_table_that_grows() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    let slug = ann.publish("Of many").await;
    // Plans that were made while the tables were empty must do as well.
    for _ in 0..8 {
        read_everything(&ann, &slug).await;
    }
    much(&stage, &ann).await;
    let before = rows(&stage, ONE_AFTER_THE_OTHER).await;
    for _ in 0..12 {
        read_everything(&ann, &slug).await;
    }
    let read = rows_told(&stage, service, ONE_AFTER_THE_OTHER).await - before;
    // On each connection a statement may be run once by the plan that it had before.
    assert!(read < 4 * 20_000, "{read} rows were read one after the other");

    // Nor does anybody go from article to article, newest first, until a word is met that few have.
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let before = rows(&stage, BY_INDEX).await;
    for author in 7000..7012 {
        let path = format!("/api/articles?search=word{author}1");
        assert_eq!(service.client().get(&path).await.expect(200)["total"], 1, "{path}");
    }
    let read = rows_told(&stage, service, BY_INDEX).await - before;
    assert!(read < 20_000, "{read} rows were read to find twelve");
}

#[tokio::test]
async fn a_feed_of_a_thousand_authors_looks_up_what_is_on_the_page_and_not_each_author() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    much(&stage, &ann).await;
    let follow =
        "insert into follows (follower_id, followed_id) select $1, id from users where id <> $1 and id % 20 = 5";
    stage.execute(follow, &[&ann.id]).await;
    // What was seeded is added up once, which looks up each author.
    eventually("all is added up", async || {
        (stage.number("select count(*) from article_changes").await == 0).then_some(())
    })
    .await;
    let before = rows_told(&stage, service, LOOKUPS).await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = ann.at(&service.client());
    for _ in 0..8 {
        let page = ann.get("/api/articles/feed?limit=20").await.expect(200);
        assert_eq!(page["articles"].as_array().unwrap().len(), 20);
        assert!(page["total"].as_i64().unwrap() > 1000, "{}", page["total"]);
    }
    let lookups = rows_told(&stage, service, LOOKUPS).await - before;
    assert!(lookups < 8 * 200, "{lookups} lookups for eight pages");
}

async fn read_everything(ann: &User, slug: &str) {
    let page = ann.client.get("/api/articles?limit=20").await.expect(200);
    let next = page["next"].as_str().unwrap_or("/api/articles").to_owned();
    for path in [
        &format!("/api/articles/{slug}"),
        "/api/articles?limit=20&offset=500",
        &next,
        "/api/articles/feed?limit=20",
        "/api/articles?limit=20&search=word7012",
        &format!("/api/articles?limit=20&author={}", ann.id),
        &format!("/api/articles?limit=20&favorited_by={}", ann.id),
        "/api/user",
        "/api/notifications",
    ] {
        ann.client.get(path).await.expect(200);
    }
    ann.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
    ann.client.delete(&format!("/api/articles/{slug}/favorite")).await.expect(200);
}

/// What the list and the feed say, and what is kept, is what is there.
async fn totals_are_right(stage: &Stage, reader: &User) {
    let there = stage.number("select count(*) from articles").await;
    let list = reader.client.get("/api/articles?limit=1").await.expect(200);
    assert_eq!(list["total"], there);
    let followed = format!(
        "select count(*) from articles a join follows f on f.followed_id = a.author_id where f.follower_id = {}",
        reader.id
    );
    let feed = reader.client.get("/api/articles/feed?limit=1").await.expect(200);
    assert_eq!(feed["total"], stage.number(&followed).await);
    let kept = "select author_id, sum(articles) as kept from (
                    select author_id, articles from author_totals union all select author_id, change from article_changes
                ) known join users u on u.id = author_id group by author_id";
    let wrong = &format!(
        "select count(*) from ({kept}) t
         full join (select author_id, count(*) as counted from articles group by author_id) a using (author_id)
         where coalesce(kept, 0) <> coalesce(counted, 0)"
    );
    assert_eq!(stage.number(wrong).await, 0, "authors whose total is not what they wrote");
}

#[tokio::test]
async fn totals_are_what_is_there_whatever_is_published_deleted_and_left_at_once() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[("RATE_LIMITS", "off")]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[("RATE_LIMITS", "off")]).await;
    let reader = one.client().register("reader").await;
    let mut authors = Vec::new();
    for number in 0..4 {
        let author = one.client().register(&format!("author-{number}")).await;
        reader.follow(&author).await;
        authors.push(author);
    }
    let writing = support::at_once(16, |number| {
        let author = &authors[number % authors.len()];
        let client = author.at(&if number % 2 == 0 { one.client() } else { other.client() });
        async move {
            for round in 0..6 {
                let article = json!({"title": format!("Number {number} {round}"), "body": "b"});
                let slug =
                    client.post("/api/articles", &article).await.expect(201)["slug"].as_str().unwrap().to_owned();
                if round % 3 == 0 {
                    assert_eq!(client.delete(&format!("/api/articles/{slug}")).await.status, 204);
                }
            }
        }
    });
    writing.await;
    totals_are_right(&stage, &reader).await;
    assert_eq!(stage.number("select count(*) from articles").await, 16 * 4);
    let left = authors[0].client.json("DELETE", "/api/user", &json!({"current_password": PASSWORD})).await;
    assert_eq!(left.status, 204);
    totals_are_right(&stage, &reader).await;
    assert_eq!(stage.number("select count(*) from articles").await, 12 * 4);
    eventually("all is added up", async || {
        (stage.number("select count(*) from article_changes").await == 0).then_some(())
    })
    .await;
    totals_are_right(&stage, &reader).await;
    let forgotten = format!("select count(*) from author_totals where author_id = {}", authors[0].id);
    assert_eq!(stage.number(&forgotten).await, 0);
}
