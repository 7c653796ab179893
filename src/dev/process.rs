//! A server process that cannot outlive us.
//!
//! ```text
//! callboard ──pipe──▶ sh (supervise.sh) ──▶ server
//!           holds the write end           waits, and removes the scratch directory at the end
//! ```
//!
//! Between us and the server stands a small shell that reads from a pipe whose write end only we hold.
//! Nothing is ever written: when the end closes, because we stop, panic or are killed, the shell stops
//! the server. It is one way to stop for all cases, and it needs no signal from a process that may be gone.
//!
//! What must stay true: the pipe's write end is inherited by nobody (the standard library closes it on
//! exec); the shell has a process group of its own, so that Ctrl-C reaches us and not the servers; no
//! stream of ours is inherited, since a stray holder of one keeps a CI job open for ever.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin};
use tokio::time::{sleep, timeout};

use super::account::Account;
use super::error::DevError;

const SUPERVISE: &str = include_str!("supervise.sh");
/// How long a server may take to stop by itself.
const GRACE: Duration = Duration::from_secs(10);
/// How long a server may take to come up: recovery after a crash is part of it.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How much of a log is shown.
const TAIL: u64 = 4096;

/// What to run, and how it ends.
pub(super) struct Spec<'a> {
    /// The name in messages.
    pub(super) name: &'static str,
    /// The program.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<OsString>,
    /// The signal that asks it to stop, without `SIG`.
    pub(super) signal: &'static str,
    /// Who it runs as.
    pub(super) account: &'a Account,
    /// The directory that goes at its end.
    pub(super) remove: &'a Path,
    /// Whether the directory stays when the program ends well by itself.
    pub(super) keep_on_success: bool,
}

/// A program under supervision. Dropping it has it stopped, without waiting for that.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    lifeline: Option<ChildStdin>,
    log: Log,
}

impl Process {
    /// Starts what `spec` says, with its output in `log`.
    pub(super) fn spawn(spec: Spec<'_>, log: &Log) -> Result<Self, DevError> {
        let mut child = spec
            .account
            .command("sh")
            // By way of the environment, so that a list of processes shows what runs and not the whole script.
            .env("SUPERVISE", SUPERVISE)
            .args(["-c", "eval \"$SUPERVISE\"", "supervise.sh", spec.signal])
            .arg(GRACE.as_secs().to_string())
            .arg(spec.remove)
            .arg(if spec.keep_on_success { "failure" } else { "always" })
            .arg(spec.program)
            .args(spec.arguments)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log.stream()?)
            .stderr(log.stream()?)
            .spawn()
            .map_err(DevError::run("sh"))?;
        let lifeline = child.stdin.take();
        Ok(Self { name: spec.name, child, lifeline, log: log.share()? })
    }

    /// Waits until `probe` says that the server answers.
    pub(super) async fn ready(&mut self, mut probe: impl AsyncFnMut() -> bool) -> Result<(), DevError> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().map_err(DevError::run(self.name))? {
                return Err(self.failed(format!("ended as soon as it was started ({status})")));
            }
            if probe().await {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(self.failed(format!("was not ready within {} s", READY_WITHIN.as_secs())))
    }

    /// Waits until the program has ended by itself, and well.
    pub(super) async fn succeed(mut self) -> Result<(), DevError> {
        // `wait` would close the pipe first, had it not been taken out of the child.
        let status = self.child.wait().await.map_err(DevError::run(self.name))?;
        if status.success() { Ok(()) } else { Err(self.failed(format!("failed ({status})"))) }
    }

    /// Stops the server: by its signal, then by force.
    pub(super) async fn stop(mut self) {
        self.lifeline = None;
        let mut ended = timeout(GRACE + Duration::from_secs(2), self.child.wait()).await.ok();
        if ended.is_none() {
            if let Some(group) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            ended = Some(self.child.wait().await);
        }
        match ended {
            Some(Ok(status)) if status.success() => tracing::debug!(server = self.name, "stopped"),
            _ => tracing::warn!(server = self.name, ?ended, log = %self.log.path.display(), "did not stop by itself"),
        }
    }

    fn failed(&self, why: String) -> DevError {
        DevError::Failed { server: self.name, why, log: self.log.path.clone(), tail: self.log.tail() }
    }
}

/// A server's log. It is locked for as long as anyone holds it open, that is until the last process of
/// the server has ended: whoever gets the lock knows that nothing works with the server's data.
pub(super) struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// Opens an empty log, once the server that used it before has ended.
    pub(super) async fn open(server: &'static str, path: PathBuf, progress: &impl Fn(&str)) -> Result<Self, DevError> {
        let file =
            File::options().create(true).append(true).read(true).open(&path).map_err(DevError::file("open", &path))?;
        let deadline = Instant::now() + GRACE + Duration::from_secs(5);
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(DevError::File { action: "lock", path, source }),
                Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Err(DevError::StillRunning { server, log: path });
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if !told {
                progress(&format!("waiting for the {server} of an earlier run to end"));
                told = true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        file.set_len(0).map_err(DevError::file("empty", &path))?;
        Ok(Self { file, path })
    }

    fn share(&self) -> Result<Self, DevError> {
        let file = self.file.try_clone().map_err(DevError::file("share", &self.path))?;
        Ok(Self { file, path: self.path.clone() })
    }

    fn stream(&self) -> Result<Stdio, DevError> {
        self.share().map(|log| Stdio::from(log.file))
    }

    /// The last lines, also when the file was removed meanwhile.
    fn tail(&self) -> String {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        let mut buffer = vec![0; usize::try_from(TAIL.min(length)).unwrap_or(0)];
        let read = self.file.read_at(&mut buffer, length.saturating_sub(TAIL)).unwrap_or(0);
        buffer.truncate(read);
        last_lines(&String::from_utf8_lossy(&buffer), 15)
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let skip = text.lines().count().saturating_sub(count);
    text.lines().skip(skip).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::place::Scratch;
    use super::*;

    #[tokio::test]
    async fn a_server_ends_with_its_starter_and_its_directory_goes_too() {
        let account = Account::for_new_data().unwrap();
        let scratch = Scratch::create(&account).await.unwrap();
        let directory = scratch.path().to_owned();
        let log = Log::open("sleep", directory.join("log"), &|_: &str| {}).await.unwrap();
        let spec = Spec {
            name: "sleep",
            program: "sleep".into(),
            arguments: vec!["60".into()],
            signal: "KILL",
            account: &account,
            remove: &directory,
            keep_on_success: false,
        };
        let process = Process::spawn(spec, &log).unwrap();
        scratch.hand_over();
        sleep(Duration::from_millis(100)).await;
        assert!(directory.exists());

        drop(process);
        let gone = async {
            // The log's lock tells that no process of the server is left.
            let again = File::options().read(true).open(directory.join("log"));
            while directory.exists() || again.as_ref().is_ok_and(|again| again.try_lock().is_err()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        drop(log);
        timeout(Duration::from_secs(5), gone).await.unwrap();
    }

    #[test]
    fn an_error_shows_the_end_of_the_log() {
        assert_eq!(last_lines("one\ntwo\nthree\n", 2), "two\nthree");
        assert_eq!(last_lines("one\n", 2), "one");
        assert_eq!(last_lines("", 2), "");
    }
}
