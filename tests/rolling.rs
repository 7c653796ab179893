//! A release: every process is replaced, one after the other, under load, and no client notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use support::balancer::Balancer;
use support::{Service, Stage, User};

/// Asks over and over until told to stop; each answer has to come, and to be the expected one, at the first try.
async fn ask_on(
    balancer: &Balancer,
    user: &User,
    number: usize,
    slug: String,
    over: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) {
    // A quarter of the clients opens a connection for every request.
    let kept = if number % 4 == 3 { 0 } else { usize::MAX };
    let http: legacy::Client<_, Full<Bytes>> = legacy::Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .pool_max_idle_per_host(kept)
        .build_http();
    while !over.load(Ordering::Relaxed) {
        let writes = number.is_multiple_of(3);
        let path = if writes { "/api/articles".to_owned() } else { format!("/api/articles/{slug}") };
        let body = json!({"title": format!("By client {number}"), "body": "b"}).to_string();
        let request = Request::builder()
            .method(if writes { "POST" } else { "GET" })
            .uri(format!("http://{}{path}", balancer.address))
            .header(AUTHORIZATION, format!("Bearer {}", user.access))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(if writes { body.into() } else { Bytes::new() }))
            .unwrap();
        let response = http.request(request).await.unwrap_or_else(|error| panic!("client {number}: {error:?}"));
        assert_eq!(response.status(), if writes { 201 } else { 200 }, "client {number}");
        response.into_body().collect().await.unwrap_or_else(|error| panic!("client {number}: {error:?}"));
        done.fetch_add(usize::from(writes), Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_rolling_restart_of_two_nodes_behind_a_balancer_loses_no_request() {
    let stage = Stage::new().await;
    let delay = [("SHUTDOWN_DELAY_MS", "500")];
    let balancer = Arc::new(Balancer::start().await);
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let node = Service::start(&stage, &delay).await;
        balancer.add(&node).await;
        nodes.push(node);
    }
    let ann = nodes[0].client().register("ann").await;
    let slug = ann.publish("First").await;
    let (over, published) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(1)));
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let (balancer, ann, slug) = (Arc::clone(&balancer), ann.clone(), slug.clone());
            let (over, published) = (Arc::clone(&over), Arc::clone(&published));
            tokio::spawn(async move { ask_on(&balancer, &ann, number, slug, over, published).await })
        })
        .collect();
    for _ in 0..2 {
        let fresh = Service::start(&stage, &delay).await;
        balancer.add(&fresh).await;
        let old = nodes.remove(0);
        let before = published.load(Ordering::Relaxed);
        old.stop().await;
        assert!(published.load(Ordering::Relaxed) > before, "work went on meanwhile");
        nodes.push(fresh);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let articles = stage.number("select count(*) from articles").await;
    assert_eq!(articles, i64::try_from(published.load(Ordering::Relaxed)).unwrap(), "each was published once");
}
