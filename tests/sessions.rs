//! Sessions: where somebody is signed in, how that ends everywhere at once, and how keys are exchanged meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::client::PASSWORD;
use support::service::JWT_SECRET;
use support::tokens::{claims, header, signed};
use support::{Client, Service, Stage, User, eventually};

const SESSIONS: &str = "/api/user/sessions";
const NO_WORKERS: [&str; 2] = ["serve", "--no-workers"];

/// Signs somebody in once more, with a client that calls itself this.
async fn sign_in(api: &Client, user: &User, agent: &str) -> (Client, String) {
    let body = json!({"email": user.email, "password": PASSWORD}).to_string();
    let headers = [("content-type", "application/json"), ("user-agent", agent)];
    let token = api.send("POST", "/api/login", &headers, body).await.expect(200)["token"].clone();
    let text = |name: &str| token[name].as_str().unwrap().to_owned();
    (api.with_token(&text("access_token")), text("refresh_token"))
}

async fn sessions(client: &Client) -> Vec<Value> {
    client.get(SESSIONS).await.expect(200)["sessions"].as_array().unwrap().clone()
}

async fn refresh(api: &Client, token: &str) -> support::Answer {
    api.post("/api/token/refresh", &json!({"refresh_token": token})).await
}

#[tokio::test]
async fn somebody_sees_where_they_are_signed_in_and_nobody_elses_sessions() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[]).await;
    let api = service.client();
    let (ann, _bob) = (api.register("ann").await, api.register("bob").await);
    let (phone, token) = sign_in(&api, &ann, &format!(" Phone/1 {} ", "x".repeat(400))).await;
    let seen = sessions(&phone).await;
    assert_eq!(seen.len(), 2, "{seen:?}");
    let mut fields: Vec<_> = seen[0].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["created_at", "current", "expires_at", "id", "last_refreshed_at", "user_agent"]);
    assert_eq!((&seen[0]["current"], &seen[1]["current"]), (&json!(true), &json!(false)), "newest first");
    let agent = seen[0]["user_agent"].as_str().unwrap();
    assert!(agent.starts_with("Phone/1 x") && agent.len() == 200, "{agent}");
    assert_eq!((&seen[0]["last_refreshed_at"], &seen[1]["user_agent"]), (&Value::Null, &json!("")));
    assert_eq!(sessions(&ann.client).await[1]["current"], true);
    refresh(&api, &token).await.expect(200);
    let after = sessions(&phone).await;
    assert!(after[0]["last_refreshed_at"].is_string(), "{after:?}");
    assert_eq!(after[0]["expires_at"], seen[0]["expires_at"], "refreshing makes no session last longer");
}

#[tokio::test]
async fn a_session_that_somebody_ends_is_refused_on_every_node_from_the_answer_on() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &NO_WORKERS, &[]).await;
    let other = Service::run(&stage, &NO_WORKERS, &[]).await;
    let (ann, bob) = (one.client().register("ann").await, one.client().register("bob").await);
    for node in [&one, &other, &one] {
        let (lost, token) = sign_in(&other.client(), &ann, "lost").await;
        let id = sessions(&lost).await[0]["id"].as_str().unwrap().to_owned();
        let path = format!("{SESSIONS}/{id}");
        bob.at(&node.client()).delete(&path).await.refused(404, "not_found");
        lost.get("/api/user").await.expect(200);
        assert_eq!(ann.at(&node.client()).delete(&path).await.expect(204), Value::Null);
        for path in ["/api/user", "/api/articles/feed", SESSIONS] {
            lost.get(path).await.refused(401, "invalid_token");
        }
        refresh(&one.client(), &token).await.refused(401, "invalid_token");
        ann.client.delete(&path).await.refused(404, "not_found");
    }
    for unknown in ["x", "0", "00000000-0000-0000-0000-000000000000", "%00"] {
        ann.client.delete(&format!("{SESSIONS}/{unknown}")).await.refused(404, "not_found");
    }
    let own = sessions(&ann.client).await[0]["id"].as_str().unwrap().to_owned();
    ann.client.delete(&format!("{SESSIONS}/{own}")).await.expect(204);
    ann.client.get("/api/user").await.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_session_lasts_no_longer_than_its_setting_however_often_it_is_refreshed() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[("SESSION_SECONDS", "3600")]).await;
    let ann = service.client().register("ann").await;
    let next = refresh(&service.client(), &ann.refresh).await.expect(200);
    let lasts = "select extract(epoch from expires_at - created_at)::bigint from sessions";
    assert_eq!(stage.number(lasts).await, 3600);
    // An hour later.
    let past = "update sessions set created_at = created_at - interval '1 h', refreshed_at = null,
                                    expires_at = expires_at - interval '1 h'";
    stage.execute(past, &[]).await;
    let token = next["token"]["refresh_token"].as_str().unwrap();
    refresh(&service.client(), token).await.refused(401, "invalid_token");
    ann.client.get(SESSIONS).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn of_many_sessions_the_newest_hundred_are_shown_and_the_one_that_asks() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[]).await;
    let ann = service.client().register("ann").await;
    let many = "insert into sessions (id, user_id, created_at, expires_at)
                select gen_random_uuid(), $1, now() + n * interval '1 s', now() + interval '1 d'
                from generate_series(1, 150) n";
    stage.execute(many, &[&ann.id]).await;
    let seen = sessions(&ann.client).await;
    assert_eq!((seen.len(), &seen[100]["current"]), (101, &json!(true)));
    assert!(seen[..100].iter().all(|session| session["current"] == false));
}

#[tokio::test]
async fn sessions_that_have_been_over_for_long_are_forgotten_and_no_others() {
    let stage = Stage::new().await;
    let first = Service::run(&stage, &NO_WORKERS, &[]).await;
    let (ann, bob) = (first.client().register("ann").await, first.client().register("bob").await);
    let cy = first.client().register("cy").await;
    refresh(&first.client(), &ann.refresh).await.expect(200);
    for user in [&bob, &cy] {
        refresh(&first.client(), &user.refresh).await.expect(200);
        user.client.ask("/api/logout").await.expect(200);
    }
    first.stop().await;
    let old = "update sessions set created_at = now() - interval '9 d', refreshed_at = null, ended_at = now() - $2::text::interval
               where user_id = $1";
    stage.execute(old, &[&bob.id, &"8 d"]).await;
    stage.execute(old, &[&cy.id, &"6 d"]).await;
    let service = Service::run(&stage, &NO_WORKERS, &[("SESSIONS_KEEP_SECONDS", "604800")]).await;
    eventually("what is old is forgotten", async || {
        (stage.number("select count(*) from sessions").await == 2).then_some(())
    })
    .await;
    assert_eq!(stage.number("select count(*) from refresh_tokens").await, 4);
    let whose = stage.query("select user_id from sessions order by user_id", &[]).await;
    assert_eq!(whose.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [ann.id, cy.id]);
    // A spent token of a session that lives is still known.
    refresh(&service.client(), &ann.refresh).await.refused(401, "invalid_token");
    ann.at(&service.client()).get("/api/user").await.refused(401, "invalid_token");
}

#[tokio::test]
async fn keys_are_exchanged_without_signing_anybody_out() {
    let stage = Stage::new().await;
    let new_key = "another secret of thirty-two byt";
    let both = format!("{new_key}, {JWT_SECRET}");
    let old = Service::run(&stage, &NO_WORKERS, &[]).await;
    let ann = old.client().register("ann").await;
    let between = Service::run(&stage, &NO_WORKERS, &[("JWT_SECRET", &both)]).await;
    let new = Service::run(&stage, &NO_WORKERS, &[("JWT_SECRET", new_key)]).await;
    ann.at(&between.client()).get("/api/user").await.expect(200);
    ann.at(&new.client()).get("/api/user").await.refused(401, "invalid_token");
    let next = refresh(&between.client(), &ann.refresh).await.expect(200);
    let access = next["token"]["access_token"].as_str().unwrap();
    new.client().with_token(access).get("/api/user").await.expect(200);
    old.client().with_token(access).get("/api/user").await.refused(401, "invalid_token");
    // Signed with a key that is known, in the name of another one.
    let other = User { access: access.to_owned(), ..ann.clone() };
    let forged = signed(&header(&other), JWT_SECRET, &claims(&ann, |_| {}));
    between.client().with_token(&forged).get("/api/user").await.refused(401, "invalid_token");
}

#[tokio::test]
async fn tokens_of_another_installation_with_the_same_secret_are_refused() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &NO_WORKERS, &[]).await;
    let ann = one.client().register("ann").await;
    for name in ["JWT_ISSUER", "JWT_AUDIENCE"] {
        let other = Service::run(&stage, &NO_WORKERS, &[(name, "elsewhere")]).await;
        ann.at(&other.client()).get("/api/user").await.refused(401, "invalid_token");
        let bob = other.client().register(&format!("bob {name}")).await;
        bob.client.get("/api/user").await.expect(200);
        bob.at(&one.client()).get("/api/user").await.refused(401, "invalid_token");
    }
}
