//! Signing up and signing in: several asks each, made in turn in the caller's task.
//!
//! What must stay true: whether an address is known shows neither in what is said nor in how long it takes, since
//! the same is asked and computed for each; a session is opened only while the hash that was verified is the
//! user's.

use opentelemetry::KeyValue;

use super::message::{
    Credentials, FindCredentials, HashPassword, OpenSession, Refusal, Register, Rehash, User, VerifyPassword,
};
use super::password::{Against, PasswordHash, Verdict};
use super::session::Agent;
use super::{Answer, Auth, Email, Name, Password, SignedIn, TokenPair};
use crate::kit::{Caller, Failure, metrics};

/// How often a login whose hash changed under it is tried anew: a hash changes once, when its cost does.
const TRIES: usize = 3;

/// What a try to sign in came to.
enum Tried {
    In(SignedIn),
    /// The hash that was verified is not the user's any more.
    Changed,
}

impl Auth {
    /// Registers somebody and signs them in.
    ///
    /// # Errors
    /// [`Refusal::EmailTaken`], [`Refusal::PasswordNamesOneself`].
    pub async fn register(
        &self,
        caller: &Caller,
        (email, name, password): (Email, Name, Password),
        agent: Agent,
    ) -> Answer<SignedIn> {
        if password.names(&email, name.as_str()) {
            return Err(Failure::Refused(Refusal::PasswordNamesOneself));
        }
        // Hashed first, so that a taken address takes as long as a free one.
        let password_hash = self.passwords.ask(caller, HashPassword(password)).await?;
        let session = self.new_session(agent);
        let (id, refresh) = (session.id, session.refresh.clone());
        let user = self.accounts.ask(caller, Register { email, name, password_hash, session }).await?;
        let tokens = self.pair(user.id, id, refresh)?;
        Ok(SignedIn { user, tokens })
    }

    /// Signs somebody in.
    ///
    /// # Errors
    /// [`Refusal::BadCredentials`], after the same work for an unknown address as for a wrong password.
    pub async fn login(
        &self,
        caller: &Caller,
        email: Option<Email>,
        password: Password,
        agent: Agent,
    ) -> Answer<SignedIn> {
        let mut signed_in = Err(Failure::Refused(Refusal::BadCredentials));
        for _ in 0..TRIES {
            match self.try_login(caller, email.clone(), &password, &agent).await {
                Ok(Tried::Changed) => {}
                Ok(Tried::In(who)) => {
                    signed_in = Ok(who);
                    break;
                }
                Err(failure) => {
                    signed_in = Err(failure);
                    break;
                }
            }
        }
        let status = match &signed_in {
            Ok(_) => "success",
            Err(Failure::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        caller.trace.set(|| [KeyValue::new("auth.status", status)]);
        metrics::domain().logins.add(1, &[KeyValue::new("status", status)]);
        signed_in
    }

    async fn try_login(
        &self,
        caller: &Caller,
        email: Option<Email>,
        password: &Password,
        agent: &Agent,
    ) -> Answer<Tried> {
        let credentials = match email {
            Some(email) => self.accounts.ask(caller, FindCredentials(email)).await?,
            None => Credentials::Unknown(None),
        };
        let (known, against) = match credentials {
            Credentials::Known(user, hash) => (Some((user, hash.clone())), Against::Own(hash)),
            Credentials::Unknown(hash) => (None, Against::Nobody(hash)),
        };
        let verdict = self.passwords.ask(caller, VerifyPassword { password: password.clone(), against }).await?;
        let known = known.filter(|_| verdict != Verdict::Wrong);
        let (user, mut verified) = known.ok_or(Failure::Refused(Refusal::BadCredentials))?;
        if verdict == Verdict::Outdated {
            match self.rehash(caller, &user, &verified, password).await? {
                Some(hash) => verified = hash,
                None => return Ok(Tried::Changed),
            }
        }
        let session = self.new_session(agent.clone());
        let (id, refresh) = (session.id, session.refresh.clone());
        if !self.accounts.ask(caller, OpenSession { user: user.id, verified, session }).await? {
            return Ok(Tried::Changed);
        }
        let tokens: TokenPair = self.pair(user.id, id, refresh)?;
        Ok(Tried::In(SignedIn { user: *user, tokens }))
    }

    /// Hashes a right password at the cost in force; the hash that is the user's now. `None` when the verified one
    /// is not any more.
    async fn rehash(
        &self,
        caller: &Caller,
        user: &User,
        verified: &PasswordHash,
        password: &Password,
    ) -> Answer<Option<PasswordHash>> {
        let hash = match self.passwords.ask(caller, HashPassword(password.clone())).await {
            Ok(hash) => hash,
            // Nobody is kept out for that: the next login tries again.
            Err(Failure::Overloaded(_)) => return Ok(Some(verified.clone())),
            Err(failure) => return Err(failure),
        };
        let rehash = Rehash { user: user.id, verified: verified.clone(), hash: hash.clone() };
        Ok(self.accounts.ask(caller, rehash).await?.then_some(hash))
    }
}
