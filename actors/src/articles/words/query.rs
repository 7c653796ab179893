//! What people type as the text of a `tsquery`, as `websearch_to_tsquery` reads it.
//!
//! ```text
//! crab plant     both, anywhere               crab or plant   one of them
//! "crab plant"   one right after the other    crab -plant     the one without the other
//! ```
//!
//! What must stay true: whatever people type is words to look for, never a mistake. Where no word is left the text is
//! empty, which the statement takes for what finds nothing. What falls apart into several words without spaces
//! (`foo-bar`, `alice@example.com`) is a phrase of them, or all of it as one word: as such PostgreSQL has it in articles
//! that came without words.

use std::fmt::Write;

use super::{Lexemes, cut, quote, words};

/// PostgreSQL knows no phrase with words farther from each other.
const FARTHEST: usize = 16_384;

/// The text of a `tsquery`; empty when there is no word to look for.
pub fn query(typed: &str) -> String {
    let stems = Lexemes::new();
    let mut any: Vec<Vec<String>> = vec![Vec::new()];
    for term in Terms(typed) {
        match term {
            Term::Or => any.push(Vec::new()),
            Term::Words { text, excluded } => {
                let wanted = wanted(&stems, text, excluded);
                if let Some(all) = any.last_mut() {
                    all.extend(wanted);
                }
            }
        }
    }
    let all = any.iter().filter(|all| !all.is_empty()).map(|all| all.join(" & "));
    all.collect::<Vec<_>>().join(" | ")
}

/// One of the things that stand side by side in what people type.
#[derive(Debug, PartialEq, Eq)]
enum Term<'a> {
    /// What is before or what is after.
    Or,
    /// A word, or what stands in quotes.
    Words {
        text: &'a str,
        /// To be found nowhere in the text.
        excluded: bool,
    },
}

/// What is left to be read.
struct Terms<'a>(&'a str);

impl<'a> Iterator for Terms<'a> {
    type Item = Term<'a>;

    fn next(&mut self) -> Option<Term<'a>> {
        let typed = self.0.trim_start_matches(separates);
        let rest = typed.trim_start_matches('-');
        let excluded = rest.len() < typed.len();
        if rest.is_empty() {
            return None;
        }
        let quoted = rest.strip_prefix('"');
        // A quote that nobody closes goes on to the end.
        let (text, left) = match quoted {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(|end| separates(end) || end == '"').unwrap_or(rest.len())),
        };
        self.0 = left;
        let is_or = quoted.is_none() && !excluded && text.eq_ignore_ascii_case("or");
        Some(if is_or { Term::Or } else { Term::Words { text, excluded } })
    }
}

/// Whether a character stands between terms, and is none.
fn separates(character: char) -> bool {
    character.is_whitespace() || character.is_control() || matches!(character, '|' | '&' | '!' | '(' | ')')
}

/// What a term asks for; nothing when only stop words or signs are in it.
fn wanted(stems: &Lexemes, text: &str, excluded: bool) -> Option<String> {
    let mut lexemes = words(text).enumerate().filter_map(|(at, word)| Some((at, stems.of(word)?)));
    let (mut before, first) = lexemes.next()?;
    let mut out = String::new();
    quote(&first, &mut out);
    let mut several = false;
    for (at, lexeme) in lexemes {
        // Stop words in between have their places. Writing into a string does not fail.
        let _ = write!(out, " <{}> ", (at - before).min(FARTHEST));
        quote(&lexeme, &mut out);
        (before, several) = (at, true);
    }
    if several {
        out = format!("({}{out})", in_one(text));
    }
    if excluded {
        out.insert(0, '!');
    }
    Some(out)
}

/// The alternative to a phrase that was typed without spaces.
fn in_one(text: &str) -> String {
    let mut out = String::new();
    if !text.contains(char::is_whitespace) {
        quote(&cut(text.trim_matches(|sign: char| !sign.is_alphanumeric())).to_lowercase(), &mut out);
        out.push_str(" | ");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_all_wanted_unless_or_stands_between_them() {
        assert_eq!(query("Crabs and plants"), "'crab' & 'plant'");
        assert_eq!(query("crab or plant eats"), "'crab' | 'plant' & 'eat'");
        assert_eq!(query("or crab OR or the or plant or"), "'crab' | 'plant'");
        assert_eq!(query("crab|plant&(eat)"), "'crab' & 'plant' & 'eat'");
    }

    #[test]
    fn what_a_minus_stands_before_is_excluded() {
        assert_eq!(query("crab -plant"), "'crab' & !'plant'");
        assert_eq!(query("--crab -the"), "!'crab'");
        assert_eq!(query("-\"sea crab\" x"), "!('sea' <1> 'crab') & 'x'");
        assert_eq!(query("crab - plant"), "'crab' & 'plant'");
        assert_eq!(query("crab -or plant"), "'crab' & 'plant'");
    }

    #[test]
    fn quotes_make_a_phrase_in_which_stop_words_have_their_places() {
        assert_eq!(query("\"crab of the sea\""), "('crab' <3> 'sea')");
        assert_eq!(query("\"the crab\" \"or\""), "'crab'");
        assert_eq!(query("5\" sea crab"), "'5' & ('sea' <1> 'crab')");
        assert_eq!(query("\"foo bar\"baz"), "('foo' <1> 'bar') & 'baz'");
    }

    #[test]
    fn what_falls_apart_is_a_phrase_or_one_word() {
        assert_eq!(query("foo-bars"), "('foo-bars' | 'foo' <1> 'bar')");
        assert_eq!(query("<Alice@Example.com>."), "('alice@example.com' | 'alic' <1> 'example.com')");
        assert_eq!(query("-日本語"), "!('日本語' | '日' <1> '本' <1> '語')");
        assert_eq!(query("a\\b'c x"), "('a\\\\b''c' | 'b' <1> 'c') & 'x'");
        assert_eq!(query("crab,plant"), "('crab,plant' | 'crab' <1> 'plant')");
        assert_eq!(query("Ann's don't"), "'ann'");
    }

    #[test]
    fn where_no_word_is_left_nothing_is() {
        for typed in ["", " ", "the", "of the", "-", "--", "\"", "\"\"", "'\"&|!(:*", "\\", "%", "or", "🦀", "-the"] {
            assert_eq!(query(typed), "", "{typed}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_every_quote_closes(typed in "\\PC{0,60}|[a-c\"' \\\\or()-]{0,40}") {
            let query = query(&typed);
            let text = query.replace("\\\\", "");
            prop_assert_eq!(text.matches('\'').count() % 2, 0);
            // What is outside of lexemes is ours.
            let outside: String = text.split('\'').step_by(2).collect();
            prop_assert!(outside.chars().all(|sign| " |&!()<>0123456789".contains(sign)), "{}", query);
        }
    }
}
