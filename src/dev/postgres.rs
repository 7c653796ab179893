//! The private PostgreSQL: a cluster of its own, reached by a unix socket only.
//!
//! find the programs → create the cluster, when it is new → start the server → wait until it says it is ready.
//!
//! What must stay true: a data directory under its final name is complete, database included, for it is
//! prepared under another name and then renamed; the server listens on no port; what is committed has
//! been flushed, except that throw-away data is not forced to the disk.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::error::DevError;
use super::place::{Home, Scratch, private_directory};
use super::process::{Log, Process, Spec};
use super::programs::{self, find_postgres};

const NAME: &str = "PostgreSQL";
/// The database and the role, whoever the server's user is.
const DATABASE: &str = "callboard";
/// Only the name of the socket: nothing listens there.
const PORT: &str = "5432";

/// Starts a server on the data in `home`, or on throw-away data without one. Returns its URL too.
pub(super) async fn start(home: Option<&Home>, progress: &impl Fn(&str)) -> Result<(Process, String), DevError> {
    let server = match home {
        Some(home) => durable(home, progress).await?,
        None => throw_away(progress).await?,
    };
    progress(&format!("starting {NAME} {}", server.installed.major));
    let url = format!("postgres:///{DATABASE}?host={}&port={PORT}&user={DATABASE}", server.scratch.path().display());
    let mut process = Process::spawn(
        Spec {
            name: NAME,
            program: server.installed.programs.join("postgres"),
            arguments: arguments(&server.data, server.scratch.path(), home.is_some()),
            // Fast shutdown: sessions are ended, a checkpoint is written.
            signal: "INT",
            account: &server.account,
            remove: server.scratch.path(),
            keep_on_success: false,
        },
        &server.log,
    )?;
    server.scratch.hand_over();
    let status = server.data.join("postmaster.pid");
    process.ready(async || says_ready(&std::fs::read_to_string(&status).unwrap_or_default())).await?;
    Ok((process, url))
}

/// All that a server needs to be started.
struct Server {
    account: Account,
    installed: programs::Postgres,
    data: PathBuf,
    log: Log,
    scratch: Scratch,
}

async fn durable(home: &Home, progress: &impl Fn(&str)) -> Result<Server, DevError> {
    let data = home.data("postgres");
    let account = Account::for_data(&data)?;
    let installed = find_postgres(&data, &account).await?;
    let log = Log::open(NAME, home.log("postgres"), progress).await?;
    if data.join("PG_VERSION").is_file() {
        forget_previous_server(&data)?;
    } else {
        let new = home.data("postgres.new");
        if new.exists() {
            std::fs::remove_dir_all(&new).map_err(DevError::file("remove", &new))?;
        }
        progress(&format!("creating the {NAME} data in {}", data.display()));
        let setup = Setup { account: &account, installed: &installed, log: &log, remove: &new, forced_to_disk: true };
        setup.create(&new).await?;
        std::fs::rename(&new, &data).map_err(DevError::file("rename", &new))?;
    }
    let scratch = Scratch::create(&account).await?;
    Ok(Server { account, installed, data, log, scratch })
}

async fn throw_away(progress: &impl Fn(&str)) -> Result<Server, DevError> {
    let account = Account::for_new_data()?;
    let scratch = Scratch::create(&account).await?;
    let data = scratch.path().join("data");
    let installed = find_postgres(&data, &account).await?;
    let log = Log::open(NAME, scratch.path().join("log"), progress).await?;
    progress(&format!("creating throw-away {NAME} data"));
    let setup =
        Setup { account: &account, installed: &installed, log: &log, remove: scratch.path(), forced_to_disk: false };
    setup.create(&data).await?;
    Ok(Server { account, installed, data, log, scratch })
}

/// Removes what a killed server left: the log's lock proves that none is running, whereas PostgreSQL
/// would go by the process id, which another process may have by now (in a container it does).
fn forget_previous_server(data: &Path) -> Result<(), DevError> {
    let path = data.join("postmaster.pid");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DevError::file("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// How a new cluster is made.
struct Setup<'a> {
    account: &'a Account,
    installed: &'a programs::Postgres,
    log: &'a Log,
    /// What goes when it fails.
    remove: &'a Path,
    forced_to_disk: bool,
}

impl Setup<'_> {
    async fn create(&self, data: &Path) -> Result<(), DevError> {
        private_directory(data, self.account)?;
        let locale = if programs::knows_locale("C.UTF-8", self.account).await { "C.UTF-8" } else { "C" };
        let mut arguments: Vec<OsString> = vec!["--pgdata".into(), data.into()];
        arguments.extend(["--username", DATABASE, "--auth=trust", "--encoding=UTF8"].map(OsString::from));
        arguments.push(format!("--locale={locale}").into());
        if !self.forced_to_disk {
            arguments.push("--no-sync".into());
        }
        self.run("initdb", self.installed.programs.join("initdb"), arguments).await?;

        // A server without a socket, which reads one statement and ends.
        let statement = format!("create database {DATABASE}");
        let script = "echo \"$1\" | \"$2\" --single -D \"$3\" -c exit_on_error=on -c fsync=\"$4\" postgres";
        let mut arguments = ["-c", script, "sh", &statement].map(OsString::from).to_vec();
        arguments.extend([self.installed.programs.join("postgres").into(), data.into()]);
        arguments.push(on_off(self.forced_to_disk).into());
        self.run("create database", "sh".into(), arguments).await
    }

    async fn run(&self, name: &'static str, program: PathBuf, arguments: Vec<OsString>) -> Result<(), DevError> {
        let spec = Spec {
            name,
            program,
            arguments,
            signal: "TERM",
            account: self.account,
            remove: self.remove,
            keep_on_success: true,
        };
        Process::spawn(spec, self.log)?.succeed().await
    }
}

fn arguments(data: &Path, sockets: &Path, durable: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["-D".into(), data.into(), "-k".into(), sockets.into()];
    arguments.extend(["-p", PORT].map(OsString::from));
    let settings = [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        // Every test has connections of its own, and several tests run at once.
        "max_connections=300",
        "cluster_name=callboard",
        "log_destination=stderr",
        "logging_collector=off",
        "timezone=UTC",
        "log_timezone=UTC",
        // Explicit, for without it a committed table was seen to vanish with a killed server.
        "synchronous_commit=on",
    ];
    let forced = on_off(durable);
    let forced = [format!("fsync={forced}"), format!("full_page_writes={forced}")];
    for setting in settings.into_iter().map(str::to_owned).chain(forced) {
        arguments.extend(["-c".into(), setting.into()]);
    }
    arguments
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Whether the server's status file says that it takes connections: the eighth line, by which
/// PostgreSQL's own `pg_ctl` goes too. A connection alone says nothing, since it is taken while the server recovers.
fn says_ready(status: &str) -> bool {
    status.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_still_recovers_is_not_ready() {
        let file = |status: &str| format!("1\n/data\n1763714731\n5432\n/tmp/x\n\n 1 2\n{status}\n");
        assert!(says_ready(&file("ready   ")));
        assert!(!says_ready(&file("starting")));
        assert!(!says_ready(&file("stopping")));
        assert!(!says_ready("1\n/data\n"));
    }

    #[test]
    fn no_private_server_listens_on_a_port() {
        for durable in [true, false] {
            let arguments = arguments(Path::new("/data"), Path::new("/tmp/x"), durable);
            assert!(arguments.contains(&"listen_addresses=".into()));
            assert!(arguments.contains(&"synchronous_commit=on".into()));
            assert_eq!(arguments.contains(&"fsync=on".into()), durable);
        }
    }
}
