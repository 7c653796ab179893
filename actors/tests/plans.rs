//! Plans that are made once, also when that was while there was nothing yet.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    #![allow(dead_code)]
    pub mod database;
}

use std::collections::BTreeSet;

use support::database::{connect, database};

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
        let explain = format!("prepare it as {statement}; explain execute it ({parameters}); deallocate it");
        let plan: Vec<String> = client
            .simple_query(&explain)
            .await
            .unwrap()
            .iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        let plan = plan.join("\n");
        let used: BTreeSet<&str> = plan.split_whitespace().filter(|word| word.starts_with("jobs_")).collect();
        assert_eq!(used, expected.iter().copied().collect(), "{plan}");
        assert!(!plan.contains("Seq Scan on jobs j"), "{plan}");
    }
}
