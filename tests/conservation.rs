//! Nothing is lost and nothing happens twice, whatever happens: a walk by chance through all that can go wrong,
//! and a proof from the database that every job came to its end once, by whose attempt it was, with its effect.
//!
//! `CALLBOARD_SEED` walks a way again, as far as time lets it; `CALLBOARD_CHAOS_SECONDS` is how long it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

#[path = "conservation/cluster.rs"]
mod cluster;
#[path = "conservation/crowd.rs"]
mod crowd;
mod support;

use std::time::{Duration, Instant};

use cluster::Cluster;
use crowd::Crowd;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Stage, audit, within};

/// How long it takes at most until all is done, once all is well, besides the time that the walk took: so many jobs
/// may wait in the end, since telling takes longer than publishing.
const DONE_WITHIN: Duration = Duration::from_secs(90);
/// One step in so many is something that goes wrong.
const FAULT_IN: u32 = 25;

/// What has to be nothing in the end, and why.
const NEVER: [(&str, &str); 10] = [
    (
        "articles without exactly one job",
        "select count(*) from articles a where 1 <> (select count(*) from jobs j
         where j.kind = 'article_published' and (j.args ->> 'article_id')::bigint = a.id)",
    ),
    (
        "jobs to tell of articles that are not there",
        "select count(*) from jobs j where kind = 'article_published'
         and not exists (select from articles a where a.id = (j.args ->> 'article_id')::bigint)",
    ),
    (
        "followers who were not told exactly once of an article",
        "select count(*) from articles a join follows f on f.followed_id = a.author_id
         where 1 <> (select count(*) from notifications n
                     where n.kind = 'article_published' and n.user_id = f.follower_id and n.article_id = a.id)",
    ),
    (
        "others who were told of an article",
        "select count(*) from notifications n join articles a on a.id = n.article_id
         where n.kind = 'article_published'
         and not exists (select from follows f where f.follower_id = n.user_id and f.followed_id = a.author_id)",
    ),
    (
        "followed who were not told exactly once",
        "select count(*) from follows f where 1 <> (select count(*) from notifications n
         where n.kind = 'followed' and n.user_id = f.followed_id and n.actor_id = f.follower_id)",
    ),
    (
        "follows without exactly one job",
        "select count(*) from follows f where 1 <> (select count(*) from jobs j where j.kind = 'followed'
         and (j.args ->> 'follower_id')::bigint = f.follower_id and (j.args ->> 'followed_id')::bigint = f.followed_id)",
    ),
    (
        "articles with a wrong number of favorites",
        "select count(*) from articles a
         where favorites_count <> (select count(*) from favorites f where f.article_id = a.id)",
    ),
    ("favorites that were not told", "select count(*) from favorites where notification_id is null"),
    (
        "notifications with a wrong number of favorites",
        "select count(*) from notifications n where kind = 'article_favorited'
         and count <> (select count(*) from favorites f where f.notification_id = n.id)",
    ),
    (
        "articles with more than one notification of favorites",
        "select count(*) from (select 1 from notifications where kind = 'article_favorited'
         group by user_id, article_id having count(*) > 1) twice",
    ),
];

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| match value.parse() {
        Ok(value) => value,
        Err(_) => panic!("{name} is not a number: {value}"),
    })
}

/// Says how to walk the same way again, should the test fail.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the same again: CALLBOARD_SEED={}", self.0);
        }
    }
}

#[tokio::test]
async fn whatever_happens_every_job_takes_effect_exactly_once() {
    let seed = Seed(variable("CALLBOARD_SEED").unwrap_or_else(|| rand::rng().random_range(0..1_000_000)));
    eprintln!("CALLBOARD_SEED={}", seed.0);
    let mut random = StdRng::seed_from_u64(seed.0);
    let mut cluster = Cluster::start().await;
    let mut crowd = Crowd::gather(&cluster.somebody(&mut random)).await;
    let walk = Duration::from_secs(variable("CALLBOARD_CHAOS_SECONDS").unwrap_or(45));
    let until = Instant::now() + walk;
    while Instant::now() < until {
        cluster.heal().await;
        match random.random_range(0..FAULT_IN) {
            0 => cluster.suffer(&mut random).await,
            _ => crowd.wish(cluster.somebody(&mut random), &mut random),
        }
        // The pace of the walk, which no event sets.
        tokio::time::sleep(Duration::from_millis(random.random_range(5..50))).await;
    }
    cluster.settle().await;
    crowd.disperse().await;
    let settled = Instant::now();
    let stage = &cluster.stage;
    let open = "select count(*) from jobs where state not in ('completed', 'discarded', 'cancelled')";
    within(DONE_WITHIN + walk, Duration::from_millis(50), "every job came to its end", async || {
        (stage.number(open).await == 0).then_some(())
    })
    .await;
    eprintln!("befell: {:?}\nanswers: {:?}", cluster.befell, crowd.answers);
    eprintln!("all was done {:.2?} after all was well", settled.elapsed());
    conserved(stage).await;
    acknowledged(stage, &crowd).await;
    let failed: Vec<_> = crowd.failed.iter().map(|(wish, trace)| (wish, cluster.written_of(trace))).collect();
    assert!(failed.is_empty(), "all that happened passes, and yet somebody was answered by 500: {failed:#?}");
}

/// Every job is accounted for, and so is its effect.
async fn conserved(stage: &Stage) {
    let balance = audit::prove(stage).await;
    eprintln!("{balance:?}");
    let jobs = usize::try_from(stage.number("select count(*) from jobs").await).unwrap();
    assert_eq!(balance.enqueued, jobs, "jobs that were written are there");
    assert_eq!(balance.enqueued, balance.completed + balance.discarded + balance.cancelled, "{balance:?}");
    let dead = "select concat_ws(' ', j.id, j.kind, e.attempt, e.at, e.error) from jobs j
                left join job_errors e on e.job_id = j.id where j.state = 'discarded' order by j.id, e.attempt";
    let dead: Vec<String> = stage.query(dead, &[]).await.iter().map(|row| row.get(0)).collect();
    assert!(balance.discarded == 0, "no effect fails of itself, but attempts ran out: {dead:#?}");
    for (what, count) in NEVER {
        assert_eq!(stage.number(count).await, 0, "{what}");
    }
}

/// What was acknowledged is true.
async fn acknowledged(stage: &Stage, crowd: &Crowd) {
    let slugs: Vec<String> = stage.query("select slug from articles", &[]).await.iter().map(|row| row.get(0)).collect();
    let lost: Vec<_> = crowd.published.iter().filter(|slug| !slugs.contains(slug)).collect();
    assert!(lost.is_empty(), "articles were acknowledged and are not there: {lost:?}");
    assert!(!crowd.published.is_empty() && !crowd.followed.is_empty(), "there was something to lose");
    for (follower, followed) in &crowd.followed {
        let follows = "select count(*) from follows where follower_id = $1 and followed_id = $2";
        let follows: i64 = stage.query(follows, &[follower, followed]).await[0].get(0);
        assert_eq!(follows, 1, "{follower} follows {followed}");
    }
    for (user, slug, favorited) in crowd.surely() {
        let there = "select count(*) from favorites f join articles a on a.id = f.article_id
                     where f.user_id = $1 and a.slug = $2";
        let there: i64 = stage.query(there, &[&user, &slug]).await[0].get(0);
        assert_eq!(there == 1, favorited, "whether {user} favorites {slug}");
    }
}
