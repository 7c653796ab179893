//! What each client does, one thing after another.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::Method;
use rand::RngExt as _;

use crate::client::{Client, Failure};
use crate::report::Report;

/// What is done.
#[derive(Clone, Copy)]
pub(crate) enum Scenario {
    /// All favorite one article.
    FavoriteHot,
    /// Each favorites an article of their own.
    FavoriteSpread,
    /// Reads, with a few writes among them.
    Mix,
}

/// What all clients know.
pub(crate) struct Crowd {
    /// What they do.
    pub(crate) scenario: Scenario,
    /// Where.
    pub(crate) host: String,
    /// Whose tokens they have.
    pub(crate) tokens: Vec<String>,
    /// The articles that there are.
    pub(crate) slugs: Vec<String>,
}

impl Scenario {
    /// The scenario of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "favorite-hot" => Some(Self::FavoriteHot),
            "favorite-spread" => Some(Self::FavoriteSpread),
            "mix" => Some(Self::Mix),
            _ => None,
        }
    }
}

impl Crowd {
    /// What one client sees until then. Two clients with one token would undo each other's favorites.
    pub(crate) async fn member(self: Arc<Self>, number: usize, until: Instant) -> Result<Report, Failure> {
        let token = self.tokens.get(number).ok_or("there are more connections than tokens")?;
        let mut client = Client::connect(&self.host, token).await?;
        let (none, mut report) = (Bytes::new(), Report::default());
        let article = Bytes::from(
            serde_json::json!({"title": "Under load", "body": "lorem ipsum dolor sit amet ".repeat(38)}).to_string(),
        );
        let mut favorite: Option<String> = None;
        while Instant::now() < until {
            let drawn = rand::rng().random_range(0..100);
            let wanted = match (self.scenario, drawn) {
                (Scenario::Mix, 0..80) => (Method::GET, format!("/api/articles/{}", self.any()?), &none, 200),
                (Scenario::Mix, 80..90) => (Method::GET, "/api/articles?limit=20".to_owned(), &none, 200),
                (Scenario::Mix, 90..95) => (Method::POST, "/api/articles".to_owned(), &article, 201),
                _ => match favorite.take() {
                    Some(slug) => (Method::DELETE, favorite_of(&slug), &none, 200),
                    None => {
                        let slug = self.to_favorite(number)?;
                        let path = favorite_of(&slug);
                        favorite = Some(slug);
                        (Method::POST, path, &none, 200)
                    }
                },
            };
            let (method, path, body, expected) = wanted;
            report.note(&client.ask(method, &path, body).await?, expected);
        }
        // The next crowd finds everything as this one did.
        if let Some(slug) = favorite {
            client.ask(Method::DELETE, &favorite_of(&slug), &none).await?;
        }
        Ok(report)
    }

    fn any(&self) -> Result<&String, Failure> {
        let place = rand::rng().random_range(0..self.slugs.len().max(1));
        Ok(self.slugs.get(place).ok_or("there are no slugs")?)
    }

    fn to_favorite(&self, number: usize) -> Result<String, Failure> {
        let slug = match self.scenario {
            Scenario::FavoriteHot => self.slugs.first(),
            Scenario::FavoriteSpread => self.slugs.get(number % self.slugs.len().max(1)),
            Scenario::Mix => Some(self.any()?),
        };
        Ok(slug.ok_or("there are no slugs")?.clone())
    }
}

fn favorite_of(slug: &str) -> String {
    format!("/api/articles/{slug}/favorite")
}
