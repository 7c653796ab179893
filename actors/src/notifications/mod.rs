//! Notifications: what people are told, made by jobs, read from an inbox and as they happen.
//!
//! ```text
//! inbox     pool: lists, reading marks, preferences
//! live      batcher: what is new for every stream that was called, one statement
//! listener  routine: hears from PostgreSQL who was told something, and calls their streams
//! ```
//!
//! An event (a publication, a favorite, a follow) leaves a job in the statement that makes it true; the
//! job's [`effects`] make the notifications in the transaction that completes it. What must stay true:
//! each event is told once, whatever crashes; a favorite taken back before it was read is not told; a stream
//! gives every change once, in one order for each recipient (`sql/migrations/V8__notifications_live.sql`).

mod effects;
mod hub;
mod listener;
mod live;
pub mod message;
mod store;

use std::sync::Arc;

use hub::{Full, Hub};
pub use live::Reader;
use message::{
    Inbox, InboxMessage, ListNotifications, MarkRead, Preferences, ReadNews, ReadPreferences, SetPreferences,
};
pub use message::{Kind, Notification, Refusal};

use crate::auth::UserId;
use crate::jobs::Effect;
use crate::kit::command::Outcome;
use crate::kit::listen::Listener;
use crate::kit::pool::Worker;
use crate::kit::postgres::Postgres;
use crate::kit::{Ask, Caller, Endpoint, Failure, Scope};
use crate::supervision::{ChildSpec, child};

/// What the domain's actors are set up with.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Messages that may wait at the inbox.
    pub room: usize,
    /// Those that are worked on at once.
    pub hands: usize,
    /// Messages in one statement.
    pub batch: usize,
    /// Streams that may be open at once.
    pub streams: Streams,
}

/// How many streams may be open at once in this process.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    /// All together.
    pub max: usize,
    /// Those of one user.
    pub per_user: usize,
}

/// The domain, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Notifications {
    inbox: Endpoint<InboxMessage>,
    live: Endpoint<Ask<ReadNews>>,
    hub: Arc<Hub>,
}

impl Notifications {
    /// The domain's handle and its actors.
    pub fn new(postgres: &Postgres, settings: Settings) -> (Self, Vec<ChildSpec>) {
        let inbox = Endpoint::new("notifications/inbox", "root/notifications/inbox", settings.room);
        // A stream asks one thing at a time, so that this has room whenever the hub has a seat.
        let live = Endpoint::new("notifications/live", "root/notifications/live", settings.streams.max);
        let hub = Arc::new(Hub::new(settings.streams));
        let listener = Listener { postgres: postgres.clone(), hear: Arc::clone(&hub) };
        let children = vec![
            child::pool(&inbox, Arc::new(InboxKeeper(postgres.clone())), settings.hands),
            child::batcher(&live, Arc::new(live::Live(postgres.clone())), 2, settings.batch),
            child::routine("listener", Arc::new(listener)),
        ];
        (Self { inbox, live, hub }, children)
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

    /// Tells somebody as it happens: what changes after the change of this number, or from now on.
    ///
    /// # Errors
    /// [`Refusal::TooManyStreams`]; overloaded when too many of all users are open.
    pub async fn follow(&self, caller: &Caller, user: UserId, after: Option<i64>) -> Result<Reader, Failure<Refusal>> {
        let seat = self.hub.sit(user).map_err(|full| match full {
            Full::House => Failure::Overloaded(Arc::clone(self.live.path())),
            Full::User => Failure::Refused(Refusal::TooManyStreams),
        })?;
        Reader::begin(caller, seat, self.live.clone(), after).await
    }

    /// Lets every stream come to its end, at once.
    pub fn end_streams(&self) {
        self.hub.close();
    }

    /// Which kinds somebody does not want to be told.
    ///
    /// # Errors
    /// None of its own.
    pub async fn preferences(&self, caller: &Caller, user: UserId) -> Result<Preferences, Failure<Refusal>> {
        self.inbox.ask(caller, ReadPreferences(user)).await
    }

    /// Changes what somebody wants to be told from now on; gives what is so afterwards.
    ///
    /// # Errors
    /// None of its own.
    pub async fn set_preferences(&self, caller: &Caller, set: SetPreferences) -> Result<Preferences, Failure<Refusal>> {
        self.inbox.ask(caller, set).await
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
            InboxMessage::ReadPreferences(ask) => {
                ask.serve(async |ReadPreferences(user)| Ok(store::preferences(db, scope, user).await?)).await
            }
            InboxMessage::SetPreferences(ask) => {
                ask.serve(async |set| Ok(store::set_preferences(db, scope, &set).await?)).await
            }
        }
    }
}
