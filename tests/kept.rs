//! What was read before is answered again only as long as it is so: whoever changes it, on whatever node or by hand, whoever
//! reads meanwhile, and whatever becomes of the database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use support::servers::postgres::{PrivatePostgres, Shutdown};
use support::{Client, Service, Stage, eventually};

const API: [&str; 2] = ["serve", "--no-workers"];

/// How many answers of this kind were found so.
async fn found(service: &Service, kind: &str, how: &str) -> f64 {
    service.metric("kept_found_total", &format!("how=\"{how}\",kind=\"{kind}\"")).await
}

/// Reads so often that what is shown is what was read before: once for the snapshot, once to see that it is the same.
async fn read(service: &Service, kind: &str, client: &Client, path: &str) -> Value {
    let first = client.get(path).await.expect(200);
    eventually("it is known", async || {
        let before = found(service, kind, "same").await;
        assert_eq!(client.get(path).await.expect(200), first, "nobody changed it");
        (found(service, kind, "same").await > before).then_some(())
    })
    .await;
    first
}

#[tokio::test]
async fn whoever_changes_an_article_that_was_read_before_it_is_shown_as_it_is_now() {
    let postgres = PrivatePostgres::start().await;
    let stage = Stage::on(postgres.url.clone()).await;
    let (here, there) = (Service::run(&stage, &API, &[]).await, Service::run(&stage, &API, &[]).await);
    let (ann, bob) = (there.client().register("ann").await, there.client().register("bob").await);
    let slug = ann.publish("Of Ann").await;
    let path = format!("/api/articles/{slug}");
    let shown = async || read(&here, "articles", &here.client(), &path).await;
    assert_eq!(shown().await["body"], "at length");
    ann.client.put(&path, &json!({"body": "changed"})).await.expect(200);
    assert_eq!(shown().await["body"], "changed");
    bob.client.ask(&format!("{path}/favorite")).await.expect(200);
    assert_eq!(shown().await["favorites_count"], 1);
    assert_eq!(bob.at(&here.client()).get(&path).await.expect(200)["favorited"], true);
    assert_eq!(shown().await["favorited"], false, "by nobody who is known");
    ann.client.put("/api/user", &json!({"name": "Anna"})).await.expect(200);
    assert_eq!(shown().await["author"]["name"], "Anna");
    stage.execute("update users set bio = 'by hand' where name = 'Anna'", &[]).await;
    assert_eq!(shown().await["author"]["bio"], "by hand");
    let hand = stage.another_client().await;
    hand.batch_execute("begin; update articles set title = 'once'; savepoint s; update articles set title = 'twice'")
        .await
        .unwrap();
    assert_eq!(shown().await["title"], "Of Ann", "nothing is committed yet");
    hand.batch_execute("rollback to s; update articles set title = 'again'; commit").await.unwrap();
    assert_eq!(shown().await["title"], "again");
    stage.execute("update articles set slug = slug || 'x'", &[]).await;
    here.client().get(&path).await.refused(404, "not_found");
    stage.execute("update articles set slug = $1", &[&slug]).await;
    assert_eq!(shown().await["title"], "again");
    // Another article that has the address at once.
    let moved = "with gone as (delete from articles returning slug, author_id)
                 insert into articles (slug, author_id, title, body) select slug || '', author_id, 'another', 'b' from gone";
    let hand = stage.another_client().await;
    hand.batch_execute("alter table articles drop constraint articles_slug_unique").await.unwrap();
    hand.execute(moved, &[]).await.unwrap();
    hand.batch_execute("alter table articles add constraint articles_slug_unique unique (slug)").await.unwrap();
    assert_eq!(shown().await["title"], "another");
    ann.client.delete(&path).await.expect(204);
    here.client().get(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_session_that_was_open_is_refused_once_it_is_over_by_whatever_way() {
    let postgres = PrivatePostgres::start().await;
    let stage = Stage::on(postgres.url.clone()).await;
    let (here, there) = (Service::run(&stage, &API, &[]).await, Service::run(&stage, &API, &[]).await);
    for (kind, path) in [("users", "/api/user"), ("sessions", "/api/notifications")] {
        let out = there.client().register(&format!("out {kind}")).await;
        read(&here, kind, &out.at(&here.client()), path).await;
        out.client.ask("/api/logout").await.expect(200);
        out.at(&here.client()).get(path).await.refused(401, "invalid_token");
        let ended = there.client().register(&format!("ended {kind}")).await;
        read(&here, kind, &ended.at(&here.client()), path).await;
        stage.execute("update sessions set ended_at = now() where user_id = $1", &[&ended.id]).await;
        ended.at(&here.client()).get(path).await.refused(401, "invalid_token");
        let gone = there.client().register(&format!("gone {kind}")).await;
        read(&here, kind, &gone.at(&here.client()), path).await;
        stage.execute("delete from users where id = $1", &[&gone.id]).await;
        gone.at(&here.client()).get(path).await.refused(401, "invalid_token");
        // Here nobody writes anything when it is over.
        let over = there.client().register(&format!("over {kind}")).await;
        let soon = "update sessions set expires_at = now() + interval '7 s' where user_id = $1";
        stage.execute(soon, &[&over.id]).await;
        read(&here, kind, &over.at(&here.client()), path).await;
        eventually("it is over", async || {
            let before = found(&here, kind, "same").await;
            let refused = over.at(&here.client()).get(path).await.status == 401;
            // What is refused was known, and nothing else: otherwise this would prove nothing.
            assert!(found(&here, kind, "same").await > before || !refused, "{kind}");
            refused.then_some(())
        })
        .await;
    }
    let ann = there.client().register("ann").await;
    assert_eq!(read(&here, "users", &ann.at(&here.client()), "/api/user").await["bio"], "");
    ann.client.put("/api/user", &json!({"bio": "changed"})).await.expect(200);
    assert_eq!(read(&here, "users", &ann.at(&here.client()), "/api/user").await["bio"], "changed");
}

#[tokio::test]
async fn a_token_that_is_known_is_refused_once_its_time_is_over_or_its_session() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &API, &[("ACCESS_TOKEN_SECONDS", "1")]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    for who in [&ann, &bob] {
        who.client.get("/api/user").await.expect(200);
        let before = found(&service, "tokens", "known").await;
        who.client.get("/api/user").await.expect(200);
        assert!(found(&service, "tokens", "known").await > before);
    }
    bob.client.ask("/api/logout").await.expect(200);
    bob.client.get("/api/user").await.refused(401, "invalid_token");
    eventually("it has expired", async || (ann.client.get("/api/user").await.status == 401).then_some(())).await;
    assert_eq!(found(&service, "tokens", "read").await, 2.0, "each was verified once");
}

#[tokio::test]
async fn nobody_reads_what_was_no_longer_so_when_they_asked() {
    // Its own, so that nobody commits but us: else hardly anything would be taken for known.
    let postgres = PrivatePostgres::start().await;
    let stage = Stage::on(postgres.url.clone()).await;
    let (here, there) = (Service::run(&stage, &API, &[]).await, Service::run(&stage, &API, &[]).await);
    let ann = there.client().register("ann").await;
    let paths: Vec<String> = futures_util::future::join_all((0..3).map(|n| ann.publish(["A", "B", "C"][n])))
        .await
        .iter()
        .map(|slug| format!("/api/articles/{slug}"))
        .collect();
    let paths: Arc<[String]> = paths.into();
    let (committed, over) = (Arc::new([const { AtomicU64::new(0) }; 3]), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..12)
        .map(|n| {
            let (client, paths, committed, over) =
                (here.client(), Arc::clone(&paths), Arc::clone(&committed), Arc::clone(&over));
            tokio::spawn(async move {
                let mut reads = 0;
                while !over.load(Ordering::Relaxed) {
                    let which = (n + reads) % 3;
                    let least = committed[which].load(Ordering::SeqCst);
                    let article = client.get(&paths[which]).await.expect(200);
                    // Until the first edit it says something else.
                    let seen: u64 = article["description"].as_str().unwrap().parse().unwrap_or(0);
                    assert!(seen >= least, "{seen} is older than {least}");
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    for number in 1..=150_u64 {
        // Some by the service on the other node, some by hand.
        let which = usize::try_from(number % 3).unwrap();
        let text = number.to_string();
        if number % 2 == 0 {
            ann.client.put(&paths[which], &json!({"description": text})).await.expect(200);
        } else {
            let slug = paths[which].rsplit('/').next().unwrap();
            stage.execute("update articles set description = $1 where slug = $2", &[&text, &slug]).await;
        }
        committed[which].store(number, Ordering::SeqCst);
        // Whoever reads may see that nothing is committed for a while.
        for _ in 0..number % 4 {
            here.client().get(&paths[0]).await.expect(200);
        }
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0, "every reader has read");
    }
    for how in ["same", "known", "read"] {
        assert!(found(&here, "articles", how).await > 0.0, "some were {how}");
    }
}

/// The number that the next transaction gets which writes something.
async fn next_transaction(stage: &Stage) -> i64 {
    stage.number("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").await
}

#[tokio::test]
async fn nothing_is_known_of_a_database_that_lost_what_was_committed() {
    let mut postgres = PrivatePostgres::start().await;
    let mut stage = Stage::on(postgres.url.clone()).await;
    let service = Service::run(&stage, &API, &[]).await;
    let ann = service.client().register("ann").await;
    let path = format!("/api/articles/{}", ann.publish("Of Ann").await);
    let shown = async || read(&service, "articles", &service.client(), &path).await["body"].clone();
    assert_eq!(shown().await, "at length");
    // Else the service adds it up at some time, by a transaction of its own.
    eventually("what was published is counted", async || {
        (stage.number("select count(*) from article_changes").await == 0).then_some(())
    })
    .await;
    postgres.stop(Shutdown::Fast).await;
    postgres.keep_copy().await;
    let (change, written_by) = ("update articles set body = $1", "select xmin::text::bigint from articles");
    postgres.start_again().await;
    stage.reconnect().await;
    // So many more that whatever else happens then needs fewer.
    let number = next_transaction(&stage).await + 100;
    while next_transaction(&stage).await < number {
        stage.query("select pg_current_xact_id()::text", &[]).await;
    }
    stage.execute(change, &[&"lost"]).await;
    assert_eq!(stage.number(written_by).await, number);
    eventually("the service is back", async || (service.client().get(&path).await.status == 200).then_some(())).await;
    assert_eq!(shown().await, "lost");
    postgres.stop(Shutdown::Fast).await;
    postgres.go_back().await;
    postgres.start_again().await;
    stage.reconnect().await;
    while next_transaction(&stage).await < number {
        stage.query("select pg_current_xact_id()::text", &[]).await;
    }
    stage.execute(change, &[&"found"]).await;
    assert_eq!(stage.number(written_by).await, number, "by a transaction that has the number of the lost one");
    eventually("the service is back", async || (service.client().get(&path).await.status == 200).then_some(())).await;
    assert_eq!(shown().await, "found");
}

#[tokio::test]
async fn what_is_kept_has_a_limit_and_nothing_depends_on_it() {
    let postgres = PrivatePostgres::start().await;
    let stage = Stage::on(postgres.url.clone()).await;
    let fill = "insert into articles (author_id, slug, title, body)
                select $1, 'a-' || n, 't', repeat('lorem ', 200) || n from generate_series(1, 60) as n";
    let ann = {
        let service = Service::run(&stage, &API, &[]).await;
        service.client().register("ann").await
    };
    stage.execute(fill, &[&ann.id]).await;
    for limit in [0, 20_000, 200_000] {
        let service = Service::run(&stage, &API, &[("KEPT_BYTES", &limit.to_string())]).await;
        for _ in 0..3 {
            for n in 1..=60 {
                let article = service.client().get(&format!("/api/articles/a-{n}")).await.expect(200);
                assert!(article["body"].as_str().unwrap().ends_with(&format!(" {n}")), "{n} of {limit}");
            }
            ann.at(&service.client()).get("/api/user").await.expect(200);
        }
        let size = async |kind: &str| service.metric("kept_size_bytes", &format!("kind=\"{kind}\"")).await;
        assert_eq!(service.metric("kept_limit_bytes", "kind=\"articles\"").await, f64::from(limit));
        assert!(size("articles").await <= f64::from(limit) && size("users").await <= f64::from(limit));
        let some = limit > 0;
        assert_eq!((size("articles").await > 0.0, size("users").await > 0.0), (some, some), "{limit}");
        // All of them have a place with the largest limit, and hardly any with the second.
        let known = found(&service, "articles", "same").await + found(&service, "articles", "known").await;
        assert_eq!(known >= 60.0, limit == 200_000, "{limit}: {known}");
        assert!(some || known == 0.0, "{known}");
    }
}
