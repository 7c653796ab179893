//! Plans that are made once, also when that was while there was nothing yet.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    #![allow(dead_code)]
    pub mod database;
}

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use support::database::{connect, database};
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

const CLAIM: &str = include_str!("../../sql/queries/jobs/claim.sql");
const COMPLETE: &str = include_str!("../../sql/queries/jobs/complete.sql");
const TAKE_UNSENT: &str = include_str!("../../sql/queries/jobs/take_unsent.sql");
const CREATE: &str = include_str!("../../sql/queries/articles/create.sql");
const CHECK_SESSIONS: &str = include_str!("../../sql/queries/auth/check_sessions.sql");
const FIND_BY_SLUGS: &str = include_str!("../../sql/queries/articles/find_by_slugs.sql");
const FIND_CURRENT_USERS: &str = include_str!("../../sql/queries/auth/find_current_users.sql");
const SET_FAVORITES: &str = include_str!("../../sql/queries/favorites/set.sql");
const TELL_AUTHORS: &str = include_str!("../../sql/queries/notifications/tell_authors.sql");
const TELL_FOLLOWED: &str = include_str!("../../sql/queries/notifications/tell_followed.sql");
const TELL_FOLLOWERS: &str = include_str!("../../sql/queries/notifications/tell_followers.sql");
const WORKER: &str = "'00000000-0000-0000-0000-000000000000'";

/// What PostgreSQL may know of tables that many come to: that they are empty, that they were full once, and what is in
/// one of them, of whose rows it would make a bitmap.
const KNOWN: [&str; 3] = [
    "vacuum analyze",
    "update pg_class set relpages = 300, reltuples = 0
     where relname in ('favorites', 'follows', 'jobs', 'notifications', 'notification_clocks', 'sessions')",
    "insert into favorites (article_id, user_id) select a.id, u.id from articles a, users u where u.id <= 200;
     analyze favorites",
];

/// What a job goes through finds it by its id, and not among all that wait, run or have ended: what an index of those
/// holds is mostly dead, for each job passes through it within moments. With such a plan there were 31 jobs a second.
#[tokio::test]
async fn jobs_are_found_by_their_ids_by_plans_that_were_made_while_there_were_none() {
    let db = database().await;
    let client = connect(&db.settings.postgres.by_key().config).await;
    for (statement, parameters, expected) in [
        (CLAIM, format!("'{{1,2}}', {WORKER}, '{{a,b}}', '{{1,1}}'"), &["jobs_pk"][..]),
        (COMPLETE, format!("'{{1,2}}', '{{1,1}}', {WORKER}"), &["jobs_pk"]),
        (TAKE_UNSENT, "500, '{a,b}', '{1,1}'".to_owned(), &["jobs_pk", "jobs_unsent"]),
    ] {
        let plan = plan(&client, statement, &parameters).await;
        let used: BTreeSet<&str> = plan.split_whitespace().filter(|word| word.starts_with("jobs_")).collect();
        assert_eq!(used, expected.iter().copied().collect(), "{plan}");
        assert!(!plan.contains("Seq Scan on jobs j"), "{plan}");
    }
}

/// Otherwise each favorite, and each job, would cost what all of them cost, until PostgreSQL has counted them again. These are
/// the statements that run for nearly all of them.
#[tokio::test]
async fn no_statement_reads_all_of_an_index_because_there_was_nothing_when_it_was_planned() {
    let db = database().await;
    let client = connect(&db.settings.postgres.config).await;
    let articles = "insert into users (email, name, password_hash)
                    select n || '@example.com', n, '' from generate_series(1, 1000) n;
                    insert into articles (author_id, slug, title, body)
                    select id, 'slug-' || id, 'title', 'body' from users";
    client.batch_execute(articles).await.unwrap();
    let first_columns = first_columns(&client).await;
    for known in KNOWN {
        client.batch_execute(known).await.unwrap();
        let gathering = connect(&db.settings.postgres.planned_once().config).await;
        let working = connect(&db.settings.postgres.by_key().config).await;
        for (client, statement, parameters) in [
            (&gathering, SET_FAVORITES, "'{a,b}', '{1,2}', '{t,f}', '{a,b}'".to_owned()),
            (
                &gathering,
                CREATE,
                "'{1,2}', '{a,b}', '{a,b}', '{a,b}', '{a,b}', '{a,b}', '{a,b}', '{a,b}', '{a,b}', 9".to_owned(),
            ),
            (&working, CHECK_SESSIONS, format!("'{{{}}}'", WORKER.trim_matches('\''))),
            (&working, FIND_CURRENT_USERS, format!("'{{{}}}'", WORKER.trim_matches('\''))),
            (&working, FIND_BY_SLUGS, "'{a,b}', '{1,2}', '{1,2}', '{1,2}'".to_owned()),
            (&working, CLAIM, format!("'{{1,2}}', {WORKER}, '{{a,b}}', '{{1,1}}'")),
            (&working, COMPLETE, format!("'{{1,2}}', '{{1,1}}', {WORKER}")),
            (&working, TAKE_UNSENT, "500, '{a,b}', '{1,1}'".to_owned()),
            (&working, TELL_AUTHORS, "'{1,2}', '{1,2}', '{a,b}'".to_owned()),
            (&working, TELL_FOLLOWED, "'{1,2}', '{1,2}', '{a,b}'".to_owned()),
            (&working, TELL_FOLLOWERS, "'{1,2}', '{0,0}', '{a,b}', 500".to_owned()),
        ] {
            let plan = plan(client, statement, &parameters).await;
            let scans = scans(&plan);
            assert!(!scans.is_empty(), "{plan}");
            for (scan, condition) in scans {
                let index = scan.split_whitespace().skip_while(|word| *word != "using").nth(1).unwrap_or_default();
                // A condition on another column alone has all of the index read.
                let first = first_columns.get(index);
                let by_key = first.is_some_and(|first| condition.contains("Index Cond") && condition.contains(first));
                // One holds nothing but what is taken from it, in its order; the other is a row.
                assert!(by_key || index == "jobs_unsent" || scan.contains(" on job_control"), "{scan}\n{plan}");
            }
        }
    }
}

/// As `favorites/set` would, which does not show what the function does.
#[tokio::test]
async fn what_is_taken_back_is_found_by_its_id_whatever_was_told_when_that_was_planned() {
    let db = database().await;
    let people = "truncate users, notifications restart identity cascade;
                  insert into users (email, name, password_hash)
                  select n || '@example.com', n, '' from generate_series(1, 1000) n;
                  insert into articles (author_id, slug, title, body) select id, 'slug-' || id, 'title', 'body' from users";
    let many = "insert into notifications (user_id, kind, actor_id) select u.id, 'followed', f.id from users u, users f where f.id < 9;
                analyze notifications";
    let told = "insert into notifications (id, user_id, kind, actor_id, article_id, count) overriding system value
                values (100001, 1, 'article_favorited', 3, 1, 3), (100002, 2, 'article_favorited', 3, 2, 1)";
    for known in [KNOWN[0], KNOWN[1], many] {
        for statements in [people, known, told] {
            db.client.batch_execute(statements).await.unwrap();
        }
        let config = &db.settings.postgres.planned_once().config;
        let take_back = ["select take_back('{100001, 100002, 100001}')", "select take_back('{100001}')"];
        let left = "select coalesce(sum(count), 0)::bigint from notifications where kind = 'article_favorited'";
        let mut plans = String::new();
        for (statement, remaining) in take_back.into_iter().zip([1, 0]) {
            plans += &nested_plans(config, statement).await;
            assert_eq!(db.client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), remaining, "{statement}");
        }
        let scans = plans.lines().filter(|line| line.contains(" on notifications") && line.contains(" Scan "));
        let by_id = |line: &&str| line.contains("Scan using notifications_pk") || line.contains("Tid Scan");
        let (found, others): (Vec<&str>, Vec<&str>) = scans.partition(by_id);
        assert!(found.len() >= 7 && others.is_empty(), "{plans}");
    }
}

/// The plans of all statements within this one.
async fn nested_plans(config: &tokio_postgres::Config, statement: &str) -> String {
    let (client, mut connection) = config.connect(NoTls).await.unwrap();
    let messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    let notices = tokio::spawn(
        messages
            .filter_map(async |message| match message {
                Ok(AsyncMessage::Notice(notice)) => Some(notice.message().to_owned()),
                _ => None,
            })
            .collect::<Vec<_>>(),
    );
    let explain = "load 'auto_explain';
                   set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
                   set client_min_messages = log";
    client.batch_execute(explain).await.unwrap();
    client.batch_execute(statement).await.unwrap();
    drop(client);
    notices.await.unwrap().join("\n")
}

/// The first column of each index.
async fn first_columns(client: &Client) -> BTreeMap<String, String> {
    let columns = "select c.relname::text, a.attname::text from pg_index i join pg_class c on c.oid = i.indexrelid
                   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]";
    client.query(columns, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The steps of a plan that read tables or indexes, each with the line after it.
fn scans(plan: &str) -> Vec<(&str, &str)> {
    let lines: Vec<&str> = plan.lines().collect();
    let of_rows_at_hand =
        |line: &str| ["CTE", "Function", "Subquery"].iter().any(|of| line.contains(&format!("{of} Scan")));
    let reads = |line: &str| line.contains(" Scan ") && line.contains(" on ") && !of_rows_at_hand(line);
    let pairs = lines.iter().zip(lines.iter().skip(1).chain([&""]));
    pairs.filter(|(line, _)| reads(line)).map(|(line, next)| (*line, *next)).collect()
}

/// How PostgreSQL would execute it, a line for each step.
async fn plan(client: &Client, statement: &str, parameters: &str) -> String {
    let explain = format!("prepare it as {statement}; explain execute it ({parameters}); deallocate it");
    let rows = client.simple_query(&explain).await.unwrap();
    let lines = rows.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}
