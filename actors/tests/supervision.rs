//! OTP's semantics, one by one, on trees of actors that do nothing else.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actors::kit::routine::{Routine, Stopping};
use actors::kit::{Endpoint, Fault};
use actors::supervision::intensity::Intensity;
use actors::supervision::observer::Restarted;
use actors::supervision::spec::Body;
use actors::supervision::strategy::ExitKind;
use actors::supervision::{ChildSpec, Restart, Strategy, SupervisorSpec, child};
use support::*;
use tokio::sync::mpsc;

/// A loop that tells when it starts and stops, and ends as it is told.
struct Looper {
    name: &'static str,
    told: mpsc::UnboundedSender<(&'static str, &'static str)>,
    end: Option<Arc<tokio::sync::Notify>>,
    fails: Arc<AtomicU32>,
}

impl Routine for Looper {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        self.told.send((self.name, "start")).ok();
        if self.fails.load(Ordering::Relaxed) > 0 {
            self.fails.fetch_sub(1, Ordering::Relaxed);
            return Err(Fault::internal("told to fail"));
        }
        let ended = async {
            match &self.end {
                Some(end) => end.notified().await,
                None => std::future::pending().await,
            }
        };
        if stopping.unless(ended).await.is_none() {
            self.told.send((self.name, "stop")).ok();
        }
        Ok(())
    }
}

type Told = mpsc::UnboundedReceiver<(&'static str, &'static str)>;

fn loopers(names: &[&'static str]) -> (Vec<ChildSpec>, Told) {
    let (told, hear) = mpsc::unbounded_channel();
    let looper = |name: &&'static str| {
        child::routine(name, Arc::new(Looper { name, told: told.clone(), end: None, fails: Arc::default() }))
    };
    (names.iter().map(looper).collect(), hear)
}

async fn hear(told: &mut Told) -> (&'static str, &'static str) {
    tokio::time::timeout(GENEROUS, told.recv()).await.expect("in time").expect("some")
}

async fn hear_all(told: &mut Told, count: usize) -> Vec<(&'static str, &'static str)> {
    let mut heard = Vec::new();
    for _ in 0..count {
        heard.push(hear(told).await);
    }
    heard
}

/// The next restarts by path, and why they were. Which of several at once is told first is left open.
async fn reported(restarts: &mut mpsc::Receiver<Arc<Restarted>>, count: usize) -> Vec<(&'static str, &'static str)> {
    let mut reported = Vec::new();
    for _ in 0..count {
        let restart = next(restarts).await;
        reported.push((&*restart.path.to_string().leak(), restart.reason.as_str()));
    }
    reported.sort_unstable();
    reported
}

#[tokio::test]
async fn children_start_in_order_and_stop_in_reverse() {
    let (children, mut told) = loopers(&["a", "b", "c"]);
    let (root, _restarts) = tree(Strategy::OneForOne, 10, children).await;
    let mut started = hear_all(&mut told, 3).await;
    started.sort_unstable();
    assert_eq!(started, [("a", "start"), ("b", "start"), ("c", "start")]);
    root.stop().await;
    assert_eq!(hear_all(&mut told, 3).await, [("c", "stop"), ("b", "stop"), ("a", "stop")]);
}

#[tokio::test]
async fn one_for_one_restarts_only_the_child_that_ended() {
    let (children, mut told) = loopers(&["a", "b", "c"]);
    let (root, mut restarts) = tree(Strategy::OneForOne, 10, children).await;
    hear_all(&mut told, 3).await;
    crash(&root, "root/b");
    let restart = next(&mut restarts).await;
    assert_eq!((&*restart.path, restart.exit_kind, restart.incarnation), ("root/b", ExitKind::Panic, 2));
    assert_eq!(hear(&mut told).await, ("b", "start"));
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn rest_for_one_restarts_those_started_after_it_as_well() {
    let (children, mut told) = loopers(&["a", "b", "c"]);
    let (root, mut restarts) = tree(Strategy::RestForOne, 10, children).await;
    hear_all(&mut told, 3).await;
    crash(&root, "root/b");
    assert_eq!(reported(&mut restarts, 2).await, [("root/b", "crashed"), ("root/c", "sibling_ended")]);
    assert_eq!(hear(&mut told).await, ("c", "stop"));
    let mut started = hear_all(&mut told, 2).await;
    started.sort_unstable();
    assert_eq!(started, [("b", "start"), ("c", "start")]);
    let seen = root.node().snapshot();
    assert_eq!((at(&seen, "root/a").restarts, at(&seen, "root/b").restarts, at(&seen, "root/c").restarts), (0, 1, 1));
}

#[tokio::test]
async fn one_for_all_restarts_everybody() {
    let (children, mut told) = loopers(&["a", "b", "c"]);
    let (root, mut restarts) = tree(Strategy::OneForAll, 10, children).await;
    hear_all(&mut told, 3).await;
    crash(&root, "root/b");
    let all = [("root/a", "sibling_ended"), ("root/b", "crashed"), ("root/c", "sibling_ended")];
    assert_eq!(reported(&mut restarts, 3).await, all);
    assert_eq!(hear_all(&mut told, 2).await, [("c", "stop"), ("a", "stop")]);
    let mut started = hear_all(&mut told, 3).await;
    started.sort_unstable();
    assert_eq!(started, [("a", "start"), ("b", "start"), ("c", "start")]);
}

#[tokio::test]
async fn a_temporary_child_is_not_restarted() {
    let (mut children, mut told) = loopers(&["a", "b"]);
    children[0] = loopers(&["x"]).0.remove(0).with_restart(Restart::Temporary);
    let (root, mut restarts) = tree(Strategy::OneForOne, 10, children).await;
    hear(&mut told).await;
    crash(&root, "root/x");
    crash(&root, "root/b");
    // The restart of `b` is reported after the end of `x` was seen.
    assert_eq!(&*next(&mut restarts).await.path, "root/b");
    let seen = root.node().snapshot();
    assert_eq!(at(&seen, "root/x").status.as_str(), "stopped");
}

#[tokio::test]
async fn a_temporary_child_does_not_come_back_with_its_siblings_either() {
    let (mut children, mut told) = loopers(&["a", "b"]);
    children.push(loopers(&["x"]).0.remove(0).with_restart(Restart::Temporary));
    let (root, mut restarts) = tree(Strategy::RestForOne, 10, children).await;
    hear_all(&mut told, 2).await;
    crash(&root, "root/a");
    assert_eq!(reported(&mut restarts, 2).await, [("root/a", "crashed"), ("root/b", "sibling_ended")]);
    crash(&root, "root/b");
    assert_eq!(&*next(&mut restarts).await.path, "root/b");
    assert_eq!(at(&root.node().snapshot(), "root/x").incarnation, 1);
}

#[tokio::test]
async fn more_restarts_than_the_intensity_allows_end_the_supervisor_and_the_parent_restarts_it() {
    let (children, mut told) = loopers(&["a"]);
    let intensity = Intensity { max: 2, period: std::time::Duration::from_secs(60) };
    let inner = SupervisorSpec { strategy: Strategy::OneForOne, intensity, children };
    let (root, mut restarts) = tree(Strategy::OneForOne, 10, vec![ChildSpec::supervisor("inner", inner)]).await;
    for _ in 0..2 {
        hear(&mut told).await;
        crash(&root, "root/inner/a");
        assert_eq!(reported(&mut restarts, 1).await, [("root/inner/a", "crashed")]);
    }
    hear(&mut told).await;
    crash(&root, "root/inner/a");
    // The crash that was one too many is still told as what it was.
    assert_eq!(reported(&mut restarts, 2).await, [("root/inner", "gave_up"), ("root/inner/a", "crashed")]);
    hear(&mut told).await;
    let seen = root.node().snapshot();
    assert_eq!(at(&seen, "root/inner").restarts, 1);
    assert_eq!(at(&seen, "root/inner").supervisor.unwrap().2, 0, "the window ends with the incarnation");
}

#[tokio::test]
async fn a_root_that_gives_up_ends() {
    let (children, mut told) = loopers(&["a"]);
    let (mut root, mut restarts) = tree(Strategy::OneForOne, 1, children).await;
    hear(&mut told).await;
    crash(&root, "root/a");
    next(&mut restarts).await;
    hear(&mut told).await;
    crash(&root, "root/a");
    tokio::time::timeout(GENEROUS, root.ended()).await.expect("it ends");
}

#[tokio::test]
async fn a_loop_that_fails_counts_like_a_crash_and_is_held_back_longer_each_time() {
    let (told, mut hear_told) = mpsc::unbounded_channel();
    let looper = Looper { name: "a", told, end: None, fails: Arc::new(AtomicU32::new(3)) };
    let (root, mut restarts) = tree(Strategy::OneForOne, 10, vec![child::routine("a", Arc::new(looper))]).await;
    for used in 1..=3 {
        let restart = next(&mut restarts).await;
        assert_eq!((restart.exit_kind, restart.budget.used), (ExitKind::Error, used));
        assert!(restart.message.contains("told to fail"));
        let bound = std::time::Duration::from_millis(10 << (used - 1));
        assert!(restart.backoff <= bound, "{:?} is more than {bound:?}", restart.backoff);
    }
    hear_all(&mut hear_told, 4).await;
    assert_eq!(at(&root.node().snapshot(), "root/a").status.as_str(), "running");
}

#[tokio::test]
async fn a_loop_that_ends_unasked_is_restarted() {
    let (told, mut hear_told) = mpsc::unbounded_channel();
    let end = Arc::new(tokio::sync::Notify::new());
    let looper = Looper { name: "a", told, end: Some(Arc::clone(&end)), fails: Arc::default() };
    let (_root, mut restarts) = tree(Strategy::OneForOne, 10, vec![child::routine("a", Arc::new(looper))]).await;
    hear(&mut hear_told).await;
    end.notify_one();
    let restart = next(&mut restarts).await;
    assert_eq!((restart.exit_kind, restart.exit_kind.as_str()), (ExitKind::Normal, "error"));
    hear(&mut hear_told).await;
}

#[tokio::test]
async fn a_transient_child_comes_back_from_a_crash_and_not_from_a_calm_end() {
    let (told, mut hear_told) = mpsc::unbounded_channel();
    let end = Arc::new(tokio::sync::Notify::new());
    let looper = Looper { name: "a", told, end: Some(Arc::clone(&end)), fails: Arc::default() };
    let children = vec![child::routine("a", Arc::new(looper)).with_restart(Restart::Transient)];
    let (root, mut restarts) = tree(Strategy::OneForOne, 10, children).await;
    hear(&mut hear_told).await;
    crash(&root, "root/a");
    assert_eq!(next(&mut restarts).await.exit_kind, ExitKind::Panic);
    hear(&mut hear_told).await;
    end.notify_one();
    while at(&root.node().snapshot(), "root/a").status.as_str() != "stopped" {
        tokio::task::yield_now().await;
    }
    root.stop().await;
    assert!(restarts.recv().await.is_none(), "it was started again");
}

#[tokio::test]
async fn a_start_that_fails_counts_like_a_crash_and_ends_the_supervisor_when_it_goes_on() {
    let failing = |failures: u32| {
        let (mut children, told) = loopers(&["a"]);
        let spec = children.remove(0);
        let Body::Actor { start, counters } = spec.body else { unreachable!() };
        let left = AtomicU32::new(failures);
        let start = move |supervisor| match left.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        {
            Ok(_) => Box::pin(async { Err("told to fail".to_owned()) }) as _,
            Err(_) => start(supervisor),
        };
        (ChildSpec { body: Body::Actor { start: Box::new(start), counters }, ..spec }, told)
    };
    let (child, mut told) = failing(2);
    let (root, mut restarts) = tree(Strategy::OneForOne, 2, vec![child]).await;
    hear(&mut told).await;
    let restart = next(&mut restarts).await;
    assert_eq!((restart.reason.as_str(), restart.exit_kind, restart.budget.used), ("start_failed", ExitKind::Error, 2));
    root.stop().await;
    let (child, _told) = failing(u32::MAX);
    let (mut root, _restarts) = tree(Strategy::OneForOne, 2, vec![child]).await;
    tokio::time::timeout(GENEROUS, root.ended()).await.expect("it gives up");
}

/// A loop that does not listen, and tells when it is taken away.
struct Stubborn(mpsc::UnboundedSender<&'static str>);

impl Routine for Stubborn {
    async fn run(&self, _: Stopping) -> Result<(), Fault> {
        struct Told(mpsc::UnboundedSender<&'static str>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send("taken away").ok();
            }
        }
        let _told = Told(self.0.clone());
        self.0.send("runs").ok();
        std::future::pending().await
    }
}

#[tokio::test]
async fn who_does_not_stop_in_time_is_killed_and_holds_nobody_up() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (mut children, mut others) = loopers(&["a"]);
    let mut stubborn = child::routine("stubborn", Arc::new(Stubborn(tell)));
    stubborn.stop_within = std::time::Duration::from_millis(50);
    children.push(stubborn);
    let (root, _restarts) = tree(Strategy::OneForOne, 10, children).await;
    hear(&mut others).await;
    assert_eq!(begins(&mut told).await, "runs");
    tokio::time::timeout(GENEROUS, root.stop()).await.expect("it stops");
    assert_eq!(begins(&mut told).await, "taken away");
    assert_eq!(hear(&mut others).await, ("a", "stop"));
}

#[tokio::test]
async fn a_supervisor_that_crashes_comes_back_with_its_children() {
    let (children, mut told) = loopers(&["a", "b"]);
    let intensity = Intensity { max: 5, period: std::time::Duration::from_secs(60) };
    let inner = SupervisorSpec { strategy: Strategy::OneForOne, intensity, children };
    let (root, mut restarts) = tree(Strategy::OneForOne, 10, vec![ChildSpec::supervisor("inner", inner)]).await;
    hear_all(&mut told, 2).await;
    crash(&root, "root/inner");
    let all = [("root/inner", "crashed"), ("root/inner/a", "supervisor_ended"), ("root/inner/b", "supervisor_ended")];
    assert_eq!(reported(&mut restarts, 3).await, all);
    let seen = root.node().snapshot();
    assert_eq!((at(&seen, "root/inner").restarts, at(&seen, "root/inner/b").restarts), (1, 1));
    assert_eq!(hear_all(&mut told, 2).await.iter().filter(|(_, word)| *word == "start").count(), 2);
    crash(&root, "root/inner/a");
    assert_eq!(&*next(&mut restarts).await.path, "root/inner/a");
}

#[tokio::test]
async fn an_actor_that_is_stopped_works_off_what_it_holds() {
    let (worker, mut begun, gate) = Player::new();
    let endpoint = Endpoint::new("player", "root/player", 10);
    let (root, _restarts) = tree(Strategy::OneForOne, 10, vec![child::pool(&endpoint, worker, 1)]).await;
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let endpoint = endpoint.clone();
        asks.spawn(async move { endpoint.ask(&caller(), Write(Behaviour::WaitAtGate)).await });
    }
    begins(&mut begun).await;
    while endpoint.counters().depth() < 3 {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(root.stop());
    gate.add_permits(4);
    while let Some(answer) = asks.join_next().await {
        assert!(answer.unwrap().is_ok(), "a message was dropped by the drain");
    }
    stopping.await.unwrap();
}
