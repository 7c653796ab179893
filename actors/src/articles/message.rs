//! What can be asked of the article actors. The contract between the front and this domain.

use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;

use super::once::Key;
use super::slug::Slug;
use crate::auth::{Email, UserId};
use crate::kit::command::Answer;
use crate::kit::{Command, Failure, Shared};
use crate::text::Text;
use crate::{command, messages};

/// An article's headline.
pub type Title = Text<1, 255>;
/// What an article is about, in a sentence.
pub type Description = Text<0, 1000>;
/// An article's text; the limit on a request's body bounds it before this does.
pub type Body = Text<1, 1_000_000>;

/// Who wrote an article.
#[derive(Debug, Clone)]
pub struct Author {
    /// Their id.
    pub id: UserId,
    /// Their address, which only they get to see.
    pub email: Email,
    /// What they are called.
    pub name: String,
    /// What they say about themselves.
    pub bio: String,
    /// Where their picture is.
    pub image: String,
}

/// An article.
#[derive(Debug, Clone)]
pub struct Article {
    /// Its id.
    pub id: i64,
    /// Its address, which stays.
    pub slug: Slug,
    /// Its headline.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// Its text; left out (`None`) on list pages.
    pub body: Option<String>,
    /// Who wrote it.
    pub author: Author,
    /// How many people favorited it.
    pub favorites_count: i64,
    /// Counts up with every change.
    pub version: i64,
    /// When it was published.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// An article as one reader sees it. The article may be shared by many readers.
#[derive(Debug, Clone)]
pub struct View {
    /// What all readers see.
    pub article: Arc<Shared<Article>>,
    /// Whether this one favorited it.
    pub favorited: bool,
}

/// Why the rules of this domain say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such article.
    #[error("article not found")]
    NotFound,
    /// Only its author may do this.
    #[error("not the author")]
    NotAuthor,
    /// Whoever wants to write has gone meanwhile.
    #[error("the author is gone")]
    AuthorGone,
    /// It is not in any of the states that its editor expects.
    #[error("it has changed")]
    NotExpected,
    /// Another request with the same key is in hand.
    #[error("the key is in use")]
    KeyInUse,
    /// The key was used for something else.
    #[error("the key was used for something else")]
    KeyReused,
    /// It was not done, for something below failed or was in the way; nothing took effect.
    #[error("not done")]
    NotDone,
}

/// An article in one of its states, as somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The article's id.
    pub article: i64,
    /// Its version.
    pub version: i64,
}

/// Read an article.
#[derive(Debug, Clone)]
pub struct FindArticle {
    /// Which.
    pub slug: Slug,
    /// Who reads.
    pub viewer: Option<UserId>,
}

/// Which articles, and which page of them. Two that are equal share one answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ListArticles {
    /// Words that must occur, as somebody typed them: `or`, `-` and quotes mean what they mean to search engines.
    pub search: Option<String>,
    /// Who wrote them.
    pub author: Option<UserId>,
    /// Who favorited them.
    pub favorited_by: Option<UserId>,
    /// Who follows their authors.
    pub followed_by: Option<UserId>,
    /// Only those with smaller ids: the page after the one that ended with it.
    pub before: Option<i64>,
    /// Only the nearest with larger ids: the page before the one that began with it. Then `before` and `offset` do
    /// not count.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: i64,
    /// So many left out first.
    pub offset: i64,
    /// Who reads.
    pub viewer: Option<UserId>,
}

/// So many articles may be passed over within a statement that serves others too.
const NEAR: i64 = 1000;

/// By what a list is chosen, which decides how it is found.
pub(super) enum Chosen {
    /// All articles alike, and not far down among them.
    Near,
    /// What the authors wrote whom this user follows.
    Followed(UserId),
    /// What this user favorited.
    Favorited(UserId),
    /// Anything else.
    Otherwise,
}

impl ListArticles {
    pub(super) fn chosen(&self) -> Chosen {
        let by_words_or_author = self.search.is_some() || self.author.is_some();
        match (self.followed_by, self.favorited_by) {
            (None, None) if !by_words_or_author && self.offset <= NEAR => Chosen::Near,
            (Some(user), None) if !by_words_or_author => Chosen::Followed(user),
            (None, Some(user)) if !by_words_or_author => Chosen::Favorited(user),
            _ => Chosen::Otherwise,
        }
    }

    /// Whether it is found together with others.
    pub(super) fn is_near(&self) -> bool {
        matches!(self.chosen(), Chosen::Near)
    }
}

/// One page of articles, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The articles, without bodies.
    pub articles: Vec<View>,
    /// How many match in all.
    pub total: i64,
}

/// Publish an article.
#[derive(Debug, Clone)]
pub struct CreateArticle {
    /// Who writes.
    pub author: UserId,
    /// Its headline.
    pub title: Title,
    /// What it is about.
    pub description: Description,
    /// Its text.
    pub body: Body,
    /// What this request is recognised by when it is made again.
    pub key: Option<Key>,
}

/// An article that was published, as its author saw it then.
#[derive(Debug, Clone)]
pub struct Published {
    /// The article.
    pub view: View,
    /// It was published by an earlier request with the same key.
    pub before: bool,
}

/// Change an article.
#[derive(Debug, Clone)]
pub struct UpdateArticle {
    /// Which.
    pub slug: Slug,
    /// Who wants to.
    pub editor: UserId,
    /// Its new headline, if any.
    pub title: Option<Title>,
    /// What it is about now, if that changes.
    pub description: Option<Description>,
    /// Its new text, if any.
    pub body: Option<Body>,
    /// Only if it is in one of these states; in any, where there are none.
    pub expected: Option<Vec<Revision>>,
    /// Which change this is, so that it is recognised when it is asked for again.
    pub change: Uuid,
}

/// Delete an article.
#[derive(Debug, Clone)]
pub struct DeleteArticle {
    /// Which.
    pub slug: Slug,
    /// Who wants to.
    pub editor: UserId,
    /// Only if it is in one of these states; in any, where there are none.
    pub expected: Option<Vec<Revision>>,
}

command!(FindArticle, "find", View, Refusal, idempotent: true);
command!(ListArticles, "list", Arc<Shared<Page>>, Refusal, idempotent: true);
command!(UpdateArticle, "update", View, Refusal, idempotent: true);

impl Command for CreateArticle {
    type Reply = Published;
    type Refusal = Refusal;
    const NAME: &'static str = "create";
    const IDEMPOTENT: bool = false;

    /// By its key it is recognised.
    fn is_idempotent(&self) -> bool {
        self.key.is_some()
    }
}

impl Command for DeleteArticle {
    type Reply = ();
    type Refusal = Refusal;
    const NAME: &'static str = "delete";
    const IDEMPOTENT: bool = true;

    /// What an earlier ask deleted is not there any more.
    fn repeated(answer: Answer<Self>) -> Answer<Self> {
        match answer {
            Err(Failure::Refused(Refusal::NotFound)) => Ok(()),
            answer => answer,
        }
    }
}

messages! {
    /// What an editor understands.
    pub enum EditorMessage { UpdateArticle, DeleteArticle }
}
