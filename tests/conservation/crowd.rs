//! Those who publish, favorite and follow, and what they were told of it: what was acknowledged has to be true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Client, User};

/// Longer than any process is frozen and any request may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Requests under way at once.
const AT_ONCE: usize = 40;

/// A wish, and what it was about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Publish,
    Follow(i64, i64),
    Favorite { user: i64, slug: String, wanted: bool },
}

/// The status and the body of an answer, or why there is none.
type Heard = Result<(u16, String), String>;

/// What is known of whether somebody favorites an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// A wish is under way.
    Busy,
    /// The last wish was answered for, and so were all before.
    Surely(bool),
    /// One was not answered for: it may come true at any time.
    Unknown,
}

/// Everybody.
pub(crate) struct Crowd {
    /// Those who publish.
    pub(crate) authors: Vec<User>,
    /// Those who follow every author from the beginning, and favorite.
    pub(crate) readers: Vec<User>,
    asked: JoinSet<(Wish, Heard)>,
    /// The articles that were acknowledged.
    pub(crate) published: BTreeSet<String>,
    /// The follows that were acknowledged.
    pub(crate) followed: BTreeSet<(i64, i64)>,
    favorites: BTreeMap<(i64, String), Known>,
    /// What was answered by 500, and its trace.
    pub(crate) failed: Vec<(String, String)>,
    /// How often which answer came.
    pub(crate) answers: BTreeMap<String, usize>,
}

impl Crowd {
    /// Two authors, and eight who follow them.
    pub(crate) async fn gather(somewhere: &Client) -> Self {
        let (mut authors, mut readers) = (Vec::new(), Vec::new());
        for number in 0..2 {
            authors.push(somewhere.register(&format!("author {number}")).await);
        }
        for number in 0..8 {
            let reader = somewhere.register(&format!("reader {number}")).await;
            for author in &authors {
                reader.follow(author).await;
            }
            readers.push(reader);
        }
        Self {
            authors,
            readers,
            asked: JoinSet::new(),
            published: BTreeSet::new(),
            followed: BTreeSet::new(),
            favorites: BTreeMap::new(),
            failed: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Has somebody wish something, here; nothing while too much is under way.
    pub(crate) fn wish(&mut self, here: Client, random: &mut StdRng) {
        self.hear();
        if self.asked.len() >= AT_ONCE {
            return;
        }
        let reader = self.readers[random.random_range(0..self.readers.len())].clone();
        match random.random_range(0..10) {
            0..5 => {
                let author = &self.authors[random.random_range(0..self.authors.len())];
                let body = json!({"title": "News", "body": "at length"}).to_string();
                self.ask(Wish::Publish, author.at(&here), "POST", "/api/articles".to_owned(), body);
            }
            5..9 => {
                // Few articles are liked by many: they are what wishes meet at.
                let hot = random.random_range(0..12);
                let Some(slug) = self.published.iter().nth(hot).cloned() else { return };
                let (pair, wanted) = ((reader.id, slug.clone()), random.random_bool(0.6));
                if self.favorites.get(&pair) == Some(&Known::Busy) {
                    return;
                }
                let unknown = self.favorites.get(&pair) == Some(&Known::Unknown);
                self.favorites.insert(pair, if unknown { Known::Unknown } else { Known::Busy });
                let method = if wanted { "POST" } else { "DELETE" };
                let path = format!("/api/articles/{slug}/favorite");
                self.ask(
                    Wish::Favorite { user: reader.id, slug, wanted },
                    reader.at(&here),
                    method,
                    path,
                    String::new(),
                );
            }
            _ => {
                let other = self.readers[random.random_range(0..self.readers.len())].id;
                if other != reader.id {
                    let path = format!("/api/users/{other}/follow");
                    self.ask(Wish::Follow(reader.id, other), reader.at(&here), "POST", path, String::new());
                }
            }
        }
    }

    fn ask(&mut self, wish: Wish, client: Client, method: &'static str, path: String, body: String) {
        self.asked.spawn(async move {
            let json = [("content-type", "application/json")];
            let headers = if body.is_empty() { &[][..] } else { &json };
            let answer = client.try_send(method, &path, headers, body, PATIENCE).await;
            let answer = answer.map(|answer| {
                if answer.status >= 400 {
                    answer.is_sound_error();
                }
                (answer.status, answer.text())
            });
            (wish, answer)
        });
    }

    /// Waits until everything was answered.
    pub(crate) async fn disperse(&mut self) {
        while let Some(answered) = self.asked.join_next().await {
            self.note(answered.unwrap());
        }
    }

    fn hear(&mut self) {
        while let Some(answered) = self.asked.try_join_next() {
            self.note(answered.unwrap());
        }
    }

    fn note(&mut self, (wish, answer): (Wish, Heard)) {
        let status = answer.as_ref().map_or(0, |(status, _)| *status);
        *self.answers.entry(if status == 0 { "none".to_owned() } else { status.to_string() }).or_default() += 1;
        if status == 500 {
            let error: serde_json::Value = serde_json::from_str(&answer.as_ref().unwrap().1).unwrap();
            self.failed.push((format!("{wish:?}"), error["error"]["trace_id"].as_str().unwrap().to_owned()));
        }
        match wish {
            Wish::Publish if status == 201 => {
                let article: serde_json::Value = serde_json::from_str(&answer.unwrap().1).unwrap();
                self.published.insert(article["slug"].as_str().unwrap().to_owned());
            }
            Wish::Follow(follower, followed) if status == 200 => drop(self.followed.insert((follower, followed))),
            Wish::Favorite { user, slug, wanted } => {
                let known = self.favorites.get_mut(&(user, slug)).unwrap();
                // A second favorite of the same article is refused, for it is one already.
                let acknowledged = status == 200 || (status == 409 && wanted);
                *known = match *known {
                    Known::Busy if acknowledged => Known::Surely(wanted),
                    _ => Known::Unknown,
                };
            }
            _ => {}
        }
    }

    /// Who favorites what, as far as that was acknowledged.
    pub(crate) fn surely(&self) -> impl Iterator<Item = (i64, &str, bool)> {
        self.favorites.iter().filter_map(|((user, slug), known)| match known {
            Known::Surely(favorited) => Some((*user, slug.as_str(), *favorited)),
            _ => None,
        })
    }
}
