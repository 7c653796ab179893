//! What the jobs of this domain do. Each writes within the transaction that completes its job, so that it
//! takes effect exactly once.

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::message::Kind;
use super::store;
use crate::jobs::{Effect, Job, JobError};
use crate::kit::Scope;
use crate::kit::postgres::Transaction;

#[derive(Deserialize)]
struct ArticlePublished {
    article_id: i64,
    /// The last follower who has been told.
    #[serde(default)]
    after: i64,
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

#[derive(Deserialize)]
struct FavoritesRecounted {
    notification_id: i64,
}

/// What a job of this domain tells, and whom.
#[derive(Clone, Copy)]
pub(super) enum Tell {
    /// An author's followers, of an article.
    Followers,
    /// An author, of a favorite.
    Author,
    /// Somebody, of a follower.
    Followed,
    /// An author, of favorites, what is still true after one was taken back while it was being told. Left by older nodes:
    /// whoever takes one back sees to it since (`take_back`).
    Recounted,
}

impl Tell {
    pub(super) const ALL: [Self; 4] = [Self::Followers, Self::Author, Self::Followed, Self::Recounted];

    async fn tell(self, job: &Job, tx: &Transaction<'_>, scope: &Scope) -> Result<(), JobError> {
        match self {
            Self::Followers | Self::Author | Self::Followed => {
                self.tell_all(std::slice::from_ref(job), tx, scope).await?
            }
            Self::Recounted => {
                let FavoritesRecounted { notification_id } = args(job)?;
                store::recount(tx, scope, notification_id).await?;
            }
        }
        Ok(())
    }

    /// What each of these jobs tells, by one statement.
    async fn tell_all(self, jobs: &[Job], tx: &Transaction<'_>, scope: &Scope) -> Result<(), JobError> {
        let pairs =
            |pair: fn(&Job) -> Result<(i64, i64), JobError>| jobs.iter().map(pair).collect::<Result<Vec<_>, _>>();
        match self {
            Self::Followers => {
                let published = pairs(|job| args(job).map(|a: ArticlePublished| (a.article_id, a.after)))?;
                store::tell_followers(tx, scope, published).await?;
            }
            Self::Author => {
                let favorites = pairs(|job| args(job).map(|a: ArticleFavorited| (a.article_id, a.user_id)))?;
                store::tell_authors(tx, scope, favorites).await?;
            }
            Self::Followed => {
                let follows = pairs(|job| args(job).map(|a: Followed| (a.follower_id, a.followed_id)))?;
                store::tell_followed(tx, scope, follows).await?;
            }
            Self::Recounted => {
                return Err(JobError::Final("each of these is told by statements of its own".to_owned()));
            }
        }
        Ok(())
    }
}

impl Effect for Tell {
    fn kind(&self) -> &'static str {
        match self {
            Self::Followers => Kind::ArticlePublished.as_str(),
            Self::Author => Kind::ArticleFavorited.as_str(),
            Self::Followed => Kind::Followed.as_str(),
            Self::Recounted => "favorites_recounted",
        }
    }

    /// A favorite and a follow are told in a moment, to one person; of articles, followers share what one tells at once.
    fn together(&self) -> bool {
        !matches!(self, Self::Recounted)
    }

    fn apply_all<'a>(
        &'a self,
        jobs: &'a [Job],
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(self.tell_all(jobs, tx, scope))
    }

    fn apply<'a>(
        &'a self,
        job: &'a Job,
        _: &'a Value,
        tx: &'a Transaction<'a>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(self.tell(job, tx, scope))
    }
}

fn args<T: DeserializeOwned>(job: &Job) -> Result<T, JobError> {
    T::deserialize(&job.args).map_err(|error| JobError::Arguments(error.to_string()))
}
