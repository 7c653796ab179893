//! Plans that are made once, also when that was while there was nothing yet.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    #![allow(dead_code)]
    pub mod database;
}

use std::collections::{BTreeMap, BTreeSet};

use support::database::{connect, database};
use tokio_postgres::{Client, SimpleQueryMessage};

const SET_FAVORITES: &str = include_str!("../../sql/queries/favorites/set.sql");
const CLAIM: &str = include_str!("../../sql/queries/jobs/claim.sql");
const COMPLETE: &str = include_str!("../../sql/queries/jobs/complete.sql");
const TAKE_UNSENT: &str = include_str!("../../sql/queries/jobs/take_unsent.sql");

/// What a job goes through finds it by its id, and not among all that wait, run or have ended: what an index of those
/// holds is mostly dead, for each job passes through it within moments. With such a plan there were 31 jobs a second.
#[tokio::test]
async fn jobs_are_found_by_their_ids_by_plans_that_were_made_while_there_were_none() {
    let db = database().await;
    let client = connect(&db.settings.postgres.by_key().config).await;
    let worker = "'00000000-0000-0000-0000-000000000000'";
    for (statement, parameters, expected) in [
        (CLAIM, format!("'{{1,2}}', {worker}, '{{a,b}}', '{{1,1}}'"), &["jobs_pk"][..]),
        (COMPLETE, format!("'{{1,2}}', '{{1,1}}', {worker}"), &["jobs_pk"]),
        (TAKE_UNSENT, "500, '{a,b}', '{1,1}'".to_owned(), &["jobs_pk", "jobs_unsent"]),
    ] {
        let plan = plan(&client, statement, &parameters).await;
        let used: BTreeSet<&str> = plan.split_whitespace().filter(|word| word.starts_with("jobs_")).collect();
        assert_eq!(used, expected.iter().copied().collect(), "{plan}");
        assert!(!plan.contains("Seq Scan on jobs j"), "{plan}");
    }
}

/// Otherwise each favorite would cost what all of them cost, until PostgreSQL has counted them again.
#[tokio::test]
async fn favorites_are_set_by_looks_into_indexes_also_when_there_were_none_when_that_was_planned() {
    let db = database().await;
    let client = connect(&db.settings.postgres.planned_once().config).await;
    let articles = "insert into users (email, name, password_hash)
                    select n || '@example.com', n, '' from generate_series(1, 1000) n;
                    insert into articles (author_id, slug, title, body)
                    select id, 'slug-' || id, 'title', 'body' from users";
    client.batch_execute(articles).await.unwrap();
    let first_columns: BTreeMap<String, String> = client
        .query(
            "select c.relname::text, a.attname::text from pg_index i join pg_class c on c.oid = i.indexrelid
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    for known_of_it in ["analyze", "update pg_class set relpages = 300, reltuples = 0 where relname = 'favorites'"] {
        client.batch_execute(known_of_it).await.unwrap();
        let plan = plan(&client, SET_FAVORITES, "'{a,b}', '{1,2}', '{t,f}', '{a,b}'").await;
        let lines: Vec<&str> = plan.lines().collect();
        let mut looks = 0;
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("Scan") && line.contains(" on ")) {
            if ["CTE Scan", "Function Scan", "Subquery Scan"].iter().any(|kind| line.contains(kind)) {
                continue;
            }
            let index = line.split_whitespace().skip_while(|word| *word != "using").nth(1).unwrap_or_default();
            let first = first_columns.get(index).unwrap_or_else(|| panic!("no index: {line}\n{plan}"));
            let condition = lines[at + 1..].iter().take(1).find(|line| line.contains("Index Cond"));
            // A condition on another column alone has all of the index read.
            assert!(condition.is_some_and(|condition| condition.contains(first.as_str())), "{line}\n{plan}");
            looks += 1;
        }
        assert!(looks > 10, "{plan}");
    }
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
