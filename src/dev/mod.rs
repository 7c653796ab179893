//! Private PostgreSQL and Redis servers, for `callboard dev` and for the test run.
//!
//! ```text
//! Servers::start ─▶ place: take the directory ─▶ postgres, redis: prepare, start, wait until ready
//!                                                    └▶ process: a shell between us and each server
//! Servers::stop, drop, panic, kill -9 ─▶ the pipe to that shell closes ─▶ it stops the server
//! ```
//!
//! What must stay true:
//!
//! 1. No server outlives us, however we end.
//! 2. Nothing listens on a port: a private server cannot collide with one that is there, and nobody else reaches it.
//! 3. With `durable`, data survives a restart and a `kill -9`; without it, nothing is left behind.
//! 4. It works for whoever runs it: as root the servers run as another user (see `account`).

use std::path::PathBuf;

mod account;
mod error;
mod place;
mod postgres;
mod process;
mod programs;
mod redis;
pub mod wrap;

pub use error::DevError;
use place::Home;
use process::Process;

/// Which servers, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the data and the logs are kept: `.callboard`.
    pub directory: PathBuf,
    /// Whether the data survives. Without it, `directory` is not touched and all data is in a temporary directory.
    pub durable: bool,
    /// A PostgreSQL to use instead of a private one.
    pub database_url: Option<String>,
    /// A Redis to use instead of a private one.
    pub redis_url: Option<String>,
}

/// Servers that are ready. They stop when this is dropped, also by a panic; [`Self::stop`] waits for that.
pub struct Servers {
    database_url: String,
    redis_url: String,
    // Dropped in this order: Redis before PostgreSQL, and the directory is free only then.
    redis: Option<Process>,
    postgres: Option<Process>,
    home: Option<Home>,
}

impl Servers {
    /// Starts what `options` does not name, and tells `progress` about every step that takes time.
    ///
    /// # Errors
    /// When a program is missing, the directory is in use or does not belong to us, or a server does not come up.
    pub async fn start(options: &Options, progress: impl Fn(&str)) -> Result<Self, DevError> {
        let private = options.database_url.is_none() || options.redis_url.is_none();
        let home = match private && options.durable {
            true => Some(Home::take(&options.directory, &progress).await?),
            false => None,
        };
        let (postgres, database_url) = match &options.database_url {
            Some(url) => (None, url.clone()),
            None => postgres::start(home.as_ref(), &progress).await.map(|(process, url)| (Some(process), url))?,
        };
        let (redis, redis_url) = match &options.redis_url {
            Some(url) => (None, url.clone()),
            None => redis::start(home.as_ref(), &progress).await.map(|(process, url)| (Some(process), url))?,
        };
        Ok(Self { database_url, redis_url, redis, postgres, home })
    }

    /// Where PostgreSQL is.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Where Redis is.
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Stops the private servers: Redis, then PostgreSQL, each by its signal and after a while by force.
    pub async fn stop(self) {
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
        drop(self.home);
    }
}
