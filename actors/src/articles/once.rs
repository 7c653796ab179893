//! An article that is published once, however often it is asked for: the author gives the request a key.
//!
//! ```text
//! nothing known of the key ─▶ published, and known under it from the commit on
//! known, of the same       ─▶ the first answer again          known, of something else ─▶ refused
//! another has it in hand   ─▶ refused; ask again in a moment
//! ```
//!
//! What must stay true: the key's row and the article commit together (`create.sql`), so that this holds for any two
//! nodes at once, and when a process ends between the commit and its answer. A request that was refused for what it
//! asks uses up no key. A key is good for a day, by the database's clock.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::message::CreateArticle;

/// How long a key is good for.
pub const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// What an author calls a request by, so that it can be recognised: 1 to 255 printable ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// A key from outside.
    ///
    /// # Errors
    /// In words, when it cannot be one.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let printable = bytes.iter().all(|byte| (0x20..0x7f).contains(byte));
        match std::str::from_utf8(bytes) {
            Ok(text) if printable && (1..=255).contains(&text.len()) => Ok(Self(text.to_owned())),
            _ => Err("must have 1 to 255 printable ASCII characters"),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    /// Whoever knows a key and its owner's token learns the answer; its length does no harm.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// What tells one article to publish from another: all that is asked for, and not how it was written down.
pub(super) fn fingerprint(article: &CreateArticle) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in [article.title.as_str(), article.description.as_str(), article.body.as_str()] {
        // With the lengths, no text can pass for the end of another.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::articles::message::{Body, Description, Title};
    use crate::auth::UserId;

    fn article(title: &str, description: &str, body: &str) -> Option<CreateArticle> {
        Some(CreateArticle {
            author: UserId(1),
            title: Title::parse(title).ok()?,
            description: Description::parse(description).ok()?,
            body: Body::parse(body).ok()?,
            key: None,
        })
    }

    #[test]
    fn a_key_is_short_printable_ascii() {
        for good in ["a", " ", "8e03978e-40d5-43dd-bc93-6894a57f9324", &"~".repeat(255)] {
            assert_eq!(Key::parse(good.as_bytes()).map(|key| key.as_str().to_owned()), Ok(good.to_owned()));
        }
        for bad in ["", "\t", "ä", "a\u{7f}", &"~".repeat(256)] {
            assert!(Key::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn only_the_same_article_has_the_same_fingerprint(
            one in proptest::array::uniform3("[ab]{1,3}"), other in proptest::array::uniform3("[ab]{1,3}"),
        ) {
            let of = |[title, description, body]: &[String; 3]| {
                article(title, description, body).map(|article| fingerprint(&article))
            };
            prop_assert!(of(&one).is_some());
            prop_assert_eq!(of(&one) == of(&other), one == other);
        }
    }
}
