//! What the actor tests share: a tree without domains, a worker to play with, and a database of one's own.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::kit::command::{Answer, Ask, Outcome};
use actors::kit::nudge::{Injected, Nudge};
use actors::kit::pool::Worker;
use actors::kit::{Caller, Command, Endpoint, Failure, Scope, Trace};
use actors::messages;
use actors::supervision::intensity::Intensity;
use actors::supervision::observer::{Observer, Restarted};
use actors::supervision::{ChildSpec, Root, Snapshot, Strategy, SupervisorSpec, child, start_root};
use tokio::sync::{Semaphore, mpsc};

pub const GENEROUS: Duration = Duration::from_secs(20);

pub fn caller() -> Caller {
    caller_for(GENEROUS)
}

pub fn caller_for(patience: Duration) -> Caller {
    Caller { trace: Trace::default(), deadline: Instant::now() + patience }
}

/// Work that can be asked again.
#[derive(Clone, Debug)]
pub struct Read(pub Behaviour);

/// Work that cannot.
#[derive(Clone, Debug)]
pub struct Write(pub Behaviour);

/// Work that finds nothing to do any more when it has been done before.
#[derive(Clone, Debug)]
pub struct Remove(pub Behaviour);

#[derive(Clone, Debug)]
pub enum Behaviour {
    Answer,
    /// Say that it has begun, then wait for a permit of the gate.
    WaitAtGate,
    Panic,
}

impl Command for Read {
    type Reply = ();
    type Refusal = &'static str;
    const NAME: &'static str = "read";
    const IDEMPOTENT: bool = true;
}

impl Command for Write {
    type Reply = ();
    type Refusal = &'static str;
    const NAME: &'static str = "write";
    const IDEMPOTENT: bool = false;
}

impl Command for Remove {
    type Reply = ();
    type Refusal = &'static str;
    const NAME: &'static str = "remove";
    const IDEMPOTENT: bool = true;

    fn repeated(answer: Answer<Self>) -> Answer<Self> {
        match answer {
            Err(Failure::Refused("nothing there")) => Ok(()),
            answer => answer,
        }
    }
}

messages! {
    pub enum PlayMessage { Read, Write, Remove }
}

/// A worker that does as it is told, and tells what it did.
pub struct Player {
    pub begun: mpsc::UnboundedSender<&'static str>,
    pub gate: Arc<Semaphore>,
}

impl Player {
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<&'static str>, Arc<Semaphore>) {
        let (begun, beginnings) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        (Arc::new(Self { begun, gate: Arc::clone(&gate) }), beginnings, gate)
    }

    async fn play(&self, name: &'static str, behaviour: Behaviour) -> Result<(), Failure<&'static str>> {
        self.begun.send(name).ok();
        match behaviour {
            Behaviour::Answer => {}
            Behaviour::WaitAtGate => self.gate.acquire().await.unwrap().forget(),
            Behaviour::Panic => panic!("told to"),
        }
        Ok(())
    }
}

impl Worker for Player {
    type Message = PlayMessage;

    async fn handle(&self, message: PlayMessage, _: Scope) -> Outcome {
        match message {
            PlayMessage::Read(ask) => ask.serve(|Read(behaviour)| self.play("read", behaviour)).await,
            PlayMessage::Remove(ask) => {
                ask.serve(async |Remove(behaviour)| {
                    self.play("remove", behaviour).await?;
                    Err(Failure::Refused("nothing there"))
                })
                .await
            }
            PlayMessage::Write(ask) => ask.serve(|Write(behaviour)| self.play("write", behaviour)).await,
        }
    }
}

/// A root with these children, and what it reports.
pub async fn tree(strategy: Strategy, max: u32, children: Vec<ChildSpec>) -> (Root, mpsc::Receiver<Arc<Restarted>>) {
    let intensity = Intensity { max, period: Duration::from_secs(60) };
    let (observer, restarts) = Observer::channel(1000);
    let root = start_root(SupervisorSpec { strategy, intensity, children }, observer).await.unwrap();
    (root, restarts)
}

/// A tree of one player with so many hands.
pub async fn player(room: usize, hands: usize) -> Played {
    let (worker, begun, gate) = Player::new();
    let endpoint = Endpoint::new("player", "root/player", room);
    let (root, restarts) = tree(Strategy::OneForOne, 100, vec![child::pool(&endpoint, worker, hands)]).await;
    Played { endpoint, root, restarts, begun, gate }
}

pub struct Played {
    pub endpoint: Endpoint<PlayMessage>,
    pub root: Root,
    pub restarts: mpsc::Receiver<Arc<Restarted>>,
    pub begun: mpsc::UnboundedReceiver<&'static str>,
    pub gate: Arc<Semaphore>,
}

impl Played {
    pub fn crash(&self) {
        crash(&self.root, "root/player");
    }
}

/// Makes an actor panic on its next turn.
pub fn crash(root: &Root, path: &str) {
    inject(root, path, Injected::Crash);
}

pub fn inject(root: &Root, path: &str, fault: Injected) {
    assert!(root.node().find(path).unwrap().nudge(Nudge::Fault(fault)), "{path} is not there");
}

/// The next one, which has to come.
pub async fn next<T>(receiver: &mut mpsc::Receiver<T>) -> T {
    tokio::time::timeout(GENEROUS, receiver.recv()).await.expect("in time").expect("some")
}

pub async fn begins(begun: &mut mpsc::UnboundedReceiver<&'static str>) -> &'static str {
    tokio::time::timeout(GENEROUS, begun.recv()).await.expect("in time").expect("some")
}

pub fn at<'a>(seen: &'a Snapshot, path: &str) -> &'a Snapshot {
    fn find<'a>(seen: &'a Snapshot, path: &str) -> Option<&'a Snapshot> {
        if *seen.path == *path { Some(seen) } else { seen.children.iter().find_map(|child| find(child, path)) }
    }
    find(seen, path).unwrap_or_else(|| panic!("there is no {path}"))
}

/// The mailbox of a message type that is an ask of one command.
pub type Mailbox<C> = Endpoint<Ask<C>>;
