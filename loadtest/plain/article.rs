//! An article by its slug, for nobody in particular.

use serde::Serialize;
use time::OffsetDateTime;

use crate::{Answer, Plain, json};

const FIND: &str = include_str!("find_article.sql");

#[derive(Serialize)]
struct Article<'a> {
    id: i64,
    slug: &'a str,
    title: &'a str,
    description: &'a str,
    body: &'a str,
    author: Author<'a>,
    favorites_count: i64,
    favorited: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

#[derive(Serialize)]
struct Author<'a> {
    id: i64,
    name: &'a str,
    bio: &'a str,
    image: &'a str,
}

/// The article, if there is one.
pub(crate) async fn find(plain: &Plain, slug: &str) -> Answer {
    let Some(row) = plain.one(FIND, &[&slug]).await? else { return Ok(None) };
    json(&Article {
        id: row.try_get("id")?,
        slug: row.try_get("slug")?,
        title: row.try_get("title")?,
        description: row.try_get("description")?,
        body: row.try_get("body")?,
        author: Author {
            id: row.try_get("author_id")?,
            name: row.try_get("author_name")?,
            bio: row.try_get("author_bio")?,
            image: row.try_get("author_image")?,
        },
        favorites_count: row.try_get("favorites_count")?,
        favorited: false,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
