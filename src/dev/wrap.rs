//! Runs a command that finds the servers in its environment, as the test run does:
//! `callboard dev --ephemeral -- cargo nextest run`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::{DevError, Servers};

/// Runs `command` with `DATABASE_URL` and `REDIS_URL` set, and passes signals on to it. We outlive it in
/// every case, so that the caller can stop the servers.
///
/// # Errors
/// When there is no command or it cannot be run. Its own failure is its exit status.
pub async fn run_command(servers: &Servers, command: &[OsString]) -> Result<ExitStatus, DevError> {
    let (program, arguments) = command.split_first().ok_or(DevError::NoCommand)?;
    let listen = |kind| signal(kind).map_err(DevError::run("signal handler"));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;

    let mut child = Command::new(program)
        .args(arguments)
        .env("DATABASE_URL", servers.database_url())
        .env("REDIS_URL", servers.redis_url())
        .spawn()
        .map_err(DevError::run(program))?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let pass_on = |signal| {
        if let Some(id) = id {
            // It has just ended when this fails, which is what was asked.
            let _ = kill(id, signal);
        }
    };
    loop {
        tokio::select! {
            status = child.wait() => return status.map_err(DevError::run(program)),
            Some(()) = interrupt.recv() => if !typed_at_terminal() { pass_on(Signal::SIGINT) },
            Some(()) = terminate.recv() => pass_on(Signal::SIGTERM),
            Some(()) = hang_up.recv() => pass_on(Signal::SIGHUP),
        }
    }
}

/// Whether an interrupt is taken for Ctrl-C at a terminal, which has reached the command as well: a
/// second one would make many programs give up their clean-up.
fn typed_at_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// What a shell would report for `status`: the code, or 128 and the number of the signal.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|number| 128 + number)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_s_exit_status_is_passed_on_as_a_shell_would() {
        let code = |raw| format!("{:?}", exit_code(ExitStatus::from_raw(raw)));
        assert_eq!(code(0), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(code(100 << 8), format!("{:?}", ExitCode::from(100)));
        assert_eq!(code(15), format!("{:?}", ExitCode::from(143)));
    }
}
