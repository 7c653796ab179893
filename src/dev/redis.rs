//! The private Redis: a unix socket only, and data that survives a restart unless it is thrown away.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::account::Account;
use super::error::DevError;
use super::place::{Home, Scratch, private_directory};
use super::process::{Log, Process, Spec};
use super::programs::find_redis;

const NAME: &str = "Redis";
/// One for each test, and plenty of them.
const DATABASES: &str = "4096";

/// Starts a server on the data in `home`, or on throw-away data without one. Returns its URL too.
pub(super) async fn start(home: Option<&Home>, progress: &impl Fn(&str)) -> Result<(Process, String), DevError> {
    let program = find_redis()?;
    let account = match home {
        Some(home) => Account::for_data(&home.data("redis"))?,
        None => Account::for_new_data()?,
    };
    let scratch = Scratch::create(&account).await?;
    let (data, log) = match home {
        Some(home) => (home.data("redis"), home.log("redis")),
        None => (scratch.path().join("data"), scratch.path().join("log")),
    };
    let log = Log::open(NAME, log, progress).await?;
    if !data.exists() {
        private_directory(&data, &account)?;
    }
    progress(&format!("starting {NAME}"));
    let socket = scratch.path().join("redis.sock");
    let mut process = Process::spawn(
        Spec {
            name: NAME,
            program,
            arguments: arguments(&socket, &data, home.is_some()),
            signal: "TERM",
            account: &account,
            remove: scratch.path(),
            keep_on_success: false,
        },
        &log,
    )?;
    scratch.hand_over();
    process.ready(async || answers(&socket).await).await?;
    Ok((process, format!("redis+unix://{}", socket.display())))
}

fn arguments(socket: &Path, data: &Path, durable: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--unixsocket".into(), socket.into(), "--dir".into(), data.into()];
    // Snapshots are off: the append-only file loses a second at most, and needs no fork to be written.
    let append_only = if durable { "yes" } else { "no" };
    let settings = [
        ["--port", "0"],
        ["--unixsocketperm", "700"],
        ["--databases", DATABASES],
        ["--daemonize", "no"],
        ["--save", ""],
        ["--appendonly", append_only],
    ];
    arguments.extend(settings.into_iter().flatten().map(OsString::from));
    arguments
}

/// Whether the server answers, and not only that it is loading its data.
async fn answers(socket: &Path) -> bool {
    let ping = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(&answer == b"+PONG")
    };
    matches!(timeout(Duration::from_secs(1), ping).await, Ok(Ok(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_private_server_listens_on_a_port() {
        for durable in [true, false] {
            let arguments = arguments(Path::new("/tmp/x/redis.sock"), Path::new("/data"), durable);
            let port = arguments.windows(2).find(|pair| pair.first().is_some_and(|name| name == "--port"));
            assert_eq!(port.and_then(|pair| pair.last()), Some(&"0".into()));
        }
    }
}
