//! Whatever can happen to a service, so that every instrument has something to tell.

use serde_json::json;

use super::client::PASSWORD;
use super::{Client, Events, Service, Stage, User, eventually, raw};

/// What the service has to be started with for [`happens`].
pub const SETTINGS: [(&str, &str); 8] = [
    ("RATE_LIMITS", "on"),
    ("RATE_LIMIT_WRITES", "40/1h"),
    ("RATE_LIMIT_REDIS_TIMEOUT_MS", "9000"),
    ("LIVE_STREAMS_PER_USER", "1"),
    ("JOB_BACKOFF_MS", "1"),
    ("ACTOR_TURN_MS", "200"),
    ("HTTP_HEAD_TIMEOUT_MS", "200"),
    ("DATABASE_READERS", "1"),
];

/// Makes it happen.
pub async fn happens(stage: &Stage, service: &Service) {
    let (ann, bob) = (service.client().register("ann").await, service.client().register("bob").await);
    bob.follow(&ann).await;
    let slug = ann.publish("Metered").await;
    let favorite = format!("/api/articles/{slug}/favorite");
    bob.client.ask(&favorite).await.expect(200);
    bob.client.delete(&favorite).await.expect(200);
    for (password, status) in [("wrong password", 401), (PASSWORD, 200)] {
        let login = json!({"email": ann.email, "password": password});
        service.client().post("/api/login", &login).await.expect(status);
    }
    service.client().get(&format!("/api/articles/{slug}")).await.expect(200);
    service.client().get("/nothing/of/this/name").await.expect(404);
    Client::new_http2(service.api.unwrap()).get("/api/articles").await.expect(200);
    refusals(service, &bob).await;
    failures(stage, service, &ann).await;
    jobs(stage, service).await;
}

async fn refusals(service: &Service, bob: &User) {
    let stream = "/api/notifications/stream";
    let _first = Events::open(&format!("http://{}{stream}", service.api.unwrap()), Some(&bob.access), None).await;
    bob.client.get(stream).await.refused(429, "too_many_streams");
    eventually("a write is refused by its limit", async || {
        (bob.client.ask("/api/notifications/read").await.status == 429).then_some(())
    })
    .await;
    // Half a head, and then nothing: it is cut off.
    raw::rest(&mut raw::send(service.api.unwrap(), b"GET / HTTP/1.1\r\n").await).await;
}

async fn failures(stage: &Stage, service: &Service, ann: &User) {
    stage.execute("alter table jobs add constraint none_today check (false) not valid", &[]).await;
    let failed = ann.client.post("/api/articles", &json!({"title": "t", "body": "b"})).await;
    failed.refused(500, "internal_error");
    stage.execute("alter table jobs drop constraint none_today", &[]).await;
    for (actor, fault) in [("root/articles/by_slug", "crash"), ("root/auth/sessions", "hang")] {
        service.operator().ask(&format!("/actors/{actor}/{fault}")).await.expect(202);
    }
    eventually("both actors are started again", async || {
        let restarts = service.operator().get("/actors/restarts").await.json();
        (restarts["restarts"].as_array().unwrap().len() >= 2).then_some(())
    })
    .await;
}

async fn jobs(stage: &Stage, service: &Service) {
    let hopeless = "insert into jobs (kind, args, max_attempts) values ('article_published', '{}', 1)";
    stage.execute(hopeless, &[]).await;
    stage.jobs_done().await;
    // What Redis loses while it waits there is sent again.
    let tomorrow = "insert into jobs (kind, args, state, run_at)
                    values ('article_published', '{}', 'scheduled', now() + interval '1 day') returning id";
    let job: i64 = stage.query(tomorrow, &[]).await[0].get(0);
    eventually("the job is in Redis", async || {
        let sent = stage.query("select from jobs where id = $1 and sent_at is not null", &[&job]).await;
        (!sent.is_empty()).then_some(())
    })
    .await;
    stage.flush_redis().await;
    eventually("it is counted as sent again", async || {
        (service.metric("jobs_resent_total", "").await >= 1.0).then_some(())
    })
    .await;
    service.operator().ask(&format!("/jobs/{job}/cancel")).await.expect(200);
    stage.jobs_done().await;
}
