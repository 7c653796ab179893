//! PostgreSQL restarts under load: answers stay clean, come in time and soon succeed again; nothing that was
//! acknowledged is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::servers::postgres::{PrivatePostgres, Shutdown};
use support::{Press, Service, Stage, audit};

/// What a request may take, as the service is told, and what the way there and back may add on a busy machine.
const DEADLINE: Duration = Duration::from_secs(5);
const MARGIN: Duration = Duration::from_secs(1);
/// How soon requests have to succeed again.
const SUCCEEDS_WITHIN: Duration = Duration::from_secs(2);

/// When each answer to a read came, how long it took, and its status.
async fn read_on(client: support::Client, path: &'static str, over: Arc<AtomicBool>) -> Vec<(Instant, Duration, u16)> {
    let mut answers = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = client.get(path).await;
        if answer.status != 200 {
            sound_refusal(&answer);
        }
        answers.push((Instant::now(), asked.elapsed(), answer.status));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    answers
}

/// That it is not possible now is told in the usual envelope, with when to come again.
fn sound_refusal(answer: &support::Answer) {
    answer.is_sound_error();
    assert!([503, 504].contains(&answer.status), "{} {}", answer.status, answer.text());
    if answer.status == 503 {
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
}

async fn restart(how: Shutdown) {
    let mut postgres = PrivatePostgres::start().await;
    let mut stage = Stage::on(postgres.url.clone()).await;
    audit::begin(&stage).await;
    let service = Service::start(&stage, &[("HTTP_REQUEST_TIMEOUT_MS", "5000"), ("DATABASE_WRITERS", "16")]).await;
    let follower = service.client().register("bob").await;
    let mut presses = Vec::new();
    for number in 0..4 {
        let author = service.client().register(&format!("author {number}")).await;
        follower.follow(&author).await;
        presses.push(Press::start(&author, Duration::from_millis(15)));
    }
    let over = Arc::<AtomicBool>::default();
    let readers = ["/api/articles", "/api/user"]
        .map(|path| tokio::spawn(read_on(follower.client.clone(), path, Arc::clone(&over))));
    let mut returns = Vec::new();
    for _ in 0..2 {
        presses[0].prints(20).await;
        postgres.stop(how).await;
        presses[0].prints(5).await;
        let back = postgres.start_again().await;
        presses[0].prints(20).await;
        returns.push(back);
    }
    over.store(true, Ordering::Relaxed);
    let (mut published, mut answers, mut statuses) = (Vec::new(), Vec::new(), BTreeMap::<u16, usize>::new());
    for press in presses {
        for printed in press.stop().await {
            answers.push((printed.at, printed.took, printed.answer.status));
            match printed.answer.status {
                201 => published.push(printed.answer.json()["slug"].as_str().unwrap().to_owned()),
                _ => sound_refusal(&printed.answer),
            }
        }
    }
    let mut first = |kind: &str, answers: &[(Instant, Duration, u16)]| {
        answers.iter().for_each(|(_, _, status)| *statuses.entry(*status).or_default() += 1);
        let slowest = answers.iter().map(|(_, took, _)| *took).max().unwrap();
        assert!(slowest < DEADLINE + MARGIN, "{kind}: an answer came after {slowest:?}");
        for back in &returns {
            let first = answers.iter().filter(|(at, _, status)| at > back && *status < 300).map(|(at, _, _)| *at).min();
            let first = first.expect("it succeeds again").duration_since(*back);
            eprintln!("{how:?}, {kind}: the first success after {first:.2?}; the slowest answer after {slowest:.2?}");
            assert!(first < SUCCEEDS_WITHIN, "{kind}: the first success after {first:?}");
        }
    };
    first("publishing", &answers);
    for (reader, kind) in readers.into_iter().zip(["reading a list", "reading oneself"]) {
        first(kind, &reader.await.unwrap());
    }
    eprintln!("{how:?}: {statuses:?}");
    stage.reconnect().await;
    stage.jobs_done().await;
    let there = "select count(*) from articles where slug = any ($1)";
    let there: i64 = stage.query(there, &[&published]).await[0].get(0);
    assert_eq!(usize::try_from(there).unwrap(), published.len(), "what was acknowledged is there");
    let articles = stage.number("select count(*) from articles").await;
    let jobs = "select count(distinct args ->> 'article_id') from jobs where kind = 'article_published'";
    assert_eq!(stage.number(jobs).await, articles, "each with its job");
    let told = "select count(*) from notifications where kind = 'article_published'";
    assert_eq!(stage.number(told).await, articles, "and told once");
    let balance = audit::prove(&stage).await;
    eprintln!("{how:?}: {balance:?}");
    assert_eq!(balance.completed, balance.enqueued, "{balance:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_postgres_that_crashes_under_load_costs_moments_and_nothing_acknowledged() {
    restart(Shutdown::Immediate).await;
}

#[tokio::test]
async fn a_postgres_that_restarts_in_order_costs_moments_and_nothing_acknowledged() {
    restart(Shutdown::Fast).await;
}
