//! Who somebody is: what registration, login, sessions and tokens promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::Header;
use serde_json::{Value, json};
use support::client::PASSWORD;
use support::service::JWT_SECRET;
use support::tokens::{claims, header, signed};
use support::{Client, Service, Stage, User, at_once};
use time::OffsetDateTime;

const USER: [&str; 7] = ["bio", "created_at", "email", "id", "image", "name", "updated_at"];
const TOKEN: [&str; 4] = ["access_token", "expires_in", "refresh_token", "token_type"];

fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

fn credentials(user: &User) -> Value {
    json!({"email": user.email, "password": PASSWORD})
}

async fn refresh(api: &Client, token: &str) -> support::Answer {
    api.post("/api/token/refresh", &json!({"refresh_token": token})).await
}

#[tokio::test]
async fn registering_answers_with_the_user_and_a_token_pair() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let body = json!({"email": " Ann@Example.com ", "name": "  Ann  ", "password": PASSWORD, "role": "admin"});
    let answer = api.client().post("/api/register", &body).await.expect(201);
    assert_eq!(fields(&answer), ["token", "user"]);
    assert_eq!(fields(&answer["user"]), USER);
    assert_eq!(fields(&answer["token"]), TOKEN);
    assert_eq!((&answer["user"]["email"], &answer["user"]["name"]), (&json!("Ann@Example.com"), &json!("Ann")));
    assert_eq!(answer["token"]["token_type"], "Bearer");
    assert_eq!(answer["token"]["expires_in"], 900);
    let created = answer["user"]["created_at"].as_str().unwrap();
    assert!(created.ends_with('Z'), "{created} is not UTC");
    let stored = stage.query("select password_hash from users", &[]).await[0].get::<_, String>(0);
    assert!(stored.starts_with("$argon2id$"), "{stored}");
}

#[tokio::test]
async fn an_address_in_another_spelling_is_taken() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    api.client().register("ann").await;
    for email in ["ann@example.com", "ANN@example.com", " Ann@Example.COM"] {
        let body = json!({"email": email, "name": "Other", "password": PASSWORD});
        api.client().post("/api/register", &body).await.refused(409, "email_taken");
    }
    let body = json!({"email": "aNN@eXAMPLE.com", "password": PASSWORD});
    api.client().post("/api/login", &body).await.expect(200);
}

#[tokio::test]
async fn of_many_simultaneous_registrations_of_one_address_exactly_one_succeeds() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let client = api.client();
    let answers = at_once(16, |number| {
        let client = client.clone();
        let email = if number % 2 == 0 { "ann@example.com" } else { "Ann@example.com" };
        let body = json!({"email": email, "name": "Ann", "password": PASSWORD});
        async move { client.post("/api/register", &body).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "email_taken");
    }
    assert_eq!(stage.number("select count(*) from users").await, 1);
    assert_eq!(stage.number("select count(*) from sessions").await, 1);
}

#[tokio::test]
async fn every_field_that_is_not_fit_is_named() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let register = async |email: &str, name: &str, password: &str| {
        let body = json!({"email": email, "name": name, "password": password});
        api.client().post("/api/register", &body).await
    };
    assert_eq!(register("nobody", " ", "short").await.unfit_fields(), ["email", "name", "password"]);
    let (fit, longest) = ("a@example.com", "p".repeat(128));
    assert_eq!(register(fit, &"n".repeat(101), &"p".repeat(129)).await.unfit_fields(), ["name", "password"]);
    assert_eq!(register(fit, "Ann", "1234567").await.unfit_fields(), ["password"]);
    assert_eq!(register(&format!("{}@example.com", "a".repeat(250)), "Ann", PASSWORD).await.unfit_fields(), ["email"]);
    let nothing = api.client().post("/api/register", &json!({})).await;
    assert_eq!(nothing.unfit_fields(), ["email", "name", "password"]);
    let wrong = json!({"email": 1, "name": ["x"], "password": null});
    assert_eq!(api.client().post("/api/register", &wrong).await.unfit_fields(), ["email", "name", "password"]);
    assert_eq!(stage.number("select count(*) from users").await, 0);
    register(fit, &"ä".repeat(100), &longest).await.expect(201);
    register("b@example.com", "B", "12345679 ").await.expect(201);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let login = async |email: &str, password: &str| {
        let answer = api.client().post("/api/login", &json!({"email": email, "password": password})).await;
        let error = answer.refused(401, "invalid_credentials");
        (error["message"].clone(), error.as_object().unwrap().len())
    };
    let wrong = login(&ann.email, "not the password").await;
    for email in ["nobody@example.com", "no address at all", ""] {
        assert_eq!(login(email, PASSWORD).await, wrong, "{email}");
    }
}

#[tokio::test]
async fn logging_in_opens_a_session_beside_the_others() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let answer = api.client().post("/api/login", &credentials(&ann)).await.expect(200);
    assert_eq!(fields(&answer["user"]), USER);
    assert_eq!(fields(&answer["token"]), TOKEN);
    assert_eq!(answer["user"]["id"], ann.id);
    let second = api.client().with_token(answer["token"]["access_token"].as_str().unwrap());
    second.ask("/api/logout").await.expect(200);
    second.get("/api/user").await.refused(401, "invalid_token");
    ann.client.get("/api/user").await.expect(200);
}

#[tokio::test]
async fn an_ended_session_is_refused_on_every_node() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let other = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    for round in 0..5 {
        let ann = one.client().register(&format!("ann{round}")).await;
        ann.at(&other.client()).get("/api/user").await.expect(200);
        let answer = ann.client.ask("/api/logout").await.expect(200);
        assert_eq!(answer, json!({"message": "Logged out successfully"}));
        for node in [&one, &other] {
            for path in ["/api/user", "/api/articles/feed", "/api/notifications"] {
                ann.at(&node.client()).get(path).await.refused(401, "invalid_token");
            }
            refresh(&node.client(), &ann.refresh).await.refused(401, "invalid_token");
        }
        ann.at(&other.client()).ask("/api/logout").await.refused(401, "invalid_token");
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_for_one_new_pair() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let answer = refresh(&api.client(), &ann.refresh).await.expect(200);
    assert_eq!(fields(&answer), ["token"]);
    assert_eq!(fields(&answer["token"]), TOKEN);
    let next = &answer["token"];
    assert_ne!(next["refresh_token"], ann.refresh);
    let renewed = api.client().with_token(next["access_token"].as_str().unwrap());
    assert_eq!(renewed.get("/api/user").await.expect(200)["id"], ann.id);
    refresh(&api.client(), next["refresh_token"].as_str().unwrap()).await.expect(200);
    refresh(&api.client(), "of nobody").await.refused(401, "invalid_token");
    let kept: Vec<u8> = stage.query("select hash from refresh_tokens limit 1", &[]).await[0].get(0);
    assert_eq!(kept.len(), 32, "refresh tokens are kept as hashes");
}

#[tokio::test]
async fn a_spent_refresh_token_that_comes_back_ends_its_session_and_no_other() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let beside = api.client().post("/api/login", &credentials(&ann)).await.expect(200);
    let next = refresh(&api.client(), &ann.refresh).await.expect(200);
    refresh(&api.client(), &ann.refresh).await.refused(401, "invalid_token");
    let of_thief = next["token"]["access_token"].as_str().unwrap();
    api.client().with_token(of_thief).get("/api/user").await.refused(401, "invalid_token");
    refresh(&api.client(), next["token"]["refresh_token"].as_str().unwrap()).await.refused(401, "invalid_token");
    ann.client.get("/api/user").await.refused(401, "invalid_token");
    let beside = beside["token"]["access_token"].as_str().unwrap();
    api.client().with_token(beside).get("/api/user").await.expect(200);
}

#[tokio::test]
async fn of_many_who_bring_one_refresh_token_at_once_at_most_one_gets_a_pair() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let answers = at_once(8, |_| {
        let (client, token) = (api.client(), ann.refresh.clone());
        async move { refresh(&client, &token).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    answers.iter().filter(|answer| answer.status != 200).for_each(|answer| {
        answer.refused(401, "invalid_token");
    });
    // The others were reuses, which end the session.
    ann.client.get("/api/user").await.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_token_that_is_not_ours_or_not_valid_now_is_refused() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let ours = |change: &dyn Fn(&mut Value)| signed(&header(&ann), JWT_SECRET, &claims(&ann, change));
    // What is made here is what the service makes: the others are refused for what is wrong with them.
    api.client().with_token(&ours(&|_| {})).get("/api/user").await.expect(200);

    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = |alg: &str| format!("{}.{}.", encode(&json!({"alg": alg})), encode(&claims(&ann, |_| {})));
    let (head, rest) = ann.access.split_once('.').unwrap();
    let refused = [
        ("expired", ours(&|claims| claims["exp"] = json!(now - 60))),
        ("not yet valid", ours(&|claims| claims["nbf"] = json!(now + 600))),
        ("forged", signed(&header(&ann), "another secret of thirty-two byt", &claims(&ann, |_| {}))),
        ("of a key without a name", signed(&Header::default(), JWT_SECRET, &claims(&ann, |_| {}))),
        ("of another issuer", ours(&|claims| claims["iss"] = json!("other"))),
        ("for another audience", ours(&|claims| claims["aud"] = json!("other"))),
        ("of another type", ours(&|claims| claims["typ"] = json!("refresh"))),
        ("of an unknown session", ours(&|claims| claims["sid"] = json!(uuid::Uuid::new_v4()))),
        ("unsigned", unsigned("none")),
        ("unsigned, in capitals", unsigned("NONE")),
        ("without its signature", format!("{head}.{}.", rest.split_once('.').unwrap().0)),
        ("a refresh token", ann.refresh.clone()),
        ("no token", "x".to_owned()),
        ("empty", String::new()),
    ];
    for (what, token) in refused {
        for path in ["/api/user", "/api/articles/feed"] {
            let answer = api.client().with_token(&token).get(path).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text());
            answer.is_sound_error();
        }
    }
    // Somebody else's session, under one's own name: a session is its user's and nobody else's.
    let sid = claims(&bob, |_| {})["sid"].clone();
    let borrowed = ours(&|claims| claims["sid"] = sid.clone());
    api.client().with_token(&borrowed).get("/api/articles/feed").await.refused(401, "invalid_token");
}

/// Every operation in the API's description: its method, a path of it, and what is said about it.
async fn operations(api: &Client) -> Vec<(String, String, Value)> {
    let document = api.get("/api/openapi.json").await.expect(200);
    let variable = regex::Regex::new(r"\{\w+\}").unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = variable.replace_all(path, "1");
        for (method, operation) in item.as_object().unwrap() {
            operations.push((method.to_uppercase(), path.to_string(), operation.clone()));
        }
    }
    operations
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_see_but_what_the_description_says() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (mut closed, mut open) = (0, 0);
    for (method, path, operation) in operations(&api.client()).await {
        let json = ("content-type", "application/json");
        let answer = api.client().send(&method, &path, &[json], "{}").await;
        let schemes = operation["security"].as_array().cloned().unwrap_or_default();
        // One that may be left out is `{}`.
        if schemes.is_empty() || schemes.contains(&json!({})) {
            let needs = answer.status == 401 && answer.json()["error"]["code"] == "unauthorized";
            assert!(!needs, "{method} {path} needs a token, and is not said to");
            open += 1;
            continue;
        }
        answer.refused(401, "unauthorized");
        assert!(operation["responses"]["401"].is_object(), "{method} {path} does not say that it answers with 401");
        for header in ["Basic YTpi", "Bearer", "token"] {
            let answer = api.client().send(&method, &path, &[json, ("authorization", header)], "{}").await;
            assert_eq!(answer.status, 401, "{method} {path} {header}");
            answer.is_sound_error();
        }
        closed += 1;
    }
    assert!(closed >= 21 && open >= 8, "only {closed} operations need a token, and {open} do not");
}

#[tokio::test]
async fn a_token_of_a_user_who_is_gone_is_refused() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let slug = bob.publish("Of Bob").await;
    stage.execute("delete from users where id = $1", &[&ann.id]).await;
    let article = json!({"title": "t", "body": "b"});
    for answer in [
        ann.client.get("/api/user").await,
        ann.client.post("/api/articles", &article).await,
        ann.client.ask(&format!("/api/articles/{slug}/favorite")).await,
        refresh(&api.client(), &ann.refresh).await,
    ] {
        answer.refused(401, "invalid_token");
    }
    api.client().post("/api/login", &credentials(&ann)).await.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn a_session_that_has_expired_is_refused() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let expire = "update sessions set created_at = now() - interval '2 h', expires_at = now() - interval '1 h'";
    stage.execute(expire, &[]).await;
    ann.client.get("/api/user").await.refused(401, "invalid_token");
    ann.client.get("/api/notifications").await.refused(401, "invalid_token");
    refresh(&api.client(), &ann.refresh).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn users_see_themselves() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let ann = api.client().register("ann").await;
    let user = ann.client.get("/api/user").await.expect(200);
    assert_eq!(fields(&user), USER);
    assert_eq!((user["id"].as_i64(), user["email"].as_str()), (Some(ann.id), Some("ann@example.com")));
}

#[tokio::test]
async fn following_is_idempotent_and_needs_somebody_else() {
    let stage = Stage::new().await;
    let api = Service::start(&stage, &[]).await;
    let (ann, bob) = (api.client().register("ann").await, api.client().register("bob").await);
    let path = format!("/api/users/{}/follow", bob.id);
    for _ in 0..2 {
        assert_eq!(ann.client.ask(&path).await.expect(200), json!({"following": true}));
        assert_eq!(stage.number("select count(*) from follows").await, 1);
    }
    for _ in 0..2 {
        assert_eq!(ann.client.delete(&path).await.expect(200), json!({"following": false}));
        assert_eq!(stage.number("select count(*) from follows").await, 0);
    }
    ann.client.ask(&format!("/api/users/{}/follow", ann.id)).await.refused(400, "validation_failed");
    for unknown in ["4711", "0", "-1", "x", "99999999999999999999"] {
        ann.client.ask(&format!("/api/users/{unknown}/follow")).await.refused(404, "not_found");
        ann.client.delete(&format!("/api/users/{unknown}/follow")).await.refused(404, "not_found");
    }
}
