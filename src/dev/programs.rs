//! Finding the servers' programs: on PATH, then where distributions hide PostgreSQL's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::account::Account;
use super::error::DevError;

/// Where versions of PostgreSQL live side by side: in `{0}/{1}<major version>/{2}`.
const VERSIONED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                   // the PostgreSQL project's packages for Fedora and its kin
    ("/usr/lib", "postgresql", "bin"),           // openSUSE
    ("/usr/libexec", "postgresql", ""),          // Alpine
    ("/opt/homebrew/opt", "postgresql@", "bin"), // macOS on ARM
    ("/usr/local/opt", "postgresql@", "bin"),    // macOS on Intel
];

const INSTALL_POSTGRES: &str = "`apt install postgresql` on Debian or Ubuntu, `dnf install postgresql-server` on Fedora, \
                                `brew install postgresql@17` on macOS";
const INSTALL_REDIS: &str = "`apt install redis-server` on Debian or Ubuntu, `dnf install valkey` on Fedora, \
                             `brew install redis` on macOS";

/// One version of PostgreSQL.
#[derive(Debug, PartialEq)]
pub(super) struct Postgres {
    /// Where its programs are.
    pub(super) programs: PathBuf,
    /// Its major version.
    pub(super) major: u32,
}

/// The PostgreSQL for `data`: the version that created it, or the best one when it is new.
pub(super) async fn find_postgres(data: &Path, account: &Account) -> Result<Postgres, DevError> {
    let created = std::fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
    let mut others = Vec::new();
    for programs in on_path().chain(versioned(&VERSIONED)) {
        if !programs.join("initdb").is_file() {
            continue;
        }
        let Some(major) = version(&programs.join("postgres"), account).await else { continue };
        if created.is_none_or(|created: u32| created == major) {
            return Ok(Postgres { programs, major });
        }
        others.push(major.to_string());
    }
    match created {
        Some(created) if !others.is_empty() => {
            others.dedup();
            Err(DevError::OtherVersion { data: data.to_owned(), created, found: others.join(", ") })
        }
        _ => Err(DevError::Missing { program: "PostgreSQL (`postgres` and `initdb`)", install: INSTALL_POSTGRES }),
    }
}

/// Redis, or the server that some distributions ship in its place.
pub(super) fn find_redis() -> Result<PathBuf, DevError> {
    let found = ["redis-server", "valkey-server"].into_iter().find_map(|name| {
        on_path()
            .chain(["/opt/homebrew/bin".into(), "/usr/local/bin".into()])
            .map(|directory| directory.join(name))
            .find(|program| program.is_file())
    });
    found.ok_or(DevError::Missing { program: "redis-server", install: INSTALL_REDIS })
}

/// Whether the C library knows this locale; a build without the program that lists them takes all.
pub(super) async fn knows_locale(name: &str, account: &Account) -> bool {
    let wanted = plain(name);
    match account.command("locale").arg("-a").stdout(Stdio::piped()).output().await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).lines().any(|line| plain(line) == wanted),
        Err(_) => true,
    }
}

/// `C.UTF-8` and `C.utf8` are one locale.
fn plain(locale: &str) -> String {
    locale.chars().filter(|character| *character != '-').map(|character| character.to_ascii_lowercase()).collect()
}

fn on_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|directory| directory.is_absolute()).collect::<Vec<_>>().into_iter()
}

/// The directories of `places` that exist, the newest version of each first.
fn versioned<'a>(places: &'a [(&'a str, &'a str, &'a str)]) -> impl Iterator<Item = PathBuf> + 'a {
    places.iter().flat_map(|(parent, prefix, programs)| {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let mut versions: Vec<(u32, PathBuf)> = entries
            .filter_map(|entry| {
                let major = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
                Some((major, entry.path().join(programs)))
            })
            .collect();
        versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
        versions.into_iter().map(|(_, path)| path)
    })
}

/// The major version that `postgres` says it is, asked as the user who is to run it.
async fn version(postgres: &Path, account: &Account) -> Option<u32> {
    let output = account.command(postgres).arg("--version").stdout(Stdio::piped()).output().await.ok()?;
    major_version(&String::from_utf8_lossy(&output.stdout))
}

fn major_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    let digits = version.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_version("something else"), None);
    }

    #[test]
    fn the_newest_version_is_tried_first() {
        let place = tempfile::tempdir().unwrap();
        for name in ["9", "17", "15", "common"] {
            std::fs::create_dir_all(place.path().join(name).join("bin")).unwrap();
        }
        let places = [(place.path().to_str().unwrap(), "", "bin")];
        let found: Vec<_> = versioned(&places).collect();
        assert_eq!(found, ["17", "15", "9"].map(|name| place.path().join(name).join("bin")));
    }

    #[test]
    fn spellings_of_a_locale_are_one() {
        assert_eq!(plain("C.UTF-8"), plain("C.utf8"));
    }
}
