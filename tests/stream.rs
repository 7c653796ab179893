//! Notifications as they happen: whichever node, whatever is lost on the way, each once and in one order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::service::JWT_SECRET;
use support::tokens::{claims, header, signed};
use support::{Events, PATIENCE, Service, Stage, User, Wire, at_once, eventually, raw};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATH: &str = "/api/notifications/stream";

async fn open(service: &Service, user: &User, last: Option<&str>) -> Events {
    Events::open(&format!("http://{}{PATH}", service.api.unwrap()), Some(&user.access), last).await
}

/// Lets everybody wait for the slow clock: no notice is sent any more.
async fn lose_notices(stage: &Stage) {
    let function = "select pg_get_functiondef('notifications_number'::regproc)";
    let function: String = stage.query(function, &[]).await[0].get(0);
    let mute = function.replace("perform pg_notify('callboard_notifications', new.user_id::text);", "");
    assert_ne!(function, mute);
    stage.execute(&mute, &[]).await;
}

#[tokio::test]
async fn whoever_is_connected_anywhere_is_told_at_once_what_the_inbox_says() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::start(&stage, &[]).await;
    let (ann, bob) = (other.client().register("ann").await, other.client().register("bob").await);
    bob.follow(&ann).await;
    ann.publish("Before").await;
    stage.jobs_done().await;
    let mut streams = [open(&one, &bob, None).await, open(&other, &bob, None).await];
    let mut fastest = PATIENCE;
    let mut last = 0;
    for number in 0..4 {
        let published = Instant::now();
        ann.publish(&format!("Number {number}")).await;
        for stream in &mut streams {
            let event = stream.next().await.unwrap();
            fastest = fastest.min(published.elapsed());
            let (told, _) = bob.inbox().await;
            assert_eq!((event.name.as_str(), &event.data), ("notification", &told[0]));
            assert_eq!(event.data["article"]["title"], format!("Number {number}"), "nothing from before");
            last = event.id.parse().unwrap();
        }
    }
    assert!(fastest < Duration::from_secs(1), "only the slow clock woke anybody: {fastest:?}");
    assert_eq!(last, stage.number("select max(change) from notifications").await);
    // What was read is no news.
    bob.client.ask("/api/notifications/read").await.expect(200);
    ann.publish("After").await;
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().data["article"]["title"], "After");
    }
}

#[tokio::test]
async fn a_lost_notice_costs_seconds_and_no_notification() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let mut stream = open(&service, &ann, None).await;
    lose_notices(&stage).await;
    bob.follow(&ann).await;
    assert_eq!(stream.next().await.unwrap().data["kind"], "followed");
}

#[tokio::test]
async fn a_stream_outlives_the_database() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let mut stream = open(&service, &ann, None).await;
    stage.reachable(false).await;
    stage.reachable(true).await;
    eventually("bob follows again", async || {
        let path = format!("/api/users/{}/follow", ann.id);
        (bob.client.ask(&path).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(stream.next().await.unwrap().data["kind"], "followed");
}

#[tokio::test]
async fn listeners_notice_a_connection_that_is_dead_without_a_sign() {
    const CHANNELS: [&str; 2] = ["listen callboard_jobs", "listen callboard_notifications"];
    let stage = Stage::new().await;
    let wire = Wire::to(&stage).await;
    let limits = [("DATABASE_URL", wire.database_url.as_str()), ("DATABASE_CONNECT_TIMEOUT_MS", "2000")];
    let service = Service::start(&stage, &limits).await;
    let ann = service.client().register("ann").await;
    let mut stream = open(&service, &ann, None).await;
    let both_listen = async || {
        eventually("both listen", async || CHANNELS.iter().all(|channel| wire.alive(channel) == 1).then_some(())).await;
    };
    both_listen().await;
    CHANNELS.iter().for_each(|channel| wire.silence(channel));
    assert_eq!(CHANNELS.map(|channel| wire.alive(channel)), [0, 0]);
    both_listen().await;
    // They go on hearing: of several, one comes sooner than the slow clock.
    let mut fastest = PATIENCE;
    for number in 0..4 {
        let other = service.client().register(&format!("user{number}")).await;
        let followed = Instant::now();
        other.follow(&ann).await;
        assert_eq!(stream.next().await.unwrap().data["actor"]["id"], other.id);
        fastest = fastest.min(followed.elapsed());
    }
    assert!(fastest < Duration::from_secs(1), "only slow clocks woke anybody: {fastest:?}");
}

/// Favorites, publications and unfavorites of many at once: what bob and others are told of, over and over.
async fn commotion(nodes: [&Service; 2], authors: Vec<User>, readers: Vec<User>, slugs: Vec<String>) {
    let (api, authors_count) = (nodes.map(Service::client), authors.len());
    at_once(authors_count + readers.len(), |number| {
        let (api, slugs) = (api.clone(), slugs.clone());
        let (author, reader) = (authors.get(number).cloned(), readers.get(number.wrapping_sub(authors_count)).cloned());
        async move {
            if let Some(author) = author {
                for round in 0..30 {
                    author.publish(&format!("By {number}, {round}")).await;
                }
            }
            let Some(reader) = reader else { return };
            for round in 0..2 * slugs.len() {
                let path = format!("/api/articles/{}/favorite", slugs[(number + round) % slugs.len()]);
                let client = reader.at(&api[round % 2]);
                client.ask(&path).await.expect(200);
                if round % 3 != 0 || round < slugs.len() {
                    client.delete(&path).await.expect(200);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_nothing_and_is_told_nothing_twice() {
    let stage = Stage::new().await;
    let (one, other) = (Service::start(&stage, &[]).await, Service::start(&stage, &[]).await);
    let people = at_once(18, |number| {
        let api = one.client();
        async move { api.register(&format!("user{number}")).await }
    })
    .await;
    // The recipients follow all authors, so that every publication is told to several at once.
    let (recipients, others) = people.split_at(3);
    let (authors, readers) = others.split_at(5);
    let mut slugs = Vec::new();
    for recipient in recipients {
        for author in authors {
            recipient.follow(author).await;
        }
        slugs.push(recipient.publish("Likable").await);
        slugs.push(recipient.publish("Likable too").await);
    }
    stage.jobs_done().await;
    let bob = &recipients[0];
    let commotion = commotion([&one, &other], authors.to_vec(), readers.to_vec(), slugs);
    let over = std::sync::atomic::AtomicBool::new(false);
    let told = async {
        commotion.await;
        stage.jobs_done().await;
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let max = format!("select coalesce(max(change), 0) from notifications where user_id = {}", bob.id);
    let following = async {
        let (mut seen, mut last) = (Vec::<(i64, Value)>::new(), "0".to_owned());
        for visit in 0.. {
            let mut stream = open([&one, &other][visit % 2], bob, Some(&last)).await;
            for _ in 0..1 + visit % 7 {
                let Ok(event) = tokio::time::timeout(Duration::from_millis(200), stream.next()).await else { break };
                let event = event.expect("the stream goes on");
                last.clone_from(&event.id);
                seen.push((event.id.parse().unwrap(), event.data));
            }
            let over = over.load(std::sync::atomic::Ordering::Relaxed);
            if over && last.parse::<i64>().unwrap() >= stage.number(&max).await {
                break;
            }
        }
        seen
    };
    let ((), seen) = tokio::join!(told, following);
    assert!(seen.is_sorted_by(|one, next| one.0 < next.0), "something was told twice, or out of order");
    let mut path = Some("/api/notifications?limit=100".to_owned());
    let (mut inbox, mut published) = (0, 0);
    while let Some(page) = path {
        let page = bob.client.get(&page).await.expect(200);
        for told in page["notifications"].as_array().unwrap() {
            let seen: Vec<_> = seen.iter().filter(|(_, data)| data["id"] == told["id"]).collect();
            assert_eq!(seen.last().map(|(_, data)| data), Some(told), "lost, or not as it is in the end");
            assert!(told["kind"] != "article_published" || seen.len() == 1, "{told} came {} times", seen.len());
            published += usize::from(told["kind"] == "article_published");
            inbox += 1;
        }
        path = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!((published, inbox), (150, 152), "five times thirty articles, and two that are liked");
    assert_eq!(stage.number("select deadlocks from pg_stat_database where datname = current_database()").await, 0);
}

#[tokio::test]
async fn a_stream_without_a_position_begins_now_and_tells_from_where_to_resume() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let cy = service.client().register("cy").await;
    bob.follow(&ann).await;
    stage.jobs_done().await;
    // The opening alone, as a client has it that is cut off before anything happens.
    let mut stream = TcpStream::connect(service.api.unwrap()).await.unwrap();
    stream.write_all(request(&ann.access).as_bytes()).await.unwrap();
    let opening = read_until(&mut stream, "id: 1\n").await;
    assert!(opening.contains("retry: 1000\n"), "{opening}");
    drop(stream);
    cy.follow(&ann).await;
    stage.jobs_done().await;
    let mut resumed = open(&service, &ann, Some("1")).await;
    assert_eq!(resumed.next().await.unwrap().data["actor"]["id"], cy.id);
    // No such number was ever given: what comes next is told all the same.
    let mut ahead = open(&service, &ann, Some("4711")).await;
    let dee = service.client().register("dee").await;
    dee.follow(&ann).await;
    assert_eq!(ahead.next().await.unwrap().data["actor"]["id"], dee.id);
}

#[tokio::test]
async fn whoever_is_nobody_or_says_nonsense_is_refused() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = service.client().register("ann").await;
    service.client().get(PATH).await.refused(401, "unauthorized");
    service.client().with_token("x").get(PATH).await.refused(401, "invalid_token");
    for last in ["x", "-1", "1.5", "99999999999999999999", "0000002a-17"] {
        let answer = ann.client.send("GET", PATH, &[("last-event-id", last)], "").await;
        assert_eq!(answer.unfit_fields(), ["Last-Event-ID"], "{last}");
    }
    ann.client.post(PATH, &json!({})).await.refused(405, "method_not_allowed");
    assert_eq!(ann.client.send("HEAD", PATH, &[], "").await.status, 200);
}

#[tokio::test]
async fn beyond_the_limit_a_stream_is_refused_until_another_ends() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("LIVE_STREAMS_MAX", "2")]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let first = open(&service, &ann, None).await;
    let _second = open(&service, &bob, None).await;
    let refused = ann.client.get(PATH).await;
    refused.refused(503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    let metrics = service.operator().get("/metrics").await.text();
    let open_streams = metrics
        .lines()
        .find(|line| line.strip_prefix("notifications_streams").is_some_and(|rest| rest.starts_with([' ', '{'])));
    assert!(open_streams.is_some_and(|line| line.ends_with(" 2")), "{open_streams:?}");
    drop(first);
    eventually("there is a place again", async || {
        (ann.client.send("HEAD", PATH, &[], "").await.status == 200).then_some(())
    })
    .await;
    open(&service, &ann, None).await;
}

#[tokio::test]
async fn nobody_takes_the_streams_of_the_others() {
    let stage = Stage::new().await;
    let limits = [("LIVE_STREAMS_MAX", "4"), ("LIVE_STREAMS_PER_USER", "2")];
    let service = Service::run(&stage, &["serve", "--no-workers"], &limits).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let first = open(&service, &ann, None).await;
    let _second = open(&service, &ann, None).await;
    let refused = ann.client.get(PATH).await;
    refused.refused(429, "too_many_streams");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    let _bobs = [open(&service, &bob, None).await, open(&service, &bob, None).await];
    let metrics = service.operator().get("/metrics").await.text();
    let refusals: Vec<_> = metrics.lines().filter(|line| line.starts_with("notifications_streams_refused")).collect();
    assert!(matches!(refusals[..], [line] if line.contains("limit=\"user\"") && line.ends_with(" 1")), "{refusals:?}");
    drop(first);
    eventually("there is a place again", async || {
        (ann.client.send("HEAD", PATH, &[], "").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stop_ends_the_streams_and_does_not_wait_for_them() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[]).await;
    let ann = service.client().register("ann").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(open(&service, &ann, None).await);
    }
    let asked = Instant::now();
    service.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(10), "streams held up the stop: {:?}", asked.elapsed());
    for mut stream in streams {
        assert!(stream.next().await.is_none());
    }
}

fn request(token: &str) -> String {
    format!("GET {PATH} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n")
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(wanted) {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            assert!(count > 0, "it ended: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    let read = tokio::time::timeout(PATIENCE, reading).await;
    assert!(read.is_ok(), "{wanted:?} never came: {text}");
    text
}

/// The user's token, but one that is valid for a second only.
fn short_lived(user: &User) -> String {
    let soon = OffsetDateTime::now_utc().unix_timestamp() + 1;
    signed(&header(user), JWT_SECRET, &claims(user, |claims| claims["exp"] = json!(soon)))
}

#[tokio::test]
async fn a_quiet_stream_gives_signs_of_life_and_ends_with_its_token_or_session() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let api = service.api.unwrap();
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let cy = service.client().register("cy").await;
    let mut quiet = TcpStream::connect(api).await.unwrap();
    quiet.write_all(request(&ann.access).as_bytes()).await.unwrap();
    let (ended, expired) = (request(&bob.access), request(&short_lived(&cy)));
    let log_out = async {
        let _following = open(&service, &bob, None).await;
        bob.client.ask("/api/logout").await.expect(200);
    };
    let (_, ended, expired, ()) = tokio::join!(
        read_until(&mut quiet, ": still here\n\n"),
        raw::exchange(api, ended.as_bytes()),
        raw::exchange(api, expired.as_bytes()),
        log_out,
    );
    for stream in [ended, expired] {
        assert!(stream.starts_with("HTTP/1.1 200") && !stream.contains("still here"), "{stream}");
    }
}
