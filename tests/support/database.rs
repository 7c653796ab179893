//! A database and a Redis database for each test, on the private servers that the suite was started with.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::process::Stdio;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};

use super::{PATIENCE, service};

/// Any number that nobody else locks: whoever holds it makes the template.
const TEMPLATE_LOCK: i64 = 0x7E57_7E57;
/// Databases that the private Redis has at least; the first one holds the counter.
const REDIS_DATABASES: u64 = 4000;

/// What a test plays on: an empty, migrated database and an empty Redis of its own. Dropped at its end.
pub struct Stage {
    /// Where the test's database is.
    pub database_url: String,
    /// Where the test's Redis is.
    pub redis_url: String,
    name: String,
    admin: Config,
    client: Client,
}

impl Stage {
    /// Sets it up.
    pub async fn new() -> Self {
        Self::on(required("DATABASE_URL")).await
    }

    /// Sets it up on another PostgreSQL.
    pub async fn on(server: String) -> Self {
        let admin: Config = server.parse().expect("DATABASE_URL is a PostgreSQL URL");
        let template = template(&server, &admin).await;
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let keeper = connect(&admin).await;
        let create = format!("create database {name} template {template} strategy file_copy");
        keeper.batch_execute(&create).await.expect("a database for this test");
        let mut own = admin.clone();
        own.dbname(&name);
        let client = connect(&own).await;
        Self {
            database_url: with_database(&server, &name),
            redis_url: redis_of_its_own(&required("REDIS_URL")).await,
            name,
            admin,
            client,
        }
    }

    /// Runs a statement and gives its rows.
    pub async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.client.query(sql, params).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Runs a statement whose only row has one number.
    pub async fn number(&self, sql: &str) -> i64 {
        self.query(sql, &[]).await[0].get(0)
    }

    /// Runs a statement that changes something.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> u64 {
        self.client.execute(sql, params).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Lets nobody connect to this test's database any more and cuts off who is, or lets everybody again.
    pub async fn reachable(&self, reachable: bool) {
        let keeper = connect(&self.admin).await;
        keeper.batch_execute(&format!("alter database {} allow_connections {reachable}", self.name)).await.unwrap();
        if !reachable {
            let cut = "select pg_terminate_backend(pid) from pg_stat_activity
                       where datname = current_database() and pid <> pg_backend_pid()";
            self.query(cut, &[]).await;
        }
    }

    /// Another connection, for transactions that stay open.
    pub async fn another_client(&self) -> Client {
        let mut own = self.admin.clone();
        connect(own.dbname(&self.name)).await
    }

    /// The test's own connection anew, after the server went away.
    pub async fn reconnect(&mut self) {
        self.client = self.another_client().await;
    }

    /// A connection that locks a table until it is told to `rollback`: whoever needs the table waits.
    pub async fn locked(&self, table: &str) -> Client {
        let client = self.another_client().await;
        client.batch_execute(&format!("begin; lock table {table} in access exclusive mode")).await.unwrap();
        client
    }

    /// How many connections wait for a lock.
    pub async fn waiting_for_locks(&self) -> i64 {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        self.number(waiting).await
    }

    /// Where the test's database is, for a process of this name: the database knows its connections by it.
    pub fn database_url_of(&self, name: &str) -> String {
        let joint = if self.database_url.contains('?') { '&' } else { '?' };
        format!("{}{joint}application_name={name}", self.database_url)
    }

    /// Waits until every job has come to its end, so that whoever has not been told will not be.
    pub async fn jobs_done(&self) {
        super::eventually("every job came to its end", async || {
            let open = "select count(*) from jobs where state not in ('completed', 'discarded', 'cancelled')";
            (self.number(open).await == 0).then_some(())
        })
        .await;
    }

    /// Empties this test's Redis: all that a restart without persistence loses.
    pub async fn flush_redis(&self) {
        let client = redis::Client::open(self.redis_url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("FLUSHDB").query_async::<()>(&mut connection).await.unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // A runtime of its own: this one may be ending, and must not be blocked.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let drop = format!("drop database if exists {name} with (force)");
                connect(&admin).await.batch_execute(&drop).await
            })
        });
        // The servers are thrown away in the end; a database that stays is no reason to fail.
        let _ = dropping.join();
    }
}

/// A variable that whoever starts the suite has to set.
fn required(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{variable} is not set: run the suite by `make test`, which starts throw-away servers for it"),
    }
}

async fn connect(config: &Config) -> Client {
    let connecting = tokio::time::timeout(PATIENCE, config.connect(NoTls));
    let (client, connection) = connecting.await.expect("PostgreSQL answers").expect("PostgreSQL lets us in");
    tokio::spawn(connection);
    client
}

/// `postgres://user@host/this?options` with another database.
fn with_database(url: &str, name: &str) -> String {
    let (address, options) = url.split_once('?').map_or((url, String::new()), |(a, o)| (a, format!("?{o}")));
    let (server, _) = address.rsplit_once('/').expect("DATABASE_URL names a database");
    format!("{server}/{name}{options}")
}

/// The migrated template's name. Made by the first test that comes; one that was left half made is made anew.
async fn template(server: &str, admin: &Config) -> String {
    let name = format!("test_template_{:016x}", fingerprint());
    let keeper = connect(admin).await;
    keeper.execute("select pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    let made = "select 1 from pg_database where datname = $1 and datistemplate";
    if keeper.query(made, &[&name]).await.unwrap().is_empty() {
        keeper.batch_execute(&format!("drop database if exists {name}")).await.unwrap();
        keeper.batch_execute(&format!("create database {name}")).await.unwrap();
        let mut migrate = service::command(&["migrate"]);
        migrate.env("DATABASE_URL", with_database(server, &name)).env("REDIS_URL", "redis://localhost");
        let output = migrate.stdin(Stdio::null()).output().await.unwrap();
        assert!(output.status.success(), "callboard migrate: {}", String::from_utf8_lossy(&output.stderr));
        keeper.batch_execute(&format!("alter database {name} is_template true")).await.unwrap();
    }
    keeper.execute("select pg_advisory_unlock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
    name
}

/// Changes with the migrations, so that a template on a server that stays is never an old one.
fn fingerprint() -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/migrations");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).unwrap().hash(&mut hasher);
    }
    hasher.finish()
}

async fn redis_of_its_own(server: &str) -> String {
    let client = redis::Client::open(server).expect("REDIS_URL is a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let count: u64 = redis::cmd("INCR").arg("callboard:tests").query_async(&mut connection).await.unwrap();
    let number = 1 + count % REDIS_DATABASES;
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let url = if address.contains("unix://") {
        let others = options.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("db="));
        let pairs: Vec<_> = others.map(str::to_owned).chain([format!("db={number}")]).collect();
        format!("{address}?{}", pairs.join("&"))
    } else {
        let after = address.find("://").map_or(0, |at| at + 3);
        let server = address[after..].find('/').map_or(address, |at| &address[..after + at]);
        format!("{server}/{number}")
    };
    let own = redis::Client::open(url.as_str()).unwrap();
    let mut connection =
        own.get_multiplexed_async_connection().await.expect("the private Redis has 4096 databases (--databases)");
    redis::cmd("FLUSHDB").query_async::<()>(&mut connection).await.unwrap();
    url
}
