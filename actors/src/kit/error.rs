//! Why something was not done, free of any protocol.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::sqlstate::{Meaning, meaning};

/// What the actors cannot work without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    /// The database.
    Postgres,
    /// The stream that moves jobs.
    Redis,
    /// Somebody else's service, that is to receive something.
    Receiver,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
            Self::Receiver => "the receiver",
        })
    }
}

/// A failure of what is below the rules. Cheap to clone, since one statement may fail many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// A dependency cannot be reached, or went away while it worked: the outcome is unknown.
    #[error("{dependency} is unavailable: {detail}")]
    Unavailable {
        /// Which one.
        dependency: Dependency,
        /// In a word that is one of few, for spans: `timeout`, `connection`, the dependency's own code.
        kind: Cow<'static, str>,
        /// What the driver said.
        detail: Arc<str>,
    },
    /// PostgreSQL refused a statement; it was rolled back.
    #[error("statement {statement} failed: {}", describe(.source))]
    Statement {
        /// The statement's summary, which is its file's name.
        statement: &'static str,
        /// What PostgreSQL said.
        source: Arc<tokio_postgres::Error>,
    },
    /// Something that the code holds for impossible.
    #[error("{0}")]
    Internal(Arc<str>),
}

impl Fault {
    /// A fault that the code holds for impossible, in words.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::Internal(detail.to_string().into())
    }

    /// A dependency that is not there, in the driver's words.
    pub fn unavailable(dependency: Dependency, detail: impl fmt::Display) -> Self {
        Self::unavailable_for(dependency, "unavailable", detail)
    }

    /// The same, with the reason in one word.
    pub fn unavailable_for(
        dependency: Dependency,
        kind: impl Into<Cow<'static, str>>,
        detail: impl fmt::Display,
    ) -> Self {
        Self::Unavailable { dependency, kind: kind.into(), detail: detail.to_string().into() }
    }

    /// A dependency that did not answer in time.
    pub fn late(dependency: Dependency, detail: impl fmt::Display) -> Self {
        Self::unavailable_for(dependency, "timeout", detail)
    }

    /// The `error.type` of spans: one of few words, without any value.
    pub fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Unavailable { kind, .. } => kind.clone(),
            Self::Statement { source, .. } => {
                source.code().map_or(Cow::Borrowed("_OTHER"), |code| code.code().to_owned().into())
            }
            Self::Internal(_) => "internal".into(),
        }
    }

    /// PostgreSQL refused what the statement was given, so that another value may pass.
    pub fn is_about_values(&self) -> bool {
        self.meaning() == Some(Meaning::Values)
    }

    /// What was asked was not done, for a reason that passes by itself: the same may be done a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. }) || self.meaning() == Some(Meaning::Passing)
    }

    fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Statement { source, .. } => source.code().map(|code| meaning(code.code())),
            _ => None,
        }
    }

    /// What a statement would have written breaks the constraint or unique index of this name.
    pub fn breaks(&self, constraint: &str) -> bool {
        match self {
            Self::Statement { source, .. } => {
                source.as_db_error().and_then(|error| error.constraint()) == Some(constraint)
            }
            _ => false,
        }
    }

    /// Another transaction took a name or removed a row that the statement had seen free or there: tried again, it sees
    /// how things are now.
    pub fn is_overtaken(&self) -> bool {
        use tokio_postgres::error::SqlState;
        match self {
            Self::Statement { source, .. } => {
                let overtaken = [&SqlState::UNIQUE_VIOLATION, &SqlState::FOREIGN_KEY_VIOLATION];
                source.code().is_some_and(|code| overtaken.contains(&code))
            }
            _ => false,
        }
    }

    /// What the statement refers to went while it ran: tried again, it sees that it is not there. A name that is taken
    /// is another thing, since it stays taken.
    pub(super) fn has_lost_what_it_refers_to(&self) -> bool {
        use tokio_postgres::error::SqlState;
        match self {
            Self::Statement { source, .. } => source.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION),
            _ => false,
        }
    }

    /// PostgreSQL gave way to another transaction and undid the statement: the same again may pass.
    pub fn is_about_timing(&self) -> bool {
        use tokio_postgres::error::SqlState;
        match self {
            Self::Statement { source, .. } => {
                let gave_way = [&SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE];
                source.code().is_some_and(|code| gave_way.contains(&code))
            }
            _ => false,
        }
    }
}

impl From<::redis::RedisError> for Fault {
    fn from(error: ::redis::RedisError) -> Self {
        Self::unavailable_for(Dependency::Redis, super::redis::error_type(&error), error)
    }
}

/// What PostgreSQL said, without what it says about values: its details, and the messages of data
/// exceptions (class 22), repeat them.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) if db.code().code().starts_with("22") => format!("{} (data exception)", db.code().code()),
        Some(db) => format!("{} {}", db.code().code(), db.message()),
        None => error.to_string(),
    }
}

/// Why a command got no reply.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure<R> {
    /// The rules say no.
    #[error("refused")]
    Refused(R),
    /// The mailbox is full; nothing was done.
    #[error("the mailbox of {0} is full")]
    Overloaded(Arc<str>),
    /// The actor ended with the message in hand: whether it took effect is unknown.
    #[error("{0} died while it held the message")]
    Died(Arc<str>),
    /// The message itself ends whoever works on it, and is not given to anybody again: whether it took effect is
    /// unknown.
    #[error("the message ends {0} and is not given to it again")]
    Poison(Arc<str>),
    /// The deadline passed; it may still take effect.
    #[error("{0} did not answer before the deadline")]
    TooLate(Arc<str>),
    /// Something below the rules failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl<R> Failure<R> {
    /// The same failure under another domain's refusals; `refusal` translates those.
    pub fn map<S>(self, refusal: impl FnOnce(R) -> S) -> Failure<S> {
        match self {
            Self::Refused(r) => Failure::Refused(refusal(r)),
            Self::Overloaded(path) => Failure::Overloaded(path),
            Self::Died(path) => Failure::Died(path),
            Self::Poison(path) => Failure::Poison(path),
            Self::TooLate(path) => Failure::TooLate(path),
            Self::Fault(fault) => Failure::Fault(fault),
        }
    }
}
