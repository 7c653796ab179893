//! The domain's statements, one function each.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::email::Email;
use super::message::{
    EndSession, FindCredentials, OpenSession, RefreshSession, Register, SessionId, SetFollow, User, UserId,
};
use super::password::PasswordHash;
use crate::kit::postgres::Postgres;
use crate::kit::{Fault, Scope};
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
            ],
        )
        .await?;
    Ok(rows.first().map(user))
}

pub(super) async fn find_credentials(
    db: &Postgres,
    scope: &Scope,
    FindCredentials(email): &FindCredentials,
) -> Result<Option<(User, PasswordHash)>, Fault> {
    let rows = db.read(scope, sql!("auth/find_credentials"), &[&email.expose()]).await?;
    Ok(rows.first().map(|row| (user(row), PasswordHash::stored(row.get("password_hash")))))
}

/// Whether the user was still there.
pub(super) async fn open_session(db: &Postgres, scope: &Scope, open: &OpenSession) -> Result<bool, Fault> {
    let lifetime = open.session.lifetime.as_secs_f64();
    let params: [&(dyn ToSql + Sync); 4] = [&open.user.0, &open.session.id.0, &open.session.refresh.hash(), &lifetime];
    Ok(!db.write(scope, sql!("auth/open_session"), &params).await?.is_empty())
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

/// The open ones among `sessions`, with their users.
pub(super) async fn check_sessions(
    db: &Postgres,
    scope: &Scope,
    sessions: &[Uuid],
) -> Result<Vec<(Uuid, UserId)>, Fault> {
    let rows = db.read(scope, sql!("auth/check_sessions"), &[&sessions]).await?;
    Ok(rows.iter().map(|row| (row.get("id"), UserId(row.get("user_id")))).collect())
}

/// The users of the open ones among `sessions`.
pub(super) async fn find_current_users(
    db: &Postgres,
    scope: &Scope,
    sessions: &[Uuid],
) -> Result<Vec<(Uuid, User)>, Fault> {
    let rows = db.read(scope, sql!("auth/find_current_users"), &[&sessions]).await?;
    Ok(rows.iter().map(|row| (row.get("session_id"), user(row))).collect())
}

/// Whether the followed exists.
pub(super) async fn set_follow(db: &Postgres, scope: &Scope, set: SetFollow) -> Result<bool, Fault> {
    let rows = if set.following {
        let traceparent = scope.trace.traceparent();
        db.write(scope, sql!("auth/follow"), &[&set.follower.0, &set.followed.0, &traceparent]).await?
    } else {
        db.write(scope, sql!("auth/unfollow"), &[&set.follower.0, &set.followed.0]).await?
    };
    Ok(!rows.is_empty())
}
