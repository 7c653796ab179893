//! What can be asked of the favorites actors. The contract between the front and this domain.

use crate::articles::{Slug, View};
use crate::auth::UserId;
use crate::kit::Command;

/// Favorite an article, or take the favorite back.
#[derive(Debug, Clone)]
pub struct SetFavorite {
    /// Which article.
    pub slug: Slug,
    /// Whose favorite.
    pub user: UserId,
    /// Whether it shall be one.
    pub favorited: bool,
}

/// Why the rules of this domain say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such article.
    #[error("article not found")]
    NoSuchArticle,
    /// It is one already.
    #[error("already favorited")]
    AlreadyFavorited,
}

impl Command for SetFavorite {
    type Reply = View;
    type Refusal = Refusal;
    const NAME: &'static str = "set_favorite";
    /// Asked again after its effect it would say [`Refusal::AlreadyFavorited`], which its caller did not do.
    const IDEMPOTENT: bool = false;
}
