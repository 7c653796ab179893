//! What can be asked of the auth actors. The contract between the front and this domain.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::email::Email;
use super::password::{Password, PasswordHash};
use super::token::RefreshToken;
use crate::text::Text;
use crate::{command, messages};

/// A user's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i64);

/// A session's id: the `sid` of its access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub Uuid);

/// A person's name.
pub type Name = Text<1, 100>;

/// A person, as they see themselves.
#[derive(Debug, Clone)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their address, which only they get to see.
    pub email: Email,
    /// What they are called.
    pub name: String,
    /// What they say about themselves.
    pub bio: String,
    /// Where their picture is.
    pub image: String,
    /// When they registered.
    pub created_at: OffsetDateTime,
    /// When they last changed any of this.
    pub updated_at: OffsetDateTime,
}

/// Why the rules of this domain say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody has registered this address.
    #[error("email is taken")]
    EmailTaken,
    /// The address is unknown or the password is wrong; which of them is nobody's business.
    #[error("invalid email or password")]
    BadCredentials,
    /// The token is not one of ours, is no longer valid, or its session is over.
    #[error("invalid or expired token")]
    InvalidToken,
    /// There is no such user.
    #[error("no such user")]
    NoSuchUser,
}

/// Hash a new password.
#[derive(Debug, Clone)]
pub struct HashPassword(pub Password);

/// Is this the password? Without a hash the work is done all the same, and the answer is no.
#[derive(Debug, Clone)]
pub struct VerifyPassword {
    /// What somebody claims.
    pub password: Password,
    /// What is known.
    pub hash: Option<PasswordHash>,
}

/// A session that is to be opened.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Its first refresh token.
    pub refresh: RefreshToken,
    /// How long it lasts at most.
    pub lifetime: Duration,
}

/// Register a person and open their first session.
#[derive(Debug, Clone)]
pub struct Register {
    /// Their address.
    pub email: Email,
    /// Their name.
    pub name: Name,
    /// The hash of their password.
    pub password_hash: PasswordHash,
    /// The session to open.
    pub session: NewSession,
}

/// Who has this address, and what is their password's hash?
#[derive(Debug, Clone)]
pub struct FindCredentials(pub Email);

/// Open a session for a user.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub session: NewSession,
}

/// Spend a refresh token for the next one.
#[derive(Debug, Clone)]
pub struct RefreshSession {
    /// The one that was brought.
    pub spent: RefreshToken,
    /// The one to issue.
    pub next: RefreshToken,
}

/// End a session.
#[derive(Debug, Clone, Copy)]
pub struct EndSession(pub SessionId);

/// Is this session open, and whose is it?
#[derive(Debug, Clone, Copy)]
pub struct CheckSession(pub SessionId);

/// Whose session is this, if it is open?
#[derive(Debug, Clone, Copy)]
pub struct FindCurrentUser(pub SessionId);

/// Follow somebody, or stop to.
#[derive(Debug, Clone, Copy)]
pub struct SetFollow {
    /// Who.
    pub follower: UserId,
    /// Whom.
    pub followed: UserId,
    /// Whether they shall follow.
    pub following: bool,
}

command!(HashPassword, "hash_password", PasswordHash, Refusal, idempotent: true);
command!(VerifyPassword, "verify_password", bool, Refusal, idempotent: true);
command!(Register, "register", User, Refusal, idempotent: false);
command!(FindCredentials, "find_credentials", Option<(User, PasswordHash)>, Refusal, idempotent: true);
command!(OpenSession, "open_session", (), Refusal, idempotent: false);
command!(RefreshSession, "refresh_session", (UserId, SessionId), Refusal, idempotent: false);
command!(EndSession, "end_session", (), Refusal, idempotent: true);
command!(CheckSession, "check_session", UserId, Refusal, idempotent: true);
command!(FindCurrentUser, "find_current_user", User, Refusal, idempotent: true);
command!(SetFollow, "set_follow", (), Refusal, idempotent: true);

messages! {
    /// What the password pool understands.
    pub enum PasswordMessage { HashPassword, VerifyPassword }
}

messages! {
    /// What the accounts pool understands.
    pub enum AccountMessage { Register, FindCredentials, OpenSession, RefreshSession, EndSession, SetFollow }
}
