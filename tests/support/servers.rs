//! Servers of a test's own: killed, frozen, starved and started again as it pleases. They end with the test.
//!
//! They run as whom the suite's own servers run as: PostgreSQL refuses to run as root. They are reached by unix
//! sockets, whose paths have to be short.

pub mod postgres;
pub mod redis;

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::PATIENCE;

/// Where distributions keep PostgreSQL's programs, besides PATH.
const VERSIONED: [(&str, &str); 3] = [("/usr/lib/postgresql", "bin"), ("/usr/libexec", ""), ("/usr/lib", "bin")];
/// How long a server that is told to end at once may take before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A directory for a server's socket and data, with a short path, owned by whom the server runs as.
struct Place {
    directory: TempDir,
    owner: Option<User>,
}

impl Place {
    fn new() -> Self {
        let names = if geteuid().is_root() { &["postgres", "nobody"][..] } else { &[] };
        let owner = names.iter().find_map(|name| User::from_name(name).unwrap());
        let directory = tempfile::Builder::new().prefix("cb-").tempdir_in("/tmp").unwrap();
        let place = Self { directory, owner };
        place.own(place.path());
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn own(&self, path: &Path) {
        if let Some(owner) = &self.owner {
            chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
        }
    }

    /// A program that runs here, as whom this belongs to, and writes to a log.
    fn command(&self, program: &Path) -> Command {
        let path = self.path().join("log");
        let log = || fs::File::options().create(true).append(true).open(&path).unwrap();
        let mut command = Command::new(program);
        command.current_dir("/").env_clear().envs(std::env::vars().filter(|(name, _)| name == "PATH"));
        command.stdin(Stdio::null()).stdout(log()).stderr(log()).kill_on_drop(true);
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

/// A server that runs. Dropping it ends it, and waits for its end.
struct Running {
    child: Child,
    /// What it ends by without further ado.
    end: Signal,
}

impl Running {
    fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("the server still runs");
        kill(Pid::from_raw(i32::try_from(id).unwrap()), signal).unwrap();
    }

    async fn end(mut self, signal: Signal) {
        self.signal(signal);
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the server ends").unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.id().is_none() {
            return;
        }
        self.signal(self.end);
        // One that was frozen hears of it only then.
        self.signal(Signal::SIGCONT);
        let until = Instant::now() + END_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The first of these programs that is on PATH, or where distributions hide PostgreSQL's.
fn program(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).filter(|place| place.is_absolute()).collect();
    for (parent, programs) in VERSIONED {
        let mut versions: Vec<_> = fs::read_dir(parent).into_iter().flatten().flatten().map(|e| e.path()).collect();
        versions.sort();
        places.extend(versions.into_iter().rev().map(|version| version.join(programs)));
    }
    let found = names.iter().find_map(|name| places.iter().map(|place| place.join(name)).find(|file| file.is_file()));
    found.unwrap_or_else(|| panic!("none of {names:?} is installed"))
}
