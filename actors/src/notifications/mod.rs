//! Notifications: what people are told, made by jobs and read from an inbox.
//!
//! An event (a publication, a favorite, a follow) leaves a job in the statement that makes it true; the
//! job's [`effects`] make the notifications in the transaction that completes it. What must stay true:
//! each event is told once, whatever crashes; a favorite taken back before it was read is not told.

mod effects;
pub mod message;
mod store;

use std::sync::Arc;

use message::{Inbox, InboxMessage, ListNotifications, MarkRead};
pub use message::{Kind, Notification, Refusal};

use crate::jobs::Effect;
use crate::kit::command::Outcome;
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Caller, Endpoint, Failure, Scope};
use crate::supervision::{ChildSpec, child};

/// The domain, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Notifications {
    inbox: Endpoint<InboxMessage>,
}

impl Notifications {
    /// The domain's handle and its actors: `room` messages may wait, `hands` are worked on at once.
    pub fn new(postgres: &Postgres, room: usize, hands: usize) -> (Self, Vec<ChildSpec>) {
        let inbox = Endpoint::new("notifications/inbox", "root/notifications/inbox", room);
        let children = vec![child::pool(&inbox, Arc::new(InboxKeeper(postgres.clone())), hands)];
        (Self { inbox }, children)
    }

    /// What this domain's jobs do.
    pub fn effects() -> Vec<Arc<dyn Effect>> {
        effects::Tell::ALL.map(|tell| Arc::new(tell) as Arc<dyn Effect>).into()
    }

    /// Reads a page of somebody's notifications.
    ///
    /// # Errors
    /// None of its own.
    pub async fn list(&self, caller: &Caller, list: ListNotifications) -> Result<Inbox, Failure<Refusal>> {
        self.inbox.ask(caller, list).await
    }

    /// Marks one notification, or all, as read, and says how many are unread afterwards.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn mark_read(&self, caller: &Caller, mark: MarkRead) -> Result<i64, Failure<Refusal>> {
        self.inbox.ask(caller, mark).await
    }
}

struct InboxKeeper(Postgres);

impl Worker for InboxKeeper {
    type Message = InboxMessage;

    async fn handle(&self, message: InboxMessage, scope: Scope) -> Outcome {
        let (db, scope) = (&self.0, &scope);
        match message {
            InboxMessage::ListNotifications(ask) => {
                ask.serve(async |list| Ok(store::list(db, scope, list).await?)).await
            }
            InboxMessage::MarkRead(ask) => {
                let mark = async |mark: MarkRead| match store::mark_read(db, scope, mark).await? {
                    (0, _) if mark.notification.is_some() => Err(Failure::Refused(Refusal::NotFound)),
                    (_, unread) => Ok(unread),
                };
                ask.serve(mark).await
            }
        }
    }
}
