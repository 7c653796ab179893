//! What every actor understands, whatever else it does: to say that it is there, and to fail when it is told to.

use tokio::sync::oneshot;

/// Something that an actor does on its next turn.
#[derive(Debug)]
pub enum Nudge {
    /// Say that the turn has come.
    Hello(oneshot::Sender<()>),
    /// Fail, because an operator or a test asked for it.
    Fault(Injected),
}

/// A fault that can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// Panic.
    Crash,
    /// Never end the turn.
    Hang,
}

impl Nudge {
    /// Does it. Never comes back from a hang.
    ///
    /// # Panics
    /// When that is what was asked for.
    #[allow(clippy::panic)]
    pub(crate) async fn obey(self) {
        match self {
            Self::Hello(heard) => {
                // Whoever asked may have given up.
                let _ = heard.send(());
            }
            Self::Fault(Injected::Crash) => panic!("crash asked for by fault injection"),
            Self::Fault(Injected::Hang) => std::future::pending().await,
        }
    }
}
