//! Clients that oha cannot be: each with a token of its own, doing one thing after another over one connection.
//!
//! `favorite-hot` has all of them favorite one article and take it back in turn, `favorite-spread` each an article of
//! their own; `mix` reads by slug (80 of 100), lists (10), favorites (5) and publishes (5). After so many seconds each
//! finishes what it is waiting for, and the crowd prints what oha prints: requests a second, latencies, statuses.
//! Whoever is asked too early, or refused, is counted by status, so that no refusal passes for speed.
//!
//! `streams` is of another kind: see there.
//!
//!     crowd SCENARIO HOST:PORT CONNECTIONS SECONDS TOKENS SLUGS    (files with one of them a line)
//!     crowd streams HOST:PORT STREAMS SECONDS TOKENS IDS

mod client;
mod events;
mod report;
mod scenario;
mod streams;

use std::time::{Duration, Instant};

use client::Failure;
use report::Report;
use scenario::{Crowd, Scenario};
use streams::People;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, host, connections, seconds, tokens, others] = arguments.as_slice() else {
        return Err("usage: crowd SCENARIO HOST:PORT CONNECTIONS SECONDS TOKENS SLUGS|IDS".into());
    };
    let (connections, seconds) = (connections.parse::<usize>()?, seconds.parse::<f64>()?);
    let (host, tokens, others) = (host.clone(), lines(tokens)?, lines(others)?);
    if scenario == "streams" {
        let ids = others.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
        return streams::report(&streams::run(People { host, tokens, ids }, connections, seconds).await?).await;
    }
    let scenario = Scenario::named(scenario).ok_or("there is no such scenario")?;
    let crowd = Crowd { scenario, host, tokens, slugs: others };
    println!("{}", together(crowd, connections, seconds).await?);
    Ok(())
}

/// What all clients see together.
async fn together(crowd: Crowd, connections: usize, seconds: f64) -> Result<serde_json::Value, Failure> {
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds);
    let crowd = std::sync::Arc::new(crowd);
    let mut members = tokio::task::JoinSet::new();
    for number in 0..connections {
        members.spawn(std::sync::Arc::clone(&crowd).member(number, until));
    }
    let mut report = Report::default();
    while let Some(member) = members.join_next().await {
        report.add(member??);
    }
    Ok(report.finish(began.elapsed()))
}

fn lines(path: &str) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
