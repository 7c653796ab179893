//! Who somebody is: registration, passwords, sessions, tokens, and who follows whom.
//!
//! ```text
//! register ─▶ passwords (hash) ─▶ accounts (user + session + refresh token: one statement)
//! login ────▶ accounts (find) ─▶ passwords (verify) ─▶ accounts (open session, if the hash is still that one)
//! request ──▶ token verified here, without asking anybody ─▶ sessions (is it open? one statement for all)
//! ```
//!
//! What must stay true: an ended session is refused on every node from the moment its end committed, so
//! no answer about a session is given again before the database has said that nothing was committed since
//! (`kit/kept.rs`); a password that was changed opens no session any more, however the change and a login meet; an unknown address takes as long as a wrong password.

mod account;
mod commonest;
pub mod email;
mod hashing;
pub mod image;
mod keys;
mod known_tokens;
mod login;
pub mod message;
pub mod password;
mod pruner;
pub mod session;
mod store;
pub mod token;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use account::Change;
pub use email::Email;
use hashing::Threads;
pub use image::Image;
pub use keys::Secrets;
use message::{AccountMessage, CheckSession, EndSession, FindCurrentUser, PasswordMessage, RefreshSession, SetFollow};
pub use message::{Bio, Name, Refusal, User, UserId};
use password::Hasher;
pub use password::{Cost, Password};
use pruner::Pruner;
use session::NewSession;
pub use session::{Agent, Session, SessionId};
use store::Open;
use token::{RefreshToken, Tokens, Verified};
use workers::Sessions;

use crate::kit::kept::{Kept, Size};
use crate::kit::postgres::Postgres;
use crate::kit::{Ask, Caller, Endpoint, Failure, Fault, Shared};
use crate::supervision::{ChildSpec, Patience, child};

/// What the domain's actors are set up with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of access tokens.
    pub tokens: token::Settings,
    /// How long a session lasts at most, however often it is refreshed.
    pub session_lifetime: Duration,
    /// How long one that is over is kept.
    pub sessions_keep: Duration,
    /// What hashing costs.
    pub cost: Cost,
    /// Passwords hashed at once: no more than there are cores.
    pub password_hands: usize,
    /// Passwords that may wait.
    pub password_room: usize,
    /// Messages that may wait at each other actor.
    pub room: usize,
    /// Accounts worked on at once.
    pub hands: usize,
    /// Messages in one statement.
    pub batch: usize,
    /// The bytes that users may take which were read before, and as many for sessions.
    pub keep: usize,
}

/// The domain, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    passwords: Endpoint<PasswordMessage>,
    accounts: Endpoint<AccountMessage>,
    users: Endpoint<Ask<FindCurrentUser>>,
    sessions: Endpoint<Ask<CheckSession>>,
    tokens: Arc<Tokens>,
    kept_users: Arc<Kept<Uuid, Open<Arc<Shared<User>>>>>,
    kept_sessions: Arc<Kept<Uuid, Open<UserId>>>,
    session_lifetime: Duration,
}

/// Somebody who has just signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// With what.
    pub tokens: TokenPair,
}

/// An access token and the refresh token behind it.
pub struct TokenPair {
    /// The access token.
    pub access: String,
    /// How long it is valid.
    pub expires_in: Duration,
    /// The refresh token.
    pub refresh: RefreshToken,
}

impl std::fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenPair(***)")
    }
}

/// Somebody whose token is valid and whose session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// Who.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
}

type Answer<T> = Result<T, Failure<Refusal>>;

impl Auth {
    /// The domain's handle and its actors.
    ///
    /// # Errors
    /// When the settings contradict one another, or the system has no threads to hash on.
    pub fn new(settings: &Settings, postgres: &Postgres) -> Result<(Self, Vec<ChildSpec>), Fault> {
        let auth = Self {
            passwords: Endpoint::new("auth/passwords", "root/auth/passwords", settings.password_room),
            accounts: Endpoint::new("auth/accounts", "root/auth/accounts", settings.room),
            users: Endpoint::new("auth/users", "root/auth/users", settings.room),
            sessions: Endpoint::new("auth/sessions", "root/auth/sessions", settings.room),
            tokens: Arc::new(Tokens::new(&settings.tokens)),
            kept_users: Arc::new(Kept::new("users", settings.keep)),
            kept_sessions: Arc::new(Kept::new("sessions", settings.keep)),
            session_lifetime: settings.session_lifetime,
        };
        let threads = Threads::start(&Hasher::new(settings.cost)?, settings.password_hands)?;
        let children = vec![
            // A kill would not end the threads that compute: it is only reported.
            child::pool(&auth.passwords, Arc::new(workers::Passwords(threads)), settings.password_hands)
                .with_patience(Patience { hold: None, kill: false }),
            child::pool(&auth.accounts, Arc::new(workers::Accounts(postgres.clone())), settings.hands),
            // What one statement found is worked on while the other is under way.
            child::batcher(&auth.users, Arc::new(Sessions::new(postgres, &auth.kept_users)), 2, settings.batch),
            child::batcher(&auth.sessions, Arc::new(Sessions::new(postgres, &auth.kept_sessions)), 2, settings.batch),
            child::routine("pruner", Arc::new(Pruner { postgres: postgres.clone(), keep: settings.sessions_keep })),
        ];
        Ok((auth, children))
    }

    /// Spends a refresh token for a new pair.
    ///
    /// # Errors
    /// [`Refusal::InvalidToken`]; when the token was spent before, its session has ended.
    pub async fn refresh(&self, caller: &Caller, token: &str) -> Answer<TokenPair> {
        let next = RefreshToken::random();
        let refresh = RefreshSession { spent: RefreshToken::claimed(token), next: next.clone() };
        let (user, session) = self.accounts.ask(caller, refresh).await?;
        Ok(self.pair(user, session, next)?)
    }

    /// Ends a session: from the answer on, its tokens are refused everywhere.
    ///
    /// # Errors
    /// None of its own.
    pub async fn logout(&self, caller: &Caller, viewer: Viewer) -> Answer<()> {
        self.accounts.ask(caller, EndSession(viewer.session)).await
    }

    /// Whose access token this is, asking whether its session is open.
    ///
    /// # Errors
    /// [`Refusal::InvalidToken`].
    pub async fn authenticate(&self, caller: &Caller, token: &str) -> Answer<Viewer> {
        let Verified { user, session } = self.verify(token)?;
        let owner = self.sessions.ask(caller, CheckSession(session)).await?;
        if owner != user {
            return Err(Failure::Refused(Refusal::InvalidToken));
        }
        Ok(Viewer { user, session })
    }

    /// The user behind an access token; the statement that reads them checks the session.
    ///
    /// # Errors
    /// [`Refusal::InvalidToken`].
    pub async fn current_user(&self, caller: &Caller, token: &str) -> Answer<Arc<Shared<User>>> {
        let Verified { user, session } = self.verify(token)?;
        let found = self.users.ask(caller, FindCurrentUser(session)).await?;
        if found.id == user { Ok(found) } else { Err(Failure::Refused(Refusal::InvalidToken)) }
    }

    /// Follows somebody, or stops to.
    ///
    /// # Errors
    /// [`Refusal::NoSuchUser`]; [`Refusal::InvalidToken`] when whoever asks left meanwhile.
    pub async fn set_follow(&self, caller: &Caller, set: SetFollow) -> Answer<()> {
        self.accounts.ask(caller, set).await
    }

    /// How much is kept of what was read before.
    pub(crate) fn kept(&self) -> [Size; 3] {
        [self.kept_users.size(), self.kept_sessions.size(), self.tokens.known()]
    }

    fn verify(&self, token: &str) -> Answer<Verified> {
        self.tokens.verify(token).map_err(|_| Failure::Refused(Refusal::InvalidToken))
    }

    fn new_session(&self, agent: Agent) -> NewSession {
        let (id, refresh) = (SessionId(Uuid::new_v4()), RefreshToken::random());
        NewSession { id, refresh, lifetime: self.session_lifetime, agent }
    }

    fn pair(&self, user: UserId, session: SessionId, refresh: RefreshToken) -> Result<TokenPair, Fault> {
        Ok(TokenPair { access: self.tokens.issue(user, session)?, expires_in: self.tokens.lifetime(), refresh })
    }
}
