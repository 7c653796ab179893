//! `callboard dev`: private servers, migrations, the service, and all of it stopped again. What `make run`
//! runs; and, hidden, the same servers around another command, which is how the tests get theirs.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use actors::migrations;

use crate::app::{self, Addresses, Role};
use crate::cli::{fail, finish, report, say, start_telemetry, telemetry_settings, variable};
use crate::config::Config;
use crate::dev::{Options, Servers, wrap};

/// Starts the servers, then serves or runs `command`, then stops the servers.
pub(crate) async fn run(directory: &Path, ephemeral: bool, command: &[OsString]) -> ExitCode {
    let options = Options {
        directory: directory.to_owned(),
        durable: !ephemeral,
        database_url: variable("DATABASE_URL"),
        redis_url: variable("REDIS_URL"),
    };
    let servers = match Servers::start(&options, say).await {
        Ok(servers) => servers,
        Err(error) => return fail(&error.to_string()),
    };
    let status = if command.is_empty() { serve(directory, &servers).await } else { wrap(&servers, command).await };
    servers.stop().await;
    status
}

async fn wrap(servers: &Servers, command: &[OsString]) -> ExitCode {
    match wrap::run_command(servers, command).await {
        Ok(status) => wrap::exit_code(status),
        Err(error) => fail(&error.to_string()),
    }
}

async fn serve(directory: &Path, servers: &Servers) -> ExitCode {
    let secret = match kept_secret(directory) {
        Ok(secret) => secret,
        Err(error) => {
            return fail(&format!("the signing secret cannot be kept under {}: {error}", directory.display()));
        }
    };
    let read = |name: &str| match name {
        "DATABASE_URL" => Some(servers.database_url().to_owned()),
        "REDIS_URL" => Some(servers.redis_url().to_owned()),
        "JWT_SECRET" => variable(name).or_else(|| Some(secret.clone())),
        _ => variable(name),
    };
    let config = match (Config::from(read), telemetry_settings()) {
        (Ok(config), Ok(_)) => config,
        (config, telemetry) => return report(config.err().into_iter().chain(telemetry.err()).flatten()),
    };
    say("migrating the database…");
    if let Err(fault) = migrations::migrate(&config.postgres.config).await {
        return fail(&fault.to_string());
    }
    match start_telemetry() {
        Ok(telemetry) => finish(app::serve(config, Role::All, telemetry, welcome).await),
        Err(status) => status,
    }
}

fn welcome(addresses: &Addresses) {
    let admin = addresses.admin;
    let Some(api) = addresses.public else { return };
    say(&format!(
        "\n  API     http://{api}/api\n  Docs    http://{api}/docs\n  Admin   http://{admin}/\n\n  Try:    curl -s http://{api}/api/health\n\n  Ctrl-C stops everything; the data stays under .callboard/.\n"
    ));
}

/// The signing secret of this directory, made on the first start, readable by its owner only.
fn kept_secret(directory: &Path) -> io::Result<String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = directory.join("jwt-secret");
    match std::fs::read_to_string(&path) {
        Ok(secret) => Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(directory)?;
            let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            writeln!(file, "{secret}")?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}
