//! A Redis of a test's own, which keeps nothing on a disk: whatever ends it empties it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use redis::{FromRedisValue, RedisResult};

use super::{Place, Running, program};
use crate::support::{eventually, patiently};

/// The server, and perhaps a replica of it.
pub struct PrivateRedis {
    /// What `REDIS_URL` has to be, whichever server answers there.
    pub url: String,
    running: Option<Running>,
    replica: Option<Running>,
    place: Place,
}

impl PrivateRedis {
    /// Starts it, empty.
    pub async fn start() -> Self {
        let place = Place::new();
        let url = format!("redis+unix://{}/redis.sock", place.path().display());
        let mut redis = Self { url, running: None, replica: None, place };
        redis.start_again().await;
        redis
    }

    /// Starts it again after it was killed, empty; tells when it answered first.
    pub async fn start_again(&mut self) -> Instant {
        assert!(self.running.is_none(), "it runs");
        self.running = Some(self.server("redis.sock", &[]));
        self.answers(&self.url).await
    }

    /// Takes it away without a word.
    pub async fn kill(&mut self) {
        self.running.take().expect("it runs").end(Signal::SIGKILL).await;
    }

    /// Stops it where it is: connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.running.as_ref().expect("it runs").signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.running.as_ref().expect("it runs").signal(Signal::SIGCONT);
    }

    /// Empties it.
    pub async fn flush(&self) {
        self.ask::<()>(&["FLUSHALL"]).await.unwrap();
    }

    /// Gives it no memory for anything more, with which it refuses what would need some; or all that there is.
    pub async fn full(&self, full: bool) {
        self.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await.unwrap();
        self.ask::<()>(&["CONFIG", "SET", "maxmemory", if full { "1" } else { "0" }]).await.unwrap();
    }

    /// Starts a replica and waits until it has all that there is.
    pub async fn replicate(&mut self) {
        // A replica is connected by TCP only.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        self.ask::<()>(&["CONFIG", "SET", "port", &port]).await.unwrap();
        self.replica = Some(self.server("replica.sock", &["--replicaof", &format!("127.0.0.1 {port}")]));
        eventually("the replica is up to date", async || {
            let info: String = ask_at(&self.replica_url(), &["INFO", "replication"]).await.ok()?;
            info.contains("master_link_status:up").then_some(())
        })
        .await;
    }

    /// Cuts the replica off: what is written from now on is in the primary alone.
    pub async fn lose_the_replica(&self) {
        ask_at::<()>(&self.replica_url(), &["REPLICAOF", "NO", "ONE"]).await.unwrap();
    }

    /// The primary dies, and the replica takes its place; tells when it answered there first.
    pub async fn fail_over(&mut self) -> Instant {
        self.kill().await;
        let socket = |name: &str| self.place.path().join(name);
        std::fs::rename(socket("replica.sock"), socket("redis.sock")).unwrap();
        self.running = self.replica.take();
        self.answers(&self.url).await
    }

    /// Asks it something.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        ask_at(&self.url, words).await
    }

    async fn answers(&self, url: &str) -> Instant {
        patiently(Duration::from_millis(2), "the private Redis answers", async || {
            let answer: RedisResult<String> = ask_at(url, &["PING"]).await;
            answer.ok().map(|_| Instant::now())
        })
        .await
    }

    fn replica_url(&self) -> String {
        self.url.replace("redis.sock", "replica.sock")
    }

    fn server(&self, socket: &str, more: &[&str]) -> Running {
        let mut command = self.place.command(&program(&["redis-server", "valkey-server"]));
        command.arg("--unixsocket").arg(self.place.path().join(socket)).arg("--dir").arg(self.place.path());
        let settings = [
            ["--port", "0"],
            ["--bind", "127.0.0.1"],
            ["--daemonize", "no"],
            ["--save", ""],
            ["--appendonly", "no"],
            ["--repl-diskless-sync-delay", "0"],
        ];
        command.args(settings.as_flattened()).args(more);
        Running { child: command.spawn().expect("redis-server can be started"), end: Signal::SIGKILL }
    }
}

async fn ask_at<T: FromRedisValue>(url: &str, words: &[&str]) -> RedisResult<T> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.query_async(&mut connection).await
}
