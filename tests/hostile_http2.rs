//! HTTP/2 as a hostile client speaks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{Client, Service, Stage, eventually, frames};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const CUT: &str = "http_server_connections_cut_total";
/// The setting by which a client says how much it takes of an answer before it says more.
const INITIAL_WINDOW: u16 = 4;

async fn as_ever(service: &Service) {
    let (one, two) = (service.client(), Client::new_http2(service.api.unwrap()));
    for _ in 0..50 {
        one.get("/api/articles").await.expect(200);
        two.get("/api/articles").await.expect(200);
    }
}

/// Reads until the connection is over.
async fn until_over(stream: &mut TcpStream) {
    while frames::next(stream).await.is_some() {}
}

#[tokio::test]
async fn requests_taken_back_at_once_and_without_end_cost_the_client_its_connection() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let api = service.api.unwrap();
    let attack = async {
        for _ in 0..20 {
            let mut stream = frames::connect(api, &[]).await;
            let requests = |from: u32| {
                let both = |number: u32| [frames::get(number, "/api/articles", None), frames::reset(number)].concat();
                (0..500).flat_map(|number| both(from + 2 * number)).collect::<Vec<u8>>()
            };
            let mut number = 1;
            // Without end, were it not for the server.
            while stream.write_all(&requests(number)).await.is_ok() {
                number += 1000;
                assert!(number < 10_000_000, "the server bears everything");
            }
        }
    };
    tokio::join!(attack, as_ever(&service));
    as_ever(&service).await;
    // What is left of it: requests that nobody waits for are not under way.
    eventually("nothing is under way", async || {
        (service.metric("http_server_active_requests", "GET").await <= 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_taken_back_once_they_are_worked_on_do_as_well() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let mut locked = stage.another_client().await;
    let lock = locked.transaction().await.unwrap();
    lock.batch_execute("lock table articles in access exclusive mode").await.unwrap();
    let mut stream = frames::connect(service.api.unwrap(), &[]).await;
    let mut number = 1;
    for round in 1..100_u32 {
        let from = number;
        for _ in 0..16 {
            if stream.write_all(&frames::get(number, "/api/articles", None)).await.is_err() {
                break;
            }
            number += 2;
        }
        if service.metric(CUT, "abandons").await > 0.0 {
            break;
        }
        assert!(round < 50, "the server bears everything");
        tokio::time::sleep(Duration::from_millis(20)).await;
        for taken_back in (from..number).step_by(2) {
            let _ = stream.write_all(&frames::reset(taken_back)).await;
        }
    }
    until_over(&mut stream).await;
    lock.rollback().await.unwrap();
    as_ever(&service).await;
}

#[tokio::test]
async fn streams_that_a_client_has_us_reset_by_mistakes_cost_it_its_connection() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let mut stream = frames::connect(service.api.unwrap(), &[]).await;
    let mut number = 1;
    // A window may not grow beyond all bounds: each time it is our side that takes the request back (CVE-2025-8671).
    let too_much = |number: u32| frames::frame(frames::WINDOW_UPDATE, 0, number, &i32::MAX.to_be_bytes());
    let both = |number: u32| [frames::get(number, "/api/articles", None), too_much(number)].concat();
    while stream.write_all(&both(number)).await.is_ok() {
        number += 2;
        assert!(number < 200_000, "the server bears everything");
    }
    as_ever(&service).await;
}

#[tokio::test]
async fn who_asks_and_takes_nothing_of_the_answer_is_cut_off() {
    let stage = Stage::new().await;
    let service = Service::start(&stage, &[("HTTP_READER_TIMEOUT_MS", "1000")]).await;
    let ann = service.client().register("ann").await;
    let large = ann.client.post("/api/articles", &json!({"title": "Large", "body": "x".repeat(900_000)})).await;
    let path = format!("/api/articles/{}", large.expect(201)["slug"].as_str().unwrap());
    // Nothing at all; a little; of a stream of events as well.
    for (window, path, token) in [
        (0, path.as_str(), None),
        (20_000, path.as_str(), None),
        (0, "/api/notifications/stream", Some(ann.access.as_str())),
    ] {
        let before = service.metric(CUT, "slow_reader").await;
        let mut stream = frames::connect(service.api.unwrap(), &[(INITIAL_WINDOW, window)]).await;
        for number in 0..100 {
            stream.write_all(&frames::get(2 * number + 1, path, token)).await.unwrap();
        }
        until_over(&mut stream).await;
        assert!(service.metric(CUT, "slow_reader").await > before, "{path} with a window of {window}");
    }
    let streams = async || service.metric("notifications_streams", "").await;
    eventually("the streams are given back", async || (streams().await == 0.0).then_some(())).await;
    as_ever(&service).await;
}

#[tokio::test]
async fn a_connection_of_http_2_that_asks_for_nothing_more_is_closed() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[("HTTP_IDLE_TIMEOUT_MS", "1000")]).await;
    let mut stream = frames::connect(service.api.unwrap(), &[]).await;
    stream.write_all(&frames::get(1, "/api/articles", None)).await.unwrap();
    let pinging = async {
        loop {
            // Signs of life are no requests.
            if stream.write_all(&frames::frame(frames::PING, 0, 0, &[0; 8])).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, pinging).await.expect("it is closed");
    assert!(service.metric(CUT, "\"idle\"").await >= 1.0);
}

#[tokio::test]
async fn a_head_over_http_2_has_the_same_limits() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let client = Client::new_http2(service.api.unwrap());
    let large = "x".repeat(17_000);
    client.send("GET", "/api/articles", &[("x", &large)], "").await.refused(431, "headers_too_large");
    let target = format!("/api/articles?x={}", "x".repeat(8192));
    client.get(&target).await.refused(414, "uri_too_long");
    client.get("/api/articles").await.expect(200);
}
