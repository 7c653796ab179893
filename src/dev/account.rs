//! Whose processes the servers are.
//!
//! Ours, unless we are root: PostgreSQL refuses to run as root, so then both servers run as the owner of
//! the data that is there already, else as `postgres`, else as `nobody`.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Stdio;

use nix::unistd::{Uid, User, geteuid};
use tokio::process::Command;

use super::error::DevError;

/// Another user, whom root becomes for the servers; or nobody other than us.
#[derive(Debug, Clone)]
pub(super) struct Account(Option<Other>);

#[derive(Debug, Clone)]
struct Other {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// Who is to run a server whose data is, or will be, in `data`.
    pub(super) fn for_data(data: &Path) -> Result<Self, DevError> {
        let us = geteuid();
        let owner = data.metadata().ok().map(|metadata| (metadata.uid(), metadata.gid()));
        match owner {
            Some((uid, gid)) if us.is_root() && uid != 0 => {
                let name =
                    User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
                Ok(Self(Some(Other { name, uid, gid })))
            }
            Some((owner, _)) if !us.is_root() && owner != us.as_raw() => {
                Err(DevError::OtherOwner { data: data.to_owned(), owner })
            }
            _ => Self::for_new_data(),
        }
    }

    /// Who is to run a server that has no data yet.
    pub(super) fn for_new_data() -> Result<Self, DevError> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self(Some(Other { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() })))
            .ok_or(DevError::NoAccount)
    }

    /// Completes "the user …" in messages.
    pub(super) fn name(&self) -> &str {
        self.0.as_ref().map_or("running this", |other| &other.name)
    }

    /// A command that runs as this user, where every user may be, with no stream and no setting of ours.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // PostgreSQL's programs take defaults from these, such as the port that names the socket.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        if let Some(other) = &self.0 {
            command.uid(other.uid).gid(other.gid);
        }
        command
    }

    /// Makes `path` this user's.
    pub(super) fn own(&self, path: &Path) -> Result<(), DevError> {
        match &self.0 {
            Some(other) => chown(path, Some(other.uid), Some(other.gid)).map_err(DevError::file("hand over", path)),
            None => Ok(()),
        }
    }

    /// Whether this other user can enter `directory`: asked of the system, which knows more than permission
    /// bits. What we ourselves may not do, the attempt tells best.
    pub(super) async fn can_enter(&self, directory: &Path) -> bool {
        if self.0.is_none() {
            return true;
        }
        let entered = self.command("sh").args(["-c", "cd -- \"$1\"", "sh"]).arg(directory).status().await;
        entered.is_ok_and(|status| status.success())
    }
}
