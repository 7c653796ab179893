//! The command line: arguments → one function a command.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use actors::migrations;
use clap::{Parser, Subcommand};
use tracing::Instrument;
use tracing::field::Empty;

use crate::app::{self, Role};
use crate::config::{self, Config, Mistake};
use crate::develop;
use crate::operate;
use crate::telemetry::{self, Telemetry};

/// A publishing API made of supervised actors.
#[derive(Parser)]
#[command(name = "callboard", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start private PostgreSQL and Redis servers under .callboard/, migrate and serve: what `make run` runs.
    Dev(DevArguments),
    /// Serve the API and work on jobs.
    Serve {
        /// Serve the API alone.
        #[arg(long)]
        no_workers: bool,
    },
    /// Work on jobs alone.
    Work,
    /// Bring the database's schema up to date.
    Migrate,
    /// Check the settings and say what is wrong with them; exit with status 2 if anything is.
    CheckConfig,
    /// Say whether the dependencies answer and the schema is up to date.
    Doctor {
        /// Ask only this path of the admin listener, for health checks in containers: `readyz` or `healthz`.
        #[arg(long)]
        probe: Option<String>,
    },
    /// Ask a running process about its actors: the tree unless you say otherwise; restarts, events, faults.
    Actors(operate::Arguments),
    /// Ask about jobs and decide about them: list, show, why, retry, cancel, fail, pause, resume.
    Jobs(operate::jobs::Arguments),
    /// Print the API's description in OpenAPI.
    Openapi,
}

#[derive(clap::Args)]
struct DevArguments {
    /// Throw the data away at the end.
    #[arg(long, hide = true)]
    ephemeral: bool,
    /// Run this with DATABASE_URL and REDIS_URL set, instead of serving.
    #[arg(last = true, hide = true)]
    command: Vec<OsString>,
}

/// The exit status for settings that are wrong.
const BAD_CONFIG: u8 = 2;
/// What the last lines may take to be written.
const LINES_WITHIN: Duration = Duration::from_secs(1);
/// The command's own span and nothing else: standard output is for the answer, whatever LOG_LEVEL says.
const QUIET: &str = "off,callboard=info,callboard::telemetry=off";

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let threads = config::worker_threads(variable);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime cannot be started: {error}")),
    };
    let status = runtime.block_on(dispatch(cli.command));
    telemetry::flush(LINES_WITHIN);
    // Blocking threads that hash a password nobody waits for are not worth waiting for.
    runtime.shutdown_background();
    status
}

async fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Serve { no_workers } => serve(if no_workers { Role::Api } else { Role::All }).await,
        Command::Work => serve(Role::Worker).await,
        Command::Dev(arguments) => develop::run(Path::new(".callboard"), arguments.ephemeral, &arguments.command).await,
        Command::CheckConfig => by_itself("check-config", check_config()).await,
        Command::Migrate => observed("migrate", migrate).await,
        Command::Doctor { probe: Some(path) } => crate::doctor::probe(&path).await,
        Command::Doctor { probe: None } => observed("doctor", crate::doctor::examine).await,
        Command::Actors(arguments) => asking("actors", operate::run(arguments)).await,
        Command::Jobs(arguments) => asking("jobs", operate::run_jobs(arguments)).await,
        Command::Openapi => {
            by_itself("openapi", async {
                say(&crate::api::docs::document());
                ExitCode::SUCCESS
            })
            .await
        }
    }
}

async fn serve(role: Role) -> ExitCode {
    with_config(async |config| match start_telemetry() {
        Ok(telemetry) => finish(app::serve(config, role, telemetry, |_| {}).await),
        Err(status) => status,
    })
    .await
}

/// Runs a command other than the servers under a root span of its own.
async fn observed(name: &'static str, command: impl AsyncFnOnce(Config) -> ExitCode) -> ExitCode {
    with_config(async |config| match start_telemetry() {
        Ok(telemetry) => under_span(name, telemetry, command(config)).await,
        Err(status) => status,
    })
    .await
}

/// Runs a command that asks a running process, and so needs no setting of a process but those of telemetry.
async fn asking(name: &'static str, command: impl Future<Output = ExitCode>) -> ExitCode {
    let settings = match quiet_settings() {
        Ok(settings) => settings,
        Err(mistakes) => return report(mistakes.into_iter()),
    };
    match Telemetry::start(&settings) {
        Ok(telemetry) => under_span(name, telemetry, command).await,
        Err(error) => fail(&error.to_string()),
    }
}

/// Runs a command that needs nothing, and is not kept from its work by settings of telemetry that are wrong.
async fn by_itself(name: &'static str, command: impl Future<Output = ExitCode>) -> ExitCode {
    match quiet_settings().ok().and_then(|settings| Telemetry::start(&settings).ok()) {
        Some(telemetry) => under_span(name, telemetry, command).await,
        None => command.await,
    }
}

fn quiet_settings() -> Result<telemetry::Settings, Vec<Mistake>> {
    telemetry_settings().map(|settings| telemetry::Settings { filter: QUIET.to_owned(), ..settings })
}

async fn under_span(name: &'static str, telemetry: Telemetry, command: impl Future<Output = ExitCode>) -> ExitCode {
    let span = tracing::info_span!(
        "command",
        otel.name = format!("command {name}"),
        otel.status_code = Empty,
        "error.type" = Empty,
    );
    let status = command.instrument(span.clone()).await;
    if status != ExitCode::SUCCESS {
        let wrong_settings = status == ExitCode::from(BAD_CONFIG);
        span.record("error.type", if wrong_settings { "bad_config" } else { "failed" });
        span.record("otel.status_code", "ERROR");
    }
    // It ends before what is left is exported.
    drop(span);
    telemetry.shutdown();
    status
}

async fn check_config() -> ExitCode {
    with_config(async |_| {
        say("the settings are fine");
        ExitCode::SUCCESS
    })
    .await
}

async fn migrate(config: Config) -> ExitCode {
    match migrations::migrate(&config.postgres.config).await {
        Ok(applied) if applied.is_empty() => say("the schema is up to date"),
        Ok(applied) => applied.iter().for_each(|name| say(&format!("applied {name}"))),
        Err(fault) => return fail(&fault.to_string()),
    }
    ExitCode::SUCCESS
}

/// Reads the settings of the environment and goes on, or reports every mistake.
async fn with_config(go_on: impl AsyncFnOnce(Config) -> ExitCode) -> ExitCode {
    match (Config::from(variable), telemetry_settings()) {
        (Ok(config), Ok(_)) => go_on(config).await,
        (config, telemetry) => {
            let mistakes = config.err().into_iter().chain(telemetry.err()).flatten();
            report(mistakes)
        }
    }
}

pub(crate) fn report(mistakes: impl Iterator<Item = Mistake>) -> ExitCode {
    for mistake in mistakes {
        complain(&mistake.to_string());
    }
    ExitCode::from(BAD_CONFIG)
}

pub(crate) fn telemetry_settings() -> Result<telemetry::Settings, Vec<Mistake>> {
    telemetry::Settings::from(variable, std::io::stdout().is_terminal())
}

pub(crate) fn start_telemetry() -> Result<Telemetry, ExitCode> {
    let settings = telemetry_settings().map_err(|mistakes| report(mistakes.into_iter()))?;
    Telemetry::start(&settings).map_err(|error| fail(&error.to_string()))
}

pub(crate) fn finish(result: Result<(), app::AppError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable that says something.
pub(crate) fn setting(name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

/// A line for whoever started the command.
pub(crate) fn say(line: &str) {
    // Whoever closed the output does not want to know.
    let _ = said(line);
}

/// A line, and whether anybody still reads: what goes on without end ends when nobody does.
pub(crate) fn said(line: &str) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}

pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "callboard: {line}");
}

pub(crate) fn fail(line: &str) -> ExitCode {
    complain(line);
    ExitCode::FAILURE
}
