//! What sends a message to a webhook: the wall between this domain, which knows no protocol, and the front, which
//! has one. Whatever is on the other side says in words that hold no URL why it could not send.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::kit::Scope;

/// Sends messages to where people want them.
pub trait Post: fmt::Debug + Send + Sync + 'static {
    /// Whether anything may be sent there, as far as that can be said before. Asks name servers until `deadline`.
    fn admit<'a>(&'a self, url: &'a str, deadline: Instant) -> BoxFuture<'a, Result<(), Unfit>>;

    /// Sends a message, before the deadline of `scope` and in its trace.
    fn post<'a>(&'a self, letter: Letter<'a>, scope: &'a Scope) -> BoxFuture<'a, Result<Answered, Undelivered>>;
}

/// A message on its way.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// Where it is sent.
    pub url: &'a str,
    /// What says who sends it: names in lower case, and values.
    pub headers: [(&'static str, String); 3],
    /// JSON, to the byte as it was signed.
    pub body: &'a str,
}

/// What a receiver said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The status of its answer.
    pub status: u16,
    /// How long it asks to be left alone, if it does.
    pub retry_after: Option<Duration>,
}

/// Why nothing will be sent to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is not a URL of HTTP.
    #[error("must be an http or https URL of at most 2000 characters")]
    NotHttp,
    /// It holds a name or a password, which would be stored and shown.
    #[error("must not hold a user name or a password")]
    Credentials,
    /// Nobody knows its host.
    #[error("must name a host that can be found")]
    UnknownHost,
    /// Its host is in a network that is nobody else's business.
    #[error("must lead to a public address")]
    Private,
}

/// Why there is no answer, in words for the webhook's owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undelivered(pub Cow<'static, str>);
