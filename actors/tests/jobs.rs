//! What a job can rely on, with real servers: attempts, effects, dead letters, rescue.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    #![allow(dead_code)]
    pub mod database;
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actors::System;
use actors::jobs::{Effect, Job, JobError};
use actors::kit::Scope;
use actors::kit::nudge::Injected;
use actors::kit::postgres::Transaction;
use actors::kit::sql::Statement;
use futures_util::future::BoxFuture;
use serde_json::Value;
use support::database::database;

static LEAVE_A_ROW: Statement = Statement::new("trials/leave", "insert into trials (job) values ($1)");

/// How an effect behaves in its attempts, counted from 1.
type Behave = fn(i32) -> Result<(), JobError>;

/// Tells nobody, but counts its attempts and leaves a row that can be counted.
struct Trial {
    attempts: AtomicU32,
    behave: Behave,
}

impl Effect for Trial {
    fn kind(&self) -> &'static str {
        "trial"
    }

    fn apply<'a>(
        &'a self,
        job: &'a Job,
        _: &'a Value,
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async move {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            // Any statement with a visible effect will do: this one leaves a row for each run that commits.
            tx.run(scope, &LEAVE_A_ROW, &[&job.id]).await?;
            (self.behave)(job.attempt)
        })
    }
}

fn trial(behave: Behave) -> Arc<Trial> {
    Arc::new(Trial { attempts: AtomicU32::new(0), behave })
}

async fn effects(db: &support::database::Database, job: i64) -> i64 {
    db.client.query_one("select count(*) from trials where job = $1", &[&job]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_job_takes_effect_once_and_is_completed_with_it() {
    let db = database().await;
    let trial = trial(|_| Ok(()));
    let (_system, tree) = System::start_with(&db.settings, vec![Arc::clone(&trial) as _]).await.unwrap();
    let job = db.leave_job("trial", 5).await;
    assert_eq!(db.finished(job).await, ("completed".to_owned(), 1, vec![]));
    assert_eq!(effects(&db, job).await, 1);
    tree.stop().await;
}

#[tokio::test]
async fn a_failed_attempt_leaves_nothing_behind_and_is_tried_again() {
    let db = database().await;
    let trial = trial(|attempt| if attempt < 3 { Err(JobError::Arguments("not yet".to_owned())) } else { Ok(()) });
    let (_system, tree) = System::start_with(&db.settings, vec![Arc::clone(&trial) as _]).await.unwrap();
    let job = db.leave_job("trial", 5).await;
    let (state, attempt, errors) = db.finished(job).await;
    assert_eq!((state.as_str(), attempt, errors.len()), ("completed", 3, 2));
    assert_eq!(errors[0], "bad arguments: not yet");
    assert_eq!(effects(&db, job).await, 1, "only the attempt that succeeded took effect");
    tree.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_and_the_last_one_makes_a_dead_letter() {
    let db = database().await;
    let trial = trial(|_| panic!("told to"));
    let (_system, tree) = System::start_with(&db.settings, vec![Arc::clone(&trial) as _]).await.unwrap();
    let job = db.leave_job("trial", 3).await;
    let (state, attempt, errors) = db.finished(job).await;
    assert_eq!((state.as_str(), attempt), ("discarded", 3));
    assert_eq!(errors, vec!["panicked: told to"; 3]);
    assert_eq!(trial.attempts.load(Ordering::Relaxed), 3);
    assert_eq!(effects(&db, job).await, 0);
    tree.stop().await;
}

#[tokio::test]
async fn jobs_left_while_nobody_worked_are_done_when_somebody_does() {
    let db = database().await;
    let mut jobs = Vec::new();
    for _ in 0..50 {
        jobs.push(db.leave_job("trial", 5).await);
    }
    let (_system, tree) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    for job in jobs {
        assert_eq!(db.finished(job).await.0, "completed");
        assert_eq!(effects(&db, job).await, 1);
    }
    tree.stop().await;
}

#[tokio::test]
async fn two_processes_share_the_jobs_and_each_takes_effect_once() {
    let db = database().await;
    let (_one, first) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    let (_two, second) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    let mut jobs = Vec::new();
    for _ in 0..100 {
        jobs.push(db.leave_job("trial", 5).await);
    }
    for job in jobs {
        assert_eq!(db.finished(job).await, ("completed".to_owned(), 1, vec![]));
        assert_eq!(effects(&db, job).await, 1);
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn the_jobs_of_a_process_that_died_are_taken_back() {
    let db = database().await;
    let job = db.leave_job("trial", 5).await;
    // As a process leaves it that was killed in the middle: running, by a worker that is not seen any more.
    let die =
        "update jobs set state = 'running', attempt = 1, worker = gen_random_uuid(), started_at = now() where id = $1";
    db.client.execute(die, &[&job]).await.unwrap();
    let (_system, tree) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    let (state, attempt, errors) = db.finished(job).await;
    assert_eq!((state.as_str(), attempt, errors.len()), ("completed", 2, 1));
    assert_eq!(effects(&db, job).await, 1);
    tree.stop().await;
}

#[tokio::test]
async fn jobs_that_a_process_took_from_the_stream_and_did_not_begin_are_not_lost_with_it() {
    let mut db = database().await;
    db.settings.jobs.as_mut().unwrap().resend_after = std::time::Duration::from_secs(3600);
    let job = db.leave_job("trial", 5).await;
    // As a process leaves it that was killed between reading and claiming: sent, and in no stream any more.
    let take =
        "with dead as (insert into job_workers (id, seen_at) values (gen_random_uuid(), now() - interval '1 minute'))
                update jobs set sent_at = now() - interval '1 minute' where id = $1";
    db.client.execute(take, &[&job]).await.unwrap();
    let (_system, tree) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    assert_eq!(db.finished(job).await.0, "completed");
    assert_eq!(effects(&db, job).await, 1);
    tree.stop().await;
}

#[tokio::test]
async fn a_job_that_a_living_process_claimed_and_lost_is_taken_back() {
    let mut db = database().await;
    db.settings.jobs.as_mut().unwrap().attempt_within = std::time::Duration::from_secs(3600);
    let (_system, tree) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    let first = db.leave_job("trial", 5).await;
    db.finished(first).await;
    // As a consumer leaves it that crashed between the claim and the pool, while its process lives on.
    let claim = "with lost as (insert into jobs (kind, args, state, attempt, worker, started_at)
                 select 'trial', '{}', 'running', 1, id, now() - interval '5 seconds' from job_workers returning id)
                 select id from lost";
    let job: i64 = db.client.query_one(claim, &[]).await.unwrap().get(0);
    let (state, attempt, errors) = db.finished(job).await;
    assert_eq!((state.as_str(), attempt, errors.len()), ("completed", 2, 1));
    assert_eq!(effects(&db, job).await, 1);
    tree.stop().await;
}

#[tokio::test]
async fn a_job_that_is_out_of_attempts_spoils_no_claim() {
    let db = database().await;
    let (spent, other) = (db.leave_job("trial", 2).await, db.leave_job("trial", 5).await);
    db.client.execute("update jobs set attempt = 2 where id = $1", &[&spent]).await.unwrap();
    let claim = include_str!("../../sql/queries/jobs/claim.sql");
    let worker = uuid::Uuid::new_v4();
    let claimed = db.client.query(claim, &[&vec![spent, other], &worker, &vec!["trial"], &vec![1]]).await.unwrap();
    assert_eq!(claimed.iter().map(|row| row.get::<_, i64>("id")).collect::<Vec<_>>(), [other]);
}

#[tokio::test]
async fn an_attempt_that_was_taken_from_a_dead_process_is_not_the_job_s_last() {
    let db = database().await;
    let job = db.leave_job("trial", 1).await;
    let die =
        "update jobs set state = 'running', attempt = 1, worker = gen_random_uuid(), started_at = now() where id = $1";
    db.client.execute(die, &[&job]).await.unwrap();
    let (_system, tree) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    let (state, attempt, errors) = db.finished(job).await;
    assert_eq!((state.as_str(), attempt, errors.len()), ("completed", 2, 1));
    assert_eq!(effects(&db, job).await, 1);
    let failing = trial(|_| Err(JobError::Arguments("no".to_owned())));
    tree.stop().await;
    let (_system, tree) = System::start_with(&db.settings, vec![failing as _]).await.unwrap();
    let hopeless = db.leave_job("trial", 1).await;
    assert_eq!(db.finished(hopeless).await.0, "discarded", "one that failed was the last");
    tree.stop().await;
}

#[tokio::test]
async fn a_crash_of_any_job_actor_loses_no_job() {
    let db = database().await;
    let (system, tree) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    let mut jobs = Vec::new();
    for actor in ["pool", "consumer", "relay", "listener", "scheduler", "rescuer", "reconciler"] {
        for _ in 0..5 {
            jobs.push(db.leave_job("trial", 5).await);
        }
        system.inject(&format!("root/jobs/{actor}"), Injected::Crash);
        for _ in 0..5 {
            jobs.push(db.leave_job("trial", 5).await);
        }
    }
    for job in jobs {
        assert_eq!(db.finished(job).await.0, "completed");
        assert_eq!(effects(&db, job).await, 1);
    }
    tree.stop().await;
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_left_alone() {
    let db = database().await;
    let (_system, tree) = System::start_with(&db.settings, vec![trial(|_| Ok(())) as _]).await.unwrap();
    let unknown = db.leave_job("from_the_future", 5).await;
    let known = db.leave_job("trial", 5).await;
    db.finished(known).await;
    assert_eq!(db.job(unknown).await, ("available".to_owned(), 0, vec![]));
    tree.stop().await;
}
