//! What can go wrong with private servers, in words for the person at the terminal.

use std::io;
use std::path::{Path, PathBuf};

/// Why the private servers did not start, or a command with them did not run.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A program that a package brings is not on this machine.
    #[error("{program} was not found. Install it: {install}")]
    Missing {
        /// The program looked for.
        program: &'static str,
        /// The packages to install, by system.
        install: &'static str,
    },
    /// The directory is in use by another process of ours.
    #[error(
        "callboard already runs with {} (process {process}): stop that one first, \
         or set DATABASE_URL and REDIS_URL to use other servers",
        directory.display()
    )]
    AlreadyRunning {
        /// The directory that both want.
        directory: PathBuf,
        /// The other's process id, as it wrote it down.
        process: String,
    },
    /// A server of an earlier run does not end.
    #[error("the {server} of an earlier run has not ended: something still writes {}", log.display())]
    StillRunning {
        /// Which server.
        server: &'static str,
        /// Its log, which it keeps locked while it runs.
        log: PathBuf,
    },
    /// The data is of another major version than the programs.
    #[error(
        "the data in {} is PostgreSQL {created}'s, and only PostgreSQL {found} is installed: \
         install version {created}, or remove that directory to start anew",
        data.display()
    )]
    OtherVersion {
        /// The data directory.
        data: PathBuf,
        /// The major version that created it.
        created: u32,
        /// The major versions that are installed.
        found: String,
    },
    /// The data was created by another user, whom only root could become.
    #[error(
        "{} belongs to user {owner}: callboard ran as another user before. Run it as that user or as root, \
         or remove the directory to start anew",
        data.display()
    )]
    OtherOwner {
        /// The data directory.
        data: PathBuf,
        /// Whom it belongs to.
        owner: u32,
    },
    /// We are root, and PostgreSQL does not run as root.
    #[error("PostgreSQL does not run as root, and there is neither a user `postgres` nor a user `nobody` to run it as")]
    NoAccount,
    /// No temporary directory is fit for sockets.
    #[error(
        "no directory for the servers' sockets: {tried} must be short, of plain characters, and open to the user {account}"
    )]
    NoSocketDirectory {
        /// The directories that were tried.
        tried: String,
        /// Who has to reach the sockets.
        account: String,
    },
    /// A server, or a program that prepares its data, failed.
    #[error("{server} {why}\n--- the end of {} ---\n{tail}", log.display())]
    Failed {
        /// Which server or program.
        server: &'static str,
        /// What happened.
        why: String,
        /// Where it logs.
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
    /// A program could not be run at all.
    #[error("cannot run {program}: {source}")]
    Run {
        /// What was to run.
        program: String,
        /// Why it did not.
        source: io::Error,
    },
    /// There was no command after `--`.
    #[error("no command was given to run with the servers")]
    NoCommand,
    /// A file or directory was not to be had.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl DevError {
    /// Wraps an I/O error with what was tried, for `map_err`.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// Wraps the failure to run `program`, for `map_err`.
    pub(super) fn run(program: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let program = program.as_ref().display().to_string();
        move |source| Self::Run { program, source }
    }
}
