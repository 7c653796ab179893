//! The domain's statement.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::articles::store::{article, body_of};
use crate::articles::{Article, Slug};
use crate::auth::UserId;
use crate::kit::postgres::Postgres;
use crate::kit::{Fault, Scope, Shared};
use crate::sql;

/// An article and somebody who likes it, or not.
pub(super) type Pair = (Slug, UserId);

/// A pair as it was, and its article as it is.
pub(super) struct Set {
    pub(super) was_favorited: bool,
    pub(super) article: Arc<Shared<Article>>,
}

/// A pair, its wanted state, and the trace that its job belongs to.
pub(super) type Wish = (Pair, bool, Option<String>);

/// Those of the wishes whose article exists. A user who has gone is found as if nothing were left to do for them.
pub(super) async fn set(db: &Postgres, scope: &Scope, wishes: &[Wish]) -> Result<HashMap<Pair, Set>, Fault> {
    let slugs: Vec<&str> = wishes.iter().map(|((slug, _), ..)| slug.as_str()).collect();
    let users: Vec<i64> = wishes.iter().map(|((_, user), ..)| user.0).collect();
    let wanted: Vec<bool> = wishes.iter().map(|(_, wanted, _)| *wanted).collect();
    let traces: Vec<Option<&str>> = wishes.iter().map(|(.., trace)| trace.as_deref()).collect();
    let rows = db.write(scope, sql!("favorites/set"), &[&slugs, &users, &wanted, &traces]).await?;
    let articles: HashMap<&str, (Arc<Shared<Article>>, HashSet<i64>)> = rows
        .iter()
        .map(|row| {
            let changed: Option<Vec<i64>> = row.get("changed");
            (row.get("slug"), (Shared::new(article(row, body_of(row))), changed.into_iter().flatten().collect()))
        })
        .collect();
    let as_found = |(pair, wanted, _): &Wish| {
        let (article, changed) = articles.get(pair.0.as_str())?;
        let was_favorited = *wanted != changed.contains(&pair.1.0);
        Some((pair.clone(), Set { was_favorited, article: Arc::clone(article) }))
    };
    Ok(wishes.iter().filter_map(as_found).collect())
}
