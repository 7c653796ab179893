//! The rules of the domain, one actor each: passwords, accounts, current users, sessions.

use std::collections::HashMap;

use uuid::Uuid;

use super::hashing::Threads;
use super::message::*;
use super::store::{self, Changed, Followed, Refreshed};
use crate::kit::batcher::{Answers, Gather};
use crate::kit::command::{Answer, Outcome};
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Failure, Scope};

/// Whoever asks left between the check of their session and the statement.
const GONE: Failure<Refusal> = Failure::Refused(Refusal::InvalidToken);
/// Sessions that somebody is shown, besides the one that asks.
const MOST_LISTED: i64 = 100;
/// Articles of somebody who leaves that one statement deletes.
const AT_ONCE: i64 = 500;
/// How often a deletion that gave way to others is tried.
const TRIES: usize = 4;

/// Hashes and verifies on threads of their own, as many at once as the pool has hands.
pub(super) struct Passwords(pub(super) Threads);

impl Worker for Passwords {
    type Message = PasswordMessage;

    async fn handle(&self, message: PasswordMessage, _: Scope) -> Outcome {
        let threads = &self.0;
        match message {
            PasswordMessage::HashPassword(ask) => {
                let hash = async |HashPassword(password)| Ok(threads.run(move |hasher| hasher.hash(&password)).await?);
                ask.serve(hash).await
            }
            PasswordMessage::VerifyPassword(ask) => {
                let verify = async |VerifyPassword { password, against }| {
                    Ok(threads.run(move |hasher| hasher.verify(&password, &against)).await?)
                };
                ask.serve(verify).await
            }
        }
    }
}

/// What changes users, sessions and follows.
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
            AccountMessage::FindCredentialsOf(ask) => {
                let find =
                    async |FindCredentialsOf(user)| store::find_credentials_of(db, scope, user).await?.ok_or(GONE);
                ask.serve(find).await
            }
            AccountMessage::Rehash(ask) => ask.serve(async |new| Ok(store::rehash(db, scope, &new).await?)).await,
            AccountMessage::OpenSession(ask) => {
                ask.serve(async |open| Ok(store::open_session(db, scope, &open).await?)).await
            }
            AccountMessage::RefreshSession(ask) => ask.serve(async |refresh| self.refresh(scope, &refresh).await).await,
            AccountMessage::EndSession(ask) => {
                ask.serve(async |end| Ok(store::end_session(db, scope, end).await?)).await
            }
            AccountMessage::ListSessions(ask) => {
                ask.serve(async |list| Ok(store::list_sessions(db, scope, list, MOST_LISTED).await?)).await
            }
            AccountMessage::EndSessionOf(ask) => {
                let end = async |end| match store::end_session_of(db, scope, end).await? {
                    true => Ok(()),
                    false => Err(Failure::Refused(Refusal::NoSuchSession)),
                };
                ask.serve(end).await
            }
            AccountMessage::ChangeUser(ask) => ask.serve(async |change| self.change(scope, &change).await).await,
            AccountMessage::DeleteUser(ask) => ask.serve(async |delete| self.delete(scope, &delete).await).await,
            AccountMessage::SetFollow(ask) => {
                let set = async |set| match store::set_follow(db, scope, set).await? {
                    Followed::Done => Ok(()),
                    Followed::NobodyThere => Err(Failure::Refused(Refusal::NoSuchUser)),
                    Followed::FollowerGone => Err(GONE),
                };
                ask.serve(set).await
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

    async fn change(&self, scope: &Scope, change: &ChangeUser) -> Answer<ChangeUser> {
        match store::change_user(&self.0, scope, change).await? {
            Changed::Done(user) => Ok(user),
            Changed::EmailTaken => Err(Failure::Refused(Refusal::EmailTaken)),
            // The password that was verified was the right one until a moment ago.
            Changed::NotTheirs if change.verified.is_some() => Err(Failure::Refused(Refusal::WrongPassword)),
            Changed::NotTheirs => Err(GONE),
        }
    }

    /// Much goes with a user, and others work on it: who has to give way to them tries again.
    async fn delete(&self, scope: &Scope, delete: &DeleteUser) -> Answer<DeleteUser> {
        while store::delete_older_articles(&self.0, scope, delete.user, AT_ONCE).await? == AT_ONCE {}
        let mut tries = 1;
        loop {
            match store::delete_user(&self.0, scope, delete).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Failure::Refused(Refusal::WrongPassword)),
                Err(fault) if fault.is_about_timing() && tries < TRIES => tries += 1,
                Err(fault) => return Err(fault.into()),
            }
        }
    }
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
