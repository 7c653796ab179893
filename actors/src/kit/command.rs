//! A command: what can be asked of an actor, and what may come back.
//!
//! Whether a command may be asked again after its actor died is part of its type
//! ([`Command::is_idempotent`]), so that no call site can get it wrong.

use tokio::sync::oneshot;

use super::error::Failure;

/// Something that can be asked of an actor.
pub trait Command: Clone + Send + Sync + 'static {
    /// What a caller gets when it is done.
    type Reply: Send + 'static;
    /// Why the rules may say no. A refusal is a reply: the actor lives on.
    type Refusal: Send + 'static;
    /// Its name in spans and metrics, in snake_case.
    const NAME: &'static str;
    /// Asking twice has the effect of asking once, so it is asked again when its actor dies.
    const IDEMPOTENT: bool;

    /// The same of this very command, for types of which some are.
    fn is_idempotent(&self) -> bool {
        Self::IDEMPOTENT
    }

    /// What an answer means when an earlier ask, whose answer was lost, may have taken effect already.
    ///
    /// # Errors
    /// Whatever the answer still means.
    fn repeated(answer: Answer<Self>) -> Answer<Self> {
        answer
    }
}

/// What a command comes to.
pub type Answer<C> = Result<<C as Command>::Reply, Failure<<C as Command>::Refusal>>;

/// A command on its way, with the port that its answer goes to.
pub struct Ask<C: Command> {
    /// What is asked.
    pub command: C,
    port: Port<C>,
}

/// The work on a message panicked: the message is to blame, and not what became of its actor.
#[derive(Debug, Clone, Copy)]
pub struct Panicked;

/// What comes out of a port. Nothing does when its actor ends with the message in hand.
pub(crate) type Returned<C> = Result<Answer<C>, Panicked>;

/// Where the answer to one command goes. Dropped by a panic, it says so.
pub struct Port<C: Command>(Option<oneshot::Sender<Returned<C>>>);

impl<C: Command> Port<C> {
    /// Sends the answer straight to the waiting caller.
    pub fn answer(mut self, answer: Answer<C>) {
        if let Some(port) = self.0.take() {
            // The caller may have gone meanwhile; then nobody wants the answer.
            let _ = port.send(Ok(answer));
        }
    }

    /// Nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl<C: Command> Drop for Port<C> {
    fn drop(&mut self) {
        if let Some(port) = self.0.take()
            && std::thread::panicking()
        {
            let _ = port.send(Err(Panicked));
        }
    }
}

/// Whether a message came to what its sender hoped for, for the counters of the actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, with a reply or a refusal.
    Answered,
    /// Answered with a failure that is ours.
    Failed,
}

impl<C: Command> Ask<C> {
    /// A command and the receiver of its answer.
    pub(crate) fn new(command: C) -> (Self, oneshot::Receiver<Returned<C>>) {
        let (port, answer) = oneshot::channel();
        (Self { command, port: Port(Some(port)) }, answer)
    }

    /// Runs `work` on the command and sends what it comes to straight to the waiting caller.
    pub async fn serve<F>(self, work: impl FnOnce(C) -> F) -> Outcome
    where
        F: Future<Output = Answer<C>>,
    {
        let Self { command, port } = self;
        let answer = work(command).await;
        let outcome = outcome_of::<C>(&answer);
        port.answer(answer);
        outcome
    }

    /// The command and its port, for those who answer many at once.
    pub fn into_parts(self) -> (C, Port<C>) {
        (self.command, self.port)
    }

    /// The same ask in the words of another command with the same answers, for actors that understand only one.
    pub fn reworded<D>(mut self, words: impl FnOnce(C) -> D) -> Ask<D>
    where
        D: Command<Reply = C::Reply, Refusal = C::Refusal>,
    {
        Ask { command: words(self.command), port: Port(self.port.0.take()) }
    }
}

/// What an answer counts as.
pub fn outcome_of<C: Command>(answer: &Answer<C>) -> Outcome {
    match answer {
        Ok(_) | Err(Failure::Refused(_)) => Outcome::Answered,
        Err(_) => Outcome::Failed,
    }
}

/// What travels in an envelope: an [`Ask`], or a domain's enum of them.
pub trait Message: Send + 'static {
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// The command's name, for logs.
    fn name(&self) -> &'static str;
}

impl<C: Command> Message for Ask<C> {
    fn is_abandoned(&self) -> bool {
        self.port.is_abandoned()
    }
    fn name(&self) -> &'static str {
        C::NAME
    }
}

/// `command!(Find, "find", Article, Refusal, idempotent: true)` makes `Find` a [`Command`] of that name,
/// reply, refusal and class.
#[macro_export]
macro_rules! command {
    ($command:ident, $name:literal, $reply:ty, $refusal:ty, idempotent: $idempotent:literal) => {
        impl $crate::kit::Command for $command {
            type Reply = $reply;
            type Refusal = $refusal;
            const NAME: &'static str = $name;
            const IDEMPOTENT: bool = $idempotent;
        }
    };
}

/// Makes the enum of the commands that one pool understands: a variant for each, wrapping its [`Ask`].
#[macro_export]
macro_rules! messages {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($command:ident),+ $(,)? }) => {
        $(#[$meta])*
        $vis enum $name {
            $(
                #[doc = concat!("Asks [`", stringify!($command), "`].")]
                $command($crate::kit::Ask<$command>),
            )+
        }
        $(
            impl From<$crate::kit::Ask<$command>> for $name {
                fn from(ask: $crate::kit::Ask<$command>) -> Self {
                    Self::$command(ask)
                }
            }
        )+
        impl $crate::kit::command::Message for $name {
            fn is_abandoned(&self) -> bool {
                match self { $(Self::$command(ask) => ask.is_abandoned(),)+ }
            }
            fn name(&self) -> &'static str {
                match self { $(Self::$command(ask) => ask.name(),)+ }
            }
        }
    };
}
