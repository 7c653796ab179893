//! A database and a Redis database of one's own, from the servers that the starter of the tests provides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::auth::{self, Cost, Secrets};
use actors::jobs;
use actors::kit::retry::Backoff;
use actors::kit::{Scope, postgres, redis};
use actors::notifications::Streams;
use actors::supervision::{ledger, watchdog};
use actors::webhooks::{self, Answered, Letter, Post, Undelivered, Unfit};
use actors::{Settings, migrations};
use futures_util::future::BoxFuture;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Nothing leaves these tests.
#[derive(Debug)]
struct NoPost;

impl Post for NoPost {
    fn admit<'a>(&'a self, _: &'a str, _: Instant) -> BoxFuture<'a, Result<(), Unfit>> {
        Box::pin(std::future::ready(Err(Unfit::UnknownHost)))
    }

    fn post<'a>(&'a self, _: Letter<'a>, _: &'a Scope) -> BoxFuture<'a, Result<Answered, Undelivered>> {
        Box::pin(std::future::ready(Err(Undelivered("nothing is sent".into()))))
    }
}

pub struct Database {
    pub settings: Settings,
    pub client: Client,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests through `make test`"))
}

pub async fn connect(config: &tokio_postgres::Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

/// An empty, migrated database.
pub async fn database() -> Database {
    let url = variable("DATABASE_URL");
    let name = format!("actors_{}", Uuid::new_v4().simple());
    let mut config: tokio_postgres::Config = url.parse().expect("a URL");
    connect(&config).await.batch_execute(&format!("create database {name}")).await.expect("a database");
    let mut postgres =
        postgres::Settings::new(&url, 2, 8, Duration::from_secs(5), Duration::from_secs(10)).expect("settings");
    postgres.config.dbname(&name);
    migrations::migrate(&postgres.config).await.expect("migrations");
    let client = connect(config.dbname(&name)).await;
    client.batch_execute("create table trials (job bigint not null)").await.expect("a table for effects");
    // Keys are kept apart by a prefix of their own: the server is shared.
    let settings = Settings {
        node: "test".to_owned(),
        postgres,
        redis: redis::Url::parse(&variable("REDIS_URL")).expect("a URL"),
        auth: auth::Settings {
            tokens: auth::token::Settings {
                secrets: Secrets::parse("0123456789abcdef0123456789abcdef").expect("a secret"),
                issuer: "callboard".to_owned(),
                audience: "callboard".to_owned(),
                lifetime: Duration::from_secs(900),
                keep: 1 << 20,
            },
            session_lifetime: Duration::from_secs(3600),
            sessions_keep: Duration::from_secs(3600),
            cost: Cost { memory_kib: 64, passes: 1, lanes: 1 },
            password_hands: 2,
            password_room: 64,
            room: 1024,
            hands: 8,
            batch: 64,
            keep: 1024 * 1024,
        },
        ledger: ledger::Keep { age: Duration::from_secs(3600), rows: 100_000 },
        watchdog: watchdog::Limits {
            tick: Duration::from_millis(100),
            turn: Duration::from_secs(10),
            hold: Duration::from_secs(60),
        },
        webhooks: webhooks::Settings {
            post: Arc::new(NoPost),
            at_once: 4,
            backoff: Backoff { base: Duration::from_millis(5), cap: Duration::from_millis(20) },
            keep: Duration::from_hours(1),
        },
        throttle: None,
        jobs: Some(jobs::Settings {
            workers: 4,
            batch: 16,
            attempt_within: Duration::from_secs(10),
            backoff: Backoff { base: Duration::from_millis(5), cap: Duration::from_millis(20) },
            dead_after: Duration::from_secs(5),
            deaths: 3,
            resend_after: Duration::from_secs(5),
            keep: Duration::from_secs(3600),
            prefix: format!("{name}:"),
        }),
        room: 1024,
        batch: 64,
        keep: 1024 * 1024,
        streams: Streams { max: 64, per_user: 64 },
    };
    Database { settings, client }
}

impl Database {
    /// Leaves a job of this kind, as a domain's statement would.
    pub async fn leave_job(&self, kind: &str, max_attempts: i32) -> i64 {
        let insert = "insert into jobs (kind, args, max_attempts) values ($1, '{\"n\": 1}', $2) returning id";
        self.client.query_one(insert, &[&kind, &max_attempts]).await.expect("a job").get(0)
    }

    /// State, attempt and the errors of a job.
    pub async fn job(&self, id: i64) -> (String, i32, Vec<String>) {
        let select = "select state, attempt, array(select error from job_errors where job_id = $1 order by attempt) from jobs where id = $1";
        let row = self.client.query_one(select, &[&id]).await.expect("the job");
        (row.get(0), row.get(1), row.get(2))
    }

    /// The job, once it has reached a state that it does not leave by itself.
    pub async fn finished(&self, id: i64) -> (String, i32, Vec<String>) {
        let finished = async {
            loop {
                let job = self.job(id).await;
                if ["completed", "discarded", "cancelled"].contains(&job.0.as_str()) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), finished).await.expect("the job finishes")
    }
}
