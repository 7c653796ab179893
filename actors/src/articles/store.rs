//! The domain's statements, one function each.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::message::{
    Article, Author, CreateArticle, DeleteArticle, ListArticles, Page, Revision, UpdateArticle, View,
};
use super::once::Key;
use super::slug::Slug;
use super::words::{self, Part};
use crate::auth::{Email, UserId};
use crate::kit::columns::{Columns, LongText, Xid};
use crate::kit::kept::{Keep, Read, Seen, length_in_json};
use crate::kit::postgres::Postgres;
use crate::kit::sql::Statement;
use crate::kit::{Fault, Scope, Shared};
use crate::sql;
use crate::text::Text;

/// An article from a row that has its columns, which begin with `id`, and its author's after them. The body is read where
/// the statement has it, see [`body_of`].
pub(crate) fn article(row: &Row, body: Option<String>) -> Article {
    let mut columns = Columns::from(row, "id");
    Article {
        id: columns.read(),
        slug: Slug::stored(columns.read()),
        title: columns.read(),
        description: columns.read(),
        body,
        favorites_count: columns.read(),
        version: columns.read(),
        created_at: columns.read(),
        updated_at: columns.read(),
        author: author(columns),
    }
}

/// An article's text.
pub(crate) fn body_of(row: &Row) -> Option<String> {
    let LongText(body) = row.get("body");
    Some(body)
}

fn author(mut columns: Columns<'_>) -> Author {
    Author {
        id: UserId(columns.read()),
        email: Email::stored(columns.read()),
        name: columns.read(),
        bio: columns.read(),
        image: columns.read(),
    }
}

/// The transactions that wrote an article's row and its author's, which wrote no other state of the two that anybody saw.
/// Their numbers have 32 bits and are used again: two states are taken for one when exactly four billion transactions (2^32)
/// lie between those that wrote them, and nobody saw another in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    article_written_by: i32,
    author_written_by: i32,
}

/// An article, and the state that it was read in.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) state: State,
    pub(super) article: Arc<Shared<Article>>,
    bytes: usize,
}

impl Known {
    fn new(state: State, article: Article) -> Self {
        let Article { title, description, body, author, .. } = &article;
        let texts = [title, description, &author.name, &author.bio, &author.image].into_iter().chain(body);
        // What it is shown as is kept with it.
        let bytes = size_of::<Article>() + texts.map(|text| text.len() + length_in_json(text)).sum::<usize>();
        Self { state, article: Shared::new(article), bytes }
    }
}

impl Keep for Known {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What [`find_by_slugs`] found.
pub(super) struct Found {
    /// The articles.
    pub(super) read: Read<Known>,
    /// Which of them was favorited by whom of the viewers.
    pub(super) favorited: Vec<(usize, i64)>,
}

/// The articles with these slugs, each with its place and what is known of it, which is not found again if it is so still.
pub(super) async fn find_by_slugs(
    db: &Postgres,
    scope: &Scope,
    asked: &[(usize, &Slug, Option<&Known>)],
    viewers: &[i64],
) -> Result<Found, Fault> {
    let slugs: Vec<&str> = asked.iter().map(|(_, slug, _)| slug.as_str()).collect();
    let written_by = |which: fn(&State) -> i32| -> Vec<Option<i32>> {
        asked.iter().map(|(.., known)| known.map(|known| which(&known.state))).collect()
    };
    let articles = written_by(|state| state.article_written_by);
    let authors = written_by(|state| state.author_written_by);
    let rows = db.read(scope, sql!("articles/find_by_slugs"), &[&slugs, &articles, &authors, &viewers]).await?;
    let mut found = Found {
        read: Read { seen: rows.first().map(Seen::of), found: Vec::with_capacity(rows.len()), new: 0 },
        favorited: Vec::new(),
    };
    for row in &rows {
        // Counted from one; null in the row that is there if there is none.
        let place = row.get::<_, Option<i64>>("position").and_then(|position| usize::try_from(position - 1).ok());
        let Some((place, _, known)) = place.and_then(|place| asked.get(place)) else { continue };
        found.favorited.extend(row.get::<_, Vec<i64>>("favorited_by").into_iter().map(|user| (*place, user)));
        match state(row) {
            Some(state) if known.is_some_and(|known| known.state == state) => {}
            Some(state) => {
                found.read.new += 1;
                found.read.found.push((*place, Some(Known::new(state, article(row, body_of(row))))));
            }
            None => found.read.found.push((*place, None)),
        }
    }
    Ok(found)
}

/// The state that an article is in; `None` of one that is not there.
fn state(row: &Row) -> Option<State> {
    let Xid(article_written_by) = row.get::<_, Option<Xid>>("article_written_by")?;
    let Xid(author_written_by) = row.get::<_, Option<Xid>>("author_written_by")?;
    Some(State { article_written_by, author_written_by })
}

pub(super) async fn list(db: &Postgres, scope: &Scope, query: &ListArticles) -> Result<Page, Fault> {
    let id = |user: Option<UserId>| user.map(|UserId(id)| id);
    let (author, favorited_by, viewer) = (id(query.author), id(query.favorited_by), id(query.viewer));
    let followed_by = id(query.followed_by);
    let chosen: [&(dyn ToSql + Sync); 8] =
        [&author, &favorited_by, &followed_by, &query.before, &query.limit, &query.offset, &viewer, &query.after];
    let rows = match query.search.as_deref().map(words::query) {
        None => db.scan(scope, sql!("articles/list"), &chosen).await?,
        Some(words) => {
            let with_words: Vec<&(dyn ToSql + Sync)> = std::iter::once(&words as _).chain(chosen).collect();
            db.scan(scope, sql!("articles/search"), &with_words).await?
        }
    };
    Ok(page(&rows))
}

/// The pages, in the queries' order, of which none chooses among the articles.
pub(super) async fn pages(db: &Postgres, scope: &Scope, queries: &[&ListArticles]) -> Result<Vec<Page>, Fault> {
    let all = |read: fn(&ListArticles) -> i64| -> Vec<i64> { queries.iter().map(|query| read(query)).collect() };
    let before = all(|query| query.before.unwrap_or(i64::MAX));
    let after: Vec<Option<i64>> = queries.iter().map(|query| query.after).collect();
    let (limits, offsets) = (all(|query| query.limit), all(|query| query.offset));
    let viewers: Vec<Option<i64>> = queries.iter().map(|query| query.viewer.map(|UserId(id)| id)).collect();
    let rows = db.read(scope, sql!("articles/pages"), &[&before, &after, &limits, &offsets, &viewers]).await?;
    let number = |row: &Row| row.get::<_, i64>("page");
    Ok(rows.chunk_by(|one, next| number(one) == number(next)).map(page).collect())
}

pub(super) async fn feed(db: &Postgres, scope: &Scope, query: &ListArticles, user: UserId) -> Result<Page, Fault> {
    of_user(db, scope, sql!("articles/feed"), query, user).await
}

pub(super) async fn favorited(db: &Postgres, scope: &Scope, query: &ListArticles, user: UserId) -> Result<Page, Fault> {
    of_user(db, scope, sql!("articles/favorited"), query, user).await
}

/// A page of what a user has to do with.
async fn of_user(
    db: &Postgres,
    scope: &Scope,
    statement: &'static Statement,
    query: &ListArticles,
    UserId(user): UserId,
) -> Result<Page, Fault> {
    let (before, viewer) = (query.before.unwrap_or(i64::MAX), query.viewer.map(|UserId(id)| id));
    let rows = db.scan(scope, statement, &[&user, &before, &query.after, &query.limit, &query.offset, &viewer]).await?;
    Ok(page(&rows))
}

pub(super) async fn add_up(db: &Postgres, scope: &Scope) -> Result<(), Fault> {
    db.write(scope, sql!("articles/add_up"), &[]).await.map(drop)
}

/// A page of these rows, of which those without an article only say how many there are in all.
fn page(rows: &[Row]) -> Page {
    let total = rows.first().map_or(0, |row| row.get("total"));
    let on_page = rows.iter().filter(|row| row.get::<_, Option<i64>>("id").is_some());
    let view = |row: &Row| View { article: Shared::new(article(row, None)), favorited: row.get("favorited") };
    Page { articles: on_page.map(view).collect(), total }
}

/// An article to publish: under which slug, with which fingerprint if it has a key, in which trace.
pub(super) struct New<'a> {
    pub(super) slug: Slug,
    pub(super) article: &'a CreateArticle,
    pub(super) fingerprint: Option<[u8; 32]>,
    pub(super) traceparent: Option<String>,
}

/// What came of an article to publish.
pub(super) enum Made {
    /// It is published.
    Now(Article),
    /// It was published before, under the same key.
    Before(Article),
    /// Something else was published under its key.
    OfSomethingElse,
    /// Another transaction has its key.
    KeyInUse,
    /// Its author is not there.
    NoAuthor,
    /// Its slug was taken, or another transaction was faster: asked again, we shall know.
    NotNow,
}

/// What came of each article, in their order.
pub(super) async fn create(
    db: &Postgres,
    scope: &Scope,
    new: &[New<'_>],
    good_for: Duration,
) -> Result<Vec<Made>, Fault> {
    let authors: Vec<i64> = new.iter().map(|new| new.article.author.0).collect();
    let slugs: Vec<&str> = new.iter().map(|new| new.slug.as_str()).collect();
    let titles: Vec<&str> = new.iter().map(|new| new.article.title.as_str()).collect();
    let descriptions: Vec<&str> = new.iter().map(|new| new.article.description.as_str()).collect();
    let bodies: Vec<&str> = new.iter().map(|new| new.article.body.as_str()).collect();
    let traces: Vec<Option<&str>> = new.iter().map(|new| new.traceparent.as_deref()).collect();
    let keys: Vec<Option<&str>> = new.iter().map(|new| new.article.key.as_ref().map(Key::as_str)).collect();
    let fingerprints: Vec<Option<&[u8]>> = new.iter().map(|new| new.fingerprint.as_ref().map(|f| &f[..])).collect();
    let mut searches = Vec::with_capacity(new.len());
    for new in new {
        searches.push(found_by(new.article));
        // Words of a long text take milliseconds: a batch of them must not keep a thread that others wait for.
        tokio::task::yield_now().await;
    }
    let good_for = good_for.as_secs_f64();
    let rows = db
        .write(
            scope,
            sql!("articles/create"),
            &[&authors, &slugs, &titles, &descriptions, &bodies, &traces, &keys, &fingerprints, &searches, &good_for],
        )
        .await?;
    Ok(rows.iter().zip(new).map(|(row, new)| made(row, new.article)).collect())
}

/// The words of all of an article's texts.
fn found_by(article: &CreateArticle) -> String {
    let texts = [
        words::vector(Part::Title, article.title.as_str()),
        words::vector(Part::Description, article.description.as_str()),
        words::vector(Part::Body, article.body.as_str()),
    ];
    texts.join(" ")
}

fn made(row: &Row, wanted: &CreateArticle) -> Made {
    let same: Option<bool> = row.get("same");
    let there = row.get::<_, Option<i64>>("id").is_some();
    match same {
        _ if !row.get::<_, bool>("has_author") => Made::NoAuthor,
        Some(true) => Made::Before(published(row, wanted)),
        Some(false) => Made::OfSomethingElse,
        None if there => Made::Now(published(row, wanted)),
        None if !row.get::<_, bool>("free") => Made::KeyInUse,
        None => Made::NotNow,
    }
}

/// An article as it is when it has just been published: what was asked for, and what the row says of it.
fn published(row: &Row, wanted: &CreateArticle) -> Article {
    Article {
        id: row.get("id"),
        slug: Slug::stored(row.get("slug")),
        title: wanted.title.as_str().to_owned(),
        description: wanted.description.as_str().to_owned(),
        body: Some(wanted.body.as_str().to_owned()),
        author: author(Columns::from(row, "author_id")),
        favorites_count: 0,
        version: 1,
        created_at: row.get("created_at"),
        updated_at: row.get("created_at"),
    }
}

/// What came of an attempt to change an article.
pub(super) enum Changed<T> {
    /// There is no such article.
    Missing,
    /// Somebody else wrote it.
    NotAllowed,
    /// It is not as expected.
    NotExpected,
    /// It is done.
    Done(T),
}

/// States as the statements compare them.
fn expected(states: Option<&Vec<Revision>>) -> Option<Vec<String>> {
    let text = |Revision { article, version }: &Revision| format!("{article}.{version}");
    states.map(|states| states.iter().map(text).collect())
}

pub(super) async fn update(db: &Postgres, scope: &Scope, change: &UpdateArticle) -> Result<Changed<View>, Fault> {
    let title = change.title.as_ref().map(Text::as_str);
    let description = change.description.as_ref().map(Text::as_str);
    let body = change.body.as_ref().map(Text::as_str);
    let found_by = |part, text: Option<&str>| text.map(|text| words::vector(part, text));
    let rows = db
        .write(
            scope,
            sql!("articles/update"),
            &[
                &change.slug.as_str(),
                &change.editor.0,
                &title,
                &description,
                &body,
                &expected(change.expected.as_ref()),
                &change.change,
                &found_by(Part::Title, title),
                &found_by(Part::Description, description),
                &found_by(Part::Body, body),
            ],
        )
        .await?;
    Ok(match rows.first() {
        None => Changed::Missing,
        Some(row) if !row.get::<_, bool>("allowed") => Changed::NotAllowed,
        // Deleted by another statement while this one waited for its row.
        Some(row) if !row.get::<_, bool>("there") => Changed::Missing,
        Some(row) if row.get::<_, Option<i64>>("id").is_none() => Changed::NotExpected,
        Some(row) => {
            Changed::Done(View { article: Shared::new(article(row, body_of(row))), favorited: row.get("favorited") })
        }
    })
}

pub(super) async fn delete(db: &Postgres, scope: &Scope, delete: &DeleteArticle) -> Result<Changed<()>, Fault> {
    let params: [&(dyn ToSql + Sync); 3] =
        [&delete.slug.as_str(), &delete.editor.0, &expected(delete.expected.as_ref())];
    let rows = db.write(scope, sql!("articles/delete"), &params).await?;
    Ok(match rows.first() {
        None => Changed::Missing,
        Some(row) if !row.get::<_, bool>("allowed") => Changed::NotAllowed,
        Some(row) if !row.get::<_, bool>("there") => Changed::Missing,
        Some(row) if !row.get::<_, bool>("expected") => Changed::NotExpected,
        Some(_) => Changed::Done(()),
    })
}

/// How many keys were forgotten.
pub(super) async fn prune_keys(db: &Postgres, scope: &Scope, good_for: Duration, most: i64) -> Result<i64, Fault> {
    let rows = db.write(scope, sql!("articles/prune_keys"), &[&good_for.as_secs_f64(), &most]).await?;
    Ok(rows.first().map_or(0, |row| row.get("n")))
}
