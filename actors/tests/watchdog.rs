//! What becomes of actors that live and make no progress.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use actors::kit::nudge::Injected;
use actors::kit::routine::{Routine, Stopping};
use actors::kit::{Endpoint, Failure, Fault};
use actors::supervision::events::{Reader, What};
use actors::supervision::intensity::Intensity;
use actors::supervision::observer::{Observer, Restarted};
use actors::supervision::strategy::ExitKind;
use actors::supervision::watchdog::{Limits, Pulse, Watchdog};
use actors::supervision::{Patience, Root, Strategy, SupervisorSpec, child, start_root};
use support::*;
use tokio::sync::{Notify, Semaphore, mpsc};

const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(100);

/// A loop that waits until it is told to work, and then never looks up again.
struct Worker(Arc<Notify>);

impl Routine for Worker {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        if stopping.unless(self.0.notified()).await.is_some() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

struct Watched {
    endpoint: Endpoint<PlayMessage>,
    root: Root,
    pulse: Pulse,
    events: Reader,
    restarts: mpsc::Receiver<Arc<Restarted>>,
    begun: mpsc::UnboundedReceiver<&'static str>,
    gate: Arc<Semaphore>,
    work: Arc<Notify>,
}

/// A player with one hand, and a watchdog with these limits on a turn and on a message in hand.
async fn watched(turn: Duration, hold: Duration, patience: Patience) -> Watched {
    let (worker, begun, gate) = Player::new();
    let endpoint = Endpoint::new("player", "root/player", 100);
    let (observer, restarts) = Observer::channel(1000);
    let limits = Limits { tick: Duration::from_millis(10), turn, hold };
    let (watchdog, pulse) = Watchdog::new(limits, observer.clone());
    let work = Arc::new(Notify::new());
    let (place, events) = (watchdog.root(), observer.events().read(None));
    let children = vec![
        child::pool(&endpoint, worker, 1).with_patience(patience),
        child::routine("watchdog", Arc::new(watchdog)),
        child::routine("other", Arc::new(Worker(Arc::clone(&work))))
            .with_patience(Patience { hold: Some(hold), kill: true }),
    ];
    let intensity = Intensity { max: 10, period: NEVER };
    let spec = SupervisorSpec { strategy: Strategy::OneForOne, intensity, children };
    let root = start_root(spec, observer).await.unwrap();
    place.set(Arc::downgrade(root.node())).unwrap();
    Watched { endpoint, root, pulse, events, restarts, begun, gate, work }
}

impl Watched {
    async fn stalled(&mut self) -> String {
        loop {
            let (_, news) = tokio::time::timeout(GENEROUS, self.events.next()).await.expect("in time").unwrap();
            for event in news {
                if let What::Stalled { message, .. } = event.what {
                    return message;
                }
            }
        }
    }

    fn ask(&self, behaviour: Behaviour) -> tokio::task::JoinHandle<Result<(), Failure<&'static str>>> {
        let endpoint = self.endpoint.clone();
        tokio::spawn(async move { endpoint.ask(&caller(), Read(behaviour)).await })
    }

    async fn waiting(&self, count: usize) {
        while self.endpoint.counters().depth() < count {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn an_actor_that_hangs_is_killed_and_readers_get_their_answers() {
    let mut watched = watched(SOON, NEVER, Patience::default()).await;
    inject(&watched.root, "root/player", Injected::Hang);
    let read = watched.ask(Behaviour::Answer);
    let restart = next(&mut watched.restarts).await;
    assert_eq!((restart.exit_kind, restart.reason.as_str()), (ExitKind::Killed, "killed"));
    assert!(restart.message.contains("its turn has not ended"), "{}", restart.message);
    assert!(watched.stalled().await.contains("its turn has not ended"));
    read.await.unwrap().unwrap();
    assert!(watched.pulse.stuck().is_empty());
    assert!(!at(&watched.root.node().snapshot(), "root/player").stalled);
}

#[tokio::test]
async fn a_message_that_is_in_hand_for_too_long_while_others_wait_is_taken_away_and_in_the_end_struck_off() {
    let mut watched = watched(NEVER, SOON, Patience::default()).await;
    let endless = watched.ask(Behaviour::WaitAtGate);
    assert_eq!(begins(&mut watched.begun).await, "read");
    let mut used = Vec::new();
    for _ in 0..3 {
        let other = watched.ask(Behaviour::Answer);
        let restart = next(&mut watched.restarts).await;
        assert!(restart.message.contains("has had `read` in hand"), "{}", restart.message);
        used.push(restart.budget.used);
        other.await.unwrap().unwrap();
    }
    let answer = endless.await.unwrap();
    assert!(matches!(answer, Err(Failure::Poison(_))), "{answer:?}");
    assert_eq!(used, [1, 2, 2], "the third time it is not the actor that is to blame");
    assert_eq!(at(&watched.root.node().snapshot(), "root").supervisor.unwrap().2, 2);
}

#[tokio::test]
async fn a_message_that_nobody_waits_behind_may_take_its_time() {
    let mut watched = watched(SOON, Duration::from_millis(1), Patience::default()).await;
    let long = watched.ask(Behaviour::WaitAtGate);
    begins(&mut watched.begun).await;
    let looked = watched.endpoint.counters().overdue(Duration::ZERO);
    assert!(looked.is_none(), "{looked:?}");
    // The watchdog judges by now: it finds another one that hangs.
    inject(&watched.root, "root/other", Injected::Hang);
    assert_eq!(&*next(&mut watched.restarts).await.path, "root/other");
    watched.gate.add_permits(1);
    long.await.unwrap().unwrap();
    assert_eq!(at(&watched.root.node().snapshot(), "root/player").incarnation, 1);
}

#[tokio::test]
async fn an_actor_whose_spec_says_so_is_only_reported() {
    let patience = Patience { hold: Some(SOON), kill: false };
    let mut watched = watched(NEVER, NEVER, patience).await;
    let long = watched.ask(Behaviour::WaitAtGate);
    begins(&mut watched.begun).await;
    let other = watched.ask(Behaviour::Answer);
    watched.waiting(1).await;
    assert!(watched.stalled().await.contains("has had `read` in hand"));
    assert!(at(&watched.root.node().snapshot(), "root/player").stalled);
    while watched.pulse.stuck().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(&*watched.pulse.stuck()[0], "root/player");
    watched.gate.add_permits(1);
    long.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    while !watched.pulse.stuck().is_empty() {
        tokio::task::yield_now().await;
    }
    let seen = watched.root.node().snapshot();
    assert!(!at(&seen, "root/player").stalled && at(&seen, "root/player").incarnation == 1);
}

#[tokio::test]
async fn a_hanging_root_is_past_help_and_shows_in_the_pulse() {
    let watched = watched(SOON, NEVER, Patience::default()).await;
    inject(&watched.root, "root", Injected::Hang);
    let stuck = async {
        while watched.pulse.stuck().iter().all(|path| &**path != "root") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(GENEROUS, stuck).await.expect("it is found");
    watched.endpoint.ask(&caller(), Read(Behaviour::Answer)).await.unwrap();
}

#[tokio::test]
async fn a_loop_that_works_on_and_on_is_killed_and_one_that_waits_is_left_alone() {
    let mut watched = watched(NEVER, SOON, Patience::default()).await;
    watched.work.notify_one();
    let restart = next(&mut watched.restarts).await;
    assert_eq!((&*restart.path, restart.exit_kind), ("root/other", ExitKind::Killed));
    assert!(restart.message.contains("its loop has not looked up"), "{}", restart.message);
    // It waits again now; the same goes for the watchdog's own loop all the time.
    inject(&watched.root, "root/player", Injected::Crash);
    assert_eq!(&*next(&mut watched.restarts).await.path, "root/player");
    assert_eq!(at(&watched.root.node().snapshot(), "root/watchdog").incarnation, 1);
}
