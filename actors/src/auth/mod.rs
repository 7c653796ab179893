//! Who somebody is: registration, passwords, sessions, tokens, and who follows whom.
//!
//! ```text
//! register ─▶ passwords (hash) ─▶ accounts (user + session + refresh token: one statement)
//! login ────▶ accounts (find) ─▶ passwords (verify) ─▶ accounts (open session)
//! request ──▶ token verified here, without asking anybody ─▶ sessions (is it open? one statement for all)
//! ```
//!
//! What must stay true: an ended session is refused on every node from the moment its end committed, so
//! no answer about a session is ever kept; an unknown address takes as long as a wrong password.

pub mod email;
pub mod message;
pub mod password;
mod store;
pub mod token;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use uuid::Uuid;

pub use email::Email;
use message::{
    AccountMessage, CheckSession, EndSession, FindCredentials, FindCurrentUser, HashPassword, NewSession, OpenSession,
    PasswordMessage, RefreshSession, Register, SetFollow, VerifyPassword,
};
pub use message::{Name, Refusal, SessionId, User, UserId};
use password::Hasher;
pub use password::{Cost, Password};
pub use token::Secret;
use token::{RefreshToken, Tokens, Verified};

use crate::kit::postgres::Postgres;
use crate::kit::{Ask, Caller, Endpoint, Failure, Fault, metrics};
use crate::supervision::{ChildSpec, Patience, child};

/// What the domain's actors are set up with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What access tokens are signed with.
    pub secret: Secret,
    /// How long an access token is valid.
    pub access_lifetime: Duration,
    /// How long a session lasts at most, however often it is refreshed.
    pub session_lifetime: Duration,
    /// What hashing costs.
    pub cost: Cost,
    /// Passwords hashed at once: as many as there are cores.
    pub password_hands: usize,
    /// Passwords that may wait.
    pub password_room: usize,
    /// Messages that may wait at each other actor.
    pub room: usize,
    /// Accounts worked on at once.
    pub hands: usize,
    /// Messages in one statement.
    pub batch: usize,
}

/// The domain, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    passwords: Endpoint<PasswordMessage>,
    accounts: Endpoint<AccountMessage>,
    users: Endpoint<Ask<FindCurrentUser>>,
    sessions: Endpoint<Ask<CheckSession>>,
    tokens: Arc<Tokens>,
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
    /// When the settings contradict one another.
    pub fn new(settings: &Settings, postgres: &Postgres) -> Result<(Self, Vec<ChildSpec>), Fault> {
        let auth = Self {
            passwords: Endpoint::new("auth/passwords", "root/auth/passwords", settings.password_room),
            accounts: Endpoint::new("auth/accounts", "root/auth/accounts", settings.room),
            users: Endpoint::new("auth/users", "root/auth/users", settings.room),
            sessions: Endpoint::new("auth/sessions", "root/auth/sessions", settings.room),
            tokens: Arc::new(Tokens::new(&settings.secret, settings.access_lifetime)),
            session_lifetime: settings.session_lifetime,
        };
        let hasher = Hasher::new(settings.cost)?;
        let children = vec![
            // A kill would not end the threads that compute: it is only reported.
            child::pool(&auth.passwords, Arc::new(workers::Passwords(hasher)), settings.password_hands)
                .with_patience(Patience { hold: None, kill: false }),
            child::pool(&auth.accounts, Arc::new(workers::Accounts(postgres.clone())), settings.hands),
            child::batcher(&auth.users, Arc::new(workers::CurrentUsers(postgres.clone())), 2, settings.batch),
            child::batcher(&auth.sessions, Arc::new(workers::Sessions(postgres.clone())), 2, settings.batch),
        ];
        Ok((auth, children))
    }

    /// Registers somebody and signs them in.
    ///
    /// # Errors
    /// [`Refusal::EmailTaken`].
    pub async fn register(&self, caller: &Caller, email: Email, name: Name, password: Password) -> Answer<SignedIn> {
        let password_hash = self.passwords.ask(caller, HashPassword(password)).await?;
        let session = self.new_session();
        let (id, refresh) = (session.id, session.refresh.clone());
        let user = self.accounts.ask(caller, Register { email, name, password_hash, session }).await?;
        let tokens = self.pair(user.id, id, refresh)?;
        Ok(SignedIn { user, tokens })
    }

    /// Signs somebody in.
    ///
    /// # Errors
    /// [`Refusal::BadCredentials`], after the same work for an unknown address as for a wrong password.
    pub async fn login(&self, caller: &Caller, email: Option<Email>, password: Password) -> Answer<SignedIn> {
        let signed_in = self.try_login(caller, email, password).await;
        let status = match &signed_in {
            Ok(_) => "success",
            Err(Failure::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        caller.trace.set(|| [KeyValue::new("auth.status", status)]);
        metrics::domain().logins.add(1, &[KeyValue::new("status", status)]);
        signed_in
    }

    async fn try_login(&self, caller: &Caller, email: Option<Email>, password: Password) -> Answer<SignedIn> {
        let found = match email {
            Some(email) => self.accounts.ask(caller, FindCredentials(email)).await?,
            None => None,
        };
        let (user, hash) = found.unzip();
        let right = self.passwords.ask(caller, VerifyPassword { password, hash }).await?;
        let user = user.filter(|_| right).ok_or(Failure::Refused(Refusal::BadCredentials))?;
        let session = self.new_session();
        let (id, refresh) = (session.id, session.refresh.clone());
        let opened = self.accounts.ask(caller, OpenSession { user: user.id, session }).await;
        // Somebody who went away between the two statements is as unknown as somebody who never came.
        opened.map_err(|failure| failure.map(|_| Refusal::BadCredentials))?;
        let tokens = self.pair(user.id, id, refresh)?;
        Ok(SignedIn { user, tokens })
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
    pub async fn current_user(&self, caller: &Caller, token: &str) -> Answer<User> {
        let Verified { session, .. } = self.verify(token)?;
        self.users.ask(caller, FindCurrentUser(session)).await
    }

    /// Follows somebody, or stops to.
    ///
    /// # Errors
    /// [`Refusal::NoSuchUser`].
    pub async fn set_follow(&self, caller: &Caller, set: SetFollow) -> Answer<()> {
        self.accounts.ask(caller, set).await
    }

    fn verify(&self, token: &str) -> Answer<Verified> {
        self.tokens.verify(token).map_err(|_| Failure::Refused(Refusal::InvalidToken))
    }

    fn new_session(&self) -> NewSession {
        NewSession { id: SessionId(Uuid::new_v4()), refresh: RefreshToken::random(), lifetime: self.session_lifetime }
    }

    fn pair(&self, user: UserId, session: SessionId, refresh: RefreshToken) -> Result<TokenPair, Fault> {
        Ok(TokenPair { access: self.tokens.issue(user, session)?, expires_in: self.tokens.lifetime, refresh })
    }
}
