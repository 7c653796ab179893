//! A supervision tree as data: lists of children and three numbers each.

use std::sync::Arc;
use std::time::Duration;

use super::child::Start;
use super::intensity::Intensity;
use crate::kit::counters::Counters;

/// Which children a restart touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Only the one that ended.
    OneForOne,
    /// All of them.
    OneForAll,
    /// The one that ended and those started after it.
    RestForOne,
}

impl Strategy {
    /// The word in the tree that operators read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
        }
    }
}

/// When a child is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Unless it ended normally.
    Transient,
    /// Never.
    Temporary,
}

/// One child of a supervisor.
pub struct ChildSpec {
    /// The last segment of its path.
    pub name: String,
    /// What it is, for those who read the tree.
    pub kind: &'static str,
    /// When it is started again.
    pub restart: Restart,
    /// How long it may take to work off what it holds when it is stopped; then it is killed.
    pub stop_within: Duration,
    /// How long it may make no progress.
    pub patience: Patience,
    /// How it is started.
    pub body: Body,
}

/// How long an actor may make no progress, and what the watchdog does then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a message may be in hand while others wait, or a loop be at work without looking up; the watchdog's
    /// own limit when there is none here.
    pub hold: Option<Duration>,
    /// Kill it for that, so that it is started again; otherwise it is only reported. A turn that does not end is
    /// always a reason to kill.
    pub kill: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self { hold: None, kill: true }
    }
}

/// What stands behind a child.
pub enum Body {
    /// An actor.
    Actor {
        /// Starts an incarnation.
        start: Start,
        /// Its live counters, when it has a mailbox that others send to.
        counters: Option<Arc<Counters>>,
    },
    /// A supervisor with children of its own.
    Supervisor(Arc<SupervisorSpec>),
}

/// A supervisor: a list and three numbers.
pub struct SupervisorSpec {
    /// Which children a restart touches.
    pub strategy: Strategy,
    /// How many restarts are too many.
    pub intensity: Intensity,
    /// In the order of their start.
    pub children: Vec<ChildSpec>,
}

impl ChildSpec {
    /// A supervisor as a child: permanent, with as long to stop as its children need together.
    pub fn supervisor(name: &str, spec: SupervisorSpec) -> Self {
        let children: Duration = spec.children.iter().map(|child| child.stop_within).sum();
        Self {
            name: name.to_owned(),
            kind: "supervisor",
            restart: Restart::Permanent,
            stop_within: children + Duration::from_secs(1),
            patience: Patience::default(),
            body: Body::Supervisor(Arc::new(spec)),
        }
    }

    /// The same child with another rule for its restarts.
    #[must_use]
    pub fn with_restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// The same child with another patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }
}
