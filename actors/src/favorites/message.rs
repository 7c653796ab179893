//! What can be asked of the favorites actors. The contract between the front and this domain.

use crate::articles::{Slug, View};
use crate::auth::UserId;
use crate::kit::{Ask, Command};

/// Favorite an article.
#[derive(Debug, Clone)]
pub struct AddFavorite {
    /// Which article.
    pub slug: Slug,
    /// Whose favorite.
    pub user: UserId,
}

/// Take a favorite back, also when it is none.
#[derive(Debug, Clone)]
pub struct RemoveFavorite {
    /// Which article.
    pub slug: Slug,
    /// Whose favorite.
    pub user: UserId,
}

/// Either of them: what a shard gathers, so that wishes about one article keep their order.
#[derive(Debug, Clone)]
pub(super) struct SetFavorite {
    pub(super) slug: Slug,
    pub(super) user: UserId,
    pub(super) favorited: bool,
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

impl Command for AddFavorite {
    type Reply = View;
    type Refusal = Refusal;
    const NAME: &'static str = "add_favorite";
    /// Asked again after its effect it would say [`Refusal::AlreadyFavorited`], which its caller did not do.
    const IDEMPOTENT: bool = false;
}

impl Command for RemoveFavorite {
    type Reply = View;
    type Refusal = Refusal;
    const NAME: &'static str = "remove_favorite";
    const IDEMPOTENT: bool = true;
}

impl Command for SetFavorite {
    type Reply = View;
    type Refusal = Refusal;
    const NAME: &'static str = "set_favorite";
    const IDEMPOTENT: bool = false;
}

impl From<Ask<AddFavorite>> for Ask<SetFavorite> {
    fn from(ask: Ask<AddFavorite>) -> Self {
        ask.reworded(|AddFavorite { slug, user }| SetFavorite { slug, user, favorited: true })
    }
}

impl From<Ask<RemoveFavorite>> for Ask<SetFavorite> {
    fn from(ask: Ask<RemoveFavorite>) -> Self {
        ask.reworded(|RemoveFavorite { slug, user }| SetFavorite { slug, user, favorited: false })
    }
}
