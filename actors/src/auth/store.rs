//! The domain's statements, one function each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::email::Email;
use super::message::{
    ChangeUser, Credentials, DeleteUser, EndSession, EndSessionOf, FindCredentials, ListSessions, OpenSession,
    RefreshSession, Register, Rehash, SetFollow, User, UserId,
};
use super::password::PasswordHash;
use super::session::{Session, SessionId};
use crate::kit::kept::{Keep, Seen, length_in_json};
use crate::kit::postgres::{Params, Postgres};
use crate::kit::sql::Statement;
use crate::kit::{Fault, Scope, Shared};
use crate::sql;

fn user(row: &Row) -> User {
    User {
        id: UserId(row.get("id")),
        email: Email::stored(row.get("email")),
        name: row.get("name"),
        bio: row.get("bio"),
        image: row.get("image"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}

/// `None` when the address is taken.
pub(super) async fn register(db: &Postgres, scope: &Scope, new: &Register) -> Result<Option<User>, Fault> {
    let lifetime = new.session.lifetime.as_secs_f64();
    let rows = db
        .write(
            scope,
            sql!("auth/register"),
            &[
                &new.email.expose(),
                &new.name.as_str(),
                &new.password_hash.expose(),
                &new.session.id.0,
                &new.session.refresh.hash(),
                &lifetime,
                &new.session.agent.as_str(),
            ],
        )
        .await?;
    Ok(rows.first().map(user))
}

pub(super) async fn find_credentials(
    db: &Postgres,
    scope: &Scope,
    FindCredentials(email): &FindCredentials,
) -> Result<Credentials, Fault> {
    let rows = db.read(scope, sql!("auth/find_credentials"), &[&email.expose()]).await?;
    let Some(row) = rows.first() else { return Ok(Credentials::Unknown(None)) };
    Ok(match row.get("known") {
        true => Credentials::Known(Box::new(user(row)), hash(row)),
        false => Credentials::Unknown(Some(hash(row))),
    })
}

pub(super) async fn find_credentials_of(
    db: &Postgres,
    scope: &Scope,
    id: UserId,
) -> Result<Option<(User, PasswordHash)>, Fault> {
    let rows = db.read(scope, sql!("auth/find_credentials_of"), &[&id.0]).await?;
    Ok(rows.first().map(|row| (user(row), hash(row))))
}

fn hash(row: &Row) -> PasswordHash {
    PasswordHash::stored(row.get("password_hash"))
}

/// Whether the verified hash was still the user's.
pub(super) async fn rehash(db: &Postgres, scope: &Scope, new: &Rehash) -> Result<bool, Fault> {
    let params: Params<'_> = &[&new.user.0, &new.verified.expose(), &new.hash.expose()];
    Ok(!db.write(scope, sql!("auth/rehash"), params).await?.is_empty())
}

/// Whether the user was still there, with the hash that was verified.
pub(super) async fn open_session(db: &Postgres, scope: &Scope, open: &OpenSession) -> Result<bool, Fault> {
    let OpenSession { user, verified, session } = open;
    let lifetime = session.lifetime.as_secs_f64();
    let (refresh, agent) = (session.refresh.hash(), session.agent.as_str());
    let params: Params<'_> = &[&user.0, &session.id.0, &refresh, &lifetime, &agent, &verified.expose()];
    Ok(!db.write(scope, sql!("auth/open_session"), params).await?.is_empty())
}

/// What a refresh token came to.
pub(super) enum Refreshed {
    /// It was spent for the next one.
    Renewed(UserId, SessionId),
    /// It had been spent before, so its session was ended.
    Reused(SessionId),
    /// It is unknown, or its session is over.
    Unknown,
}

pub(super) async fn refresh_session(
    db: &Postgres,
    scope: &Scope,
    refresh: &RefreshSession,
) -> Result<Refreshed, Fault> {
    let rows = db.write(scope, sql!("auth/refresh_session"), &[&refresh.spent.hash(), &refresh.next.hash()]).await?;
    Ok(match rows.first() {
        None => Refreshed::Unknown,
        Some(row) if row.get::<_, &str>("outcome") == "reused" => Refreshed::Reused(SessionId(row.get("session_id"))),
        Some(row) => Refreshed::Renewed(UserId(row.get("user_id")), SessionId(row.get("session_id"))),
    })
}

pub(super) async fn end_session(db: &Postgres, scope: &Scope, EndSession(session): EndSession) -> Result<(), Fault> {
    db.write(scope, sql!("auth/end_session"), &[&session.0]).await?;
    Ok(())
}

/// A user's open sessions: the newest of them, and the one that asks.
pub(super) async fn list_sessions(
    db: &Postgres,
    scope: &Scope,
    list: ListSessions,
    limit: i64,
) -> Result<Vec<Session>, Fault> {
    let rows = db.read(scope, sql!("auth/list_sessions"), &[&list.user.0, &list.current.0, &limit]).await?;
    let session = |row: &Row| Session {
        id: SessionId(row.get("id")),
        created_at: row.get("created_at"),
        refreshed_at: row.get("refreshed_at"),
        expires_at: row.get("expires_at"),
        user_agent: row.get("user_agent"),
        current: row.get("current"),
    };
    Ok(rows.iter().map(session).collect())
}

/// Whether there was such a session.
pub(super) async fn end_session_of(db: &Postgres, scope: &Scope, end: EndSessionOf) -> Result<bool, Fault> {
    Ok(!db.write(scope, sql!("auth/end_session_of"), &[&end.session.0, &end.user.0]).await?.is_empty())
}

/// How many were forgotten, `limit` at most.
pub(super) async fn prune_sessions(db: &Postgres, scope: &Scope, keep: Duration, limit: i64) -> Result<i64, Fault> {
    number(&db.write(scope, sql!("auth/prune_sessions"), &[&keep.as_secs_f64(), &limit]).await?)
}

/// What a change of a user came to.
pub(super) enum Changed {
    /// This.
    Done(User),
    /// Somebody else has the address.
    EmailTaken,
    /// The user is gone, or the hash that was verified is not theirs any more.
    NotTheirs,
}

pub(super) async fn change_user(db: &Postgres, scope: &Scope, change: &ChangeUser) -> Result<Changed, Fault> {
    let mut connection = db.connection().await?;
    let tx = connection.begin().await?;
    // Two statements: the second one's snapshot has to be younger than the lock.
    let verified = change.verified.as_ref().map(PasswordHash::expose);
    if tx.run(scope, sql!("auth/lock_user"), &[&change.user.0, &verified]).await?.is_empty() {
        return Ok(Changed::NotTheirs);
    }
    let (name, bio) = (change.name.as_ref().map(|name| name.as_str()), change.bio.as_ref().map(|bio| bio.as_str()));
    let (image, email) = (change.image.as_ref().map(|image| image.as_str()), change.email.as_ref().map(Email::expose));
    let hash = change.password_hash.as_ref().map(PasswordHash::expose);
    let params: Params<'_> = &[&change.user.0, &change.session.0, &name, &bio, &image, &email, &hash];
    match tx.run(scope, sql!("auth/change_user"), params).await {
        Ok(rows) => {
            tx.commit().await?;
            Ok(rows.first().map_or(Changed::NotTheirs, |row| Changed::Done(user(row))))
        }
        Err(fault) if fault.breaks("users_email_unique") => Ok(Changed::EmailTaken),
        Err(fault) => Err(fault),
    }
}

/// Deletes a user's articles but for the newest, `at_once` of them at most; how many.
pub(super) async fn delete_older_articles(
    db: &Postgres,
    scope: &Scope,
    user: UserId,
    at_once: i64,
) -> Result<i64, Fault> {
    number(&db.write(scope, sql!("auth/delete_older_articles_of"), &[&user.0, &at_once, &at_once]).await?)
}

/// Whether the user was still there, with the hash that was verified.
pub(super) async fn delete_user(db: &Postgres, scope: &Scope, delete: &DeleteUser) -> Result<bool, Fault> {
    let mut connection = db.connection().await?;
    let tx = connection.begin().await?;
    let user = &delete.user.0;
    // Everything is locked in the order in which everybody locks it, each statement seeing what came before its own.
    let locks: [&'static Statement; 3] =
        [sql!("auth/lock_articles_of"), sql!("auth/lock_favorites_of"), sql!("auth/lock_clocks_of")];
    for lock in locks {
        tx.run(scope, lock, &[user]).await?;
    }
    if tx.run(scope, sql!("auth/lock_leaving_user"), &[user, &delete.verified.expose()]).await?.is_empty() {
        return Ok(false);
    }
    tx.run(scope, sql!("auth/withdraw_favorites_of"), &[user]).await?;
    tx.run(scope, sql!("auth/delete_user"), &[user]).await?;
    tx.commit().await?;
    Ok(true)
}

fn number(rows: &[Row]) -> Result<i64, Fault> {
    rows.first().map(|row| row.get("n")).ok_or_else(|| Fault::internal("a count came without a row"))
}

/// An open session, until when it is, by the database's clock, and whose.
#[derive(Clone)]
pub(super) struct Open<T> {
    pub(super) until: OffsetDateTime,
    pub(super) of: T,
}

impl Keep for Open<UserId> {
    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

impl Keep for Open<Arc<Shared<User>>> {
    fn bytes(&self) -> usize {
        let User { email, name, bio, image, .. } = &**self.of;
        // What it is shown as is kept with it.
        size_of::<User>()
            + [email.expose(), name, bio, image].map(|text| text.len() + length_in_json(text)).iter().sum::<usize>()
    }
}

/// Open sessions, and when they were seen.
pub(super) struct OpenSessions<T> {
    /// Nothing where no session is open.
    pub(super) seen: Option<Seen>,
    pub(super) open: HashMap<Uuid, Open<T>>,
}

fn sessions<T>(rows: &[Row], of: impl Fn(&Row) -> T) -> OpenSessions<T> {
    let open = |row: &Row| (row.get("session_id"), Open { until: row.get("expires_at"), of: of(row) });
    OpenSessions { seen: rows.first().map(Seen::of), open: rows.iter().map(open).collect() }
}

/// What is asked of sessions that are open.
pub(super) trait OfSession: Clone + Send + Sync + 'static {
    /// The open ones among these sessions.
    fn read(
        db: &Postgres,
        scope: &Scope,
        asked: &[Uuid],
    ) -> impl Future<Output = Result<OpenSessions<Self>, Fault>> + Send;
}

/// Whose it is.
impl OfSession for UserId {
    async fn read(db: &Postgres, scope: &Scope, asked: &[Uuid]) -> Result<OpenSessions<Self>, Fault> {
        let rows = db.read(scope, sql!("auth/check_sessions"), &[&asked]).await?;
        Ok(sessions(&rows, |row| Self(row.get("user_id"))))
    }
}

/// All that its user sees of themselves.
impl OfSession for Arc<Shared<User>> {
    async fn read(db: &Postgres, scope: &Scope, asked: &[Uuid]) -> Result<OpenSessions<Self>, Fault> {
        let rows = db.read(scope, sql!("auth/find_current_users"), &[&asked]).await?;
        Ok(sessions(&rows, |row| Shared::new(user(row))))
    }
}

/// What a follow, or its end, came to.
pub(super) enum Followed {
    /// It is so now.
    Done,
    /// There is nobody to follow.
    NobodyThere,
    /// Whoever would follow is gone.
    FollowerGone,
}

pub(super) async fn set_follow(db: &Postgres, scope: &Scope, set: SetFollow) -> Result<Followed, Fault> {
    let rows = if set.following {
        let traceparent = scope.trace.traceparent();
        db.write(scope, sql!("auth/follow"), &[&set.follower.0, &set.followed.0, &traceparent]).await?
    } else {
        db.write(scope, sql!("auth/unfollow"), &[&set.follower.0, &set.followed.0]).await?
    };
    Ok(match rows.first().map(|row| row.get("welcome")) {
        Some(true) => Followed::Done,
        Some(false) => Followed::FollowerGone,
        None => Followed::NobodyThere,
    })
}
