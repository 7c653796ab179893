//! The words of a text: what articles are found by, and what somebody who searches asks for.
//!
//! ```text
//! an article's texts ─▶ words ─▶ lexemes with positions ─▶ a `tsvector`'s text   (vector.rs)
//! what people type   ─▶ terms ─▶ words ─▶ lexemes       ─▶ a `tsquery`'s text    (query.rs)
//! ```
//!
//! A word is what Unicode's rules call one, without what joins several (`it's`); its lexeme is its English stem in lower
//! case, so that "eats" finds "eat". Words with digits or dots stay as they are, and stop words have none (`stop.rs`).
//! PostgreSQL could do all this, and does where an article comes without words (`V19__words.sql`); but it takes two
//! to ten times as long, by how often words come again, which was more than half of what a publication cost it.
//!
//! What must stay true: texts and queries come by their lexemes in the same way, or what is there is not found. Of plain
//! English the lexemes are PostgreSQL's own, so that an article is found whoever put it into the index. Whatever comes
//! in, PostgreSQL can read what comes out.

mod query;
mod stop;
mod vector;

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

pub use query::query;
pub use vector::{Part, vector};

/// What is longer is cut: PostgreSQL takes less than 2046 bytes, and no word needs them.
const LONGEST: usize = 255;

/// The words of a text in their order, stop words too, so that they have their places in phrases.
fn words(text: &str) -> impl Iterator<Item = &str> {
    // What stands between spaces is looked at by itself: most of it is a word as it is, and the rules are much
    // quicker to apply where all of a text is ASCII.
    text.split_ascii_whitespace().flat_map(|piece| {
        let plain = piece.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let rules = (!plain).then(|| piece.unicode_words().flat_map(|word| word.split(joins)));
        plain.then_some(piece).into_iter().chain(rules.into_iter().flatten().filter(|word| !word.is_empty()))
    })
}

/// Whether a character makes one word of several by Unicode's rules, though not by PostgreSQL's. A dot does so by both.
fn joins(character: char) -> bool {
    matches!(character, '\'' | '’' | '‘' | '_' | ',' | ';' | ':')
}

/// From words to lexemes.
struct Lexemes(Stemmer);

impl Lexemes {
    fn new() -> Self {
        Self(Stemmer::create(Algorithm::English))
    }

    /// What a word is found by; `None` for a stop word.
    fn of(&self, word: &str) -> Option<String> {
        let word = cut(word).to_lowercase();
        if stop::is_stop_word(&word) {
            return None;
        }
        let stays = |character: char| character.is_numeric() || character == '.';
        let lexeme = if word.contains(stays) { Cow::Borrowed(word.as_str()) } else { self.0.stem(&word) };
        Some(lexeme.into_owned()).filter(|lexeme| !lexeme.is_empty())
    }
}

fn cut(word: &str) -> &str {
    word.get(..word.floor_char_boundary(LONGEST)).unwrap_or(word)
}

/// Writes a lexeme as `tsvector` and `tsquery` are written.
fn quote(lexeme: &str, out: &mut String) {
    out.push('\'');
    for character in lexeme.chars() {
        if matches!(character, '\'' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lexemes(text: &str) -> Vec<String> {
        let lexemes = Lexemes::new();
        words(text).filter_map(|word| lexemes.of(word)).collect()
    }

    #[test]
    fn words_are_what_unicode_says_without_what_joins_them() {
        let of = |text| words(text).collect::<Vec<_>>();
        assert_eq!(of("Ann's foo_bar, 1,000—e.g. 3.14"), ["Ann", "s", "foo", "bar", "1", "000", "e.g", "3.14"]);
        assert_eq!(of("alice@example.com foo-bar"), ["alice", "example.com", "foo", "bar"]);
        assert_eq!(of("日本 テスト Привет cafe\u{301}"), ["日", "本", "テスト", "Привет", "cafe\u{301}"]);
        assert_eq!(of(" \t—…🦀 "), [""; 0]);
    }

    #[test]
    fn a_lexeme_is_the_stem_unless_digits_or_dots_are_in_the_word() {
        assert_eq!(lexemes("The Crabs eats CAFÉS naïve"), ["crab", "eat", "café", "naïv"]);
        assert_eq!(lexemes("node.js utf8s 4th don't"), ["node.js", "utf8s", "4th"]);
        assert_eq!(lexemes("Привет ΣΑΣ"), ["привет", "σας"]);
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(lexemes(&"x".repeat(5000)), ["x".repeat(255)]);
        assert_eq!(lexemes(&"ж".repeat(5000)), ["ж".repeat(127)]);
    }

    proptest! {
        #[test]
        fn lexemes_are_short_and_never_empty(text in any::<String>()) {
            // In lower case some letters have a byte more.
            prop_assert!(lexemes(&text).iter().all(|lexeme| (1..=2 * LONGEST).contains(&lexeme.len())));
        }

        #[test]
        fn a_text_has_the_words_of_its_pieces(one in any::<String>(), other in any::<String>()) {
            let both = format!("{one} {other}");
            prop_assert_eq!(words(&both).collect::<Vec<_>>(), words(&one).chain(words(&other)).collect::<Vec<_>>());
        }
    }
}
