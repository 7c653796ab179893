//! Limits in Redis and in a process by itself are the same limits.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::net::IpAddr;
use std::time::Duration;

use actors::auth::{Email, UserId};
use actors::kit::redis::{Redis, Url};
use actors::supervision::{ChildSpec, Root, Strategy, SupervisorSpec, intensity::Intensity};
use actors::throttle::{Pepper, Rate, Rates, Settings, Standing, Throttle, TooMany};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{caller, tree};

/// So slow to grow back that a test sees nothing of it.
fn rate(quota: u32) -> Rate {
    Rate::new(quota, Duration::from_secs(24 * 3600)).unwrap()
}

fn settings(prefix: &str) -> Settings {
    let rates = Rates {
        writes: rate(7),
        registrations: rate(5),
        logins: rate(4),
        logins_address: rate(9),
        logins_account: rate(6),
        logins_stranger: rate(2),
    };
    let pepper = Pepper::of("0123456789abcdef0123456789abcdef").unwrap();
    Settings { rates, pepper, prefix: prefix.to_owned(), within: Duration::from_secs(9), local: 10_000 }
}

async fn throttle(settings: &Settings, url: &str) -> (Throttle, Root) {
    let redis = Redis::new(&Url::parse(url).unwrap());
    let (throttle, children) = Throttle::new(Some(settings), redis, 1024, 16);
    let intensity = Intensity { max: 10, period: Duration::from_secs(60) };
    let domain = SupervisorSpec { strategy: Strategy::OneForOne, intensity, children };
    let (root, _) = tree(Strategy::OneForOne, 10, vec![ChildSpec::supervisor("throttle", domain)]).await;
    (throttle, root)
}

/// What a step came to: whether it passed, which limit says so, how much is left of it.
type Came = Option<(bool, &'static str, u32)>;

fn came(counted: Result<Option<Standing>, TooMany>) -> Came {
    let (passed, standing) = match counted {
        Ok(standing) => (true, standing?),
        Err(TooMany(standing)) => (false, standing),
    };
    Some((passed, standing.policy.as_str(), standing.remaining))
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Write(i64),
    Register(u8),
    Login { account: u8, address: u8, ends: Ends },
}

#[derive(Debug, Clone, Copy)]
enum Ends {
    Well,
    Badly,
    WithAFault,
}

fn any_step(random: &mut StdRng) -> Step {
    match random.random_range(0..10) {
        0 => Step::Write(random.random_range(1..4)),
        1 => Step::Register(random.random_range(1..4)),
        _ => Step::Login {
            account: random.random_range(0..3),
            address: random.random_range(1..6),
            ends: [Ends::Well, Ends::Badly, Ends::Badly, Ends::Badly, Ends::WithAFault][random.random_range(0..5)],
        },
    }
}

async fn take(throttle: &Throttle, step: Step) -> Came {
    let from = |last: u8| IpAddr::from([192, 0, 2, last]);
    match step {
        Step::Write(user) => came(throttle.write(&caller(), UserId(user)).await),
        Step::Register(address) => came(throttle.registration(&caller(), from(address)).await),
        Step::Login { account, address, ends } => {
            let email = Email::parse(&format!("u{account}@example.com")).ok();
            match throttle.login(&caller(), from(address), email.as_ref()).await {
                Ok(attempt) => {
                    let standing = attempt.standing();
                    match ends {
                        Ends::Well => return came(Ok(attempt.succeeded(&caller()).await)),
                        Ends::WithAFault => attempt.withdrawn(&caller()).await,
                        Ends::Badly => drop(attempt),
                    }
                    came(Ok(standing))
                }
                Err(too_many) => came(Err(too_many)),
            }
        }
    }
}

#[tokio::test]
async fn redis_and_a_process_by_itself_come_to_the_same_by_the_same_steps() {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL is set: run the tests through `make test`");
    for seed in 0..20 {
        let settings = settings(&format!("{}:", uuid::Uuid::new_v4()));
        let (shared, _root) = throttle(&settings, &url).await;
        // Nothing answers there: it decides by itself.
        let (alone, _other_root) = throttle(&settings, "redis://127.0.0.1:1").await;
        let mut random = StdRng::seed_from_u64(seed);
        let (mut passed, mut refused) = (0, 0);
        for number in 0..150 {
            let step = any_step(&mut random);
            let (one, other) = (take(&shared, step).await, take(&alone, step).await);
            assert_eq!(one, other, "seed {seed}, step {number}: {step:?}");
            if one.is_some_and(|(passed, ..)| passed) { passed += 1 } else { refused += 1 }
        }
        assert!(passed > 10 && refused > 10, "seed {seed}: {passed} passed, {refused} refused");
        let (fresh, _root) = throttle(&settings, &url).await;
        let step = Step::Write(1);
        assert_eq!(take(&fresh, step).await, take(&alone, step).await, "another process knows what this one counted");
    }
}

#[tokio::test]
async fn without_settings_nothing_is_limited_and_there_is_no_actor() {
    let redis = Redis::new(&Url::parse("redis://127.0.0.1:1").unwrap());
    let (throttle, children) = Throttle::new(None, redis, 10, 10);
    assert!(children.is_empty());
    for _ in 0..100 {
        assert_eq!(take(&throttle, Step::Write(1)).await, None);
    }
}
