//! Webhooks: what people are told is sent to where they want it, signed, until it is taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::hooks::{QUICK, ann_and_bob, deliveries, hook, settled, statuses};
use support::otlp::Receiver;
use support::{Hooks, PATIENCE, Service, Stage, eventually};

#[tokio::test]
async fn a_publication_reaches_a_followers_webhook_signed_and_in_its_trace() {
    let (stage, hooks, receiver) = (Stage::new().await, Hooks::start().await, Receiver::start().await);
    let exporting = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let service = Service::start(&stage, &[&QUICK[..], &exporting].concat()).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    let answer = ann.client.post("/api/articles", &json!({"title": "News", "body": "at length"})).await;
    answer.expect(201);
    let received = hooks.requests(1).await[0].clone();
    received.is_signed_with(hook["secret"].as_str().unwrap());
    assert_eq!(received.line, "POST /hook?token=of-the-owner");
    assert_eq!(received.header("content-type"), "application/json");
    assert!(received.header("user-agent").starts_with("callboard/"), "{received:?}");
    assert_eq!(received.trace_id(), answer.trace_id());
    let told = bob.inbox().await.0[0].clone();
    let event = received.json();
    assert_eq!(event["type"], "notification.article_published");
    assert_eq!((&event["data"], &event["timestamp"]), (&told, &told["created_at"]));

    let delivery = settled(&bob, &hook, "delivered").await;
    assert_eq!(delivery["message_id"], received.header("webhook-id"));
    assert_eq!(
        (&delivery["notification_id"], &delivery["kind"], statuses(&delivery)),
        (&told["id"], &json!("article_published"), vec![json!(204)])
    );
    stage.jobs_done().await;
    assert_eq!(hooks.received().len(), 1, "what was taken is not sent again");

    let names = ["POST", "process webhook_delivery", "webhooks/settle"];
    let spans = receiver.trace(&answer.trace_id(), &names).await;
    let post = spans.iter().find(|span| span.name == "POST").unwrap();
    let process = spans.iter().find(|span| span.id == post.parent).unwrap();
    assert_eq!(process.name, "process webhook_delivery");
    assert_eq!(received.header("traceparent").split('-').nth(2), Some(post.id.as_str()));
    assert_eq!(format!("{:?}", post.kind), "Client");
    assert_eq!((post.attribute("http.request.method"), post.attribute("http.response.status_code")), ("POST", "204"));
    assert_eq!(post.attribute("server.address"), "127.0.0.1");
    assert!(hooks.url.starts_with(post.attribute("url.full")), "{post:?}");
    assert!(!receiver.exported().text.contains("of-the-owner"), "queries are not told");
}

#[tokio::test]
async fn a_webhook_is_told_of_the_kinds_that_it_asked_for_and_of_counts_that_grow() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let cy = service.client().register("cy").await;
    let made = hook(&ann, &hooks.url, Some(json!(["article_favorited", "article_favorited"]))).await;
    assert_eq!(made["kinds"], json!(["article_favorited"]));
    cy.follow(&ann).await;
    let path = format!("/api/articles/{}/favorite", ann.publish("Likable").await);
    for (reader, count) in [(&bob, 1), (&cy, 2)] {
        reader.client.ask(&path).await.expect(200);
        stage.jobs_done().await;
        let received = hooks.received();
        assert_eq!(received.len(), count, "{received:?}");
        let event = received[count - 1].json();
        assert_eq!(
            (&event["type"], &event["data"]["count"]),
            (&json!("notification.article_favorited"), &json!(count))
        );
        assert_eq!(event["data"], ann.inbox().await.0[0]);
    }
    // What is taken back in part or read is no event.
    cy.client.delete(&path).await.expect(200);
    ann.client.ask("/api/notifications/read").await.expect(200);
    stage.jobs_done().await;
    assert_eq!(hooks.received().len(), 2);
    let ids: Vec<_> = hooks.received().iter().map(|received| received.header("webhook-id").to_owned()).collect();
    assert_ne!(ids[0], ids[1], "two events are two messages");
}

#[tokio::test]
async fn a_message_that_was_not_taken_is_sent_again_as_it_was() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    hooks.answer(&[500, 302, 404]);
    ann.publish("News").await;
    let received = hooks.requests(4).await;
    for again in &received {
        again.is_signed_with(hook["secret"].as_str().unwrap());
        assert_eq!((again.header("webhook-id"), &again.body), (received[0].header("webhook-id"), &received[0].body));
    }
    let delivery = settled(&bob, &hook, "delivered").await;
    assert_eq!(statuses(&delivery), [500, 302, 404, 204]);
    for (number, attempt) in delivery["attempts"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&attempt["attempt"], &attempt["error"]), (&json!(number + 1), &Value::Null));
        assert!(attempt["at"].as_str().unwrap().ends_with('Z') && attempt["duration_ms"].as_f64().unwrap() > 0.0);
    }
    assert!(delivery["finished_at"].is_string(), "{delivery}");
}

#[tokio::test]
async fn a_message_that_is_never_taken_has_failed_after_eight_attempts_and_can_be_sent_once_more() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    hooks.answer(&[503; 8]);
    let slug = ann.publish("News").await;
    let failed = settled(&bob, &hook, "failed").await;
    assert_eq!(statuses(&failed), [503; 8]);
    stage.jobs_done().await;
    assert_eq!(hooks.received().len(), 8);
    assert_eq!(stage.number("select count(*) from jobs where state = 'discarded'").await, 0, "no dead letter of ours");

    // What becomes of an article later changes nothing of what happened.
    ann.client.put(&format!("/api/articles/{slug}"), &json!({"title": "Old news"})).await.expect(200);
    let replay = format!("/api/webhooks/{}/deliveries/{}/replay", hook["id"], failed["id"]);
    let answer = bob.client.ask(&replay).await;
    assert_eq!(answer.expect(202), json!({"queued": true}));
    let received = hooks.requests(9).await;
    assert_eq!(received[8].header("webhook-id"), received[0].header("webhook-id"));
    assert_eq!(received[8].body, received[0].body);
    assert_eq!(received[8].trace_id(), answer.trace_id());
    let delivered = settled(&bob, &hook, "delivered").await;
    assert_eq!((statuses(&delivered).len(), &delivered["attempts"][8]["attempt"]), (9, &json!(9)));
    // What was taken may be wanted again all the same.
    bob.client.ask(&replay).await.expect(202);
    hooks.requests(10).await;
}

#[tokio::test]
async fn a_delivery_that_is_under_way_is_not_replayed_however_many_ask() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let api = Service::run(&stage, &["serve", "--no-workers"], &QUICK).await;
    let worker = Service::run(&stage, &["work"], &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &api).await;
    let hook = hook(&bob, &hooks.url, None).await;
    ann.publish("News").await;
    let delivery = settled(&bob, &hook, "delivered").await;
    worker.stop().await;
    let replay = format!("/api/webhooks/{}/deliveries/{}/replay", hook["id"], delivery["id"]);
    // All have come as far as they can before the first one is let on.
    let mut locker = stage.another_client().await;
    let lock = locker.transaction().await.unwrap();
    lock.execute("select from webhook_deliveries for update", &[]).await.unwrap();
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (client, replay) = (bob.client.clone(), replay.clone());
            tokio::spawn(async move { client.ask(&replay).await.status })
        })
        .collect();
    eventually("all wait", async || (stage.waiting_for_locks().await == 4).then_some(())).await;
    lock.rollback().await.unwrap();
    let mut answers = Vec::new();
    for asked in asking {
        answers.push(asked.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|status| **status == 202).count(), 1, "{answers:?}");
    assert_eq!(bob.client.ask(&replay).await.expect(200), json!({"queued": false}));
    assert_eq!(deliveries(&bob, &hook).await[0]["state"], "pending");
    // A job that an operator calls off, or that died with its process, leaves a delivery that has failed.
    stage.execute("update jobs set state = 'cancelled', finished_at = now() where state = 'available'", &[]).await;
    assert_eq!(deliveries(&bob, &hook).await[0]["state"], "failed");
    bob.client.ask(&replay).await.expect(202);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    hooks.answer(&[410]);
    ann.publish("News").await;
    let gone = settled(&bob, &hook, "gone").await;
    assert_eq!(statuses(&gone), [410]);
    let listed = bob.client.get("/api/webhooks").await.expect(200);
    assert_eq!(listed["webhooks"][0]["enabled"], false);
    ann.publish("More news").await;
    stage.jobs_done().await;
    assert_eq!((hooks.received().len(), deliveries(&bob, &hook).await.len()), (1, 1));
    let replay = format!("/api/webhooks/{}/deliveries/{}/replay", hook["id"], gone["id"]);
    bob.client.ask(&replay).await.refused(409, "webhook_disabled");

    // Until its owner says otherwise.
    let enable = format!("/api/webhooks/{}/enable", hook["id"]);
    for _ in 0..2 {
        let enabled = bob.client.ask(&enable).await.expect(200);
        assert_eq!((&enabled["id"], &enabled["enabled"]), (&hook["id"], &json!(true)));
    }
    ann.publish("Latest news").await;
    assert_eq!(hooks.requests(2).await[1].json()["data"]["article"]["title"], "Latest news");
    bob.client.ask(&replay).await.expect(202);
    assert_eq!(hooks.requests(3).await[2].header("webhook-id"), hooks.received()[0].header("webhook-id"));
}

#[tokio::test]
async fn a_webhook_that_was_enabled_is_not_disabled_by_what_was_not_sent_before() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let api = Service::run(&stage, &["serve", "--no-workers"], &QUICK).await;
    let worker = Service::run(&stage, &["work"], &QUICK).await;
    let (ann, bob) = ann_and_bob(&stage, &api).await;
    let hook = hook(&bob, &hooks.url, None).await;
    ann.publish("News").await;
    let delivery = settled(&bob, &hook, "delivered").await;
    worker.stop().await;
    bob.client.ask(&format!("/api/webhooks/{}/deliveries/{}/replay", hook["id"], delivery["id"])).await.expect(202);
    stage.execute("update webhooks set disabled_at = now()", &[]).await;
    // It can be read, but what became of it cannot be written.
    let locker = stage.another_client().await;
    locker.batch_execute("begin; lock table webhook_deliveries in share mode").await.unwrap();
    let _worker = Service::run(&stage, &["work"], &QUICK).await;
    eventually("what saw it disabled is about to say so", async || {
        (stage.waiting_for_locks().await == 1).then_some(())
    })
    .await;
    bob.client.ask(&format!("/api/webhooks/{}/enable", hook["id"])).await.expect(200);
    locker.batch_execute("rollback").await.unwrap();
    settled(&bob, &hook, "gone").await;
    let listed = bob.client.get("/api/webhooks").await.expect(200);
    assert_eq!((&listed["webhooks"][0]["enabled"], hooks.received().len()), (&json!(true), 1));
}

#[tokio::test]
async fn a_receiver_that_says_when_to_come_again_is_left_alone_until_then() {
    const ASKED: [(u16, Option<&str>, f64); 7] = [
        (429, Some("120"), 120.0),
        (503, Some("120"), 120.0),
        (503, Some("Fri, 31 Dec 9999 23:59:59 GMT"), 3600.0),
        (429, Some("86400"), 3600.0),
        (503, Some("soon"), 0.0),
        (429, Some("Sun, 06 Nov 1994 08:49:37 GMT"), 0.0),
        (503, None, 0.0),
    ];
    let stage = Stage::new().await;
    let settings =
        [("WEBHOOKS_ALLOW_PRIVATE", "127.0.0.1"), ("WEBHOOK_BACKOFF_MS", "20000"), ("WEBHOOKS_AT_ONCE", "8")];
    let service = Service::start(&stage, &settings).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let mut hooks = Vec::new();
    for (status, asked, wait) in ASKED {
        let receiver = Hooks::start().await;
        match asked {
            Some(value) => receiver.answer_with(status, "retry-after", value),
            None => receiver.answer(&[status]),
        }
        hooks.push((hook(&bob, &receiver.url, None).await, receiver, (asked, wait)));
    }
    // A date, as receivers mostly write it.
    let (date, receiver) = (std::time::SystemTime::now() + std::time::Duration::from_secs(600), Hooks::start().await);
    receiver.answer_with(503, "retry-after", httpdate::fmt_http_date(date));
    hooks.push((hook(&bob, &receiver.url, None).await, receiver, (Some("a date"), 0.0)));
    ann.publish("News").await;
    for (hook, receiver, (asked, wait)) in &hooks {
        receiver.requests(1).await;
        let next =
            "select extract(epoch from j.run_at - a.at)::float8 as wait, extract(epoch from j.run_at)::float8 as at
                    from webhook_deliveries d
                    join jobs j on j.id = d.job_id and j.attempt = 1 and j.state <> 'running'
                    join webhook_attempts a on a.delivery_id = d.id
                    where d.webhook_id = $1";
        let row = eventually("it is put off, or was taken meanwhile", async || {
            let id = hook["id"].as_i64().unwrap();
            stage.query(next, &[&id]).await.into_iter().next()
        })
        .await;
        // On top of what was asked there is our own draw, and what a busy machine took to write it down.
        let (waits, slack) = (row.get::<_, f64>("wait"), 20.0 + PATIENCE.as_secs_f64());
        if *asked == Some("a date") {
            let late = row.get::<_, f64>("at") - date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
            assert!((-1.0..=slack).contains(&late), "{late} s after the date");
        } else {
            assert!((*wait..=wait + slack).contains(&waits), "asked for {asked:?}, it waits for {waits} s");
        }
    }
}

#[tokio::test]
async fn deliveries_that_are_over_are_forgotten_in_their_time_and_a_few_at_once() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &[&QUICK[..], &[("WEBHOOK_DELIVERIES_KEEP_SECONDS", "1000")]].concat()).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    for title in ["old", "new", "late", "open", "lapsed"] {
        ann.publish(title).await;
    }
    stage.jobs_done().await;
    let titles = "select facts -> 'article' ->> 'title' as title from webhook_deliveries order by title";
    let known = async || stage.query(titles, &[]).await.iter().map(|row| row.get("title")).collect::<Vec<String>>();
    assert_eq!(known().await, ["lapsed", "late", "new", "old", "open"]);
    // Forgetting is noted: how much at once.
    let note = "create table forgotten (count bigint);
                create function note() returns trigger language plpgsql as $$ begin
                    insert into forgotten select count(*) from gone having count(*) > 0; return null; end $$;
                create trigger note after delete on webhook_deliveries
                    referencing old table as gone for each statement execute function note();";
    stage.another_client().await.batch_execute(note).await.unwrap();
    let age = "update webhook_deliveries d set created_at = now() - interval '3000 s',
                      finished_at = case when title in ('open', 'lapsed') then null
                                         when title = 'late' then now() else now() - interval '2000 s' end,
                      state = case when title in ('open', 'lapsed') then 'pending' else state end
               from (select id, facts -> 'article' ->> 'title' as title from webhook_deliveries) t
               where t.id = d.id and title <> 'new'";
    let hold = "update jobs set state = 'scheduled', run_at = now() + interval '1 day', finished_at = null
                where id = (select job_id from webhook_deliveries where facts -> 'article' ->> 'title' = 'open')";
    let many = "insert into webhook_deliveries (webhook_id, notification_id, kind, facts, state, job_id, created_at, finished_at)
                select webhook_id, notification_id, kind, '{}', 'failed', job_id, now() - interval '2000 s', now() - interval '1500 s'
                from webhook_deliveries, generate_series(1, 2500) where facts -> 'article' ->> 'title' = 'old'";
    stage.execute(hold, &[]).await;
    stage.execute(many, &[]).await;
    stage.execute(age, &[]).await;
    // What stays is as old as what goes.
    eventually("what is over is forgotten", async || (known_count(&stage).await == 3).then_some(())).await;
    assert_eq!(known().await, ["late", "new", "open"]);
    assert_eq!(stage.number("select sum(count)::bigint from forgotten").await, 2502);
    assert!(stage.number("select max(count) from forgotten").await <= 1000);
    assert_eq!(stage.number("select count(*) from webhook_attempts").await, 3);
    assert_eq!(deliveries(&bob, &hook).await.len(), 3);
}

async fn known_count(stage: &Stage) -> i64 {
    stage.number("select count(*) from webhook_deliveries").await
}

#[tokio::test]
async fn a_notification_and_its_delivery_commit_together_or_not_at_all() {
    let (stage, hooks) = (Stage::new().await, Hooks::start().await);
    let service = Service::start(&stage, &[&QUICK[..], &[("JOB_BACKOFF_MS", "20")]].concat()).await;
    let (ann, bob) = ann_and_bob(&stage, &service).await;
    let hook = hook(&bob, &hooks.url, None).await;
    stage.execute("alter table webhook_deliveries add constraint none_today check (false) not valid", &[]).await;
    ann.publish("News").await;
    eventually("telling fails", async || (stage.number("select count(*) from job_errors").await > 0).then_some(()))
        .await;
    assert_eq!(stage.number("select count(*) from notifications where kind = 'article_published'").await, 0);
    stage.execute("alter table webhook_deliveries drop constraint none_today", &[]).await;
    stage
        .execute(
            "update jobs set state = 'available', max_attempts = 50, finished_at = null, sent_at = null
                   where state = 'discarded'",
            &[],
        )
        .await;
    settled(&bob, &hook, "delivered").await;
    assert_eq!((bob.inbox().await.1, hooks.received().len()), (1, 1));
}
