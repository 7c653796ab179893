//! Articles: reading, listing, publishing, editing.
//!
//! ```text
//! by_slug  batcher: all slugs asked for, one statement     pages   batcher: all pages asked for, one statement
//! lists    batcher: equal queries, one statement           editors one order for each slug
//! creator  batcher: articles and their jobs, one commit
//! pruner   forgets keys that are good for nothing any more      totals  adds up what lists have to count
//! ```
//!
//! What must stay true: an article and the job that tells its author's followers commit together, and with both the
//! key that it is published under (`once.rs`); a slug never changes; only the author edits; an edit that expects a
//! state changes no other, whatever is edited elsewhere at the same time, and is made once when it is asked for again;
//! an article is found by its words (`words/`) from the commit on, and by none that an edit took away.

pub mod message;
pub mod once;
mod pruner;
pub mod slug;
pub(crate) mod store;
mod totals;
pub mod words;
mod workers;

use std::sync::Arc;
use std::time::Duration;

pub use message::{Article, Page, Published, Refusal, Revision, View};
use message::{CreateArticle, DeleteArticle, EditorMessage, FindArticle, ListArticles, UpdateArticle};
pub use slug::Slug;
use store::Known;

use crate::jobs::Bell;
use crate::kit::batcher::Hands;
use crate::kit::kept::{Kept, Size};
use crate::kit::postgres::Postgres;
use crate::kit::{Ask, Caller, Endpoint, Failure, Shared};
use crate::supervision::{ChildSpec, child};

/// One statement carries all publications that gathered, unless it is held up: a commit takes a few milliseconds on
/// most disks, and a request may take ten seconds.
pub(crate) const CREATORS: Hands = Hands::another_after(4, Duration::from_millis(250));
/// Editors among which the slugs are divided.
const EDITORS: usize = 4;

/// The domain, as the front knows it. Cheap to clone.
#[derive(Clone)]
pub struct Articles {
    by_slug: Endpoint<Ask<FindArticle>>,
    pages: Endpoint<Ask<ListArticles>>,
    lists: Endpoint<Ask<ListArticles>>,
    creator: Endpoint<Ask<CreateArticle>>,
    editors: Arc<[Endpoint<EditorMessage>]>,
    kept: Arc<Kept<Slug, Known>>,
}

type Answer<T> = Result<T, Failure<Refusal>>;

impl Articles {
    /// The domain's handle and its actors: `room` messages may wait at each, `batch` go into one statement.
    /// What is published goes over the connections of `gathered`, and the bell is rung for its jobs; articles that were read
    /// take no more than `keep` bytes.
    pub(crate) fn new(
        postgres: &Postgres,
        (gathered, bell): (&Postgres, &Bell),
        room: usize,
        batch: usize,
        keep: usize,
    ) -> (Self, Vec<ChildSpec>) {
        let articles = Self {
            kept: Arc::new(Kept::new("articles", keep)),
            by_slug: Endpoint::new("articles/by_slug", "root/articles/by_slug", room),
            pages: Endpoint::new("articles/pages", "root/articles/pages", room),
            lists: Endpoint::new("articles/lists", "root/articles/lists", room),
            creator: Endpoint::new("articles/creator", "root/articles/creator", room),
            editors: (0..EDITORS)
                .map(|shard| Endpoint::new("articles/editors", format!("root/articles/editor-{shard}"), room))
                .collect(),
        };
        let by_slug = workers::BySlug { postgres: postgres.clone(), kept: Arc::clone(&articles.kept) };
        let creator = workers::Creator { postgres: gathered.clone(), bell: bell.clone() };
        let mut children = vec![
            // What one statement found is encoded while the other is under way.
            child::batcher(&articles.by_slug, Arc::new(by_slug), 2, batch),
            // One hand: two statements that take long would keep all connections from those that do not.
            child::batcher(&articles.pages, Arc::new(workers::Pages(postgres.clone())), 1, batch),
            // These may take long, and not all of them alike.
            child::batcher(&articles.lists, Arc::new(workers::Lists(postgres.clone())), 4, batch),
            // Another, since one may have to wait for somebody's lock.
            child::batcher(&articles.creator, Arc::new(creator), CREATORS, batch),
        ];
        let editor = Arc::new(workers::Editor(postgres.clone()));
        // One hand each: that is what makes the order.
        children.extend(articles.editors.iter().map(|editors| child::pool(editors, Arc::clone(&editor), 1)));
        children.push(child::routine("pruner", Arc::new(pruner::Pruner(postgres.clone()))));
        children.push(child::routine("totals", Arc::new(totals::Totals(postgres.clone()))));
        (articles, children)
    }

    /// Reads an article.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn find(&self, caller: &Caller, find: FindArticle) -> Answer<View> {
        self.by_slug.ask(caller, find).await
    }

    /// Reads a page of articles.
    ///
    /// # Errors
    /// None of its own.
    pub async fn list(&self, caller: &Caller, list: ListArticles) -> Answer<Arc<Shared<Page>>> {
        // Who asks for what is found at once does not wait behind who searches.
        let found_by = if list.is_near() { &self.pages } else { &self.lists };
        found_by.ask(caller, list).await
    }

    /// Publishes an article.
    ///
    /// # Errors
    /// [`Refusal::AuthorGone`], [`Refusal::KeyInUse`], [`Refusal::KeyReused`], [`Refusal::NotDone`].
    pub async fn create(&self, caller: &Caller, create: CreateArticle) -> Answer<Published> {
        self.creator.ask(caller, create).await
    }

    /// Changes an article.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::NotAuthor`], [`Refusal::NotExpected`].
    pub async fn update(&self, caller: &Caller, update: UpdateArticle) -> Answer<View> {
        match self.editor(&update.slug) {
            Some(editor) => editor.ask(caller, update).await,
            None => Err(Failure::Refused(Refusal::NotFound)),
        }
    }

    /// Deletes an article.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::NotAuthor`], [`Refusal::NotExpected`].
    pub async fn delete(&self, caller: &Caller, delete: DeleteArticle) -> Answer<()> {
        match self.editor(&delete.slug) {
            Some(editor) => editor.ask(caller, delete).await,
            None => Err(Failure::Refused(Refusal::NotFound)),
        }
    }

    /// How much is kept of the articles that were read before.
    pub(crate) fn kept(&self) -> Size {
        self.kept.size()
    }

    fn editor(&self, slug: &Slug) -> Option<&Endpoint<EditorMessage>> {
        self.editors.get(slug.shard(self.editors.len()))
    }
}
