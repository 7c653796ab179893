//! Passwords: which can be chosen, what they cost, and what the time that a login takes tells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::client::PASSWORD;
use support::{Answer, Client, Service, Stage, User, at_once, eventually};

/// Where times are compared, one thread hashes: of several each has a core of its own, which may be a busier one, and
/// they take turns just as the addresses do.
const ONE_HAND: (&str, &str) = ("PASSWORD_WORKERS", "1");
/// Four times what is the default: as different as costs ever are.
const DEAR: (&str, &str) = ("PASSWORD_PASSES", "8");

async fn login(api: &Client, email: &str, password: &str) -> Answer {
    api.post("/api/login", &json!({"email": email, "password": password})).await
}

async fn stored_hash(stage: &Stage, user: &User) -> String {
    stage.query("select password_hash from users where id = $1", &[&user.id]).await[0].get(0)
}

#[tokio::test]
async fn what_everybody_tries_first_cannot_be_chosen_and_says_so() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let api = service.client();
    let register = async |password: &str| {
        let body = json!({"email": "ann.example@example.com", "name": "Ann of the Hill", "password": password});
        api.post("/api/register", &body).await
    };
    for common in ["password", "PassWord1", "12345678", "qwertyuiop", "ANN.EXAMPLE", "ann of the hill"] {
        assert_eq!(register(common).await.unfit_fields(), ["password"], "{common}");
    }
    assert_eq!(register("ann.example@EXAMPLE.com").await.unfit_fields(), ["password"]);
    assert_eq!(stage.number("select count(*) from users").await, 0);
    // There are no rules of composition.
    register("aaaaaaaaab aaaaaaaaab").await.expect(201);
}

#[tokio::test]
async fn a_login_hashes_a_password_anew_when_its_cost_has_changed() {
    let stage = Stage::new().await;
    let usual = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let dear = Service::run(&stage, &["serve", "--no-workers"], &[("PASSWORD_PASSES", "3")]).await;
    let ann = usual.client().register("ann").await;
    let first = stored_hash(&stage, &ann).await;
    assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
    login(&dear.client(), &ann.email, "not the password").await.expect(401);
    login(&usual.client(), &ann.email, PASSWORD).await.expect(200);
    assert_eq!(stored_hash(&stage, &ann).await, first, "nothing is to be done");
    login(&dear.client(), &ann.email, PASSWORD).await.expect(200);
    let second = stored_hash(&stage, &ann).await;
    assert!(second.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{second}");
    ann.client.get("/api/user").await.expect(200);
    login(&usual.client(), &ann.email, "not the password").await.expect(401);
    // Everywhere at once: each login finds its hash changed by another one, and none is refused for that.
    let answers = at_once(12, |number| {
        let api = if number % 2 == 0 { usual.client() } else { dear.client() };
        let email = ann.email.clone();
        async move { login(&api, &email, PASSWORD).await.status }
    })
    .await;
    assert!(answers.iter().filter(|status| **status == 200).count() >= 8, "{answers:?}");
    login(&usual.client(), &ann.email, PASSWORD).await.expect(200);
    let last = stored_hash(&stage, &ann).await;
    assert!(last.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{last}");
}

/// How often a time is taken.
const ROUNDS: usize = 24;

/// What is typical of these times where nothing else disturbed them: the best quarter's worst.
fn typical(mut taken: Vec<Duration>) -> Duration {
    taken.sort_unstable();
    taken[taken.len() / 4]
}

/// The times that wrong passwords take for these addresses, asked for in turn so that whatever else the machine
/// does befalls all of them.
async fn typical_times<const N: usize>(api: &Client, addresses: [&str; N]) -> [Duration; N] {
    let mut taken = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (email, taken) in addresses.iter().zip(&mut taken) {
            let started = Instant::now();
            login(api, email, "not the password").await.refused(401, "invalid_credentials");
            taken.push(started.elapsed());
        }
    }
    taken.map(typical)
}

#[track_caller]
fn about_the_same(one: Duration, other: Duration) {
    let ratio = one.as_secs_f64() / other.as_secs_f64();
    assert!((0.7..1.4).contains(&ratio), "{one:?} and {other:?}: a ratio of {ratio:.2}");
}

#[tokio::test]
async fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[ONE_HAND]).await;
    let ann = service.client().register("ann").await;
    let [known, before, behind] =
        typical_times(&service.client(), [&ann.email, "aaron@example.com", "zoe@example.com"]).await;
    assert!(known > Duration::from_millis(5), "a password costs something: {known:?}");
    about_the_same(before, known);
    about_the_same(behind, known);
}

#[tokio::test]
async fn time_tells_nothing_either_while_hashes_of_several_costs_are_stored() {
    let stage = Stage::new().await;
    let cheap = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = cheap.client().register("ann").await;
    drop(cheap);
    let service = Service::run(&stage, &["serve", "--no-workers"], &[ONE_HAND, DEAR]).await;
    // Hashed before the cost was raised: cheap, as everybody is.
    let [known, unknown] = typical_times(&service.client(), [&ann.email, "aaron@example.com"]).await;
    about_the_same(unknown, known);
    // Since they signed in: dear, as everybody is.
    login(&service.client(), &ann.email, PASSWORD).await.expect(200);
    let [dear, unknown] = typical_times(&service.client(), [&ann.email, "aaron@example.com"]).await;
    about_the_same(unknown, dear);
    assert!(dear > 2 * known, "a cost that was raised is to be seen: {known:?}, {dear:?}");
}

#[tokio::test]
async fn registering_a_taken_address_takes_as_long_as_a_free_one() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[ONE_HAND]).await;
    let ann = service.client().register("ann").await;
    let (mut free, mut taken) = (Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        let register = async |email: &str, status: u16| {
            let body = json!({"email": email, "name": "N", "password": PASSWORD});
            let started = Instant::now();
            service.client().post("/api/register", &body).await.expect(status);
            started.elapsed()
        };
        free.push(register(&format!("new{number}@example.com"), 201).await);
        taken.push(register(&ann.email, 409).await);
    }
    about_the_same(typical(taken), typical(free));
}

#[tokio::test]
async fn a_password_that_changes_while_somebody_signs_in_with_it_lets_nobody_in() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let change = json!({"password": "battery staple horse", "current_password": PASSWORD});
    bob.client.put("/api/user", &change).await.expect(200);
    let others = stored_hash(&stage, &bob).await;
    // A change that has happened and is not yet committed: the login verifies what was there before.
    let mut changing = stage.another_client().await;
    let transaction = changing.transaction().await.unwrap();
    transaction.execute("update users set password_hash = $1 where id = $2", &[&others, &ann.id]).await.unwrap();
    let (api, email) = (service.client(), ann.email.clone());
    let signing_in = tokio::spawn(async move { login(&api, &email, PASSWORD).await });
    eventually("the login waits for the change", async || {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        (stage.number(waiting).await > 0).then_some(())
    })
    .await;
    transaction.commit().await.unwrap();
    signing_in.await.unwrap().refused(401, "invalid_credentials");
    assert_eq!(open_sessions(&stage, &ann).await, 1, "the one of the registration, which nobody ended");
    login(&service.client(), &ann.email, "battery staple horse").await.expect(200);
}

async fn open_sessions(stage: &Stage, user: &User) -> i64 {
    let open = "select count(*) from sessions where user_id = $1 and ended_at is null";
    stage.query(open, &[&user.id]).await[0].get(0)
}

#[tokio::test]
async fn of_logins_that_race_with_a_change_of_the_password_no_session_is_left() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    for round in 0..4 {
        let ann = service.client().register(&format!("ann{round}")).await;
        let logins = at_once(10, |_| {
            let (api, email) = (service.client(), ann.email.clone());
            async move { login(&api, &email, PASSWORD).await }
        });
        let change: Value = json!({"password": "battery staple horse", "current_password": PASSWORD});
        let (logins, changed) = tokio::join!(logins, ann.client.put("/api/user", &change));
        changed.expect(200);
        for login in logins {
            match login.status {
                200 => {
                    let token = login.json()["token"]["access_token"].as_str().unwrap().to_owned();
                    service.client().with_token(&token).get("/api/user").await.refused(401, "invalid_token");
                }
                _ => drop(login.refused(401, "invalid_credentials")),
            }
        }
        assert_eq!(open_sessions(&stage, &ann).await, 1);
        ann.client.get("/api/user").await.expect(200);
    }
}
