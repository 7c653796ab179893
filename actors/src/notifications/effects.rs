//! What the jobs of this domain do. Each writes within the transaction that completes its job, so that it
//! takes effect exactly once.

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::store;
use crate::jobs::{Effect, Job, JobError};
use crate::kit::Scope;
use crate::kit::postgres::Transaction;

#[derive(Deserialize)]
struct ArticlePublished {
    article_id: i64,
}

#[derive(Deserialize)]
struct ArticleFavorited {
    article_id: i64,
    user_id: i64,
}

#[derive(Deserialize)]
struct Followed {
    follower_id: i64,
    followed_id: i64,
}

/// Tells an author's followers of an article.
pub(super) struct TellFollowers;
/// Tells an author of a favorite.
pub(super) struct TellAuthor;
/// Tells somebody of a follower.
pub(super) struct TellFollowed;

impl Effect for TellFollowers {
    fn kind(&self) -> &'static str {
        "article_published"
    }

    fn apply<'a>(
        &'a self,
        job: &'a Job,
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async move {
            let published: ArticlePublished = args(job)?;
            Ok(store::tell_followers(tx, scope, published.article_id).await?)
        })
    }
}

impl Effect for TellAuthor {
    fn kind(&self) -> &'static str {
        "article_favorited"
    }

    fn apply<'a>(
        &'a self,
        job: &'a Job,
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async move {
            let favorited: ArticleFavorited = args(job)?;
            Ok(store::tell_author(tx, scope, favorited.article_id, favorited.user_id).await?)
        })
    }
}

impl Effect for TellFollowed {
    fn kind(&self) -> &'static str {
        "followed"
    }

    fn apply<'a>(
        &'a self,
        job: &'a Job,
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async move {
            let followed: Followed = args(job)?;
            Ok(store::tell_followed(tx, scope, followed.follower_id, followed.followed_id).await?)
        })
    }
}

fn args<T: DeserializeOwned>(job: &Job) -> Result<T, JobError> {
    T::deserialize(&job.args).map_err(|error| JobError::Arguments(error.to_string()))
}
