//! What can be asked of the notification actors. The contract between the front and this domain.

use time::OffsetDateTime;

use crate::auth::UserId;
use crate::{command, messages};

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Somebody whom one follows published an article.
    ArticlePublished,
    /// Somebody favorited one's article; unread ones collapse into a count.
    ArticleFavorited,
    /// Somebody follows one.
    Followed,
}

impl Kind {
    /// The word in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArticlePublished => "article_published",
            Self::ArticleFavorited => "article_favorited",
            Self::Followed => "followed",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::ArticlePublished, Self::ArticleFavorited, Self::Followed];

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Something that somebody is told.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Its id; larger is newer.
    pub id: i64,
    /// What it is about.
    pub kind: Kind,
    /// Slug and title of the article that it is about.
    pub article: Option<(String, String)>,
    /// Who caused it, the last one where there were several.
    pub actor: (UserId, String),
    /// How many events it stands for.
    pub count: i64,
    /// Whether it was read.
    pub read: bool,
    /// When the first of its events happened.
    pub created_at: OffsetDateTime,
    /// When the last of them happened, or it was read.
    pub updated_at: OffsetDateTime,
}

impl Notification {
    /// It in a sentence.
    pub fn message(&self) -> String {
        let name = &self.actor.1;
        let title = self.article.as_ref().map_or("", |(_, title)| title);
        match (self.kind, self.count - 1) {
            (Kind::ArticlePublished, _) => format!("{name} published \u{201c}{title}\u{201d}"),
            (Kind::ArticleFavorited, ..=0) => format!("{name} favorited \u{201c}{title}\u{201d}"),
            (Kind::ArticleFavorited, 1) => format!("{name} and 1 other favorited \u{201c}{title}\u{201d}"),
            (Kind::ArticleFavorited, others) => format!("{name} and {others} others favorited \u{201c}{title}\u{201d}"),
            (Kind::Followed, _) => format!("{name} follows you"),
        }
    }
}

/// Why the rules of this domain say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such notification, or it is somebody else's.
    #[error("notification not found")]
    NotFound,
    /// They have as many streams open as one user may have.
    #[error("too many streams")]
    TooManyStreams,
}

/// Read a page of somebody's notifications.
#[derive(Debug, Clone, Copy)]
pub struct ListNotifications {
    /// Whose.
    pub user: UserId,
    /// Only those that are unread.
    pub unread: bool,
    /// Only those with smaller ids: the page after the one that ended with it.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// One page of notifications, newest first.
#[derive(Debug, Clone)]
pub struct Inbox {
    /// The notifications.
    pub notifications: Vec<Notification>,
    /// How many are unread in all.
    pub unread_count: i64,
}

/// Mark one notification as read, or all.
#[derive(Debug, Clone, Copy)]
pub struct MarkRead {
    /// Whose.
    pub user: UserId,
    /// Which; all when there is none.
    pub notification: Option<i64>,
}

/// What changed for somebody since a change that they saw?
#[derive(Debug, Clone, Copy)]
pub struct ReadNews {
    /// Whose.
    pub user: UserId,
    /// The number of the last change that they saw; they start now without one.
    pub after: Option<i64>,
}

/// Something that changed for somebody: a notification that is new, or tells something else than before.
#[derive(Debug, Clone)]
pub struct News {
    /// Its number, larger than those of all their changes before.
    pub number: i64,
    /// The notification as it is now.
    pub notification: Notification,
}

/// What changed for somebody.
#[derive(Debug, Clone)]
pub struct Latest {
    /// The number of the change that it begins after.
    pub position: i64,
    /// The changes, oldest first, those of a notification as one.
    pub news: Vec<News>,
}

/// Which kinds does somebody want to be told?
#[derive(Debug, Clone, Copy)]
pub struct ReadPreferences(pub UserId);

/// Say which kinds somebody wants to be told from now on.
#[derive(Debug, Clone)]
pub struct SetPreferences {
    /// Who.
    pub user: UserId,
    /// Each kind once, and whether it is wanted. What is not given stays.
    pub wanted: Vec<(Kind, bool)>,
}

/// The kinds that somebody does not want to be told: all others they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// These.
    pub unwanted: Vec<Kind>,
}

command!(ListNotifications, "list", Inbox, Refusal, idempotent: true);
command!(MarkRead, "mark_read", i64, Refusal, idempotent: true);
command!(ReadNews, "read_news", Latest, Refusal, idempotent: true);
command!(ReadPreferences, "read_preferences", Preferences, Refusal, idempotent: true);
command!(SetPreferences, "set_preferences", Preferences, Refusal, idempotent: true);
messages! {
    /// What the inbox understands.
    pub enum InboxMessage { ListNotifications, MarkRead, ReadPreferences, SetPreferences }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_says_in_a_sentence_what_happened() {
        let mut told = Notification {
            id: 1,
            kind: Kind::ArticleFavorited,
            article: Some(("a-b".to_owned(), "A b".to_owned())),
            actor: (UserId(1), "Ann".to_owned()),
            count: 1,
            read: false,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        };
        assert_eq!(told.message(), "Ann favorited “A b”");
        told.count = 2;
        assert_eq!(told.message(), "Ann and 1 other favorited “A b”");
        told.count = 5;
        assert_eq!(told.message(), "Ann and 4 others favorited “A b”");
        told.kind = Kind::Followed;
        assert_eq!(told.message(), "Ann follows you");
    }

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
    }
}
