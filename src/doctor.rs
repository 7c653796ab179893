//! `callboard doctor`: do the dependencies answer, is the schema up to date? And a probe for containers,
//! whose images hold no other client.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use actors::health::{self, Report};
use actors::migrations;
use hyper::StatusCode;

use crate::cli::{fail, say};
use crate::config::Config;
use crate::operate::Listener;

/// How long a probe may take.
const PROBE_WITHIN: Duration = Duration::from_secs(3);

/// Asks a path of this machine's admin listener; succeeds when it answers 200.
pub(crate) async fn probe(path: &str) -> ExitCode {
    // Probes are let in without a token.
    let listener = match Listener::of_environment(None) {
        Ok(listener) => listener,
        Err(error) => return fail(&error.to_string()),
    };
    let target = format!("/{}", path.trim_start_matches('/'));
    match tokio::time::timeout(PROBE_WITHIN, listener.status(&target)).await {
        Ok(Ok(StatusCode::OK)) => ExitCode::SUCCESS,
        Ok(Ok(status)) => fail(&format!("{path} answered {status}")),
        Ok(Err(error)) => fail(&format!("{path}: {error}")),
        Err(_) => fail(&format!("{path}: no answer in time")),
    }
}

/// Examines the dependencies and says what it finds.
pub(crate) async fn examine(config: Config) -> ExitCode {
    let started = Instant::now();
    let report = match health::examine(&config.postgres, &config.redis).await {
        Ok(report) => report,
        Err(fault) => return fail(&fault.to_string()),
    };
    let Report { database, redis, workers } = report;
    let word = |there: bool| if there { "ok" } else { "NOT REACHED" };
    say(&format!("database  {}", word(database)));
    say(&format!("redis     {}", word(redis)));
    say(&format!("workers   {}", if workers { "ok" } else { "none is consuming jobs" }));
    let schema = migrations::current(&config.postgres.config).await;
    match schema {
        Ok(version) if version == migrations::latest() => say(&format!("schema    ok, version {version}")),
        Ok(version) => {
            say(&format!("schema    version {version} of {}: run `callboard migrate`", migrations::latest()))
        }
        Err(_) => say("schema    unknown"),
    }
    say(&format!("examined in {} ms", started.elapsed().as_millis()));
    let sound = database && redis && schema.is_ok_and(|version| version == migrations::latest());
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
