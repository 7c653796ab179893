//! The domain's statements, one function each.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Row;

use super::message::{Article, Author, CreateArticle, DeleteArticle, ListArticles, Page, UpdateArticle, View};
use super::slug::Slug;
use crate::auth::{Email, UserId};
use crate::kit::postgres::Postgres;
use crate::kit::{Fault, Scope};
use crate::sql;

/// An article from a row that has its author's columns too. The body is read where the statement has it.
pub(crate) fn article(row: &Row, slug: Slug, body: Option<String>) -> Article {
    Article {
        id: row.get("id"),
        slug,
        title: row.get("title"),
        description: row.get("description"),
        body,
        author: Author {
            id: UserId(row.get("author_id")),
            email: Email::stored(row.get("author_email")),
            name: row.get("author_name"),
            bio: row.get("author_bio"),
            image: row.get("author_image"),
        },
        favorites_count: row.get("favorites_count"),
        version: row.get("version"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}

fn slug(row: &Row) -> Slug {
    Slug::stored(row.get("slug"))
}

/// An article with those of the viewers who favorited it.
pub(super) type Found = (Arc<Article>, Vec<i64>);

pub(super) async fn find_by_slugs(
    db: &Postgres,
    scope: &Scope,
    slugs: &[&str],
    viewers: &[i64],
) -> Result<HashMap<Slug, Found>, Fault> {
    let rows = db.read(scope, sql!("articles/find_by_slugs"), &[&slugs, &viewers]).await?;
    let found = |row: &Row| {
        let article = Arc::new(article(row, slug(row), row.get("body")));
        (article.slug.clone(), (article, row.get("favorited_by")))
    };
    Ok(rows.iter().map(found).collect())
}

pub(super) async fn list(db: &Postgres, scope: &Scope, query: &ListArticles) -> Result<Page, Fault> {
    let id = |user: Option<UserId>| user.map(|UserId(id)| id);
    let rows = db
        .scan(
            scope,
            sql!("articles/list"),
            &[
                &query.search,
                &id(query.author),
                &id(query.favorited_by),
                &id(query.followed_by),
                &query.before,
                &query.limit,
                &query.offset,
                &id(query.viewer),
            ],
        )
        .await?;
    let total = rows.first().map_or(0, |row| row.get("total"));
    let on_page = rows.iter().filter(|row| row.get::<_, Option<i64>>("id").is_some());
    let view = |row: &Row| View { article: Arc::new(article(row, slug(row), None)), favorited: row.get("favorited") };
    Ok(Page { articles: on_page.map(view).collect(), total })
}

/// The articles made, by their slugs; those whose slug was taken or whose author is gone are missing.
pub(super) async fn create(
    db: &Postgres,
    scope: &Scope,
    new: &[(Slug, &CreateArticle, Option<String>)],
) -> Result<HashMap<Slug, Article>, Fault> {
    let authors: Vec<i64> = new.iter().map(|(_, article, _)| article.author.0).collect();
    let slugs: Vec<&str> = new.iter().map(|(slug, ..)| slug.as_str()).collect();
    let titles: Vec<&str> = new.iter().map(|(_, article, _)| article.title.as_str()).collect();
    let descriptions: Vec<&str> = new.iter().map(|(_, article, _)| article.description.as_str()).collect();
    let bodies: Vec<&str> = new.iter().map(|(_, article, _)| article.body.as_str()).collect();
    let traces: Vec<Option<&str>> = new.iter().map(|(.., trace)| trace.as_deref()).collect();
    let rows =
        db.write(scope, sql!("articles/create"), &[&authors, &slugs, &titles, &descriptions, &bodies, &traces]).await?;
    Ok(rows.iter().map(|row| (slug(row), article(row, slug(row), row.get("body")))).collect())
}

/// What came of an attempt to change an article.
pub(super) enum Changed<T> {
    /// There is no such article.
    Missing,
    /// Somebody else wrote it.
    NotAllowed,
    /// It is done.
    Done(T),
}

pub(super) async fn update(db: &Postgres, scope: &Scope, change: &UpdateArticle) -> Result<Changed<View>, Fault> {
    let (title, description) = (change.title.as_ref(), change.description.as_ref());
    let rows = db
        .write(
            scope,
            sql!("articles/update"),
            &[
                &change.slug.as_str(),
                &change.editor.0,
                &title.map(|text| text.as_str()),
                &description.map(|text| text.as_str()),
                &change.body.as_ref().map(|text| text.as_str()),
            ],
        )
        .await?;
    Ok(match rows.first() {
        None => Changed::Missing,
        Some(row) if !row.get::<_, bool>("allowed") => Changed::NotAllowed,
        // Deleted by another statement while this one waited for its row.
        Some(row) if row.get::<_, Option<i64>>("id").is_none() => Changed::Missing,
        Some(row) => Changed::Done(View {
            article: Arc::new(article(row, slug(row), row.get("body"))),
            favorited: row.get("favorited"),
        }),
    })
}

pub(super) async fn delete(db: &Postgres, scope: &Scope, delete: &DeleteArticle) -> Result<Changed<()>, Fault> {
    let rows = db.write(scope, sql!("articles/delete"), &[&delete.slug.as_str(), &delete.editor.0]).await?;
    Ok(match rows.first() {
        None => Changed::Missing,
        Some(row) if !row.get::<_, bool>("allowed") => Changed::NotAllowed,
        Some(_) => Changed::Done(()),
    })
}
