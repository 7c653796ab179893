//! Very many of something cost no more at a time than few: jobs wait in the database and not in a process, and
//! followers are told in chunks. With CALLBOARD_LONG_TESTS there are a hundred thousand of each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::{Service, Stage, User, audit, eventually, within};

/// How long very many jobs may take: some hundreds are done in a second by a debug build on a busy machine.
const DONE_WITHIN: Duration = Duration::from_secs(450);
/// Followers who are told in one transaction.
const CHUNK: i64 = 1000;
/// What a transaction may take that tells a chunk.
const CHUNK_WITHIN_MS: f64 = 1000.0;
/// What a process may grow by while any number of jobs wait, or are done one after the other, in KiB: less than a
/// hundred thousand of anything take.
const GROWTH: i64 = 8 * 1024;

/// What each transaction took that completed a job, from its beginning to its last statement.
const TIMED: [&str; 3] = [
    "create table transactions (job bigint not null, kind text not null, took interval not null)",
    "create function time_transaction() returns trigger language plpgsql as $$
     begin insert into transactions values (new.id, new.kind, clock_timestamp() - now()); return null; end $$",
    "create trigger time_transaction after update on jobs for each row when (new.state = 'completed')
     execute function time_transaction()",
];
/// How many notifications each statement made.
const COUNTED: [&str; 3] = [
    "create table statements (rows bigint not null)",
    "create function count_rows() returns trigger language plpgsql as $$
     begin insert into statements select count(*) from made; return null; end $$",
    "create trigger count_rows after insert on notifications referencing new table as made
     for each statement execute function count_rows()",
];

fn very_many() -> i64 {
    if support::at_leisure() { 100_000 } else { 2000 }
}

/// People besides those who registered, who need no password.
async fn settle(stage: &Stage, people: i64) {
    let settle = "insert into users (email, name, password_hash)
                  select n || '@crowd.example.com', 'crowd', 'none' from generate_series(1, $1::bigint) n";
    stage.execute(settle, &[&people]).await;
}

/// Has somebody follow everybody of the crowd who is not followed yet, with a job for each, as the statement leaves
/// it that notes a follow.
async fn follow_the_crowd(stage: &Stage, ann: &User, at_most: i64) -> u64 {
    let follow = "with followed as (
                      insert into follows (follower_id, followed_id)
                      select $1, id from users where password_hash = 'none'
                      and id not in (select followed_id from follows where follower_id = $1) order by id limit $2
                      returning follower_id, followed_id)
                  insert into jobs (kind, args)
                  select 'followed', jsonb_build_object('follower_id', follower_id, 'followed_id', followed_id)
                  from followed";
    stage.execute(follow, &[&ann.id, &at_most]).await
}

/// The memory that a process has now, in KiB.
fn memory(service: &Service) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Waits until all jobs are done; the most memory that the process had meanwhile.
async fn all_done(stage: &Stage, service: &Service) -> i64 {
    let mut most = 0;
    within(DONE_WITHIN, Duration::from_millis(100), "every job came to its end", async || {
        most = most.max(memory(service));
        let open = "select count(*) from jobs where state in ('scheduled', 'available', 'running')";
        (stage.number(open).await == 0).then_some(())
    })
    .await;
    most
}

#[tokio::test]
async fn a_process_does_not_grow_by_the_jobs_that_wait() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("DATABASE_WRITERS", "8")]).await;
    let ann = service.client().register("ann").await;
    let (few, many) = (1000, very_many());
    settle(&stage, few + many).await;
    // Whatever it needs to work at all, it has after these.
    follow_the_crowd(&stage, &ann, few).await;
    all_done(&stage, &service).await;
    let before = memory(&service);
    service.operator().ask("/jobs/pause").await.expect(200);
    assert_eq!(i64::try_from(follow_the_crowd(&stage, &ann, many).await).unwrap(), many);
    eventually("the process has counted those that wait", async || {
        let seen = service.operator().get("/metrics").await.text();
        let available =
            |line: &str| line.starts_with("jobs_stored{") && line.contains("callboard_job_state=\"available\"");
        seen.lines().any(|line| available(line) && line.ends_with(&format!(" {many}"))).then_some(())
    })
    .await;
    let paused = memory(&service);
    service.operator().ask("/jobs/resume").await.expect(200);
    let begun = Instant::now();
    let running = all_done(&stage, &service).await;
    let rate = f64::from(u32::try_from(many).unwrap()) / begun.elapsed().as_secs_f64();
    eprintln!(
        "{many} jobs, {rate:.0} a second; KiB before {before}, while they wait {paused}, at most after {running}"
    );
    assert!(paused < before + GROWTH, "{before} KiB before, {paused} KiB while {many} jobs wait");
    assert!(running < before + GROWTH, "{before} KiB before, {running} KiB while {many} jobs are done");
    let told = "select count(*) from (select user_id from notifications where kind = 'followed'
                group by user_id having count(*) = 1) once";
    assert_eq!(stage.number(told).await, few + many, "everybody was told once");
    service.stop().await;
}

#[tokio::test]
async fn very_many_followers_are_told_once_in_short_transactions_also_when_their_worker_is_killed() {
    let stage = Stage::new().await;
    audit::begin(&stage).await;
    for statement in TIMED.into_iter().chain(COUNTED) {
        stage.execute(statement, &[]).await;
    }
    let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let mut worker = Service::run(&stage, &["work"], &[]).await;
    let ann = api.client().register("ann").await;
    let many = very_many();
    settle(&stage, many).await;
    let follow = "insert into follows (follower_id, followed_id)
                  select id, $1 from users where password_hash = 'none'";
    stage.execute(follow, &[&ann.id]).await;
    // In the middle of a chunk in the middle, one follower cannot be told yet.
    let middle = stage.another_client().await;
    let offset = many / CHUNK / 2 * CHUNK + CHUNK / 2;
    let lock = format!(
        "begin; select from notification_clocks where user_id =
         (select follower_id from follows order by follower_id offset {offset} limit 1) for update"
    );
    middle.batch_execute(&lock).await.unwrap();
    let begun = Instant::now();
    ann.publish("News").await;
    let stuck = "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock' and query like '%article_published%'";
    within(DONE_WITHIN, Duration::from_millis(20), "a chunk waits in the middle", async || {
        (stage.number(stuck).await == 1).then_some(())
    })
    .await;
    let told = "select count(*) from notifications where kind = 'article_published'";
    assert_eq!(stage.number(told).await, many / CHUNK / 2 * CHUNK, "what was told before is told");
    worker.kill();
    middle.batch_execute("rollback").await.unwrap();
    worker = Service::run(&stage, &["work"], &[]).await;
    all_done(&stage, &worker).await;
    let each = "select count(*) from (select user_id from notifications where kind = 'article_published'
                group by user_id having count(*) = 1) once";
    assert_eq!((stage.number(told).await, stage.number(each).await), (many, many), "each was told once");
    // The last chunk is not full, and has nobody left to tell where it comes out even.
    let chunks = stage.number("select count(*) from jobs where kind = 'article_published'").await;
    assert_eq!(chunks, many / CHUNK + 1);
    assert!(stage.number("select max(rows) from statements").await <= CHUNK, "no statement tells more than a chunk");
    let balance = audit::prove(&stage).await;
    assert_eq!((balance.completed, balance.fenced), (usize::try_from(chunks).unwrap(), 1), "{balance:?}");
    let slowest = "select 1e3 * extract(epoch from max(took))::float8 from transactions";
    let slowest: f64 = stage.query(slowest, &[]).await[0].get(0);
    eprintln!("{many} followers in {chunks} chunks: {:.1?}, the slowest transaction {slowest:.0} ms", begun.elapsed());
    assert!(slowest < CHUNK_WITHIN_MS || !support::at_leisure(), "a chunk took {slowest} ms");
    for service in [worker, api] {
        service.stop().await;
    }
}
