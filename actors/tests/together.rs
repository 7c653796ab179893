//! What jobs that take effect together can rely on: as much as if each were alone.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    #![allow(dead_code)]
    pub mod database;
}

use std::sync::Arc;

use actors::System;
use actors::jobs::{Effect, Job, JobError};
use actors::kit::Scope;
use actors::kit::postgres::Transaction;
use actors::kit::sql::Statement;
use futures_util::future::BoxFuture;
use serde_json::Value;
use support::database::{Database, database};

static LEAVE_A_ROW: Statement = Statement::new("trials/leave", "insert into trials (job) values ($1)");

/// Leaves a row for each job; one of them is not to be done.
struct Sociable {
    spoilt: i64,
    by: fn() -> Result<(), JobError>,
}

impl Effect for Sociable {
    fn kind(&self) -> &'static str {
        "sociable"
    }
    fn together(&self) -> bool {
        true
    }
    fn apply_all<'a>(
        &'a self,
        jobs: &'a [Job],
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async move {
            for job in jobs {
                tx.run(scope, &LEAVE_A_ROW, &[&job.id]).await?;
                if job.id == self.spoilt {
                    (self.by)()?;
                }
            }
            Ok(())
        })
    }
    fn apply<'a>(
        &'a self,
        job: &'a Job,
        _: &'a Value,
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        self.apply_all(std::slice::from_ref(job), tx, scope)
    }
}

/// Jobs that are there before anybody takes one, and their effect.
async fn three(db: &Database, spoilt: Option<usize>, by: fn() -> Result<(), JobError>) -> (Vec<i64>, Arc<Sociable>) {
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(db.leave_job("sociable", 2).await);
    }
    let spoilt = spoilt.and_then(|at| jobs.get(at).copied()).unwrap_or(0);
    (jobs, Arc::new(Sociable { spoilt, by }))
}

async fn effects(db: &Database) -> (i64, i64) {
    let count = "select count(*), count(distinct xmin::text) from trials";
    let row = db.client.query_one(count, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn jobs_of_a_kind_that_wait_together_take_effect_in_one_transaction_by_one_hand_up_to_the_limit() {
    // The first may be taken alone, since somebody waits for it.
    for (batch, expected) in [(16, 1..=2), (5, 3..=4), (1, 12..=12)] {
        let db = database().await;
        let (mut jobs, effect) = three(&db, None, || Ok(())).await;
        for _ in 0..9 {
            jobs.push(db.leave_job("sociable", 2).await);
        }
        let mut settings = db.settings.clone();
        let executed = settings.jobs.as_mut().unwrap();
        (executed.workers, executed.batch) = (1, batch);
        let (_system, tree) = System::start_with(&settings, vec![effect]).await.unwrap();
        for job in jobs {
            assert_eq!(db.finished(job).await, ("completed".to_owned(), 1, vec![]));
        }
        let (effects, transactions) = effects(&db).await;
        assert!(effects == 12 && expected.contains(&transactions), "{effects} in {transactions} of up to {batch}");
        tree.stop().await;
    }
}

#[tokio::test]
async fn a_job_that_fails_or_panics_among_others_fails_alone() {
    let ways: [fn() -> Result<(), JobError>; 2] =
        [|| Err(JobError::Arguments("spoilt".to_owned())), || panic!("spoilt")];
    for by in ways {
        let db = database().await;
        let (jobs, effect) = three(&db, Some(1), by).await;
        let (_system, tree) = System::start_with(&db.settings, vec![effect]).await.unwrap();
        for (at, job) in jobs.into_iter().enumerate() {
            let (state, attempts, errors) = db.finished(job).await;
            let expected = if at == 1 { ("discarded", 2, 2) } else { ("completed", 1, 0) };
            assert_eq!((state.as_str(), attempts, errors.len()), expected, "{errors:?}");
        }
        assert_eq!(effects(&db).await, (2, 2));
        tree.stop().await;
    }
}

#[tokio::test]
async fn a_job_that_is_fenced_off_among_others_keeps_none_from_taking_effect() {
    let db = database().await;
    // Whoever takes the first job away meanwhile: what follows in the attempt finds that it lost it.
    let steal = "create function steal() returns trigger language plpgsql as $$
                 begin update jobs set attempt = attempt + 1 where id = (select min(id) from jobs) and attempt = 1; return null; end $$;
                 create trigger steal after insert on trials for each row execute function steal()";
    db.client.batch_execute(steal).await.unwrap();
    let (jobs, effect) = three(&db, None, || Ok(())).await;
    let (_system, tree) = System::start_with(&db.settings, vec![effect]).await.unwrap();
    for job in jobs.iter().skip(1) {
        assert_eq!(db.finished(*job).await, ("completed".to_owned(), 1, vec![]));
    }
    tree.stop().await;
    let told = "select count(*) from trials where job = any ($1)";
    assert_eq!(
        db.client.query_one(told, &[&jobs]).await.unwrap().get::<_, i64>(0),
        2,
        "the fenced one changed nothing"
    );
}
