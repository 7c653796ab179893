//! What somebody does with their own account: change it, leave, see where they are signed in.
//!
//! What must stay true: nobody changes an address or a password, or leaves, without the password; and the hash that
//! was verified is still theirs when it happens.

use super::message::{
    ChangeUser, DeleteUser, EndSessionOf, FindCredentialsOf, HashPassword, ListSessions, Refusal, User, VerifyPassword,
};
use super::password::{Against, PasswordHash, Verdict};
use super::{Answer, Auth, Bio, Email, Image, Name, Password, Session, SessionId, Viewer};
use crate::kit::{Caller, Failure};

/// What is to become of an account; what is not given stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// A new name.
    pub name: Option<Name>,
    /// What they say about themselves from now on.
    pub bio: Option<Bio>,
    /// A new picture.
    pub image: Option<Image>,
    /// A new address.
    pub email: Option<Email>,
    /// A new password.
    pub password: Option<Password>,
    /// The password so far, which a new address and a new password take.
    pub current_password: Option<Password>,
}

impl Auth {
    /// Changes an account; a new password ends every session of its user but the one it was changed in.
    ///
    /// # Errors
    /// [`Refusal::PasswordRequired`], [`Refusal::WrongPassword`], [`Refusal::PasswordNamesOneself`],
    /// [`Refusal::EmailTaken`].
    pub async fn change(&self, caller: &Caller, viewer: Viewer, change: Change) -> Answer<User> {
        let Change { name, bio, image, mut email, password, current_password } = change;
        let mut verified = None;
        if email.is_some() || password.is_some() {
            let (user, hash) = self.accounts.ask(caller, FindCredentialsOf(viewer.user)).await?;
            email = email.filter(|email| *email != user.email);
            if email.is_some() || password.is_some() {
                self.verify_own(caller, current_password, &hash).await?;
                verified = Some(hash);
            }
            let (new_email, new_name) =
                (email.as_ref().unwrap_or(&user.email), name.as_ref().map_or(user.name.as_str(), Name::as_str));
            if password.as_ref().is_some_and(|password| password.names(new_email, new_name)) {
                return Err(Failure::Refused(Refusal::PasswordNamesOneself));
            }
        }
        let password_hash = match password {
            Some(password) => Some(self.passwords.ask(caller, HashPassword(password)).await?),
            None => None,
        };
        let (user, session) = (viewer.user, viewer.session);
        let change = ChangeUser { user, session, verified, name, bio, image, email, password_hash };
        self.accounts.ask(caller, change).await
    }

    /// Deletes an account with all that is its user's: from the answer on, it is as if they had never been there.
    ///
    /// # Errors
    /// [`Refusal::WrongPassword`].
    pub async fn leave(&self, caller: &Caller, viewer: Viewer, password: Password) -> Answer<()> {
        let (_, verified) = self.accounts.ask(caller, FindCredentialsOf(viewer.user)).await?;
        self.verify_own(caller, Some(password), &verified).await?;
        self.accounts.ask(caller, DeleteUser { user: viewer.user, verified }).await
    }

    /// Where somebody is signed in.
    ///
    /// # Errors
    /// None of its own.
    pub async fn sessions(&self, caller: &Caller, viewer: Viewer) -> Answer<Vec<Session>> {
        self.accounts.ask(caller, ListSessions { user: viewer.user, current: viewer.session }).await
    }

    /// Ends one of somebody's own sessions.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSession`], also when it is somebody else's.
    pub async fn end_session(&self, caller: &Caller, viewer: Viewer, session: SessionId) -> Answer<()> {
        self.accounts.ask(caller, EndSessionOf { user: viewer.user, session }).await
    }

    /// Refuses whoever does not know the password of this hash.
    async fn verify_own(&self, caller: &Caller, password: Option<Password>, hash: &PasswordHash) -> Answer<()> {
        let password = password.ok_or(Failure::Refused(Refusal::PasswordRequired))?;
        let verify = VerifyPassword { password, against: Against::Own(hash.clone()) };
        match self.passwords.ask(caller, verify).await? {
            Verdict::Wrong => Err(Failure::Refused(Refusal::WrongPassword)),
            Verdict::Right | Verdict::Outdated => Ok(()),
        }
    }
}
