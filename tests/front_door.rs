//! Clients who take connections and time and give nothing: they are cut off, and nobody else notices them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use support::{Answer, Events, PATIENCE, Service, Stage, User, at_once, eventually, raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the time-outs are where nobody is to be cut off by time.
const NEVER: &str = "600000";
/// What a request may take, as the settings have it.
const DEADLINE: Duration = Duration::from_secs(10);
const CUT: &str = "http_server_connections_cut_total";

async fn world(stage: &Stage, settings: &[(&str, &str)]) -> (Service, User, String) {
    let service = Service::run(stage, &["serve", "--no-workers"], settings).await;
    let ann = service.client().register("ann").await;
    let slug = ann.publish("Of Ann").await;
    (service, ann, format!("/api/articles/{slug}"))
}

/// Reads an article over new connections and over one that is kept; each has to be served in its time.
async fn as_ever(service: &Service, path: &str) {
    let kept = service.client();
    for _ in 0..25 {
        let asked = Instant::now();
        kept.get(path).await.expect(200);
        service.client().get(path).await.expect(200);
        assert!(asked.elapsed() < DEADLINE, "{:?}", asked.elapsed());
    }
}

fn post(user: &User, length: usize) -> String {
    format!(
        "POST /api/articles HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n",
        user.access
    )
}

/// Opens connections that send this and nothing more.
async fn crowd(address: SocketAddr, count: usize, bytes: &'static [u8]) -> Vec<TcpStream> {
    at_once(count, move |_| raw::send(address, bytes)).await
}

async fn is_over(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 64])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn two_thousand_idle_connections_keep_nobody_out() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let stage = Stage::new().await;
    let settings = [("HTTP_HEAD_TIMEOUT_MS", NEVER), ("HTTP_MAX_CONNECTIONS_PER_ADDRESS", "2000")];
    let (service, _, path) = world(&stage, &settings).await;
    let there = async |count: f64| {
        eventually("they are all there", async || {
            (service.metric("http_server_open_connections", "").await >= count).then_some(())
        })
        .await;
    };
    let mut idle = crowd(service.api.unwrap(), 1000, b"").await;
    there(1000.0).await;
    idle.extend(crowd(service.api.unwrap(), 1000, b"GET /api/articles HT").await);
    there(1900.0).await;
    as_ever(&service, &path).await;
    assert!(service.metric(CUT, "made_room").await > 0.0, "their address had its share");
    assert!(service.metric(CUT, "made_room").await < 1000.0, "only as many as were needed gave way");
    drop(idle);
    eventually("nothing is left of them", async || {
        (service.metric("http_server_open_connections", "").await < 20.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn when_all_connections_are_taken_those_that_do_nothing_give_way() {
    let stage = Stage::new().await;
    let settings = [("HTTP_HEAD_TIMEOUT_MS", NEVER), ("HTTP_IDLE_TIMEOUT_MS", NEVER), ("HTTP_MAX_CONNECTIONS", "8")];
    let (service, ann, path) = world(&stage, &settings).await;
    let url = format!("http://{}/api/notifications/stream", service.api.unwrap());
    let mut stream = Events::open(&url, Some(&ann.access), None).await;
    let _idle = crowd(service.api.unwrap(), 100, b"").await;
    as_ever(&service, &path).await;
    assert!(service.metric("http_server_open_connections", "").await <= 20.0, "both listeners together");
    // A stream that waits for news is at work.
    let bob = service.client().register("bob").await;
    bob.follow(&ann).await;
    let worker = Service::run(&stage, &["work"], &[]).await;
    assert_eq!(stream.next().await.unwrap().data["actor"]["id"], bob.id);
    drop(worker);
}

#[tokio::test]
async fn an_address_whose_connections_are_all_at_work_is_told_that_it_has_its_share() {
    let stage = Stage::new().await;
    let settings = [
        ("HTTP_MAX_CONNECTIONS_PER_ADDRESS", "3"),
        ("HTTP_BODY_TIMEOUT_MS", NEVER),
        ("HTTP_REQUEST_TIMEOUT_MS", NEVER),
    ];
    let (service, ann, path) = world(&stage, &settings).await;
    let mut busy = Vec::new();
    for number in 1..=3 {
        busy.push(raw::send(service.api.unwrap(), post(&ann, 100).as_bytes()).await);
        // Before it is, it would give way to the next.
        eventually("it is at work", async || {
            (service.metric("http_server_active_requests", "POST").await >= f64::from(number)).then_some(())
        })
        .await;
    }
    // The refusal may come before the request was sent, which this client takes for no answer.
    let refused = eventually("it is refused", async || {
        service.client().try_send("GET", &path, &[], "", support::PATIENCE).await.ok()
    })
    .await;
    refused.refused(429, "too_many_connections");
    assert!(refused.header("retry-after").is_some() && refused.header("x-request-id").is_some());
    assert!(service.metric(CUT, "address_limit").await >= 1.0);
    drop(busy);
    eventually("there is room again", async || (service.client().get(&path).await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_many_and_is_not_limited() {
    let stage = Stage::new().await;
    let settings = [
        ("HTTP_MAX_CONNECTIONS_PER_ADDRESS", "1"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.0/8"),
        ("HTTP_BODY_TIMEOUT_MS", NEVER),
    ];
    let (service, ann, path) = world(&stage, &settings).await;
    let _busy = at_once(20, {
        let (api, head) = (service.api.unwrap(), post(&ann, 100));
        move |_| {
            let head = head.clone();
            async move { raw::send(api, head.as_bytes()).await }
        }
    })
    .await;
    as_ever(&service, &path).await;
    assert_eq!(service.metric(CUT, "address_limit").await, 0.0);
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let stage = Stage::new().await;
    let (service, _, path) = world(&stage, &[("HTTP_HEAD_TIMEOUT_MS", "1000")]).await;
    let api = service.api.unwrap();
    let dripping = tokio::spawn(at_once(200, move |number| async move {
        // Half of them have asked properly before.
        let mut stream = TcpStream::connect(api).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"}}") {
                assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
            }
        }
        let bytes = [b"GET / HTTP/1.1\r\nX: ", &[b'x'; 10_000][..]].concat();
        raw::drip(stream, &bytes, Duration::from_millis(100)).await
    }));
    as_ever(&service, &path).await;
    for sent in dripping.await.unwrap() {
        assert!(sent < 5000, "{sent} bytes went");
    }
    assert_eq!(service.metric(CUT, "no_request").await + service.metric(CUT, "slow_head").await, 200.0);
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_for_its_time_and_not_longer() {
    let stage = Stage::new().await;
    let settings = [("HTTP_HEAD_TIMEOUT_MS", "300"), ("HTTP_IDLE_TIMEOUT_MS", "2000")];
    let (service, ..) = world(&stage, &settings).await;
    let request = b"GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n";
    let mut kept = raw::send(service.api.unwrap(), request).await;
    let asked = Instant::now();
    let answers = raw::rest(&mut kept).await;
    assert!(answers.starts_with("HTTP/1.1 404") && asked.elapsed() > Duration::from_millis(1500), "{answers}");
    assert!(service.metric(CUT, "\"idle\"").await >= 1.0);
}

#[tokio::test]
async fn a_body_that_stops_or_drips_is_given_up_long_before_the_deadline() {
    let stage = Stage::new().await;
    let settings = [("HTTP_BODY_TIMEOUT_MS", "1000"), ("HTTP_REQUEST_TIMEOUT_MS", NEVER)];
    let (service, ann, path) = world(&stage, &settings).await;
    let api = service.api.unwrap();
    let mut half = raw::send(api, format!("{}{{\"title\":", post(&ann, 5000)).as_bytes()).await;
    let dripping = raw::send(api, post(&ann, 5000).as_bytes()).await;
    let (answer, sent, ()) = tokio::join!(
        raw::rest(&mut half),
        raw::drip(dripping, &[b' '; 5000], Duration::from_millis(50)),
        as_ever(&service, &path)
    );
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    assert!(sent < 2500, "{sent} bytes went");
    assert_eq!(stage.number("select count(*) from articles").await, 1);
}

#[tokio::test]
async fn a_body_that_has_earned_its_time_by_what_came_is_waited_for() {
    let stage = Stage::new().await;
    let settings = [("HTTP_BODY_TIMEOUT_MS", "500"), ("HTTP_BODY_RATE", "10")];
    let (service, ann, _) = world(&stage, &settings).await;
    let body = json!({"title": "In two halves", "body": "x".repeat(1000)}).to_string();
    let (first, second) = body.split_at(500);
    let mut stream = raw::send(service.api.unwrap(), format!("{}{first}", post(&ann, body.len())).as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stream.write_all(second.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
}

#[tokio::test]
async fn half_sent_bodies_take_only_the_memory_that_there_is_for_them() {
    let stage = Stage::new().await;
    let settings =
        [("HTTP_BODIES_LIMIT", "100000"), ("HTTP_BODY_TIMEOUT_MS", NEVER), ("HTTP_REQUEST_TIMEOUT_MS", NEVER)];
    let (service, ann, _) = world(&stage, &settings).await;
    let large = json!({"title": "Large", "body": "x".repeat(50_000)});
    // What was only announced takes nothing.
    let announced = raw::send(service.api.unwrap(), post(&ann, 1_000_000).as_bytes()).await;
    ann.client.post("/api/articles", &large).await.expect(201);
    let half = raw::send(service.api.unwrap(), (post(&ann, 99_000) + &"x".repeat(90_000)).as_bytes()).await;
    eventually("half of it is there", async || {
        (service.metric("http_server_request_bodies_bytes", "").await >= 90_000.0).then_some(())
    })
    .await;
    ann.client.post("/api/articles", &large).await.refused(503, "overloaded");
    ann.publish("Small").await;
    drop((announced, half));
    eventually("the client that went away has given its memory back", async || {
        let answer: Answer = ann.client.post("/api/articles", &large).await;
        (answer.status == 201).then_some(())
    })
    .await;
    assert_eq!(service.metric("http_server_request_bodies_bytes", "").await, 0.0);
}

#[tokio::test]
async fn who_does_not_read_what_it_asked_for_is_cut_off() {
    let stage = Stage::new().await;
    let (service, ann, path) = world(&stage, &[("HTTP_READER_TIMEOUT_MS", "1000")]).await;
    let large = ann.client.post("/api/articles", &json!({"title": "Large", "body": "x".repeat(900_000)})).await;
    let slug = large.expect(201)["slug"].as_str().unwrap().to_owned();
    // More than all buffers on the way hold.
    let requests = format!("GET /api/articles/{slug} HTTP/1.1\r\nHost: test\r\n\r\n").repeat(50);
    let mut deaf = Vec::new();
    for _ in 0..4 {
        deaf.push(raw::send(service.api.unwrap(), requests.as_bytes()).await);
    }
    as_ever(&service, &path).await;
    eventually("they are cut off", async || (service.metric(CUT, "slow_reader").await >= 4.0).then_some(())).await;
    let read = raw::rest(&mut deaf[0]).await;
    assert!(read.len() < 40_000_000, "the last answers were never made");
}

#[tokio::test]
async fn a_stream_lives_as_long_as_it_is_read() {
    let stage = Stage::new().await;
    let settings =
        [("HTTP_READER_TIMEOUT_MS", "300"), ("HTTP_IDLE_TIMEOUT_MS", "300"), ("HTTP_REQUEST_TIMEOUT_MS", "1000")];
    let service = Service::start(&stage, &settings).await;
    let ann = service.client().register("ann").await;
    let url = format!("http://{}/api/notifications/stream", service.api.unwrap());
    let mut stream = Events::open(&url, Some(&ann.access), None).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let bob = service.client().register("bob").await;
    bob.follow(&ann).await;
    assert_eq!(stream.next().await.unwrap().data["actor"]["id"], bob.id);
}

#[tokio::test]
async fn a_refused_body_that_is_still_on_its_way_does_not_cost_the_client_its_answer() {
    let stage = Stage::new().await;
    let (service, ann, _) = world(&stage, &[]).await;
    let mut stream = raw::send(service.api.unwrap(), post(&ann, 3_000_000).as_bytes()).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        stream.write_all(&[b'x'; 100_000]).await.expect("who refuses listens on for a while");
    }
    let answer = raw::rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"), "{answer}");
    assert!(is_over(&mut stream).await);
}
