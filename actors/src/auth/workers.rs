//! The rules of the domain, one actor each: passwords, accounts, current users, sessions.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::hashing::Threads;
use super::message::*;
use super::store::{self, Changed, Followed, OfSession, Open, Refreshed};
use crate::kit::batcher::{Answers, Gather};
use crate::kit::command::{Answer, Outcome};
use crate::kit::kept::{Keep, Kept, Look, Read};
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Failure, Fault, Scope, Shared};

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

/// Finds every session that gathered with one statement, and what it is of; those that are known are not read while nobody
/// writes.
pub(super) struct Sessions<T> {
    postgres: Postgres,
    kept: Arc<Kept<Uuid, Open<T>>>,
}

impl<T: OfSession> Sessions<T>
where
    Open<T>: Keep,
{
    pub(super) fn new(postgres: &Postgres, kept: &Arc<Kept<Uuid, Open<T>>>) -> Self {
        Self { postgres: postgres.clone(), kept: Arc::clone(kept) }
    }

    /// What those of these are of that are open.
    async fn open(&self, asked: impl Iterator<Item = SessionId>, scope: &Scope) -> Result<HashMap<Uuid, T>, Fault> {
        let mut ids: Vec<Uuid> = asked.map(|session| session.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut looking = Looking { postgres: &self.postgres, scope, ids: &ids };
        let (found, seen) = self.kept.find((&self.postgres, scope), &ids, |_| true, &mut looking).await?;
        // Nobody writes anything when one is over.
        let is_open = |open: &Open<T>| seen.as_ref().is_none_or(|seen| open.until > seen.now);
        let open = ids.into_iter().zip(found);
        Ok(open.filter_map(|(id, open)| Some((id, open.filter(is_open)?.of))).collect())
    }
}

/// How sessions are read that are not known.
struct Looking<'a> {
    postgres: &'a Postgres,
    scope: &'a Scope,
    ids: &'a [Uuid],
}

impl<T: OfSession> Look<Open<T>> for Looking<'_> {
    async fn look(&mut self, places: &[usize], _: &[Option<Open<T>>]) -> Result<Read<Open<T>>, Fault> {
        let asked: Vec<Uuid> = places.iter().filter_map(|place| self.ids.get(*place).copied()).collect();
        let store::OpenSessions { seen, open } = T::read(self.postgres, self.scope, &asked).await?;
        let found = places.iter().zip(&asked).map(|(place, id)| (*place, open.get(id).cloned()));
        Ok(Read { new: open.len(), found: found.collect(), seen })
    }
}

/// Whose sessions these are.
impl Gather for Sessions<UserId> {
    type Command = CheckSession;

    async fn run(&self, commands: &[CheckSession], scope: &Scope) -> Answers<CheckSession> {
        let open = self.open(commands.iter().map(|CheckSession(session)| *session), scope).await?;
        let answer = |CheckSession(session): &CheckSession| open.get(&session.0).copied().ok_or(Refusal::InvalidToken);
        Ok(commands.iter().map(answer).collect())
    }
}

/// Whose sessions these are, with all that users see of themselves.
impl Gather for Sessions<Arc<Shared<User>>> {
    type Command = FindCurrentUser;

    async fn run(&self, commands: &[FindCurrentUser], scope: &Scope) -> Answers<FindCurrentUser> {
        let open = self.open(commands.iter().map(|FindCurrentUser(session)| *session), scope).await?;
        let answer =
            |FindCurrentUser(session): &FindCurrentUser| open.get(&session.0).cloned().ok_or(Refusal::InvalidToken);
        Ok(commands.iter().map(answer).collect())
    }
}
