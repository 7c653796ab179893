//! `callboard doctor`: do the dependencies answer, is the schema up to date? And a probe for containers,
//! whose images hold no other client.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use actors::health::{self, Report};
use actors::migrations;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::{fail, say, variable};
use crate::config::Config;

/// How long a probe may take.
const PROBE_WITHIN: Duration = Duration::from_secs(3);

/// Asks a path of this machine's admin listener; succeeds when it answers 200.
pub(crate) async fn probe(path: &str) -> ExitCode {
    let address = variable("ADMIN_ADDR").unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let Ok(address) = address.parse::<SocketAddr>() else { return fail("ADMIN_ADDR is not an address") };
    // A listener on every address is reached on the loopback one.
    let address =
        if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address };
    match tokio::time::timeout(PROBE_WITHIN, status_line(address, path)).await {
        Ok(Ok(line)) if line.contains(" 200") => ExitCode::SUCCESS,
        Ok(Ok(line)) => fail(&format!("{path} answered {line}")),
        Ok(Err(error)) => fail(&format!("{path}: {error}")),
        Err(_) => fail(&format!("{path}: no answer in time")),
    }
}

async fn status_line(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let path = path.trim_start_matches('/');
    let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
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
