//! A PostgreSQL of a test's own: what is committed outlives its processes, though not the machine.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio_postgres::NoTls;

use super::{Place, Running, program};
use crate::support::{PATIENCE, patiently};

/// How a server is ended.
#[derive(Debug, Clone, Copy)]
pub enum Shutdown {
    /// Sessions are ended, and what is in memory is written.
    Fast,
    /// As if the machine had lost its power: what comes next is a recovery.
    Immediate,
}

/// The server.
pub struct PrivatePostgres {
    /// Where it is: the URL of its first database.
    pub url: String,
    running: Option<Running>,
    place: Place,
}

impl PrivatePostgres {
    /// Makes a new cluster and starts it.
    pub async fn start() -> Self {
        let place = Place::new();
        let mut initdb = place.command(&program(&["initdb"]));
        initdb.arg("--pgdata").arg(place.path().join("data"));
        initdb.args(["--username=callboard", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let made = tokio::time::timeout(PATIENCE, initdb.status()).await.expect("initdb ends").unwrap();
        assert!(made.success(), "{}", place.log());
        let url = format!("postgres:///postgres?host={}&port=5432&user=callboard", place.path().display());
        let mut postgres = Self { url, running: None, place };
        postgres.start_again().await;
        postgres
    }

    /// Ends it.
    pub async fn stop(&mut self, how: Shutdown) {
        let signal = match how {
            Shutdown::Fast => Signal::SIGINT,
            Shutdown::Immediate => Signal::SIGQUIT,
        };
        self.running.take().expect("it runs").end(signal).await;
    }

    /// Keeps its data as they are, while it is stopped.
    pub async fn keep_copy(&self) {
        self.copy("data", "copy").await;
    }

    /// Takes back the data that were kept, as if nothing had been committed since.
    pub async fn go_back(&self) {
        self.copy("copy", "data").await;
    }

    async fn copy(&self, from: &str, to: &str) {
        assert!(self.running.is_none(), "it runs");
        let [from, to] = [from, to].map(|name| self.place.path().join(name));
        if to.exists() {
            std::fs::remove_dir_all(&to).unwrap();
        }
        let mut copy = self.place.command(Path::new("cp"));
        copy.arg("-a").arg(&from).arg(&to);
        assert!(copy.status().await.unwrap().success(), "{}", self.place.log());
    }

    /// Starts it after it was stopped; tells when it let somebody in first.
    pub async fn start_again(&mut self) -> Instant {
        assert!(self.running.is_none(), "it runs");
        self.running = Some(self.server(&self.place.path().join("data")));
        let config: tokio_postgres::Config = self.url.parse().unwrap();
        patiently(Duration::from_millis(5), "the private PostgreSQL lets us in", async || {
            config.connect(NoTls).await.ok().map(|_| Instant::now())
        })
        .await
    }

    fn server(&self, data: &Path) -> Running {
        let mut command = self.place.command(&program(&["postgres"]));
        command.arg("-D").arg(data).arg("-k").arg(self.place.path());
        let settings = [
            "listen_addresses=",
            "unix_socket_permissions=0700",
            "max_connections=200",
            "timezone=UTC",
            "synchronous_commit=on",
            "fsync=off",
            "full_page_writes=off",
            // Nobody commits but whom the test knows.
            "autovacuum=off",
        ];
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        Running { child: command.spawn().expect("postgres can be started"), end: Signal::SIGQUIT }
    }
}
