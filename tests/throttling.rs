//! Limits: shared by all nodes, said in every answer, there without Redis, and never in the way of anything else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::client::PASSWORD;
use support::servers::redis::PrivateRedis;
use support::{Answer, Client, Service, Stage, at_once, eventually};

/// On a busy machine Redis may take its time; only who tests that it does not, says otherwise.
const PATIENT: (&str, &str) = ("RATE_LIMIT_REDIS_TIMEOUT_MS", "9000");

/// A service whose limits are on, with these besides.
async fn limited(stage: &Stage, limits: &[(&str, &str)]) -> Service {
    let on = [("RATE_LIMITS", "on"), ("TRUSTED_PROXIES", "127.0.0.1"), PATIENT];
    Service::start(stage, &[&on, limits].concat()).await
}

/// A write that always succeeds and leaves nothing behind.
async fn write(client: &Client) -> Answer {
    client.ask("/api/notifications/read").await
}

/// Registers somebody who asks from an address.
async fn register(client: &Client, name: &str, address: &str) -> Answer {
    let body = json!({"email": format!("{name}@example.com"), "name": name, "password": PASSWORD});
    let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
    client.send("POST", "/api/register", &headers, body.to_string()).await
}

/// Checks that this is a refusal of a limit, in all its parts; gives the seconds to wait.
#[track_caller]
fn refused(answer: &Answer, policy: &str) -> u64 {
    answer.refused(429, "rate_limited");
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
    assert!(wait >= 1, "{answer:?}");
    assert!(answer.header("ratelimit-policy").unwrap().starts_with(&format!("\"{policy}\";q=")), "{answer:?}");
    assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"{policy}\";r=0;t=")), "{answer:?}");
    wait
}

async fn metric(service: &Service, name: &str) -> Option<f64> {
    let text = service.operator().get("/metrics").await.text();
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn writes_of_a_user_are_limited_on_all_nodes_together_and_a_restart_forgets_none() {
    let stage = Stage::new().await;
    let limits = [("RATE_LIMIT_WRITES", "6/1h")];
    let (one, other) = (limited(&stage, &limits).await, limited(&stage, &limits).await);
    let ann = one.client().register("ann").await;
    let bob = one.client().register("bob").await;
    for left in [5, 4, 3] {
        let answer = write(&ann.client).await;
        answer.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"writes\";q=6;w=3600"));
        let standing = answer.header("ratelimit").unwrap();
        let full = standing.strip_prefix(&format!("\"writes\";r={left};t=")).unwrap_or_else(|| panic!("{standing}"));
        let full: u64 = full.parse().unwrap();
        assert!((600 * (6 - left) - 60..=600 * (6 - left)).contains(&full), "{standing}");
    }
    for _ in 0..3 {
        write(&ann.at(&other.client())).await.expect(200);
    }
    for client in [ann.client.clone(), ann.at(&other.client())] {
        let wait = refused(&write(&client).await, "writes");
        assert!((500..=600).contains(&wait), "{wait}");
    }
    // Nobody else is limited by that, and nothing but writes.
    write(&bob.client).await.expect(200);
    let read = ann.client.get("/api/user").await;
    read.expect(200);
    assert_eq!((read.header("ratelimit"), read.header("ratelimit-policy")), (None, None));
    other.stop().await;
    one.kill();
    one.ended().await;
    let again = limited(&stage, &limits).await;
    refused(&write(&ann.at(&again.client())).await, "writes");
    ann.at(&again.client()).ask("/api/logout").await.expect(200);
}

#[tokio::test]
async fn of_many_writes_at_once_no_more_pass_than_are_allowed() {
    let stage = Stage::new().await;
    let service = limited(&stage, &[("RATE_LIMIT_WRITES", "20/24h")]).await;
    let ann = service.client().register("ann").await;
    let answers = at_once(60, |_| {
        let client = ann.client.clone();
        async move { write(&client).await.status }
    })
    .await;
    let passed = answers.iter().filter(|status| **status == 200).count();
    assert_eq!((passed, answers.iter().filter(|status| **status == 429).count()), (20, 40));
    let counted = eventually("refusals are counted", async || metric(&service, "throttle_refused_total").await).await;
    assert!((counted - 40.0).abs() < 0.5, "{counted}");
}

#[tokio::test]
async fn no_operation_that_changes_something_is_without_a_limit() {
    let stage = Stage::new().await;
    let service = limited(&stage, &[("RATE_LIMIT_WRITES", "1/24h")]).await;
    let ann = service.client().register("ann").await;
    write(&ann.client).await.expect(200);
    let document = ann.client.get("/api/openapi.json").await.expect(200);
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let free = ["/api/logout", "/api/token/refresh"].contains(&path.as_str()) || method == "get";
            let refusal = operation["responses"]["429"]["$ref"].as_str().unwrap_or_default();
            assert_eq!(refusal.ends_with("/RateLimited"), !free, "{method} {path}");
            if !free && operation["security"].is_array() {
                let path = path.replace("{id}", "1").replace("{delivery}", "1").replace("{slug}", "any");
                let answer = ann.client.send(&method.to_uppercase(), &path, &[], "not json").await;
                refused(&answer, "writes");
                checked += 1;
            }
        }
    }
    assert!(checked > 8, "{checked}");
}

#[tokio::test]
async fn registrations_are_limited_by_address_before_their_body_is_read() {
    let stage = Stage::new().await;
    let service = limited(&stage, &[("RATE_LIMIT_REGISTRATIONS", "2/1h")]).await;
    let client = service.client();
    register(&client, "ann", "192.0.2.1").await.expect(201);
    // Whatever comes of it, it counts: a hash was made, or somebody tried out who is registered.
    register(&client, "ann", "192.0.2.1").await.refused(409, "email_taken");
    let answer = client.send("POST", "/api/register", &[("x-forwarded-for", "192.0.2.1")], "not even json").await;
    refused(&answer, "registrations");
    // A customer of IPv6 has a whole network.
    register(&client, "bob", "2001:db8:1:2::1").await.expect(201);
    register(&client, "cy", "2001:db8:1:2:3:4:5:6").await.expect(201);
    refused(&register(&client, "dee", "2001:db8:1:2:ffff::").await, "registrations");
    register(&client, "dee", "2001:db8:1:3::1").await.expect(201);
}

#[tokio::test]
async fn what_redis_holds_of_limits_names_nobody_and_goes_by_itself() {
    let stage = Stage::new().await;
    let service = limited(&stage, &[]).await;
    register(&service.client(), "ann", "192.0.2.77").await.expect(201);
    let body = json!({"email": "ann@example.com", "password": "wrong password"});
    let headers = [("content-type", "application/json"), ("x-forwarded-for", "192.0.2.77")];
    service.client().send("POST", "/api/login", &headers, body.to_string()).await.expect(401);
    let client = redis::Client::open(stage.redis_url.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("callboard:throttle:*").query_async(&mut redis).await.unwrap();
    assert!(keys.len() >= 4, "{keys:?}");
    for key in keys {
        assert!(!["ann", "example", "192"].iter().any(|word| key.contains(word)), "{key}");
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await.unwrap();
        assert!(left > 0, "{key} stays for ever");
    }
}

#[tokio::test]
async fn without_redis_every_process_limits_by_itself_and_nobody_waits_for_long() {
    let (mut redis, mut stage) = (PrivateRedis::start().await, Stage::new().await);
    stage.redis_url = redis.url.clone();
    let limits = [("RATE_LIMITS", "on"), ("RATE_LIMIT_WRITES", "10/24h"), ("RATE_LIMIT_REDIS_TIMEOUT_MS", "200")];
    let service = Service::start(&stage, &limits).await;
    let ann = service.client().register("ann").await;
    let bob = service.client().register("bob").await;
    write(&ann.client).await.expect(200);
    for (what, who) in [("killed", &ann), ("frozen", &bob)] {
        match what {
            "killed" => redis.kill().await,
            _ => redis.freeze(),
        }
        let mut slowest = Duration::ZERO;
        let mut answers = Vec::new();
        for _ in 0..30 {
            let asked = Instant::now();
            answers.push(write(&who.client).await);
            slowest = slowest.max(asked.elapsed());
        }
        eprintln!("{what}: the slowest answer after {slowest:.2?}");
        assert!(slowest < Duration::from_secs(3), "{what}: {slowest:?}");
        let (passed, stopped) = answers.split_at(10);
        for answer in passed {
            answer.expect(200);
        }
        for answer in stopped {
            refused(answer, "writes");
        }
        assert_eq!(metric(&service, "throttle_fallback").await, Some(1.0), "{what}");
        match what {
            "killed" => drop(redis.start_again().await),
            _ => redis.thaw(),
        }
        eventually("limits are shared again", async || {
            write(&who.client).await;
            (metric(&service, "throttle_fallback").await == Some(0.0)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_crash_of_the_actor_costs_nobody_an_answer() {
    let stage = Stage::new().await;
    let service = limited(&stage, &[("RATE_LIMIT_REDIS_TIMEOUT_MS", "100")]).await;
    let ann = service.client().register("ann").await;
    for path in [["root/throttle/checks"; 6].as_slice(), &["root/throttle"]].concat() {
        eventually("it is there to be crashed", async || {
            let crash = service.operator().ask(&format!("/actors/{path}/crash")).await;
            (crash.status == 202).then_some(())
        })
        .await;
        let answers = at_once(5, |_| {
            let client = ann.client.clone();
            async move { write(&client).await }
        });
        for answer in answers.await {
            answer.expect(200);
        }
    }
    eventually("both were started again", async || {
        let rows = stage.query("select distinct path from actor_restarts", &[]).await;
        let paths: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        ["root/throttle/checks", "root/throttle"].iter().all(|path| paths.iter().any(|p| p == path)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_is_limited_where_limits_are_off() {
    let stage = Stage::new().await;
    let service = limited(&stage, &[("RATE_LIMITS", "off"), ("RATE_LIMIT_WRITES", "1/24h")]).await;
    let ann = service.client().register("ann").await;
    for _ in 0..10 {
        let answer = write(&ann.client).await;
        assert_eq!(answer.expect(200)["unread_count"], Value::from(0));
        assert_eq!(answer.header("ratelimit"), None);
    }
}
