//! Webhooks: the way to a receiver. Over TLS to whom is trusted, and by redirects to where anything may be sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::hooks::{QUICK, ann_and_bob, deliveries, errors, hook, settled, statuses};
use support::tls::Authority;
use support::{Hooks, Service, Stage, eventually};

/// One address of this machine may be sent to; the others are as private as they are.
const ONLY_FIRST: (&str, &str) = ("WEBHOOKS_ALLOW_PRIVATE", "127.0.0.1");

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused_and_the_log_says_so() {
    let stage = Stage::new().await;
    let (open, private) = (Hooks::start().await, Hooks::at("127.0.0.2", None).await);
    let service = Service::start(&stage, &[ONLY_FIRST, QUICK[1], QUICK[2]]).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    // Nobody gets there directly either.
    assert_eq!(bob.client.post("/api/webhooks", &json!({"url": private.url})).await.unfit_fields(), ["url"]);
    let hook = hook(&bob, &open.url, None).await;
    let port = private.url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
    let to = [
        private.url.clone(),
        format!("//127.0.0.2:{port}/hook"),
        format!("http://[::ffff:127.0.0.2]:{port}/hook"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        format!("http://[::1]:{port}/"),
        "http://[fe80::1]/".to_owned(),
    ];
    for (number, location) in to.iter().enumerate() {
        open.answer_with([307, 308][number % 2], "location", location.as_str());
    }
    ann.publish("News").await;
    let delivery = settled(&bob, &hook, "delivered").await;
    let mut expected = vec![json!("after a redirect: the address is not a public one"); to.len()];
    expected.push(Value::Null);
    assert_eq!(errors(&delivery), expected);
    assert_eq!((open.received().len(), private.received().len()), (to.len() + 1, 0));
}

#[tokio::test]
async fn a_message_follows_a_receiver_that_has_moved_as_it_is_and_other_redirects_are_failures() {
    let (stage, old, new) = (Stage::new().await, Hooks::start().await, Hooks::start().await);
    let service = Service::start(&stage, &[ONLY_FIRST, QUICK[1], QUICK[2]]).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &old.url, None).await;
    for status in [301, 302, 303, 308] {
        old.answer_with(status, "location", new.url.as_str());
    }
    ann.publish("News").await;
    let delivery = settled(&bob, &hook, "delivered").await;
    assert_eq!(statuses(&delivery), [301, 302, 303, 204]);
    let (sent, moved) = (old.received(), new.received());
    assert_eq!((sent.len(), moved.len()), (4, 1));
    moved[0].is_signed_with(hook["secret"].as_str().unwrap());
    assert_eq!((moved[0].header("webhook-id"), &moved[0].body), (sent[3].header("webhook-id"), &sent[3].body));
    assert!(moved[0].line.starts_with("POST "), "{moved:?}");
}

#[tokio::test]
async fn over_tls_only_whom_we_trust_gets_a_message_and_the_log_says_why_others_do_not() {
    let stage = Stage::new().await;
    let (ours, strangers) = (Authority::new("ours"), Authority::new("a stranger's"));
    let file = ours.file();
    let service =
        Service::start(&stage, &[&QUICK[..], &[("WEBHOOKS_CA_FILE", file.path().to_str().unwrap())]].concat()).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let over = async |acceptor| Hooks::at("127.0.0.1", Some(acceptor)).await;
    let by_name = over(ours.acceptor("localhost", false)).await;
    let by_address = over(ours.acceptor("127.0.0.1", false)).await;
    let untrusted = over(strangers.acceptor("localhost", false)).await;
    let misnamed = over(ours.acceptor("example.org", false)).await;
    let expired = over(ours.acceptor("localhost", true)).await;
    let plain = Hooks::start().await;
    let downgrading = over(ours.acceptor("localhost", false)).await;
    (0..8).for_each(|_| downgrading.answer_with(307, "location", plain.url.as_str()));
    let expected = [
        (by_name.by_name(), None),
        (by_address.url.clone(), None),
        (untrusted.by_name(), Some("TLS failed: nobody who is trusted here issued the certificate")),
        (misnamed.by_name(), Some("TLS failed: the certificate is for another host")),
        (by_name.url.clone(), Some("TLS failed: the certificate is for another host")),
        (expired.by_name(), Some("TLS failed: the certificate has expired")),
        (plain.by_name().replacen("http:", "https:", 1), Some("TLS failed: the receiver does not speak it")),
        (downgrading.by_name(), Some("redirected to where nothing is sent")),
    ];
    let mut made = Vec::new();
    for (url, error) in &expected {
        made.push((hook(&bob, url, None).await, url, error));
    }
    ann.publish("News").await;
    for (hook, url, error) in made {
        let state = if error.is_some() { "failed" } else { "delivered" };
        let delivery = settled(&bob, &hook, state).await;
        assert_eq!(errors(&delivery)[0], json!(error), "{url}");
        if error.is_none() {
            assert_eq!(statuses(&delivery), [204]);
        }
    }
    for (receiver, count) in
        [(&by_name, 1), (&by_address, 1), (&untrusted, 0), (&misnamed, 0), (&expired, 0), (&plain, 0)]
    {
        assert_eq!(receiver.received().len(), count, "{}", receiver.url);
    }
    assert!(service.lines().iter().all(|line| !line.contains("of-the-owner")), "URLs are not told");
}

#[tokio::test]
async fn an_authority_that_nobody_named_is_not_trusted() {
    let stage = Stage::new().await;
    let receiver = Hooks::at("127.0.0.1", Some(Authority::new("ours").acceptor("localhost", false))).await;
    let service = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &receiver.by_name(), None).await;
    ann.publish("News").await;
    eventually("its attempts failed", async || {
        deliveries(&bob, &hook).await.into_iter().find(|delivery| delivery["state"] == "failed")
    })
    .await;
    assert_eq!(receiver.received().len(), 0);
}
