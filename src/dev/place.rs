//! Where the servers keep their data, their sockets and their logs.
//!
//! ```text
//! .callboard/           postgres/  redis/  postgres.log  redis.log  lock
//! /tmp/callboard-…/     one for each server: the socket; for tests also data/ and log
//! ```
//!
//! What must stay true: one process at a time works with a directory (`lock`), one server at a time with
//! a data directory (its log, locked by whoever holds it open); sockets are reached by their owner only;
//! a throw-away server leaves nothing behind.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::account::Account;
use super::error::DevError;

/// Bytes that the path of a socket may have on every system (Linux takes 107, macOS 103).
const SOCKET_PATH: usize = 103;
/// Room for what is put behind the temporary directory: ours, the server's own, and the socket's name.
const BELOW_TEMPORARY: usize = "/callboard-4194304-4294967295/.s.PGSQL.5432".len();

/// A directory that outlives us, taken for as long as this value lives.
pub(super) struct Home {
    /// Where the logs go: `.callboard`.
    directory: PathBuf,
    /// Where the data goes: the same, unless the servers' user cannot enter it.
    data: PathBuf,
    _lock: File,
}

impl Home {
    /// Takes `directory`, creating it when needed.
    pub(super) async fn take(directory: &Path, progress: &impl Fn(&str)) -> Result<Self, DevError> {
        std::fs::create_dir_all(directory).map_err(DevError::file("create", directory))?;
        let directory = directory.canonicalize().map_err(DevError::file("resolve", directory))?;
        let account = Account::for_data(&directory.join("postgres"))?;
        let lock = lock(&directory)?;
        let data = if account.can_enter(&directory).await {
            directory.clone()
        } else {
            elsewhere(&directory, account.name(), progress)?
        };
        Ok(Self { directory, data, _lock: lock })
    }

    /// Where the data of `server` is.
    pub(super) fn data(&self, server: &str) -> PathBuf {
        self.data.join(server)
    }

    /// Where `server` logs.
    pub(super) fn log(&self, server: &str) -> PathBuf {
        self.directory.join(server).with_extension("log")
    }
}

fn lock(directory: &Path) -> Result<File, DevError> {
    let path = directory.join("lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(DevError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let process = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            return Err(DevError::AlreadyRunning { directory: directory.to_owned(), process });
        }
        Err(TryLockError::Error(source)) => return Err(DevError::File { action: "lock", path, source }),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(DevError::file("write", &path))?;
    Ok(file)
}

/// A place for the data that every user can enter, and a note in `directory` that says so: a checkout
/// under root's home is closed to the user that PostgreSQL has to run as.
fn elsewhere(directory: &Path, account: &str, progress: &impl Fn(&str)) -> Result<PathBuf, DevError> {
    let data = PathBuf::from(format!("/var/lib/callboard-{:016x}", fingerprint(directory)));
    std::fs::create_dir_all(&data).map_err(DevError::file("create", &data))?;
    // Whatever root's umask is, others pass through; the servers' own directories in it are closed to them.
    std::fs::set_permissions(&data, Permissions::from_mode(0o711)).map_err(DevError::file("open up", &data))?;
    let note = directory.join("DATA-IS-ELSEWHERE.txt");
    let text = format!(
        "The data of the private PostgreSQL and Redis of this directory is in\n{}\n\
         because they run as the user {account}, who cannot enter\n{}\nRemove both to start anew.\n",
        data.display(),
        directory.display()
    );
    std::fs::write(&note, text).map_err(DevError::file("write", &note))?;
    progress(&format!(
        "the data is kept in {}, since the user {account} cannot enter {}",
        data.display(),
        directory.display()
    ));
    Ok(data)
}

/// FNV-1a of a path: the same in every run and build, which the standard hasher does not promise.
fn fingerprint(path: &Path) -> u64 {
    path.as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Creates a directory that only `account` may enter.
pub(super) fn private_directory(path: &Path, account: &Account) -> Result<(), DevError> {
    DirBuilder::new().mode(0o700).create(path).map_err(DevError::file("create", path))?;
    account.own(path)
}

/// A short-lived directory of a server's own. It goes when this is dropped, unless it was handed to the
/// process that removes it at its own end.
pub(super) struct Scratch {
    path: PathBuf,
    handed_over: bool,
}

impl Scratch {
    /// Creates one in the system's temporary directory, or in `/tmp` when that one is unfit for sockets.
    pub(super) async fn create(account: &Account) -> Result<Self, DevError> {
        let candidates = [std::env::temp_dir(), PathBuf::from("/tmp")];
        for parent in candidates.iter().filter(|parent| fit_for_sockets(parent)) {
            let Ok(parent) = parent.canonicalize() else { continue };
            if account.can_enter(&parent).await
                && let Ok(scratch) = Self::create_in(&parent)
            {
                account.own(&scratch.path)?;
                return Ok(scratch);
            }
        }
        let tried = candidates.map(|path| path.display().to_string()).join(" and ");
        Err(DevError::NoSocketDirectory { tried, account: account.name().to_owned() })
    }

    fn create_in(parent: &Path) -> std::io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("callboard-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, handed_over: false }),
                // Another process's with our id, before a reboot or in another container.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves its removal to the process that was told its path.
    pub(super) fn hand_over(mut self) {
        self.handed_over = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.handed_over {
            // Nobody is left to be told when this fails, and the system clears its temporary directory.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Short enough for the path of a socket, and free of characters that a URL would have to escape.
fn fit_for_sockets(directory: &Path) -> bool {
    let bytes = directory.as_os_str().as_bytes();
    bytes.len() + BELOW_TEMPORARY <= SOCKET_PATH
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_or_odd_temporary_directory_is_not_used_for_sockets() {
        assert!(fit_for_sockets(Path::new("/tmp")));
        assert!(fit_for_sockets(Path::new("/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T")));
        assert!(!fit_for_sockets(Path::new(&format!("/{}", "long".repeat(20)))));
        assert!(!fit_for_sockets(Path::new("/tmp/with space")));
        assert!(!fit_for_sockets(Path::new("/tmp/with?mark")));
    }

    #[test]
    fn a_directory_keeps_its_fingerprint_in_every_build() {
        assert_eq!(fingerprint(Path::new("")), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(Path::new("a")), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn a_directory_is_taken_once_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path()).unwrap();
        let second = lock(directory.path()).unwrap_err();
        assert!(second.to_string().contains(&format!("process {}", std::process::id())), "{second}");
        drop(first);
        lock(directory.path()).unwrap();
    }
}
