//! One's own account: changing it, and leaving with all that is one's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::client::PASSWORD;
use support::{Answer, Client, Service, Stage, User, at_once};

const NEW: &str = "battery staple horse";
const NO_WORKERS: [&str; 2] = ["serve", "--no-workers"];

async fn login(api: &Client, email: &str, password: &str) -> Answer {
    api.post("/api/login", &json!({"email": email, "password": password})).await
}

async fn change(user: &User, change: Value) -> Answer {
    user.client.put("/api/user", &change).await
}

async fn leave(client: &Client, password: &str) -> Answer {
    client.json("DELETE", "/api/user", &json!({"current_password": password})).await
}

/// What is wrong with which field.
fn problems(answer: &Answer) -> Vec<(String, String)> {
    let error = answer.refused(400, "validation_failed");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    error["details"].as_array().unwrap().iter().map(|d| (text(&d["field"]), text(&d["message"]))).collect()
}

#[tokio::test]
async fn whoever_changes_themselves_is_seen_so_by_everybody() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[]).await;
    let ann = service.client().register("ann").await;
    let slug = ann.publish("Of Ann").await;
    let before = ann.client.get("/api/user").await.expect(200);
    let body = json!({"name": " Ann B. ", "bio": "writes\nmuch", "image": "https://example.com/a.png", "role": "x"});
    let after = change(&ann, body).await.expect(200);
    assert_eq!((&after["name"], &after["bio"]), (&json!("Ann B."), &json!("writes\nmuch")));
    assert_eq!((&after["image"], &after["email"]), (&json!("https://example.com/a.png"), &before["email"]));
    assert!(
        after["updated_at"].as_str() > before["updated_at"].as_str() && after["created_at"] == before["created_at"]
    );
    assert_eq!(ann.client.get("/api/user").await.expect(200), after);
    let author = service.client().get(&format!("/api/articles/{slug}")).await.expect(200)["author"].clone();
    assert_eq!((&author["name"], &author["bio"], &author["image"]), (&after["name"], &after["bio"], &after["image"]));
    let emptied = change(&ann, json!({"bio": "", "image": "", "name": null})).await.expect(200);
    assert_eq!((&emptied["bio"], &emptied["image"], &emptied["name"]), (&json!(""), &json!(""), &json!("Ann B.")));
}

#[tokio::test]
async fn every_field_of_a_change_that_is_not_fit_is_named_and_nothing_changes() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[]).await;
    let ann = service.client().register("ann").await;
    let before = ann.client.get("/api/user").await.expect(200);
    let all = ["name", "bio", "image", "email", "password"];
    let unfit = json!({"name": " ", "bio": "x".repeat(2001), "image": "javascript:alert(1)", "email": "x",
        "password": "password", "current_password": PASSWORD});
    assert_eq!(change(&ann, unfit).await.unfit_fields(), all);
    let unfit = json!({"name": 1, "bio": true, "image": [], "email": {}, "password": 7, "current_password": 8});
    assert_eq!(change(&ann, unfit).await.unfit_fields(), [&all[..], &["current_password"]].concat());
    let unfit = json!({"name": "a\0b", "bio": "a\0b", "image": "https://a.example/\0", "email": "a\0@example.com"});
    assert_eq!(change(&ann, unfit).await.unfit_fields(), all[..4]);
    let own_name = json!({"name": "Ann Example", "password": "ann example", "current_password": PASSWORD});
    assert_eq!(change(&ann, own_name).await.unfit_fields(), ["password"]);
    assert_eq!(ann.client.get("/api/user").await.expect(200), before);
    login(&service.client(), &ann.email, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_new_address_or_password_takes_the_current_password() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[]).await;
    let api = service.client();
    let (ann, bob) = (api.register("ann").await, api.register("bob").await);
    for body in [json!({"password": NEW}), json!({"email": "ann@example.org"}), json!({"email": "ANN@example.com"})] {
        let without = problems(&change(&ann, body.clone()).await);
        assert_eq!(without, [("current_password".to_owned(), "is required for this".to_owned())], "{body}");
        let mut wrong = body.clone();
        wrong["current_password"] = json!("not the password");
        let wrong = problems(&change(&ann, wrong).await);
        assert_eq!(wrong, [("current_password".to_owned(), "is not the current password".to_owned())], "{body}");
    }
    // Who does not know the password learns nothing about addresses.
    assert_eq!(change(&ann, json!({"email": bob.email})).await.unfit_fields(), ["current_password"]);
    change(&ann, json!({"email": ann.email, "name": "Ann"})).await.expect(200);
    for email in ["bob@example.com", "BOB@example.com"] {
        let taken = json!({"email": email, "name": "Never", "current_password": PASSWORD});
        change(&ann, taken).await.refused(409, "email_taken");
    }
    let spelled = change(&ann, json!({"email": " Ann@Example.com ", "current_password": PASSWORD})).await.expect(200);
    assert_eq!((&spelled["email"], &spelled["name"]), (&json!("Ann@Example.com"), &json!("Ann")));
    change(&ann, json!({"email": "ann@example.org", "current_password": PASSWORD})).await.expect(200);
    login(&api, "ann@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    login(&api, "ann@example.org", PASSWORD).await.expect(200);
    api.register("ann").await;
}

#[tokio::test]
async fn of_many_who_take_one_address_at_once_exactly_one_gets_it() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[]).await;
    let mut people = Vec::new();
    for number in 0..6 {
        people.push(service.client().register(&format!("p{number}")).await);
    }
    let answers = at_once(6, |number| {
        let person = people[number].clone();
        let email = if number % 2 == 0 { "one@example.com" } else { "ONE@example.com" };
        async move { change(&person, json!({"email": email, "current_password": PASSWORD})).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refused(409, "email_taken");
    }
}

#[tokio::test]
async fn a_new_password_ends_every_other_session_on_every_node() {
    let stage = Stage::new().await;
    let one = Service::run(&stage, &NO_WORKERS, &[]).await;
    let other = Service::run(&stage, &NO_WORKERS, &[]).await;
    let (ann, bob) = (one.client().register("ann").await, one.client().register("bob").await);
    let beside = login(&other.client(), &ann.email, PASSWORD).await.expect(200)["token"].clone();
    let elsewhere = other.client().with_token(beside["access_token"].as_str().unwrap());
    elsewhere.get("/api/user").await.expect(200);
    change(&ann, json!({"password": NEW, "current_password": PASSWORD})).await.expect(200);
    for path in ["/api/user", "/api/articles/feed"] {
        elsewhere.get(path).await.refused(401, "invalid_token");
        ann.at(&other.client()).get(path).await.expect(200);
    }
    let refresh =
        async |token: &str| other.client().post("/api/token/refresh", &json!({"refresh_token": token})).await.status;
    assert_eq!(refresh(beside["refresh_token"].as_str().unwrap()).await, 401);
    assert_eq!(refresh(&ann.refresh).await, 200);
    login(&other.client(), &ann.email, PASSWORD).await.refused(401, "invalid_credentials");
    login(&other.client(), &ann.email, NEW).await.expect(200);
    bob.client.get("/api/user").await.expect(200);
}

#[tokio::test]
async fn nobody_leaves_without_their_password() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[]).await;
    let ann = service.client().register("ann").await;
    assert_eq!(leave(&ann.client, "not the password").await.unfit_fields(), ["current_password"]);
    assert_eq!(ann.client.json("DELETE", "/api/user", &json!({})).await.unfit_fields(), ["current_password"]);
    ann.client.delete("/api/user").await.refused(415, "unsupported_media_type");
    ann.client.get("/api/user").await.expect(200);
}

/// What the counts of articles say, and what there is.
async fn counts_are_right(stage: &Stage) {
    let wrong = "select count(*) from articles a
                 where favorites_count <> (select count(*) from favorites f where f.article_id = a.id)";
    assert_eq!(stage.number(wrong).await, 0, "a count is not the number of favorites");
    let wrong = "select count(*) from notifications n where kind = 'article_favorited' and read_at is null
                 and count <> (select count(*) from favorites f where f.notification_id = n.id)";
    assert_eq!(stage.number(wrong).await, 0, "a notification counts others than those who favorited");
    let dead = stage.query("select kind from jobs where state = 'discarded'", &[]).await;
    assert!(dead.is_empty(), "{:?} are dead letters", dead.iter().map(|row| row.get(0)).collect::<Vec<String>>());
}

#[tokio::test]
async fn whoever_leaves_takes_along_what_is_theirs_and_nothing_else() {
    let stage = Stage::new().await;
    let one = Service::start(&stage, &[]).await;
    let other = Service::run(&stage, &NO_WORKERS, &[]).await;
    let api = one.client();
    let (ann, bob, cy) = (api.register("ann").await, api.register("bob").await, api.register("cy").await);
    let (of_ann, of_bob) = (ann.publish("Of Ann").await, bob.publish("Of Bob").await);
    let alone = bob.publish("Liked by Ann alone").await;
    for (fan, slug) in [(&cy, &of_bob), (&ann, &of_bob), (&ann, &alone), (&bob, &of_ann), (&cy, &of_ann)] {
        fan.client.ask(&format!("/api/articles/{slug}/favorite")).await.expect(200);
        stage.jobs_done().await;
    }
    for (follower, followed) in [(&ann, &bob), (&bob, &ann), (&cy, &bob)] {
        follower.follow(followed).await;
    }
    stage.jobs_done().await;
    let told = bob.inbox().await.0;
    assert_eq!(told.len(), 4, "{told:?}");
    let hook = "insert into webhooks (user_id, url, kinds, secret)
                values ($1, 'https://example.com/', '{followed}', 'a secret of a webhook of ours')";
    stage.execute(hook, &[&ann.id]).await;

    assert_eq!(leave(&ann.at(&other.client()), PASSWORD).await.expect(204), Value::Null);
    for node in [&one, &other] {
        for path in ["/api/user", "/api/notifications", "/api/user/sessions"] {
            ann.at(&node.client()).get(path).await.refused(401, "invalid_token");
        }
        node.client().get(&format!("/api/articles/{of_ann}")).await.refused(404, "not_found");
        login(&node.client(), &ann.email, PASSWORD).await.refused(401, "invalid_credentials");
    }
    assert_eq!(api.get(&format!("/api/articles/{of_bob}")).await.expect(200)["favorites_count"], 1);
    assert_eq!(api.get(&format!("/api/articles/{alone}")).await.expect(200)["favorites_count"], 0);
    let told = bob.inbox().await.0;
    assert_eq!(told.len(), 2, "that Cy follows, and that Cy likes: {told:?}");
    assert!(told.iter().all(|notification| notification["actor"]["id"] == cy.id && notification["count"] == 1));
    let left = "select (select count(*) from follows) * 100 + (select count(*) from webhooks) * 10
                       + (select count(*) from sessions where user_id not in (select id from users))";
    assert_eq!(stage.number(left).await, 100, "Cy follows Bob still");
    stage.jobs_done().await;
    counts_are_right(&stage).await;
    let again = api.register("ann").await;
    assert_ne!(again.id, ann.id);
}

#[tokio::test]
async fn whoever_wrote_more_than_one_statement_deletes_can_leave() {
    let stage = Stage::new().await;
    let service = Service::run(&stage, &NO_WORKERS, &[]).await;
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    let slug = bob.publish("Of Bob").await;
    let many = "insert into articles (author_id, slug, title, body)
                select $1, 'many-' || n, 'Many', 'x' from generate_series(1, 2300) n";
    stage.execute(many, &[&ann.id]).await;
    leave(&ann.client, PASSWORD).await.expect(204);
    assert_eq!(stage.number("select count(*) from articles").await, 1);
    service.client().get(&format!("/api/articles/{slug}")).await.expect(200);
}

#[tokio::test]
async fn leaving_while_everything_goes_on_leaves_every_count_right_and_nobody_with_an_error() {
    let stage = Stage::new().await;
    let one = Service::start(&stage, &[]).await;
    let other = Service::start(&stage, &[]).await;
    let mut people = Vec::new();
    for number in 0..8 {
        people.push(one.client().register(&format!("p{number}")).await);
    }
    let mut slugs = Vec::new();
    for person in &people {
        slugs.push(person.publish("Of them").await);
        for another in people.iter().filter(|another| another.id != person.id) {
            person.follow(another).await;
        }
    }
    let (people, slugs) = (std::sync::Arc::new(people), std::sync::Arc::new(slugs));
    let busy = at_once(8, |number| {
        let (people, slugs) = (people.clone(), slugs.clone());
        let nodes = [one.client(), other.client()];
        async move {
            let mut statuses = Vec::new();
            for round in 0..30 {
                let client = people[number].at(&nodes[round % 2]);
                let favorite = format!("/api/articles/{}/favorite", slugs[(number + round) % slugs.len()]);
                let answer = if round % 3 == 2 { client.delete(&favorite).await } else { client.ask(&favorite).await };
                statuses.push(answer.status);
                if round % 5 == 0 {
                    let article = json!({"title": "More", "body": "b"});
                    statuses.push(client.post("/api/articles", &article).await.status);
                }
            }
            statuses
        }
    });
    // Half of them leave in the midst of it.
    let leaving = at_once(4, |number| {
        let person = people[number].clone();
        async move { leave(&person.client, PASSWORD).await.status }
    });
    let (busy, leaving) = tokio::join!(busy, leaving);
    assert_eq!(leaving, [204; 4]);
    for (number, statuses) in busy.iter().enumerate() {
        // Whoever leaves may be caught between the check of their session and the statement.
        let stays = number >= 4;
        let strange: Vec<_> =
            statuses.iter().filter(|status| stays && ![200, 201, 404, 409].contains(*status)).collect();
        assert!(strange.is_empty(), "{number}: {strange:?}");
    }
    stage.jobs_done().await;
    assert_eq!(stage.number("select count(*) from users").await, 4);
    counts_are_right(&stage).await;
}
