//! What is told of favorites that are taken back, also while they are being told.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    #![allow(dead_code)]
    pub mod database;
}

use std::time::{Duration, Instant};

use actors::articles::Slug;
use actors::auth::UserId;
use actors::favorites::message::{AddFavorite, RemoveFavorite};
use actors::kit::{Caller, Trace};
use actors::{Settings, System};
use support::database::{Database, connect, database};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

fn caller() -> Caller {
    Caller { trace: Trace::default(), deadline: Instant::now() + Duration::from_secs(20) }
}

fn add(user: i64) -> AddFavorite {
    AddFavorite { slug: Slug::parse("an-article").unwrap(), user: UserId(user) }
}

fn remove(user: i64) -> RemoveFavorite {
    RemoveFavorite { slug: Slug::parse("an-article").unwrap(), user: UserId(user) }
}

/// Users 1, 2 and 3; the first has written article 1.
async fn people(db: &Database) {
    let people = "insert into users (email, name, password_hash)
                  select n || '@example.com', 'User ' || n, 'none' from generate_series(1, 3) n;
                  insert into articles (author_id, slug, title, body) values (1, 'an-article', 'An article', 'x')";
    db.client.batch_execute(people).await.unwrap();
}

/// Once every job has finished: the author's notifications, as who caused them and how many they stand for.
async fn told(db: &Database) -> Vec<(i64, i64)> {
    let settled = async {
        let open = "select count(*) from jobs where state <> 'completed'";
        while db.client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled).await.expect("the jobs finish");
    let rows = db.client.query("select actor_id, count from notifications order by id", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_favorite_taken_back_while_it_is_being_told_is_not_told() {
    let mut db = database().await;
    people(&db).await;
    let with_jobs = db.settings.clone();
    db.settings.jobs = None;
    let (system, tree) = System::start(&db.settings).await.unwrap();
    system.favorites.add(&caller(), add(2)).await.unwrap();
    // The job's effect, up to just before its commit.
    let telling = transaction(&db).await;
    let tell = include_str!("../../sql/queries/notifications/tell_authors.sql");
    telling.execute(tell, &[&vec![1_i64], &vec![2_i64], &vec![None::<String>]]).await.unwrap();
    telling.execute("update jobs set state = 'completed', finished_at = now()", &[]).await.unwrap();
    let favorites = system.favorites.clone();
    let taking_back = tokio::spawn(async move { favorites.remove(&caller(), remove(2)).await });
    waited_for(&db, &telling).await;
    telling.batch_execute("commit").await.unwrap();
    taking_back.await.unwrap().unwrap();
    tree.stop().await;
    let (_system, tree) = System::start(&with_jobs).await.unwrap();
    assert_eq!(told(&db).await, []);
    tree.stop().await;
}

/// Waits until somebody waits for a lock of this connection.
async fn waited_for(db: &Database, holder: &Client) {
    let holder: i32 = holder.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let waits = "select count(*) from pg_stat_activity
                 where datname = current_database() and $1 = any (pg_blocking_pids(pid))";
    let until = Instant::now() + Duration::from_secs(30);
    while db.client.query_one(waits, &[&holder]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(Instant::now() < until, "nobody waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A connection with an open transaction.
async fn transaction(db: &Database) -> Client {
    let client = connect(&db.settings.postgres.config).await;
    client.batch_execute("begin").await.unwrap();
    client
}

/// Takes a favorite back within a transaction that stays open.
fn take_back(client: Client, user: i64) -> JoinHandle<Client> {
    tokio::spawn(async move {
        let (slugs, users, wanted, traces) = (vec!["an-article"], vec![user], vec![false], vec![None::<String>]);
        let set = include_str!("../../sql/queries/favorites/set.sql");
        client.execute(set, &[&slugs, &users, &wanted, &traces]).await.unwrap();
        client
    })
}

/// User 3 takes a favorite back, and waits for the article: whoever holds that, and the user. Meanwhile the author was
/// told of it, and of user 2's, which a snapshot of before does not see.
async fn told_meanwhile(db: &Database) -> (Client, JoinHandle<Client>) {
    people(db).await;
    let (system, tree) = System::start(&Settings { jobs: None, ..db.settings.clone() }).await.unwrap();
    system.favorites.add(&caller(), add(2)).await.unwrap();
    system.favorites.add(&caller(), add(3)).await.unwrap();
    tree.stop().await;
    let article = transaction(db).await;
    article.batch_execute("select from articles where id = 1 for no key update").await.unwrap();
    let taking_back = take_back(transaction(db).await, 3);
    waited_for(db, &article).await;
    let tell = include_str!("../../sql/queries/notifications/tell_authors.sql");
    for user in [2_i64, 3] {
        db.client.execute(tell, &[&vec![1_i64], &vec![user], &vec![None::<String>]]).await.unwrap();
    }
    db.client.batch_execute("update jobs set state = 'completed', finished_at = now()").await.unwrap();
    (article, taking_back)
}

#[tokio::test]
async fn what_was_told_while_a_favorite_was_being_taken_back_is_taken_back_with_it() {
    let db = database().await;
    let (article, taking_back) = told_meanwhile(&db).await;
    article.batch_execute("commit").await.unwrap();
    taking_back.await.unwrap().batch_execute("commit").await.unwrap();
    assert_eq!(told(&db).await, [(2, 1)]);
}

#[tokio::test]
async fn what_was_read_is_not_taken_back() {
    let db = database().await;
    let (article, taking_back) = told_meanwhile(&db).await;
    db.client.batch_execute("update notifications set read_at = now()").await.unwrap();
    article.batch_execute("commit").await.unwrap();
    taking_back.await.unwrap().batch_execute("commit").await.unwrap();
    assert_eq!(told(&db).await, [(3, 2)]);
}

/// Nodes of before took a favorite back by a job where they could not see what was told of it.
#[tokio::test]
async fn a_recount_that_an_older_node_left_counts_what_is_taken_back_meanwhile() {
    let db = database().await;
    let (article, taking_back) = told_meanwhile(&db).await;
    let older = "delete from favorites where user_id = 2;
                 insert into jobs (kind, args, unique_key)
                 select 'favorites_recounted', jsonb_build_object('notification_id', id), id from notifications";
    db.client.batch_execute(older).await.unwrap();
    article.batch_execute("commit").await.unwrap();
    let taken_back = taking_back.await.unwrap();
    let (_system, tree) = System::start(&db.settings).await.unwrap();
    // It has begun, and must not count before the other has committed.
    waited_for(&db, &taken_back).await;
    taken_back.batch_execute("commit").await.unwrap();
    assert_eq!(told(&db).await, []);
    tree.stop().await;
}

#[tokio::test]
async fn a_notification_names_somebody_whose_favorite_still_stands() {
    let db = database().await;
    people(&db).await;
    let (system, tree) = System::start(&db.settings).await.unwrap();
    system.favorites.add(&caller(), add(2)).await.unwrap();
    assert_eq!(told(&db).await, [(2, 1)]);
    system.favorites.add(&caller(), add(3)).await.unwrap();
    assert_eq!(told(&db).await, [(3, 2)]);
    system.favorites.remove(&caller(), remove(3)).await.unwrap();
    assert_eq!(told(&db).await, [(2, 1)]);
    system.favorites.remove(&caller(), remove(2)).await.unwrap();
    assert_eq!(told(&db).await, []);
    tree.stop().await;
}

#[tokio::test]
async fn favorites_and_follows_that_are_told_together_count_as_if_each_were_told_alone() {
    let db = database().await;
    people(&db).await;
    let many = "insert into users (email, name, password_hash)
                select 'f' || n || '@example.com', 'Fan ' || n, 'none' from generate_series(1, 50) n;
                insert into favorites (article_id, user_id) select 1, id from users where name like 'Fan %';
                insert into follows (follower_id, followed_id) select id, 1 from users where name like 'Fan %';
                -- One that was taken back before it was told, and one that was taken back and added again.
                delete from favorites where user_id = (select min(id) from users where name like 'Fan %');
                insert into jobs (kind, args)
                select kind, args from users u, (values ('article_favorited'), ('followed')) k (kind),
                    jsonb_build_object('article_id', 1, 'user_id', u.id, 'follower_id', u.id, 'followed_id', 1) args
                where u.name like 'Fan %' order by u.id;
                insert into jobs (kind, args) select kind, args from jobs where kind = 'article_favorited' order by id desc limit 1";
    db.client.batch_execute(many).await.unwrap();
    let (_system, tree) = System::start(&db.settings).await.unwrap();
    let told = told(&db).await;
    assert_eq!(told.iter().filter(|(_, count)| *count == 1).count(), 50, "a notification for each follow");
    assert_eq!(told.iter().map(|(_, count)| count).filter(|count| **count > 1).collect::<Vec<_>>(), [&49]);
    let unnamed = "select count(*) from favorites where notification_id is null";
    assert_eq!(db.client.query_one(unnamed, &[]).await.unwrap().get::<_, i64>(0), 0);
    tree.stop().await;
}

#[tokio::test]
async fn many_followers_are_told_chunk_by_chunk_each_once() {
    let db = database().await;
    people(&db).await;
    let many = "insert into users (email, name, password_hash)
                select 'f' || n || '@example.com', 'Follower ' || n, 'none' from generate_series(1, 2500) n;
                insert into follows (follower_id, followed_id) select id, 1 from users where name like 'Follower %';
                insert into jobs (kind, args) values ('article_published', '{\"article_id\": 1}')";
    db.client.batch_execute(many).await.unwrap();
    let (_system, tree) = System::start(&db.settings).await.unwrap();
    assert_eq!(told(&db).await.len(), 2500);
    let recipients = "select count(distinct user_id) from notifications";
    assert_eq!(db.client.query_one(recipients, &[]).await.unwrap().get::<_, i64>(0), 2500);
    let jobs = "select (args ->> 'after')::bigint is not null, state from jobs order by id";
    let jobs = db.client.query(jobs, &[]).await.unwrap();
    let jobs: Vec<(bool, &str)> = jobs.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(jobs, [(false, "completed"), (true, "completed"), (true, "completed")], "a job for each chunk");
    tree.stop().await;
}

#[tokio::test]
async fn articles_that_are_told_together_reach_each_follower_once_each_in_its_own_trace() {
    let db = database().await;
    people(&db).await;
    // Two authors, one with more followers than are told at once of one article among many.
    let many = "insert into users (email, name, password_hash)
                select 'f' || n || '@example.com', 'Follower ' || n, 'none' from generate_series(1, 250) n;
                insert into follows (follower_id, followed_id) select id, 1 from users where name like 'Follower %';
                insert into follows (follower_id, followed_id) select id, 2 from users where name like 'Follower 1%';
                insert into articles (author_id, slug, title, body)
                select 1 + n % 2, 'article-' || n, 'Article', 'x' from generate_series(1, 12) n;
                insert into jobs (kind, args, traceparent)
                select 'article_published', jsonb_build_object('article_id', id),
                       '00-' || lpad(id::text, 32, '1') || '-b7ad6b7169203331-01'
                from articles where slug like 'article-%'";
    db.client.batch_execute(many).await.unwrap();
    let (_system, tree) = System::start(&db.settings).await.unwrap();
    let expected =
        "select count(*) from articles a join follows f on f.followed_id = a.author_id where a.slug like 'article-%'";
    let expected: i64 = db.client.query_one(expected, &[]).await.unwrap().get(0);
    assert_eq!(i64::try_from(told(&db).await.len()).unwrap(), expected);
    let found = "select count(distinct (user_id, article_id)), count(distinct xmin::text),
                        count(*) filter (where traceparent like '00-' || lpad(article_id::text, 32, '1') || '-%')
                 from notifications";
    let found = db.client.query_one(found, &[]).await.unwrap();
    let (each, transactions, in_trace): (i64, i64, i64) = (found.get(0), found.get(1), found.get(2));
    assert_eq!((each, in_trace), (expected, expected), "each once, and in the trace of its article");
    // One after the other, each article would have its own.
    assert!(transactions < 12, "in {transactions} transactions");
    tree.stop().await;
}
