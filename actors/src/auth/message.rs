//! What can be asked of the auth actors. The contract between the front and this domain.

use std::sync::Arc;

use time::OffsetDateTime;

use super::email::Email;
use super::image::Image;
use super::password::{Against, Password, PasswordHash, Verdict};
pub use super::session::{NewSession, Session, SessionId};
use super::token::RefreshToken;
use crate::kit::command::Answer;
use crate::kit::{Command, Failure, Shared};
use crate::text::Text;
use crate::{command, messages};

/// A user's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i64);

/// A person's name.
pub type Name = Text<1, 100>;
/// What a person says about themselves.
pub type Bio = Text<0, 2000>;

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
    /// Nobody else sees it, and it is not there.
    #[error("no such session")]
    NoSuchSession,
    /// A password is nothing but its owner's name or address.
    #[error("must not be your own name or address")]
    PasswordNamesOneself,
    /// What is asked for takes the password.
    #[error("is required for this")]
    PasswordRequired,
    /// Whoever is signed in does not know the password.
    #[error("is not the current password")]
    WrongPassword,
}

/// Hash a new password.
#[derive(Debug, Clone)]
pub struct HashPassword(pub Password);

/// Is this the password? The work is the same whatever the answer.
#[derive(Debug, Clone)]
pub struct VerifyPassword {
    /// What somebody claims.
    pub password: Password,
    /// What is known.
    pub against: Against,
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

/// Who has this address, and what is to be verified against?
#[derive(Debug, Clone)]
pub struct FindCredentials(pub Email);

/// Who has an address, and what a password is verified against.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// This user has it.
    Known(Box<User>, PasswordHash),
    /// Nobody has it; this is somebody's hash, that it takes as long.
    Unknown(Option<PasswordHash>),
}

/// Who is this, and what is their password's hash?
#[derive(Debug, Clone, Copy)]
pub struct FindCredentialsOf(pub UserId);

/// Store the hash of a user's password at another cost.
#[derive(Debug, Clone)]
pub struct Rehash {
    /// Whose.
    pub user: UserId,
    /// What was verified.
    pub verified: PasswordHash,
    /// Of the same password.
    pub hash: PasswordHash,
}

/// Open a session for a user.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// Whose.
    pub user: UserId,
    /// What their password was verified against.
    pub verified: PasswordHash,
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

/// Which sessions of a user are open?
#[derive(Debug, Clone, Copy)]
pub struct ListSessions {
    /// Whose.
    pub user: UserId,
    /// Which of them asks.
    pub current: SessionId,
}

/// End one of a user's sessions.
#[derive(Debug, Clone, Copy)]
pub struct EndSessionOf {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub session: SessionId,
}

/// Change what is given of a user.
#[derive(Debug, Clone)]
pub struct ChangeUser {
    /// Who.
    pub user: UserId,
    /// In which session; a new password ends all others.
    pub session: SessionId,
    /// What their password was verified against, where it had to be.
    pub verified: Option<PasswordHash>,
    /// What they are called from now on.
    pub name: Option<Name>,
    /// What they say about themselves.
    pub bio: Option<Bio>,
    /// Where their picture is.
    pub image: Option<Image>,
    /// Their new address.
    pub email: Option<Email>,
    /// The hash of their new password.
    pub password_hash: Option<PasswordHash>,
}

/// Delete a user and all that is theirs.
#[derive(Debug, Clone)]
pub struct DeleteUser {
    /// Who.
    pub user: UserId,
    /// What their password was verified against.
    pub verified: PasswordHash,
}

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
command!(VerifyPassword, "verify_password", Verdict, Refusal, idempotent: true);
command!(Register, "register", User, Refusal, idempotent: false);
command!(FindCredentials, "find_credentials", Credentials, Refusal, idempotent: true);
command!(FindCredentialsOf, "find_credentials_of", (User, PasswordHash), Refusal, idempotent: true);
// Whether the hash was still the one that was verified.
command!(Rehash, "rehash", bool, Refusal, idempotent: false);
command!(OpenSession, "open_session", bool, Refusal, idempotent: false);
command!(RefreshSession, "refresh_session", (UserId, SessionId), Refusal, idempotent: false);
command!(EndSession, "end_session", (), Refusal, idempotent: true);
command!(ListSessions, "list_sessions", Vec<Session>, Refusal, idempotent: true);
command!(ChangeUser, "change_user", User, Refusal, idempotent: false);
command!(DeleteUser, "delete_user", (), Refusal, idempotent: false);
command!(CheckSession, "check_session", UserId, Refusal, idempotent: true);
command!(FindCurrentUser, "find_current_user", Arc<Shared<User>>, Refusal, idempotent: true);
command!(SetFollow, "set_follow", (), Refusal, idempotent: true);

impl Command for EndSessionOf {
    type Reply = ();
    type Refusal = Refusal;
    const NAME: &'static str = "end_session_of";
    const IDEMPOTENT: bool = true;

    /// What an earlier ask ended is not open any more.
    fn repeated(answer: Answer<Self>) -> Answer<Self> {
        match answer {
            Err(Failure::Refused(Refusal::NoSuchSession)) => Ok(()),
            answer => answer,
        }
    }
}

messages! {
    /// What the password pool understands.
    pub enum PasswordMessage { HashPassword, VerifyPassword }
}

messages! {
    /// What the accounts pool understands.
    pub enum AccountMessage {
        Register, FindCredentials, FindCredentialsOf, Rehash, OpenSession, RefreshSession, EndSession, ListSessions,
        EndSessionOf, ChangeUser, DeleteUser, SetFollow
    }
}
