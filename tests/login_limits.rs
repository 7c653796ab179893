//! Logins are limited by account and by address, and no stranger can lock an owner out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::json;
use support::client::PASSWORD;
use support::{Answer, Client, Service, Stage, User};

const HOME: &str = "192.0.2.1";

/// What stands before a service, from one address.
struct From<'a> {
    client: &'a Client,
    address: String,
}

impl<'a> From<'a> {
    fn new(client: &'a Client, address: impl Into<String>) -> Self {
        Self { client, address: address.into() }
    }

    async fn tries(&self, name: &str, password: &str) -> Answer {
        let body = json!({"email": format!("{name}@example.com"), "password": password});
        let headers = [("content-type", "application/json"), ("x-forwarded-for", self.address.as_str())];
        self.client.send("POST", "/api/login", &headers, body.to_string()).await
    }

    async fn fails(&self, name: &str) {
        self.tries(name, "not the password").await.refused(401, "invalid_credentials");
    }

    async fn signs_in(&self, name: &str) -> Answer {
        let answer = self.tries(name, PASSWORD).await;
        answer.expect(200);
        answer
    }

    /// Is refused by this limit, or one whose name begins so, whatever the password.
    async fn is_stopped(&self, name: &str, policy: &str) {
        for password in ["not the password", PASSWORD] {
            let answer = self.tries(name, password).await;
            answer.refused(429, "rate_limited");
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
            assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"{policy}")), "{answer:?}");
        }
    }
}

/// A service with these limits, and people with accounts.
async fn town(stage: &Stage, limits: &[(&str, &str)], names: &[&str]) -> (Service, Vec<User>) {
    let on = [
        ("RATE_LIMITS", "on"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("RATE_LIMIT_REDIS_TIMEOUT_MS", "9000"),
        ("RATE_LIMIT_LOGINS", "3/24h"),
    ];
    let service = Service::start(stage, &[&on, limits].concat()).await;
    let mut users = Vec::new();
    for name in names {
        users.push(service.client().register(name).await);
    }
    (service, users)
}

#[tokio::test]
async fn only_wrong_passwords_count_and_the_right_one_forgives_them() {
    let stage = Stage::new().await;
    let (service, _) = town(&stage, &[], &["ann"]).await;
    let client = service.client();
    let home = From::new(&client, HOME);
    for _ in 0..5 {
        let answer = home.signs_in("ann").await;
        assert_eq!(answer.header("ratelimit"), Some("\"logins\";r=3;t=0"));
    }
    for _ in 0..3 {
        home.fails("ann").await;
        home.fails("ann").await;
        home.signs_in("ann").await;
    }
    for _ in 0..3 {
        home.fails("ann").await;
    }
    let hashed = service.actor("root/auth/passwords").await["handled_total"].clone();
    home.is_stopped("ann", "logins\";r=0;").await;
    let now = service.actor("root/auth/passwords").await["handled_total"].clone();
    assert_eq!(hashed, now, "a refused login costs a hash");
    // An account that is not there is counted like any other, however it is spelled.
    for _ in 0..3 {
        home.fails("nobody").await;
    }
    home.is_stopped("NoBody", "logins\";r=0;").await;
}

#[tokio::test]
async fn no_owner_is_locked_out_by_strangers() {
    let stage = Stage::new().await;
    let limits = [("RATE_LIMIT_LOGINS_ACCOUNT", "6/24h"), ("RATE_LIMIT_LOGINS_STRANGER", "1/24h")];
    let (service, users) = town(&stage, &limits, &["ann"]).await;
    let client = service.client();
    let (from, ann) = (|address: &str| From::new(&client, address), &users[0]);
    from(HOME).signs_in("ann").await;
    // Strangers try from everywhere until their address is stopped; then all that others have left is one attempt.
    for address in ["198.51.100.1", "198.51.100.2"] {
        for _ in 0..3 {
            from(address).fails("ann").await;
        }
        from(address).is_stopped("ann", "logins\";r=0;").await;
    }
    for last in 3..30 {
        let address = format!("198.51.100.{last}");
        from(&address).fails("ann").await;
        // By whichever of the two has room first.
        from(&address).is_stopped("ann", "logins-").await;
    }
    // Her tokens are good, where she was before she has all her attempts, and where she never was she gets in.
    ann.client.ask("/api/notifications/read").await.expect(200);
    client.post("/api/token/refresh", &json!({"refresh_token": ann.refresh})).await.expect(200);
    for _ in 0..2 {
        from(HOME).fails("ann").await;
    }
    from(HOME).signs_in("ann").await;
    for address in ["203.0.113.1", "2001:db8::1"] {
        from(address).signs_in("ann").await;
        // From there she is known now.
        for _ in 0..2 {
            from(address).fails("ann").await;
        }
        from(address).signs_in("ann").await;
    }
}

#[tokio::test]
async fn whoever_tries_many_accounts_from_one_address_is_stopped_and_those_at_home_there_are_not() {
    let stage = Stage::new().await;
    let limits = [("RATE_LIMIT_LOGINS_ADDRESS", "4/24h")];
    let (service, _) = town(&stage, &limits, &["ann", "bob", "cy", "dee", "mallory"]).await;
    let client = service.client();
    let office = From::new(&client, HOME);
    office.signs_in("ann").await;
    for name in ["bob", "cy", "dee", "nobody"] {
        office.fails(name).await;
        // An account of one's own clears nothing that was done to others.
        if name != "nobody" {
            office.signs_in("mallory").await;
        }
    }
    office.is_stopped("bob", "logins-address").await;
    office.is_stopped("somebody", "logins-address").await;
    office.fails("ann").await;
    office.signs_in("ann").await;
    From::new(&client, "203.0.113.1").signs_in("bob").await;
}

#[tokio::test]
async fn of_many_attempts_at_once_no_more_are_tried_than_are_allowed() {
    let stage = Stage::new().await;
    let (service, _) = town(&stage, &[], &["ann"]).await;
    let client = service.client();
    let statuses = support::at_once(20, |_| {
        let client = client.clone();
        async move { From::new(&client, HOME).tries("ann", "not the password").await.status }
    })
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 17, "{statuses:?}");
}

#[tokio::test]
async fn what_is_our_own_fault_does_not_count() {
    let stage = Stage::new().await;
    let (service, _) = town(&stage, &[("DATABASE_STATEMENT_TIMEOUT_MS", "300")], &["ann"]).await;
    let client = service.client();
    let home = From::new(&client, HOME);
    let lock = stage.locked("sessions").await;
    for _ in 0..5 {
        let answer = home.tries("ann", PASSWORD).await;
        assert!(answer.status >= 500, "{answer:?}");
    }
    lock.batch_execute("rollback").await.unwrap();
    home.fails("ann").await;
    home.signs_in("ann").await;
}
