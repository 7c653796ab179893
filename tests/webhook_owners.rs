//! Webhooks: whose they are, what their owners see of them, and where nothing is ever sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::hooks::{QUICK, ann_and_bob, hook, settled};
use support::otlp::Receiver;
use support::{Hooks, Service, Stage, User, at_once, eventually};

/// Addresses of the machine itself and of networks around it, in every spelling, and what is no URL to post to.
const NOWHERE: &str = "
    http://127.0.0.1/ http://127.9.9.9:8080/x http://localhost/ http://LOCALHOST./ http://10.1.2.3/
    http://172.20.0.1/ http://192.168.0.1/ http://100.64.0.1/ http://169.254.169.254/latest/meta-data
    http://0.0.0.0/ http://0/ http://2130706433/ http://0x7f000001/ http://0x7f.1/ http://0177.0.0.1/
    http://127.1/ http://[::1]/ http://[::]/ http://[::ffff:127.0.0.1]/ http://[::ffff:a9fe:a9fe]/
    http://[fe80::1]/ http://[fd00:ec2::254]/ http://[64:ff9b::7f00:1]/ http://224.0.0.1/
    http://255.255.255.255/ https://192.0.2.1/ http://%31%32%37.0.0.1/ ftp://93.184.215.14/ //93.184.215.14/
    93.184.215.14 http:// http://a:b@93.184.215.14/ http://a@93.184.215.14/ http://93.184.215.14:0/
    file:///etc/passwd http://host.invalid/
";

#[tokio::test]
async fn urls_that_lead_to_private_addresses_are_refused() {
    let stage = Stage::new().await;
    let api = Service::run(&stage, &["serve", "--no-workers"], &[]).await;
    let ann = api.client().register("ann").await;
    for url in NOWHERE.split_whitespace().chain(["", "http://93.184.215.14/\n", "http://exa mple.com/"]) {
        let answer = ann.client.post("/api/webhooks", &json!({"url": url})).await;
        assert_eq!(answer.unfit_fields(), ["url"], "{url}");
    }
    for (body, fields) in [
        (json!({}), vec!["url"]),
        (json!({"url": 7, "kinds": "followed"}), vec!["url", "kinds"]),
        (json!({"url": "http://93.184.215.14/", "kinds": []}), vec!["kinds"]),
        (json!({"url": "http://93.184.215.14/", "kinds": ["followed", "liked"]}), vec!["kinds"]),
        (json!({"url": "http://93.184.215.14/", "kinds": ["followed", 7]}), vec!["kinds"]),
    ] {
        assert_eq!(ann.client.post("/api/webhooks", &body).await.unfit_fields(), fields, "{body}");
    }
    let public = hook(&ann, "https://93.184.215.14:8443/hook", None).await;
    assert_eq!(public["url"], "https://93.184.215.14:8443/hook");
    assert_eq!(stage.number("select count(*) from webhooks").await, 1);
}

#[tokio::test]
async fn nothing_is_sent_to_a_private_address_where_that_is_not_allowed_any_more() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let lenient = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &lenient).await;
    let port = hooks.url.split(':').nth(2).unwrap().split('/').next().unwrap();
    // By a name, which only a look-up leads to the address.
    let hook = hook(&bob, &format!("http://localhost:{port}/hook"), None).await;
    lenient.stop().await;
    let strict = Service::start(&stage, &QUICK[1..]).await;
    let (ann, bob) =
        (User { client: ann.at(&strict.client()), ..ann }, User { client: bob.at(&strict.client()), ..bob });
    ann.publish("News").await;
    let failed = settled(&bob, &hook, "failed").await;
    let attempts = failed["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 8);
    for attempt in attempts {
        assert_eq!((&attempt["status"], &attempt["error"]), (&Value::Null, &json!("the address is not a public one")));
    }
    assert_eq!(hooks.received().len(), 0);
}

#[tokio::test]
async fn webhooks_are_seen_and_changed_only_by_their_owner_who_may_have_ten() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let of_bob = hook(&bob, &hooks.url, Some(json!(["article_published"]))).await;
    ann.publish("News").await;
    let delivery = settled(&bob, &of_bob, "delivered").await;
    let path = format!("/api/webhooks/{}", of_bob["id"]);
    let replay = format!("{path}/deliveries/{}/replay", delivery["id"]);
    ann.client.delete(&path).await.refused(404, "not_found");
    ann.client.get(&format!("{path}/deliveries")).await.refused(404, "not_found");
    ann.client.ask(&replay).await.refused(404, "not_found");
    ann.client.ask(&format!("{path}/secret")).await.refused(404, "not_found");
    ann.client.ask(&format!("{path}/enable")).await.refused(404, "not_found");
    let of_ann = hook(&ann, &hooks.url, None).await;
    let through_hers = format!("/api/webhooks/{}/deliveries/{}/replay", of_ann["id"], delivery["id"]);
    ann.client.ask(&through_hers).await.refused(404, "not_found");
    for unknown in ["0", "-1", "x", "4711", "99999999999999999999"] {
        bob.client.delete(&format!("/api/webhooks/{unknown}")).await.refused(404, "not_found");
        bob.client.get(&format!("/api/webhooks/{unknown}/deliveries")).await.refused(404, "not_found");
        bob.client.ask(&format!("/api/webhooks/{unknown}/secret")).await.refused(404, "not_found");
        bob.client.ask(&format!("/api/webhooks/{unknown}/enable")).await.refused(404, "not_found");
        bob.client.ask(&format!("{path}/deliveries/{unknown}/replay")).await.refused(404, "not_found");
    }
    let made = at_once(20, |_| {
        let (client, body) = (bob.client.clone(), json!({"url": hooks.url}));
        async move { client.post("/api/webhooks", &body).await }
    })
    .await;
    assert_eq!(made.iter().filter(|answer| answer.status == 201).count(), 9);
    made.iter().filter(|answer| answer.status != 201).for_each(|answer| {
        answer.refused(409, "too_many_webhooks");
    });
    let listed = bob.client.get("/api/webhooks").await.expect(200);
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 10);
    assert_eq!(bob.client.delete(&path).await.status, 204);
    bob.client.delete(&path).await.refused(404, "not_found");
    hook(&bob, &hooks.url, None).await;
}

#[tokio::test]
async fn deliveries_are_paged_newest_first() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    let mut next = Some(format!("/api/webhooks/{}/deliveries?limit=2", hook["id"]));
    assert_eq!(bob.client.get(next.as_ref().unwrap()).await.expect(200), json!({"deliveries": [], "next": null}));
    for number in 0..5 {
        ann.publish(&format!("Number {number}")).await;
    }
    stage.jobs_done().await;
    let mut seen = Vec::new();
    while let Some(path) = next {
        let page = bob.client.get(&path).await.expect(200);
        seen.extend(page["deliveries"].as_array().unwrap().iter().map(|delivery| delivery["id"].as_i64().unwrap()));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|one, other| one > other), "{seen:?}");
}

#[tokio::test]
async fn a_secret_that_was_replaced_signs_as_well_for_a_day() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    let path = format!("/api/webhooks/{}/secret", hook["id"]);
    let rotated = bob.client.ask(&path).await.expect(200);
    let secret = |answer: &Value| answer["secret"].as_str().unwrap().to_owned();
    let (first, second) = (secret(&hook), secret(&rotated));
    assert_ne!(first, second);
    let day = "select extract(epoch from $1::text::timestamptz - now())::bigint";
    let left: i64 = stage.query(day, &[&rotated["previous_until"].as_str().unwrap()]).await[0].get(0);
    assert!((86_300..=86_400).contains(&left), "{rotated}");
    ann.publish("News").await;
    hooks.requests(1).await[0].is_signed_with_each(&[&second, &first]);

    // Whoever lost the answer asks again, and nobody who was told before is left behind; up to a limit.
    let (third, fourth) =
        (secret(&bob.client.ask(&path).await.expect(200)), secret(&bob.client.ask(&path).await.expect(200)));
    let refused = at_once(4, |_| {
        let (client, path) = (bob.client.clone(), path.clone());
        async move { client.ask(&path).await }
    })
    .await;
    for answer in refused {
        answer.refused(409, "rotated_too_often");
    }
    ann.publish("More news").await;
    hooks.requests(2).await[1].is_signed_with_each(&[&fourth, &third, &second, &first]);

    // Its day is over.
    stage.execute("update webhook_retired_secrets set until = now()", &[]).await;
    ann.publish("Latest news").await;
    hooks.requests(3).await[2].is_signed_with(&fourth);
    eventually("they are forgotten", async || {
        (stage.number("select count(*) from webhook_retired_secrets").await == 0).then_some(())
    })
    .await;
    bob.client.ask(&path).await.expect(200);
}

#[tokio::test]
async fn a_webhook_has_no_more_secrets_than_may_sign_however_many_ask_at_once() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::run(&stage, &["serve", "--no-workers"], &QUICK).await;
    let bob = service.client().register("bob").await;
    let path = format!("/api/webhooks/{}/secret", hook(&bob, &hooks.url, None).await["id"]);
    let asked = at_once(12, |_| {
        let (client, path) = (bob.client.clone(), path.clone());
        async move { client.ask(&path).await.status }
    })
    .await;
    assert_eq!(asked.iter().filter(|status| **status == 200).count(), 3, "{asked:?}");
    assert_eq!(stage.number("select count(distinct secret) from webhook_retired_secrets").await, 3);
}

#[tokio::test]
async fn a_secret_is_in_the_first_answer_and_nowhere_else() {
    let (stage, hooks, receiver) = (Stage::new().await, Hooks::start().await, Receiver::start().await);
    let exporting = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("LOG_LEVEL", "debug"),
    ];
    let service = Service::start(&stage, &[&QUICK[..], &exporting].concat()).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    let mut fields: Vec<_> = hook.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["created_at", "enabled", "id", "kinds", "secret", "url"]);
    hooks.answer(&[500]);
    let answer = ann.client.post("/api/articles", &json!({"title": "News", "body": "at length"})).await;
    settled(&bob, &hook, "delivered").await;
    stage.jobs_done().await;
    receiver.trace(&answer.trace_id(), &["webhooks/settle"]).await;
    let mut told = vec![
        bob.client.get("/api/webhooks").await.text(),
        bob.client.get(&format!("/api/webhooks/{}/deliveries", hook["id"])).await.text(),
        service.operator().get("/jobs").await.text(),
        receiver.exported().text,
    ];
    told.extend(service.stop().await);
    told.extend(hooks.received().iter().map(|received| format!("{received:?}")));
    let secret = hook["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
    for text in told {
        assert!(!text.contains(secret) && !text.contains("whsec_"), "{text}");
    }
}
