//! The environment, read once: every name, default and rule in one table.
//!
//! All mistakes are reported together, each with its variable's name and never with a secret's value.

mod accounts;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use actors::auth;
use actors::kit::retry::Backoff;
use actors::kit::{postgres, redis};
use actors::notifications::Streams;
use actors::supervision::watchdog;
use actors::{throttle, webhooks};

use crate::http::cors::Origins;
use crate::proxies::Proxies;
use crate::webhooks::{Allowed, Authorities, Client};

mod front;
mod hidden;
mod limits;
mod threads;
mod throttling;
mod tracing;

pub use front::Front;
pub use hidden::Hidden;
pub use limits::Limits;
pub use threads::worker_threads;
pub use tracing::{Excluded, Propagation, Tracing};

/// How often the watchdog looks at the actors.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Every setting.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the public API listens.
    pub http_addr: SocketAddr,
    /// Where the operators' listener is.
    pub admin_addr: SocketAddr,
    /// What operators have to show there.
    pub admin_token: Option<Hidden>,
    /// Where the database is, and what may be asked of it at once.
    pub postgres: postgres::Settings,
    /// Where Redis is.
    pub redis: redis::Url,
    /// Tokens, sessions and passwords.
    pub auth: auth::Settings,
    /// Workers of this process' job pool.
    pub job_workers: usize,
    /// Whether faults may be injected.
    pub chaos_enabled: bool,
    /// Which addresses webhooks may be sent to.
    pub webhooks_allowed: Allowed,
    /// Whose certificates webhooks are trusted by, besides the system's authorities.
    pub webhooks_authorities: Authorities,
    /// Whose word about a client's address is taken.
    pub trusted_proxies: Proxies,
    /// Who has to wait; `None` where nothing is limited.
    pub throttle: Option<throttle::Settings>,
    /// Pages of which origins may call the public API.
    pub cors: Origins,
    /// Answers of so many bytes are compressed; 0 for none at all.
    pub compress_from: usize,
    /// What spans say and which requests make them.
    pub tracing: Tracing,
    /// What this process is called in the ledger.
    pub node: String,
    /// Threads that run tasks, see [`worker_threads`].
    pub worker_threads: usize,
    /// Every limit.
    pub limits: Limits,
}

/// A setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct Mistake {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Config {
    /// Reads the settings through `read`, which answers with a variable's value.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn from(read: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Mistake>> {
        let mut table = Table { read, mistakes: Vec::new() };
        let cores = cores();
        let admin_addr = table.address("ADMIN_ADDR", "127.0.0.1:8001");
        let admin_token = table.text("ADMIN_TOKEN").map(Hidden::from);
        if admin_token.is_none() && admin_addr.is_some_and(|address| !address.ip().is_loopback()) {
            table.mistake("ADMIN_TOKEN", "is required when ADMIN_ADDR is not a loopback address");
        }
        let throttle = throttling::read(&mut table);
        let connect_within = table.millis("DATABASE_CONNECT_TIMEOUT_MS", 1000);
        let statement_within = table.millis("DATABASE_STATEMENT_TIMEOUT_MS", 5000);
        let (readers, writers) = (table.count("DATABASE_READERS", 2), table.count("DATABASE_WRITERS", 16));
        let tracing = Tracing::read(&mut table);
        let postgres = table.required("DATABASE_URL", |url| {
            let settings = postgres::Settings::new(url, readers, writers, connect_within, statement_within)?;
            Ok(postgres::Settings { comments: tracing.sql_comments, ..settings })
        });
        let redis = table.required("REDIS_URL", redis::Url::parse);
        let secrets = table.required("JWT_SECRET", auth::Secrets::parse);
        let http_addr = table.address("HTTP_ADDR", "127.0.0.1:8000");
        let job_workers = table.count("JOB_WORKERS", 8);
        let chaos_enabled = table.switch("CHAOS_ENABLED", false);
        let cors = table.parsed("CORS_ORIGINS", Origins::parse).unwrap_or_default();
        let compress_from = usize::try_from(table.number("HTTP_COMPRESS_FROM", 1024, 0)).unwrap_or(usize::MAX);
        let webhooks_allowed = table.parsed("WEBHOOKS_ALLOW_PRIVATE", Allowed::parse).unwrap_or_default();
        let webhooks_authorities = table.parsed("WEBHOOKS_CA_FILE", Authorities::read).unwrap_or_default();
        let trusted_proxies = table.parsed("TRUSTED_PROXIES", Proxies::parse).unwrap_or_default();
        let limits = Limits::read(&mut table);
        let worker_threads = table.worker_threads(cores);
        let auth = table.auth(secrets, cores, writers, &limits);
        let node = table.text("NODE_NAME").unwrap_or_else(node_name);
        match (http_addr, admin_addr, postgres, redis, auth) {
            (Some(http_addr), Some(admin_addr), Some(postgres), Some(redis), Some(auth))
                if table.mistakes.is_empty() =>
            {
                Ok(Self {
                    http_addr,
                    admin_addr,
                    admin_token,
                    postgres,
                    redis,
                    auth,
                    job_workers,
                    chaos_enabled,
                    webhooks_allowed,
                    webhooks_authorities,
                    trusted_proxies,
                    throttle,
                    cors,
                    compress_from,
                    tracing,
                    node,
                    worker_threads,
                    limits,
                })
            }
            _ => Err(table.mistakes),
        }
    }

    /// What the actors are set up with; jobs are executed only where `with_jobs` says so.
    pub fn system(&self, with_jobs: bool) -> actors::Settings {
        let limits = &self.limits;
        actors::Settings {
            node: self.node.clone(),
            postgres: self.postgres.clone(),
            redis: self.redis.clone(),
            auth: self.auth.clone(),
            ledger: limits.ledger,
            watchdog: watchdog::Limits {
                tick: (limits.turn / 4).min(LOOK_EVERY),
                turn: limits.turn,
                hold: limits.hold,
            },
            webhooks: webhooks::Settings {
                post: Arc::new(
                    Client::new(self.webhooks_allowed.clone(), self.webhooks_authorities.clone())
                        .propagating(self.tracing.propagation),
                ),
                backoff: Backoff { base: limits.webhook_backoff, cap: limits.webhook_backoff_cap },
                at_once: limits.webhooks_at_once,
                keep: limits.webhook_deliveries_keep,
            },
            throttle: self.throttle.clone(),
            jobs: with_jobs.then(|| crate::app::job_settings(self)),
            room: limits.mailbox,
            batch: limits.batch,
            keep: limits.kept,
            streams: Streams { max: limits.live_streams, per_user: limits.live_streams_per_user },
        }
    }
}

/// How many there are for us, as far as the system tells.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// The machine and the process: in a container the latter is always 1.
fn node_name() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    format!("{}-{}", host.as_deref().unwrap_or("callboard"), std::process::id())
}

/// The environment, and what was wrong with it so far.
struct Table<R> {
    read: R,
    mistakes: Vec<Mistake>,
}

impl<R: Fn(&str) -> Option<String>> Table<R> {
    fn text(&self, variable: &str) -> Option<String> {
        (self.read)(variable).filter(|value| !value.is_empty())
    }

    fn mistake(&mut self, variable: &'static str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { variable, problem: problem.into() });
    }

    fn required<T>(&mut self, variable: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if self.text(variable).is_none() {
            self.mistake(variable, "is required");
        }
        self.parsed(variable, parse)
    }

    fn parsed<T>(&mut self, variable: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let parsed = self.text(variable).as_deref().map(parse)?;
        parsed.map_err(|problem| self.mistake(variable, problem)).ok()
    }

    fn address(&mut self, variable: &'static str, default: &str) -> Option<SocketAddr> {
        let text = self.text(variable).unwrap_or_else(|| default.to_owned());
        let address = text.parse().ok();
        if address.is_none() {
            self.mistake(variable, "must be an address with a port, like 127.0.0.1:8000");
        }
        address
    }

    fn number(&mut self, variable: &'static str, default: u64, min: u64) -> u64 {
        self.within(variable, default, min..=u64::from(u32::MAX))
    }

    fn between(&mut self, variable: &'static str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        u32::try_from(self.within(variable, default.into(), range)).unwrap_or(default)
    }

    fn within(&mut self, variable: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(text) = self.text(variable) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.mistake(variable, format!("must be a whole number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    fn count(&mut self, variable: &'static str, default: usize) -> usize {
        usize::try_from(self.number(variable, default as u64, 1)).unwrap_or(default)
    }

    fn millis(&mut self, variable: &'static str, default: u64) -> Duration {
        Duration::from_millis(self.number(variable, default, 0))
    }

    fn seconds(&mut self, variable: &'static str, default: u64) -> Duration {
        Duration::from_secs(self.number(variable, default, 1))
    }

    fn switch(&mut self, variable: &'static str, default: bool) -> bool {
        match self.text(variable).as_deref() {
            None => default,
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(_) => {
                self.mistake(variable, "must be true or false");
                default
            }
        }
    }

    fn word(&mut self, variable: &'static str, words: &[&str]) {
        if self.text(variable).is_some_and(|text| !words.contains(&text.as_str())) {
            self.mistake(variable, format!("must be one of: {}", words.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        Config::from(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const REQUIRED: [(&str, &str); 3] = [
        ("DATABASE_URL", "postgres://localhost/x"),
        ("REDIS_URL", "redis://localhost"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ];

    #[test]
    fn what_is_required_is_enough() {
        assert!(config(&REQUIRED).is_ok());
    }

    #[test]
    fn all_mistakes_are_reported_together_with_their_names() {
        let wrong = [("HTTP_ADDR", "x"), ("JWT_SECRET", "short"), ("JOB_WORKERS", "0")];
        let of_webhooks = [("WEBHOOKS_ALLOW_PRIVATE", "10.0.0.1/8"), ("WEBHOOKS_CA_FILE", "/nowhere/at/all.pem")];
        let Err(mistakes) = config(&[&wrong[..], &of_webhooks].concat()) else { unreachable!() };
        let names: Vec<_> = mistakes.iter().map(|mistake| mistake.variable).collect();
        assert_eq!(names[..5], ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "HTTP_ADDR", "JOB_WORKERS"]);
        assert_eq!(names[5..], ["WEBHOOKS_ALLOW_PRIVATE", "WEBHOOKS_CA_FILE"]);
        assert!(!format!("{mistakes:?}").contains("short"));
    }

    #[test]
    fn an_admin_listener_for_others_needs_a_token() {
        let with = |more: &[(&str, &str)]| config(&[&REQUIRED, more].concat());
        assert!(with(&[("ADMIN_ADDR", "0.0.0.0:8001")]).is_err());
        assert!(with(&[("ADMIN_ADDR", "0.0.0.0:8001"), ("ADMIN_TOKEN", "t")]).is_ok());
    }

    #[test]
    fn secrets_never_show_themselves() {
        let secrets = [
            ("DATABASE_URL", "postgres://user:pass-of-database@localhost/x"),
            ("REDIS_URL", "redis://:pass-of-redis@localhost"),
            ("JWT_SECRET", REQUIRED[2].1),
            ("ADMIN_TOKEN", "sesame"),
        ];
        let Ok(config) = config(&secrets) else { unreachable!() };
        let shown = format!("{config:?} {:?}", config.system(true));
        for secret in ["pass-of-database", "pass-of-redis", "0123456789abcdef", "sesame"] {
            assert!(!shown.contains(secret), "{secret}");
        }
    }
}
