//! A job as its effect sees it, where it may stand, and why an attempt fails.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use crate::kit::Fault;

/// A job of which an attempt has begun.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: i64,
    /// What it is.
    pub kind: String,
    /// The version of its arguments.
    pub version: i32,
    /// How urgent it is: 0 to 2, the most urgent first.
    pub priority: i16,
    /// Its arguments, as the write left them.
    pub args: Value,
    /// The number of this attempt, from 1: the fence against older ones.
    pub attempt: i32,
    /// How many attempts it gets.
    pub max_attempts: i32,
    /// The trace of the request that caused it.
    pub traceparent: Option<String>,
    /// How long it waited from being due until it began, in seconds.
    pub waited: f64,
}

/// Why an attempt failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// The arguments are not what this kind expects.
    #[error("bad arguments: {0}")]
    Arguments(String),
    /// Something below the rules failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Somebody else failed, and asked to be left alone for so long.
    #[error("{0}")]
    Later(Fault, Duration),
    /// No further attempt would fare better.
    #[error("{0}")]
    Final(String),
    /// It took longer than an attempt may take.
    #[error("took longer than an attempt may take")]
    TooLong,
    /// An operator or a test wanted it to.
    #[error("failure asked for by fault injection")]
    Injected,
    /// It panicked.
    #[error("panicked: {0}")]
    Panicked(String),
}

impl JobError {
    /// The `error.type` of spans: one of few words.
    pub fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Injected => "injected".into(),
            Self::Arguments(_) => "bad_arguments".into(),
            Self::Fault(fault) | Self::Later(fault, _) => fault.error_type(),
            Self::Final(_) => "final".into(),
            Self::TooLong => "timeout".into(),
            Self::Panicked(_) => "panic".into(),
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Available,
    /// An attempt is under way.
    Running,
    /// It took effect.
    Completed,
    /// All its attempts failed: a dead letter.
    Discarded,
    /// It was called off.
    Cancelled,
}

impl State {
    /// The word in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Discarded => "discarded",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this word.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Scheduled, Self::Available, Self::Running, Self::Completed, Self::Discarded, Self::Cancelled];
        all.into_iter().find(|state| state.as_str() == word)
    }
}
