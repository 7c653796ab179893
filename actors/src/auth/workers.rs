//! The rules of the domain, one actor each: passwords, accounts, current users, sessions.

use std::collections::HashMap;

use uuid::Uuid;

use super::message::*;
use super::password::Hasher;
use super::store::{self, Refreshed};
use crate::kit::batcher::{Answers, Gather};
use crate::kit::command::{Answer, Outcome};
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Failure, Fault, Scope};

/// Hashes and verifies on the blocking threads, as many at once as the pool has hands.
pub(super) struct Passwords(pub(super) Hasher);

impl Passwords {
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hasher) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Failure<Refusal>> {
        let hasher = self.0.clone();
        let computed = tokio::task::spawn_blocking(move || work(&hasher)).await;
        Ok(computed.map_err(Fault::internal)??)
    }
}

impl Worker for Passwords {
    type Message = PasswordMessage;

    async fn handle(&self, message: PasswordMessage, _: Scope) -> Outcome {
        match message {
            PasswordMessage::HashPassword(ask) => {
                ask.serve(|HashPassword(password)| self.compute(move |hasher| hasher.hash(&password))).await
            }
            PasswordMessage::VerifyPassword(ask) => {
                let verify = |claim: VerifyPassword| {
                    self.compute(move |hasher| hasher.verify(&claim.password, claim.hash.as_ref()))
                };
                ask.serve(verify).await
            }
        }
    }
}

/// What changes users, sessions and follows, one statement each.
pub(super) struct Accounts(pub(super) Postgres);

impl Worker for Accounts {
    type Message = AccountMessage;

    async fn handle(&self, message: AccountMessage, scope: Scope) -> Outcome {
        let (db, scope) = (&self.0, &scope);
        match message {
            AccountMessage::Register(ask) => {
                ask.serve(async |new| {
                    store::register(db, scope, &new).await?.ok_or(Failure::Refused(Refusal::EmailTaken))
                })
                .await
            }
            AccountMessage::FindCredentials(ask) => {
                ask.serve(async |find| Ok(store::find_credentials(db, scope, &find).await?)).await
            }
            AccountMessage::OpenSession(ask) => {
                ask.serve(async |open| exists(store::open_session(db, scope, &open).await?)).await
            }
            AccountMessage::RefreshSession(ask) => ask.serve(async |refresh| self.refresh(scope, &refresh).await).await,
            AccountMessage::EndSession(ask) => {
                ask.serve(async |end| Ok(store::end_session(db, scope, end).await?)).await
            }
            AccountMessage::SetFollow(ask) => {
                ask.serve(async |set| exists(store::set_follow(db, scope, set).await?)).await
            }
        }
    }
}

impl Accounts {
    async fn refresh(&self, scope: &Scope, refresh: &RefreshSession) -> Answer<RefreshSession> {
        match store::refresh_session(&self.0, scope, refresh).await? {
            Refreshed::Renewed(user, session) => Ok((user, session)),
            Refreshed::Reused(session) => {
                tracing::warn!(session.id = %session.0, "a spent refresh token came back; its session was ended");
                Err(Failure::Refused(Refusal::InvalidToken))
            }
            Refreshed::Unknown => Err(Failure::Refused(Refusal::InvalidToken)),
        }
    }
}

fn exists(there: bool) -> Result<(), Failure<Refusal>> {
    if there { Ok(()) } else { Err(Failure::Refused(Refusal::NoSuchUser)) }
}

/// Checks every session that gathered with one statement.
pub(super) struct Sessions(pub(super) Postgres);

impl Gather for Sessions {
    type Command = CheckSession;

    async fn run(&self, commands: &[CheckSession], scope: &Scope) -> Answers<CheckSession> {
        let sessions = unique(commands.iter().map(|CheckSession(session)| session.0));
        let open: HashMap<Uuid, UserId> = store::check_sessions(&self.0, scope, &sessions).await?.into_iter().collect();
        let answer = |CheckSession(session): &CheckSession| open.get(&session.0).copied().ok_or(Refusal::InvalidToken);
        Ok(commands.iter().map(answer).collect())
    }
}

/// Reads every current user that is asked for with one statement, which checks their sessions as well.
pub(super) struct CurrentUsers(pub(super) Postgres);

impl Gather for CurrentUsers {
    type Command = FindCurrentUser;

    async fn run(&self, commands: &[FindCurrentUser], scope: &Scope) -> Answers<FindCurrentUser> {
        let sessions = unique(commands.iter().map(|FindCurrentUser(session)| session.0));
        let found: HashMap<Uuid, User> =
            store::find_current_users(&self.0, scope, &sessions).await?.into_iter().collect();
        let answer =
            |FindCurrentUser(session): &FindCurrentUser| found.get(&session.0).cloned().ok_or(Refusal::InvalidToken);
        Ok(commands.iter().map(answer).collect())
    }
}

fn unique(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
