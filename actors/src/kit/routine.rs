//! An actor that runs one loop of its own: a connection to keep, a queue to watch, a clock to follow.
//!
//! The loop is a task that the actor's state owns. When it ends by itself, calmly, with an error or by a panic,
//! so does the actor, and its supervisor starts it anew; when the actor is stopped, the loop is told
//! through [`Stopping`] and may finish what it has in hand; when the actor is killed, so is the loop.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::error::Fault;
use super::nudge::Nudge;

/// What a routine does for its whole life.
pub trait Routine: Send + Sync + 'static {
    /// Runs until told to stop. An error is a crash; an early end is one for an actor that is always to run.
    fn run(&self, stopping: Stopping) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Tells a loop that it should come to an end. A loop that asks, or waits through this, shows that it makes progress.
#[derive(Clone)]
pub struct Stopping {
    stop: watch::Receiver<bool>,
    busy: Arc<Busy>,
}

/// Since when a loop has been at work without looking up.
#[derive(Debug, Default)]
pub struct Busy(Mutex<Option<Instant>>);

impl Busy {
    /// How long; nothing while the loop waits for something to do.
    pub fn elapsed(&self) -> Duration {
        self.since().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn note(&self, since: Option<Instant>) {
        *self.since() = since;
    }

    // Nothing panics while it holds the lock, so a poisoned one still guards a sound moment.
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stopping {
    /// Whether the end has been asked for.
    pub fn is_asked(&self) -> bool {
        self.busy.note(Some(Instant::now()));
        *self.stop.borrow()
    }

    /// Completes when the end is asked for. Cancel-safe.
    pub async fn asked(&mut self) {
        // A sender that is gone belongs to an actor that is gone: that is an end as well.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }

    /// Runs `work` unless the end is asked for first, in which case it is dropped. It may take any time: what may
    /// not, has a limit of its own.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let busy = Arc::clone(&self.busy);
        busy.note(None);
        let done = tokio::select! {
            biased;
            () = self.asked() => None,
            done = work => Some(done),
        };
        busy.note(Some(Instant::now()));
        done
    }
}

/// What a routine's actor receives.
pub(crate) enum Signal {
    /// The loop ended by itself.
    Ended(End),
    /// From the supervisor, the watchdog, or whoever injects faults.
    Nudge(Nudge),
}

/// How a loop ended by itself.
pub(crate) enum End {
    /// It returned, as it does when it is told to stop.
    Returned(Result<(), Fault>),
    /// It panicked with this message.
    Panicked(String),
}

/// The actor around a loop.
pub(crate) struct Runner<R>(pub(crate) Arc<R>);

pub(crate) struct State {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl<R: Routine> Actor for Runner<R> {
    type Msg = Signal;
    type State = State;
    type Arguments = Arc<Busy>;

    async fn pre_start(&self, myself: ActorRef<Signal>, busy: Arc<Busy>) -> Result<State, ActorProcessingErr> {
        let (stop, told) = watch::channel(false);
        let routine = Arc::clone(&self.0);
        let stopping = Stopping { stop: told, busy };
        let task = tokio::spawn(async move {
            let ended = AssertUnwindSafe(routine.run(stopping)).catch_unwind().await;
            let end = match ended {
                Ok(result) => End::Returned(result),
                Err(panic) => End::Panicked(super::panic_text(&*panic).to_owned()),
            };
            // Refused only when the actor is stopping, which then waits for this very task.
            let _ = myself.send_message(Signal::Ended(end));
        });
        Ok(State { stop, task: Some(task) })
    }

    async fn handle(&self, myself: ActorRef<Signal>, signal: Signal, _: &mut State) -> Result<(), ActorProcessingErr> {
        match signal {
            // Whether that was to be is for the supervisor to say.
            Signal::Ended(End::Returned(Ok(()))) => {
                myself.stop(Some("the loop ended unasked".to_owned()));
                Ok(())
            }
            Signal::Ended(End::Returned(Err(fault))) => Err(fault.into()),
            // The panic goes on in the actor, so that it ends as what it is.
            Signal::Ended(End::Panicked(message)) => std::panic::resume_unwind(Box::new(message)),
            Signal::Nudge(nudge) => {
                nudge.obey().await;
                Ok(())
            }
        }
    }

    async fn post_stop(&self, _: ActorRef<Signal>, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.stop.send_replace(true);
        if let Some(task) = state.task.as_mut() {
            // Its panics were reported by the task itself.
            let _ = task.await;
        }
        Ok(())
    }
}
