//! Redis is disposable: whatever happens to it, publishing goes on, and in the end everybody was told once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::servers::redis::PrivateRedis;
use support::{Press, Service, Stage, User, audit, eventually, patiently, within};
use tokio_postgres::Client;

/// How soon work has to flow again after Redis came back.
const FLOWS_WITHIN: Duration = Duration::from_secs(5);
/// What Redis lost is sent again by the clock, at the latest.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// A service with a Redis of its own, an author who publishes all the time, and two who follow. The fields are in
/// the order of their ends.
struct Newsroom {
    service: Service,
    press: Press,
    followers: Vec<User>,
    stage: Stage,
    redis: PrivateRedis,
}

impl Newsroom {
    async fn open() -> Self {
        let (redis, mut stage) = (PrivateRedis::start().await, Stage::new().await);
        stage.redis_url = redis.url.clone();
        audit::begin(&stage).await;
        // One hand, so that jobs wait in Redis while it waits for a lock, and connections enough to publish meanwhile.
        let service = Service::start(&stage, &[("JOB_WORKERS", "1"), ("DATABASE_WRITERS", "8")]).await;
        let ann = service.client().register("ann").await;
        let mut followers = Vec::new();
        for name in ["bob", "cy"] {
            let follower = service.client().register(name).await;
            follower.follow(&ann).await;
            followers.push(follower);
        }
        stage.jobs_done().await;
        let press = Press::start(&ann, Duration::from_millis(20));
        press.prints(10).await;
        Self { service, press, followers, stage, redis }
    }

    /// Keeps the only worker busy until jobs are in Redis and nowhere else; the lock has to be rolled back.
    async fn fill_redis(&self) -> Client {
        let lock = self.stage.locked("notifications").await;
        let before = self.waiting().await;
        eventually("jobs wait in Redis", async || (self.waiting().await >= before + 5).then_some(())).await;
        lock
    }

    /// Jobs that wait, in Redis or on their way there.
    async fn waiting(&self) -> i64 {
        self.stage.number("select count(*) from jobs where state = 'available'").await
    }

    /// The youngest job there is.
    async fn youngest(&self) -> i64 {
        self.stage.number("select coalesce(max(id), 0) from jobs").await
    }

    /// Waits until a job is done that is younger than what was lost; it must not take long since Redis came back.
    async fn flows_since(&self, back: Instant, lost: i64, what: &str) {
        let done = format!("select count(*) from jobs where state = 'completed' and id > {lost}");
        patiently(Duration::from_millis(5), "work flows again", async || {
            (self.stage.number(&done).await > 0).then_some(())
        })
        .await;
        let took = back.elapsed();
        eprintln!("{what}: work flows again after {took:.2?}");
        assert!(took < FLOWS_WITHIN, "{what}: work flows again only after {took:?}");
    }

    /// Publishes a little more; then everything was answered by 201, and everybody was told of everything once.
    async fn close(self, back: Instant, what: &str) {
        self.press.prints(10).await;
        let printed = self.press.stop().await;
        let slowest = printed.iter().map(|printed| printed.took).max().unwrap();
        for printed in &printed {
            printed.answer.expect(201);
        }
        let open = "select count(*) from jobs where state not in ('completed', 'discarded', 'cancelled')";
        within(DONE_WITHIN, Duration::from_millis(20), "every job came to its end", async || {
            (self.stage.number(open).await == 0).then_some(())
        })
        .await;
        eprintln!(
            "{what}: {} articles, the slowest answer after {slowest:.2?}; all was told {:.2?} after Redis' return",
            printed.len(),
            back.elapsed()
        );
        let articles = i64::try_from(printed.len()).unwrap();
        assert_eq!(self.stage.number("select count(*) from articles").await, articles);
        for follower in &self.followers {
            let told = "select count(*), count(distinct article_id) from notifications
                        where user_id = $1 and kind = 'article_published'";
            let told = &self.stage.query(told, &[&follower.id]).await[0];
            assert_eq!((told.get::<_, i64>(0), told.get::<_, i64>(1)), (articles, articles), "{}", follower.name);
        }
        let balance = audit::prove(&self.stage).await;
        assert_eq!(balance.completed, balance.enqueued, "{balance:?}");
        self.service.stop().await;
    }
}

#[tokio::test]
async fn work_flows_again_after_redis_was_emptied() {
    let room = Newsroom::open().await;
    let lock = room.fill_redis().await;
    let lost = room.youngest().await;
    room.redis.flush().await;
    let back = Instant::now();
    lock.batch_execute("rollback").await.unwrap();
    room.flows_since(back, lost, "emptied").await;
    room.close(back, "emptied").await;
}

#[tokio::test]
async fn work_flows_again_after_redis_was_killed_and_came_back_empty() {
    let mut room = Newsroom::open().await;
    let lock = room.fill_redis().await;
    let lost = room.youngest().await;
    room.redis.kill().await;
    let back = room.redis.start_again().await;
    lock.batch_execute("rollback").await.unwrap();
    room.flows_since(back, lost, "killed").await;
    room.close(back, "killed").await;
}

#[tokio::test]
async fn publishing_goes_on_while_redis_is_away() {
    let mut room = Newsroom::open().await;
    let lost = room.youngest().await;
    room.redis.kill().await;
    let away = Duration::from_secs(if support::at_leisure() { 30 } else { 4 });
    let until = Instant::now() + away;
    while Instant::now() < until {
        room.press.prints(5).await;
    }
    let back = room.redis.start_again().await;
    room.flows_since(back, lost, "away").await;
    room.close(back, "away").await;
}

#[tokio::test]
async fn publishing_goes_on_while_redis_answers_nothing() {
    let room = Newsroom::open().await;
    let lost = room.youngest().await;
    room.redis.freeze();
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        room.press.prints(5).await;
    }
    room.redis.thaw();
    let back = Instant::now();
    room.flows_since(back, lost, "frozen").await;
    room.close(back, "frozen").await;
}

#[tokio::test]
async fn publishing_goes_on_while_redis_has_no_memory_left() {
    let room = Newsroom::open().await;
    room.redis.full(true).await;
    let refused = room.redis.ask::<String>(&["XADD", "any", "*", "field", "value"]).await;
    assert_eq!(refused.unwrap_err().code(), Some("OOM"));
    let lost = room.youngest().await;
    room.press.prints(100).await;
    assert!(room.waiting().await > 50, "nothing reaches the workers");
    room.redis.full(false).await;
    let back = Instant::now();
    room.flows_since(back, lost, "full").await;
    room.close(back, "full").await;
}

#[tokio::test]
async fn a_fail_over_that_loses_the_last_second_loses_no_job() {
    let mut room = Newsroom::open().await;
    room.redis.replicate().await;
    room.press.prints(10).await;
    room.redis.lose_the_replica().await;
    // Of the last second the replica knows neither what was taken and acknowledged …
    room.press.prints(20).await;
    // … nor what was sent and still waits.
    let lock = room.fill_redis().await;
    let lost = room.youngest().await;
    let back = room.redis.fail_over().await;
    lock.batch_execute("rollback").await.unwrap();
    room.flows_since(back, lost, "failed over").await;
    room.close(back, "failed over").await;
}
