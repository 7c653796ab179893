//! The watchdog: finds actors that live and make no progress, and has them killed where their spec says so.
//!
//! ```text
//! every tick, for each actor: its turn has not ended for too long ──┬─▶ reported, counted, shown in the tree
//!                  a message has been in hand for too long, others ─┘   ─▶ killed; its supervisor starts it anew
//!                  wait behind it
//!                  its loop has not looked up for too long
//! ```
//!
//! It asks by a message that is answered on the actor's next turn, and never waits for one. Time is counted in
//! ticks of its own, and nobody is judged just after ticks came late: a process that was stopped for a while,
//! or starved of its processor, does not take its actors for stuck. What a kill does not mend, because nobody
//! is above it or because it never yields, shows in [`Pulse`]: the process should be started anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::events::What;
use super::node::Node;
use super::observer::Observer;
use crate::kit::nudge::Nudge;
use crate::kit::routine::{Routine, Stopping};
use crate::kit::{Fault, metrics};

/// Ticks in which a kill has to show an effect.
const HEALED_WITHIN: u32 = 4;
/// Ticks without a verdict after ticks came late.
const SETTLE: u32 = 4;

/// Ticks after which there is a verdict however late they come.
const SILENT_AT_MOST: u32 = 40;

/// When an actor is taken for stuck.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How often the actors are looked at.
    pub tick: Duration,
    /// How long a turn may take; the time that a supervisor waits for a child to stop is not counted.
    pub turn: Duration,
    /// How long a message may be in hand while others wait, unless the actor's spec says otherwise.
    pub hold: Duration,
}

/// Whether the process makes progress, for those who probe it. Cheap to clone.
#[derive(Clone)]
pub struct Pulse(Arc<Mutex<Beat>>);

struct Beat {
    at: Instant,
    /// After this without a beat the watchdog itself makes no progress.
    within: Duration,
    stuck: Vec<Arc<str>>,
}

impl Pulse {
    fn new(limits: Limits) -> Self {
        let within = limits.tick * HEALED_WITHIN + limits.turn;
        Self(Arc::new(Mutex::new(Beat { at: Instant::now(), within, stuck: Vec::new() })))
    }

    fn beat(&self, stuck: Vec<Arc<str>>) {
        // Nothing panics while it holds the lock, so a poisoned one still guards a sound state.
        let mut beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (beat.at, beat.stuck) = (Instant::now(), stuck);
    }

    /// The actors that are stuck and could not be started anew; the watchdog's own path when it is not heard of.
    pub fn stuck(&self) -> Vec<Arc<str>> {
        let beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if beat.at.elapsed() > beat.within {
            return vec!["root/operators/watchdog".into()];
        }
        beat.stuck.clone()
    }
}

/// The routine.
pub struct Watchdog {
    limits: Limits,
    observer: Observer,
    pulse: Pulse,
    /// Known once the tree has been started, of which this is a part.
    root: Arc<OnceLock<Weak<Node>>>,
}

/// What is remembered about one actor from tick to tick.
#[derive(Default)]
struct Watch {
    incarnation: u64,
    /// The last question, and for how many ticks it has been open.
    asked: Option<(oneshot::Receiver<()>, u32)>,
    /// Ticks since it was killed.
    killed: Option<u32>,
    /// It is past help.
    stuck: bool,
}

/// Whether ticks come in time, so that what was found may be judged: after a late one not for a while.
struct Calm {
    tick: Duration,
    /// Ticks in time that are still to come first.
    missing: u32,
    /// Ticks since the last one that might judge.
    silent: u32,
}

impl Calm {
    /// At the start nobody is judged either: whoever is started with the watchdog may take a moment.
    fn new(tick: Duration) -> Self {
        Self { tick, missing: SETTLE, silent: 0 }
    }

    /// Notes a tick that came so long after the one before; whether it may judge.
    fn ticked(&mut self, since_last: Duration) -> bool {
        self.missing = if since_last > self.tick * 2 { SETTLE } else { self.missing.saturating_sub(1) };
        self.silent += 1;
        // Where every other tick is late, that is how it is.
        let judges = self.missing == 0 || self.silent > SILENT_AT_MOST;
        if judges {
            self.silent = 0;
        }
        judges
    }
}

/// In what way an actor makes no progress.
enum Stall {
    Turn(Duration),
    Hold { limit: Duration, message: &'static str, held: Duration },
    Loop(Duration),
}

impl std::fmt::Display for Stall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Turn(for_long) => write!(f, "its turn has not ended for {:.1} s", for_long.as_secs_f64()),
            Self::Loop(for_long) => write!(f, "its loop has not looked up for {:.1} s", for_long.as_secs_f64()),
            Self::Hold { message, held, .. } => {
                write!(f, "has had `{message}` in hand for {:.1} s while others wait", held.as_secs_f64())
            }
        }
    }
}

impl Watchdog {
    /// A watchdog, and where it shows what it found.
    pub fn new(limits: Limits, observer: Observer) -> (Self, Pulse) {
        let pulse = Pulse::new(limits);
        (Self { limits, observer, pulse: pulse.clone(), root: Arc::default() }, pulse)
    }

    /// Where to put the tree once it has been started.
    pub fn root(&self) -> Arc<OnceLock<Weak<Node>>> {
        Arc::clone(&self.root)
    }

    /// The actors that are past help. Without judgement nobody is found guilty and nobody acquitted.
    fn look(&self, nodes: &[Arc<Node>], watches: &mut HashMap<Arc<str>, Watch>, judge: bool) -> Vec<Arc<str>> {
        let mut stuck = Vec::new();
        for node in nodes {
            let watch = watches.entry(Arc::clone(node.path())).or_default();
            let Some(incarnation) = node.running() else { continue };
            if watch.incarnation != incarnation {
                *watch = Watch { incarnation, ..Watch::default() };
            }
            match self.find(node, watch) {
                Some(_) if !judge => {}
                Some(stall) => watch.stuck = self.judge(node, watch, &stall),
                None => {
                    node.set_stalled(false);
                    (watch.killed, watch.stuck) = (None, false);
                }
            }
            if watch.stuck {
                stuck.push(Arc::clone(node.path()));
            }
        }
        stuck
    }

    fn find(&self, node: &Node, watch: &mut Watch) -> Option<Stall> {
        let open = match &mut watch.asked {
            Some((heard, ticks)) => {
                *ticks += u32::from(!node.may_wait());
                let still = heard.try_recv() == Err(oneshot::error::TryRecvError::Empty);
                still.then_some(self.limits.tick * *ticks)
            }
            None => None,
        };
        if open.is_none() {
            let (hello, heard) = oneshot::channel();
            watch.asked = node.nudge(Nudge::Hello(hello)).then_some((heard, 0));
        }
        let open = open.unwrap_or_default();
        if open > self.limits.turn {
            return Some(Stall::Turn(open));
        }
        let limit = node.patience().hold.unwrap_or(self.limits.hold);
        let busy = node.busy_for();
        if busy > limit {
            return Some(Stall::Loop(busy));
        }
        let overdue = node.counters()?.overdue(limit)?;
        Some(Stall::Hold { limit, message: overdue.victim.message, held: overdue.held })
    }

    /// Reports a stall and has the actor killed where that may help; whether it is past help.
    fn judge(&self, node: &Node, watch: &mut Watch, stall: &Stall) -> bool {
        let message = stall.to_string();
        if node.set_stalled(true) {
            tracing::error!(callboard.actor.path = %node.path(), "an actor makes no progress: {message}");
            metrics::stalled(node.path());
            self.observer.note(What::Stalled { path: Arc::clone(node.path()), message: message.clone() });
        }
        match &mut watch.killed {
            Some(ticks) => {
                *ticks += 1;
                return *ticks > HEALED_WITHIN;
            }
            None if node.is_root() || (!node.patience().kill && !matches!(stall, Stall::Turn(_))) => return true,
            killed => *killed = Some(0),
        }
        if let (Stall::Hold { limit, .. }, Some(counters)) = (stall, node.counters()) {
            counters.convict(*limit);
        }
        node.kill(&message);
        false
    }
}

impl Routine for Watchdog {
    async fn run(&self, mut stopping: Stopping) -> Result<(), Fault> {
        let mut watches = HashMap::new();
        let mut ticks = tokio::time::interval(self.limits.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut calm) = (Instant::now(), Calm::new(self.limits.tick));
        while stopping.unless(ticks.tick()).await.is_some() {
            let judge = calm.ticked(last.elapsed());
            last = Instant::now();
            if let Some(root) = self.root.get().and_then(Weak::upgrade) {
                let stuck = self.look(&root.flatten(), &mut watches, judge);
                self.pulse.beat(stuck);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nobody_is_judged_before_enough_ticks_in_a_row_came_in_time_or_very_many_at_all(waits in prop::collection::vec(0_u64..400, 1..150)) {
            let tick = Duration::from_millis(100);
            let mut calm = Calm::new(tick);
            let (mut in_time, mut silent) = (0, 0);
            for wait in waits {
                in_time = if wait <= 200 { in_time + 1 } else { 0 };
                silent += 1;
                let judges = in_time >= SETTLE || silent > SILENT_AT_MOST;
                prop_assert_eq!(calm.ticked(Duration::from_millis(wait)), judges);
                silent = if judges { 0 } else { silent };
            }
        }
    }
}
