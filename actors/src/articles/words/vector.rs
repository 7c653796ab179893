//! An article's texts as the text of a `tsvector`: every lexeme with the places where it stands.
//!
//! ```text
//! title 16101 … 16355, weight A     description 15001 … 16000, weight B     body 1301 … 15000, no weight
//! ```
//!
//! What must stay true: each text has a range of positions of its own, so that an edit of one leaves the others' words
//! where they are, and no phrase reaches from one into another. The ranges also keep off what PostgreSQL numbers from 1
//! on, title first: where one lexeme has one place with two weights only the higher is kept, and the other text would
//! lose the word at the next edit. All of an article's places for a lexeme are at most 256, and all of it is less than
//! 1 MB: that is what PostgreSQL takes.

use std::collections::HashMap;

use super::{Lexemes, quote, words};

/// So many characters of a text have their words found, as ever.
const INDEXED: usize = 100_000;
/// A character has up to four bytes, and PostgreSQL needs up to five more for a word with its first place; titles and
/// descriptions have little. So what is indexed always fits.
const _: () = assert!((INDEXED + 2 * 1255) * (4 + 5) < (1 << 20) - 1);

/// Which of an article's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its headline, which weighs most.
    Title,
    /// What it is about.
    Description,
    /// Its text.
    Body,
}

impl Part {
    /// The first and the last of its positions. Words beyond have the last one.
    const fn positions(self) -> (u16, u16) {
        match self {
            Self::Title => (16_101, 16_355),
            Self::Description => (15_001, 16_000),
            Self::Body => (1_301, 15_000),
        }
    }

    /// At how many places one lexeme is kept.
    const fn places(self) -> usize {
        match self {
            Self::Title | Self::Description => 32,
            Self::Body => 192,
        }
    }

    const fn weight(self) -> &'static str {
        match self {
            Self::Title => "A",
            Self::Description => "B",
            Self::Body => "",
        }
    }
}

/// The words of one of an article's texts. Those of several are joined with a space between them.
pub fn vector(part: Part, text: &str) -> String {
    let (first, last) = part.positions();
    let positions = (first..=last).chain(std::iter::repeat(last));
    let mut found = Found::new();
    for (word, position) in words(indexed(text)).zip(positions) {
        found.add(word, position, part.places());
    }
    found.write(part.weight())
}

fn indexed(text: &str) -> &str {
    if text.len() <= INDEXED {
        return text;
    }
    text.char_indices().nth(INDEXED).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// What was found in a text. A word is stemmed when it is met first, which is what makes this cheap.
struct Found<'a> {
    stems: Lexemes,
    of_word: HashMap<&'a str, Option<usize>>,
    of_lexeme: HashMap<String, usize>,
    /// Of each lexeme, in the order in which they were met.
    places: Vec<Vec<u16>>,
}

impl<'a> Found<'a> {
    fn new() -> Self {
        Self { stems: Lexemes::new(), of_word: HashMap::new(), of_lexeme: HashMap::new(), places: Vec::new() }
    }

    fn add(&mut self, word: &'a str, position: u16, most: usize) {
        let known = self.of_word.get(word).copied();
        let lexeme = known.unwrap_or_else(|| self.learn(word));
        if let Some(places) = lexeme.and_then(|lexeme| self.places.get_mut(lexeme))
            && places.len() < most
            && places.last() != Some(&position)
        {
            places.push(position);
        }
    }

    /// A word that was not met before. Its lexeme may have been.
    fn learn(&mut self, word: &'a str) -> Option<usize> {
        let lexeme = self.stems.of(word).map(|lexeme| {
            *self.of_lexeme.entry(lexeme).or_insert_with(|| {
                self.places.push(Vec::new());
                self.places.len() - 1
            })
        });
        self.of_word.insert(word, lexeme);
        lexeme
    }

    fn write(self, weight: &str) -> String {
        let mut lexemes: Vec<(String, usize)> = self.of_lexeme.into_iter().collect();
        lexemes.sort_unstable_by_key(|(_, met)| *met);
        let mut out = String::with_capacity(lexemes.len() * 16);
        for ((lexeme, _), places) in lexemes.iter().zip(&self.places) {
            if !out.is_empty() {
                out.push(' ');
            }
            quote(lexeme, &mut out);
            for (at, place) in places.iter().enumerate() {
                out.push(if at == 0 { ':' } else { ',' });
                write_number(*place, &mut out);
                out.push_str(weight);
            }
        }
        out
    }
}

/// by hand: there are as many as there are words.
fn write_number(number: u16, out: &mut String) {
    let digits = [10_000, 1000, 100, 10, 1].map(|unit| number / unit % 10);
    for digit in digits.into_iter().skip_while(|digit| *digit == 0) {
        out.push(char::from_digit(digit.into(), 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lexeme_stands_with_its_places_and_the_weight_of_its_text() {
        assert_eq!(vector(Part::Title, "The crab eats crabs"), "'crab':16102A,16104A 'eat':16103A");
        assert_eq!(vector(Part::Description, "Crab"), "'crab':15001B");
        assert_eq!(vector(Part::Body, "no Crab, CRAB"), "'crab':1302,1303");
        assert_eq!(vector(Part::Body, "of the"), "");
    }

    #[test]
    fn what_postgresql_could_not_keep_is_left_out() {
        let many = vector(Part::Body, &"crab ".repeat(20_000));
        assert_eq!(many.split(',').count(), 192);
        let distinct: String = (10_000..30_000).map(|number| format!("w{number} ")).collect();
        let all = vector(Part::Body, &distinct);
        // Seven characters a word: a hundred thousand end within the 14286th.
        assert_eq!(all.split(' ').count(), 14_286);
        assert!(all.contains("'w23699':15000 'w23700':15000 ") && all.ends_with(" 'w24284':15000 'w2428':15000"));
    }

    proptest! {
        #[test]
        fn positions_rise_within_the_range_of_the_text(text in "([a-c]{1,2} ?){0,3000}|\\PC{0,300}") {
            for part in [Part::Title, Part::Description, Part::Body] {
                let (first, last) = part.positions();
                let mut found = Found::new();
                let positions = (first..=last).chain(std::iter::repeat(last));
                words(&text).zip(positions).for_each(|(word, position)| found.add(word, position, part.places()));
                for places in &found.places {
                    prop_assert!((1..=part.places()).contains(&places.len()));
                    prop_assert!(places.is_sorted_by(|one, next| one < next));
                    prop_assert!(places.iter().all(|place| (first..=last).contains(place)));
                }
                prop_assert_eq!(found.of_lexeme.len(), found.places.len());
            }
        }
    }
}
