//! What a kind of jobs can rely on: versions, priorities, limits, keys, time, cancellation, pause.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support {
    #![allow(dead_code)]
    pub mod database;
}

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actors::jobs::{CancelJob, Effect, FindJob, Job, JobError, PauseJobs, Refusal, State, why};
use actors::kit::postgres::Transaction;
use actors::kit::{Caller, Failure, Scope, Trace};
use actors::{Settings, System};
use futures_util::future::BoxFuture;
use serde_json::Value;
use support::database::{Database, database};
use tokio::sync::Semaphore;

/// A kind that notes which jobs begin, and lets each go on only with a permit.
struct Gated {
    version: i32,
    at_once: Option<u32>,
    begun: Mutex<Vec<i64>>,
    running: AtomicUsize,
    most: AtomicUsize,
    gate: Semaphore,
}

impl Effect for Gated {
    fn kind(&self) -> &'static str {
        "gated"
    }
    fn version(&self) -> i32 {
        self.version
    }
    fn at_once(&self) -> Option<u32> {
        self.at_once
    }
    fn within(&self) -> Option<Duration> {
        Some(Duration::from_secs(20))
    }
    fn apply<'a>(
        &'a self,
        job: &'a Job,
        _: &'a Value,
        _: &'a Transaction<'a>,
        _: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async move {
            struct Out<'a>(&'a AtomicUsize);
            impl Drop for Out<'_> {
                fn drop(&mut self) {
                    self.0.fetch_sub(1, Ordering::SeqCst);
                }
            }
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            let _out = Out(&self.running);
            self.most.fetch_max(running, Ordering::SeqCst);
            self.begun.lock().unwrap().push(job.id);
            self.gate.acquire().await.unwrap().forget();
            Ok(())
        })
    }
}

fn gated(version: i32, at_once: Option<u32>, permits: usize) -> Arc<Gated> {
    Arc::new(Gated {
        version,
        at_once,
        begun: Mutex::default(),
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        gate: Semaphore::new(permits),
    })
}

fn caller() -> Caller {
    Caller { trace: Trace::default(), deadline: Instant::now() + Duration::from_secs(20) }
}

fn with_workers(db: &Database, workers: usize) -> Settings {
    let mut settings = db.settings.clone();
    settings.jobs.as_mut().unwrap().workers = workers;
    settings
}

async fn leave(db: &Database, more: &str) -> i64 {
    let (columns, values) = more
        .split_once('=')
        .map_or((String::new(), String::new()), |(column, value)| (format!(", {column}"), format!(", {value}")));
    let insert = format!("insert into jobs (kind, args{columns}) values ('gated', '{{}}'{values}) returning id");
    db.client.query_one(&insert, &[]).await.unwrap().get(0)
}

async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn explained(system: &System, job: i64) -> String {
    let (job, standing) = system.jobs.find(&caller(), FindJob(job)).await.unwrap();
    why(&job, &standing)
}

#[tokio::test]
async fn a_version_that_nobody_here_knows_is_left_for_one_who_does_and_says_so() {
    let db = database().await;
    let old = gated(1, None, 100);
    let (system, tree) = System::start_with(&db.settings, vec![Arc::clone(&old) as _]).await.unwrap();
    let newer = leave(&db, "version=2").await;
    let known = leave(&db, "version=1").await;
    db.finished(known).await;
    assert_eq!(db.job(newer).await, ("available".to_owned(), 0, vec![]));
    assert!(explained(&system, newer).await.contains("knows the kind gated in version 2"));
    let (_other, other_tree) = System::start_with(&db.settings, vec![gated(2, None, 100) as _]).await.unwrap();
    assert_eq!(db.finished(newer).await.0, "completed");
    assert_eq!(*old.begun.lock().unwrap(), [known]);
    tree.stop().await;
    other_tree.stop().await;
}

#[tokio::test]
async fn the_more_urgent_begin_first() {
    let db = database().await;
    let kind = gated(1, None, 0);
    let (_system, tree) = System::start_with(&with_workers(&db, 1), vec![Arc::clone(&kind) as _]).await.unwrap();
    let first = leave(&db, "").await;
    until("the only worker is busy", async || kind.begun.lock().unwrap().len() == 1).await;
    let mut jobs = Vec::new();
    for priority in ["priority=2", "priority=1", "priority=0", "priority=2", "priority=0"] {
        jobs.push(leave(&db, priority).await);
    }
    let sent = "select count(*) from jobs where state = 'available' and sent_at is not null";
    until("all are in Redis", async || db.client.query_one(sent, &[]).await.unwrap().get::<_, i64>(0) == 5).await;
    kind.gate.add_permits(100);
    for job in &jobs {
        db.finished(*job).await;
    }
    // One of the least urgent may have been taken before the urgent ones came.
    let begun: Vec<i64> = kind.begun.lock().unwrap().clone();
    let place = |job: i64| begun.iter().position(|begun| *begun == job).unwrap();
    assert_eq!(place(first), 0);
    assert!(place(jobs[2]) < place(jobs[1]) && place(jobs[4]) < place(jobs[1]), "{begun:?} {jobs:?}");
    assert!(place(jobs[1]) < place(jobs[3]), "{begun:?} {jobs:?}");
    tree.stop().await;
}

#[tokio::test]
async fn no_more_of_a_limited_kind_run_at_once_than_it_allows_in_all_processes_together() {
    let db = database().await;
    let kind = gated(1, Some(2), 0);
    let (_one, one) = System::start_with(&db.settings, vec![Arc::clone(&kind) as _]).await.unwrap();
    let (_two, two) = System::start_with(&db.settings, vec![Arc::clone(&kind) as _]).await.unwrap();
    let mut jobs = Vec::new();
    for _ in 0..12 {
        jobs.push(leave(&db, "").await);
    }
    for done in 0..12 {
        until("another one begins", async || kind.begun.lock().unwrap().len() > done).await;
        kind.gate.add_permits(1);
    }
    for job in jobs {
        assert_eq!(db.finished(job).await, ("completed".to_owned(), 1, vec![]));
    }
    assert!(kind.most.load(Ordering::SeqCst) <= 2, "{} ran at once", kind.most.load(Ordering::SeqCst));
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn of_those_that_wait_with_one_key_there_is_one_and_one_that_runs_does_not_count() {
    let db = database().await;
    let kind = gated(1, None, 0);
    let (_system, tree) = System::start_with(&db.settings, vec![Arc::clone(&kind) as _]).await.unwrap();
    let insert = "insert into jobs (kind, args, unique_key, run_at, state)
                  values ('gated', '{}', 'k', now() + $1 * interval '1 second', case when $1 > 0 then 'scheduled' else 'available' end)
                  on conflict (kind, unique_key) where unique_key is not null and state in ('scheduled', 'available')
                  do nothing";
    let leave = async |delay: f64| db.client.execute(insert, &[&delay]).await.unwrap();
    assert_eq!(leave(0.0).await, 1);
    until("it runs", async || kind.begun.lock().unwrap().len() == 1).await;
    assert_eq!((leave(3600.0).await, leave(3600.0).await, leave(0.0).await), (1, 0, 0));
    kind.gate.add_permits(10);
    tree.stop().await;
}

#[tokio::test]
async fn a_job_runs_when_its_time_has_come_and_not_before() {
    let db = database().await;
    let kind = gated(1, None, 100);
    let (system, tree) = System::start_with(&db.settings, vec![Arc::clone(&kind) as _]).await.unwrap();
    let insert = "insert into jobs (kind, args, state, run_at)
                  values ('gated', '{}', 'scheduled', now() + interval '1.5 seconds') returning id, now()";
    let job: i64 = db.client.query_one(insert, &[]).await.unwrap().get(0);
    until("it is in Redis", async || {
        let sent = "select sent_at is not null from jobs where id = $1";
        db.client.query_one(sent, &[&job]).await.unwrap().get::<_, bool>(0)
    })
    .await;
    assert!(explained(&system, job).await.contains("due in"));
    assert_eq!(db.finished(job).await.0, "completed");
    let early = "select extract(epoch from run_at - started_at)::float8 from jobs where id = $1";
    let early: f64 = db.client.query_one(early, &[&job]).await.unwrap().get(0);
    assert!(early < 0.05, "it began {early} s before its time");
    tree.stop().await;
}

#[tokio::test]
async fn a_job_is_called_off_whether_it_waits_or_runs_and_takes_no_effect() {
    let db = database().await;
    let kind = gated(1, None, 0);
    let (system, tree) = System::start_with(&with_workers(&db, 1), vec![Arc::clone(&kind) as _]).await.unwrap();
    let running = leave(&db, "").await;
    until("it runs", async || kind.begun.lock().unwrap().len() == 1).await;
    let waiting = leave(&db, "").await;
    assert_eq!(system.jobs.cancel(&caller(), CancelJob(waiting)).await.unwrap(), State::Cancelled);
    assert_eq!(system.jobs.cancel(&caller(), CancelJob(running)).await.unwrap(), State::Running);
    assert_eq!(db.finished(running).await, ("cancelled".to_owned(), 1, vec![]));
    until("its worker is free", async || kind.running.load(Ordering::SeqCst) == 0).await;
    for job in [running, waiting, 4711] {
        let again = system.jobs.cancel(&caller(), CancelJob(job)).await;
        assert!(matches!(again, Err(Failure::Refused(Refusal::NotFound))), "{again:?}");
    }
    kind.gate.add_permits(1);
    let next = leave(&db, "").await;
    assert_eq!(db.finished(next).await.0, "completed");
    assert_eq!(*kind.begun.lock().unwrap(), [running, next], "what was called off while it waited never began");
    tree.stop().await;
}

#[tokio::test]
async fn while_all_is_paused_nothing_begins_in_any_process_and_afterwards_everything_does() {
    let db = database().await;
    let kind = gated(1, None, 100);
    let (one, one_tree) = System::start_with(&db.settings, vec![Arc::clone(&kind) as _]).await.unwrap();
    let (two, two_tree) = System::start_with(&db.settings, vec![Arc::clone(&kind) as _]).await.unwrap();
    let before = leave(&db, "").await;
    db.finished(before).await;
    assert!(one.jobs.pause(&caller(), PauseJobs(true)).await.unwrap());
    assert!(!two.jobs.pause(&caller(), PauseJobs(true)).await.unwrap(), "it was paused already");
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(leave(&db, "").await);
    }
    assert_eq!(explained(&two, jobs[0]).await, "All jobs are paused.");
    // Nobody tells when nothing happens: both have looked for jobs meanwhile.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(kind.begun.lock().unwrap().len(), 1);
    assert!(two.jobs.pause(&caller(), PauseJobs(false)).await.unwrap());
    for job in jobs {
        assert_eq!(db.finished(job).await.0, "completed");
    }
    one_tree.stop().await;
    two_tree.stop().await;
}

#[tokio::test]
async fn what_is_put_off_because_its_kind_is_full_does_not_come_back_all_at_once() {
    let db = database().await;
    let kind = gated(1, Some(1), 0);
    let many = "insert into jobs (kind, args) select 'gated', '{}' from generate_series(1, 3000)";
    db.client.execute(many, &[]).await.unwrap();
    let (_system, tree) = System::start_with(&db.settings, vec![Arc::clone(&kind) as _]).await.unwrap();
    let counted = "select count(*), count(*) filter (where run_at - sent_at > interval '25 seconds'),
                   count(*) filter (where run_at - sent_at > interval '31 seconds') from jobs where state = 'scheduled'";
    let (mut put_off, mut late, mut too_late) = (0_i64, 0_i64, 0_i64);
    until("hundreds were put off", async || {
        let row = db.client.query_one(counted, &[]).await.unwrap();
        (put_off, late, too_late) = (row.get(0), row.get(1), row.get(2));
        put_off >= 500
    })
    .await;
    assert!(late * 2 < put_off && too_late == 0, "of {put_off}, {late} come back in the last five seconds of thirty");
    kind.gate.add_permits(3000);
    tree.stop().await;
}

#[tokio::test]
async fn a_job_that_three_processes_died_with_is_a_dead_letter_that_says_so() {
    let db = database().await;
    let job = db.leave_job("gated", 20).await;
    let die = "update jobs set state = 'running', attempt = attempt + 1, worker = gen_random_uuid(), started_at = now() where id = $1";
    let (_system, tree) = System::start_with(&db.settings, vec![]).await.unwrap();
    for _ in 0..3 {
        db.client.execute(die, &[&job]).await.unwrap();
        until("it is taken back", async || db.job(job).await.0 != "running").await;
    }
    let (state, attempt, errors) = db.job(job).await;
    assert_eq!((state.as_str(), attempt, errors.len()), ("discarded", 3, 3));
    assert_eq!(errors[2], "killed its worker 3 times");
    tree.stop().await;
}
