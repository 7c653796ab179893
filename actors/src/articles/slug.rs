//! Slugs: an article's address, made of its title's words and a suffix that makes it unique.

use std::fmt;
use std::sync::Arc;

use rand::RngExt;

/// How long a slug may be; the suffix is part of it.
const MAX_LENGTH: usize = 100;
/// Letters of the suffix: 32^8 possibilities for each title.
const SUFFIX_LENGTH: usize = 8;
/// No letters that are easily taken for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// An article's address: ASCII words joined by single hyphens. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(Arc<str>);

impl Slug {
    /// A slug from outside; `None` when it cannot be one, so that no such article exists. All end with a short suffix:
    /// a token that somebody took for a slug is none, and so is written down nowhere.
    pub fn parse(text: &str) -> Option<Self> {
        let suffix = text.rsplit('-').next().unwrap_or(text);
        let word = |word: &str| !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'));
        (text.len() <= MAX_LENGTH && suffix.len() <= SUFFIX_LENGTH && text.split('-').all(word))
            .then(|| Self(text.into()))
    }

    /// A new slug for a title. Another call gives another one.
    pub fn for_title(title: &str) -> Self {
        let mut rng = rand::rng();
        let suffix: String = (0..SUFFIX_LENGTH)
            .filter_map(|_| ALPHABET.get(rng.random_range(0..ALPHABET.len())).map(|byte| char::from(*byte)))
            .collect();
        Self::join(title, &suffix)
    }

    fn join(title: &str, suffix: &str) -> Self {
        let mut slug = String::with_capacity(MAX_LENGTH);
        let lower = title.to_lowercase();
        for word in lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            if slug.len() + word.len() + 1 + suffix.len() > MAX_LENGTH {
                break;
            }
            slug.push_str(word);
            slug.push('-');
        }
        slug.push_str(suffix);
        Self(slug.into())
    }

    /// A slug that was checked when it was stored.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Which of `count` shards it belongs to; the same on every call within a process.
    pub fn shard(&self, count: usize) -> usize {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        let count = u64::try_from(count.max(1)).unwrap_or(1);
        usize::try_from(hasher.finish() % count).unwrap_or(0)
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slug_is_made_of_the_words_of_the_title() {
        assert_eq!(Slug::join("Hello, World! It's 2026", "abc").as_str(), "hello-world-it-s-2026-abc");
        assert_eq!(Slug::join("日本", "abc").as_str(), "abc");
    }

    #[test]
    fn a_token_is_no_slug() {
        assert_eq!(Slug::parse(&"0f".repeat(32)), None);
    }

    proptest! {
        #[test]
        fn every_title_makes_a_slug_that_parses(title in any::<String>()) {
            let slug = Slug::for_title(&title);
            prop_assert_eq!(Slug::parse(slug.as_str()), Some(slug));
        }

        #[test]
        fn the_same_title_makes_different_slugs(title in any::<String>()) {
            prop_assert_ne!(Slug::for_title(&title), Slug::for_title(&title));
        }

        #[test]
        fn no_text_makes_the_parser_panic_and_what_it_accepts_is_unchanged(text in any::<String>()) {
            if let Some(slug) = Slug::parse(&text) {
                prop_assert_eq!(slug.as_str(), text);
            }
        }
    }
}
