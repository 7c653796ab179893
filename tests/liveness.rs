//! Which processes live: the jobs of one that was killed are done elsewhere soon, one that was frozen and wakes up
//! changes nothing, and one that takes its time is left alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::{Service, Stage, User, at_once, audit, eventually, patiently, within};
use uuid::Uuid;

/// A process that was not seen for this long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// How soon after its death the jobs of a process have to be done elsewhere.
const RESCUED_WITHIN: Duration = Duration::from_secs(10);
/// Statements may wait for the test's locks.
const PATIENT: [(&str, &str); 2] = [("DATABASE_STATEMENT_TIMEOUT_MS", "120000"), ("JOB_TIMEOUT_MS", "120000")];

/// One that takes requests and two that work, each known by its name, an author and a follower.
struct Town {
    api: Service,
    workers: Vec<(String, Service)>,
    ann: User,
    bob: User,
    stage: Stage,
}

impl Town {
    async fn found() -> Self {
        let stage = Stage::new().await;
        audit::begin(&stage).await;
        let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
        let mut workers = Vec::new();
        for name in ["one", "other"] {
            let url = stage.database_url_of(name);
            // One by one, so that it is known how many keep all hands full.
            let hands = [("DATABASE_WRITERS", "8"), ("JOB_WORKERS", "8"), ("JOB_BATCH_MAX", "1")];
            let own = [&[("DATABASE_URL", url.as_str())], &hands[..]].concat();
            workers.push((name.to_owned(), Service::run(&stage, &["work"], &[&own[..], &PATIENT].concat()).await));
        }
        let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
        bob.follow(&ann).await;
        stage.jobs_done().await;
        Self { api, workers, ann, bob, stage }
    }

    async fn publish(&self, count: usize) {
        at_once(count, |number| {
            let ann = self.ann.clone();
            async move { ann.publish(&format!("Number {number}")).await }
        })
        .await;
    }

    /// Waits until the processes of these names are busy with so many jobs each.
    async fn busy(&self, names: &[&str], jobs: i64) {
        eventually("everybody has their hands full", async || {
            for name in names {
                let running = "select count(*) from jobs j where state = 'running' and $1 =
                    (select process from job_log where job = j.id and became = 'running' order by seq desc limit 1)";
                let running: i64 = self.stage.query(running, &[name]).await[0].get(0);
                (running == jobs).then_some(())?;
            }
            Some(())
        })
        .await;
    }

    /// The jobs that an attempt of a process of this name is under way of, and who that is.
    async fn under_way(&self, name: &str) -> (Vec<i64>, Uuid) {
        let running = "select j.id, j.worker from jobs j where state = 'running' and $1 =
            (select process from job_log where job = j.id and became = 'running' order by seq desc limit 1)";
        let rows = self.stage.query(running, &[&name]).await;
        (rows.iter().map(|row| row.get(0)).collect(), rows[0].get(1))
    }

    /// Everybody was told of everything once, and every job ended well.
    async fn told_once(&self, articles: i64) -> audit::Balance {
        let told = "select count(*), count(distinct article_id) from notifications
                    where user_id = $1 and kind = 'article_published'";
        let told = &self.stage.query(told, &[&self.bob.id]).await[0];
        assert_eq!((told.get::<_, i64>(0), told.get::<_, i64>(1)), (articles, articles));
        let balance = audit::prove(&self.stage).await;
        assert_eq!(balance.completed, balance.enqueued, "{balance:?}");
        balance
    }
}

#[tokio::test]
async fn a_hundred_jobs_are_done_soon_though_a_process_is_killed_in_their_midst() {
    let mut town = Town::found().await;
    let lock = town.stage.locked("notifications").await;
    town.publish(100).await;
    town.busy(&["one", "other"], 8).await;
    let (hers, _) = town.under_way("one").await;
    let (_, one) = town.workers.remove(0);
    one.kill();
    let killed = Instant::now();
    one.ended().await;
    lock.batch_execute("rollback").await.unwrap();
    let open = "select count(*) from jobs where state not in ('completed', 'discarded', 'cancelled')";
    patiently(Duration::from_millis(10), "all jobs are done", async || {
        (town.stage.number(open).await == 0).then_some(())
    })
    .await;
    let took = killed.elapsed();
    eprintln!("killed: all is done after {took:.2?}");
    assert!(took < RESCUED_WITHIN, "only after {took:?}");
    let balance = town.told_once(100).await;
    assert_eq!(balance.fenced, 8, "{balance:?}");
    let twice = "select count(*) from jobs where id = any ($1) and attempt = 2";
    assert_eq!(town.stage.query(twice, &[&hers]).await[0].get::<_, i64>(0), 8, "what it was busy with");
    assert_eq!(town.stage.number("select count(*) from jobs where attempt <> 1").await, 8, "and nothing else");
}

#[tokio::test]
async fn a_frozen_process_that_wakes_up_changes_nothing() {
    let town = Town::found().await;
    let lock = town.stage.locked("notifications").await;
    town.publish(10).await;
    eventually("all jobs are under way", async || {
        (town.stage.number("select count(*) from jobs where state = 'running'").await == 10).then_some(())
    })
    .await;
    let (hers, worker) = town.under_way("one").await;
    assert!(!hers.is_empty() && hers.len() < 10, "both have some");
    let one = &town.workers[0].1;
    one.freeze();
    let frozen = Instant::now();
    // The other one has hands for those that it had itself, and a few of these.
    let taken = "select count(*) from jobs where id = any ($1) and (state <> 'running' or worker <> $2)";
    eventually("its jobs are taken from it", async || {
        let taken: i64 = town.stage.query(taken, &[&hers, &worker]).await[0].get(0);
        (usize::try_from(taken).unwrap() == hers.len()).then_some(())
    })
    .await;
    assert!(frozen.elapsed() > DEAD_AFTER - Duration::from_secs(1), "not before it counts as dead");
    // What it had asked of the database is answered while it sleeps. It wakes up and would go on with that.
    lock.batch_execute("rollback").await.unwrap();
    one.thaw();
    town.stage.jobs_done().await;
    eprintln!("frozen: {} jobs were taken after, and all was done {:.2?}", hers.len(), frozen.elapsed());
    let balance = town.told_once(10).await;
    assert_eq!(balance.fenced, hers.len(), "{balance:?}");
    one.logged("its attempt was fenced off", |line| {
        line["message"].as_str().is_some_and(|message| message.contains("fenced off"))
    })
    .await;
    let again = "select count(*) from jobs where id = any ($1) and attempt = 2 and state = 'completed'";
    assert_eq!(town.stage.query(again, &[&hers]).await[0].get::<_, i64>(0), balance.fenced as i64);
    // It is one of the living again.
    town.publish(40).await;
    eventually("it works again", async || {
        let since = "select count(*) from job_log where process = 'one' and became = 'completed' and seq >
                     (select max(seq) from job_log where became = 'available' and was = 'running')";
        (town.stage.number(since).await > 0).then_some(())
    })
    .await;
    town.stage.jobs_done().await;
    town.told_once(50).await;
}

#[tokio::test]
async fn a_long_job_of_a_living_process_is_left_alone() {
    let town = Town::found().await;
    let lock = town.stage.locked("notifications").await;
    town.publish(1).await;
    eventually("the job is under way", async || {
        (town.stage.number("select count(*) from jobs where state = 'running'").await == 1).then_some(())
    })
    .await;
    let long = if support::at_leisure() { Duration::from_secs(60) } else { DEAD_AFTER + Duration::from_secs(4) };
    let until = Instant::now() + long;
    within(long * 2, Duration::from_millis(100), "the long job was long", async || {
        let alone = "select count(*) from jobs where state = 'running' and attempt = 1";
        assert_eq!(town.stage.number(alone).await, 1, "it was taken from its process");
        (Instant::now() > until).then_some(())
    })
    .await;
    lock.batch_execute("rollback").await.unwrap();
    town.stage.jobs_done().await;
    let balance = town.told_once(1).await;
    assert_eq!((balance.fenced, balance.attempts), (0, balance.enqueued), "{balance:?}");
    for (_, worker) in town.workers {
        worker.stop().await;
    }
    town.api.stop().await;
}
