//! Cursors: where to go on in a list, in a form that nobody takes for one to count with.
//!
//! ```text
//! c<16 hex digits><4 hex digits>   after the entry with this id, towards the older ones
//! p<16 hex digits><4 hex digits>   before it, towards the newer ones
//! ```
//!
//! The last four digits are a check, so that what is mistyped, cut off or made up is refused and leads nowhere. They
//! keep no secret: whoever makes a cursor of their own sees nothing that they could not see anyway.
//!
//! Ids are given in the order of publication and never change, so that a walk by cursor meets every entry that was
//! there when it began exactly once, as long as it stays there. An entry may commit after one with a larger id: whoever
//! has passed its place meets it in their next walk.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Keeps people from reading ids out of cursors; it protects nothing.
const MASK: u64 = 0x5a5a_c3c3_9696_a5a5;

/// A place in a list that is newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Entries with smaller ids.
    Older(i64),
    /// Entries with larger ids.
    Newer(i64),
}

impl Cursor {
    fn parts(self) -> (char, u64) {
        let (letter, id) = match self {
            Self::Older(id) => ('c', id),
            Self::Newer(id) => ('p', id),
        };
        (letter, id.cast_unsigned() ^ MASK)
    }
}

fn check(letter: char, masked: u64) -> u64 {
    xxh3_64_with_seed(&masked.to_be_bytes(), u64::from(letter)) & 0xffff
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, masked) = self.parts();
        write!(f, "{letter}{masked:016x}{:04x}", check(letter, masked))
    }
}

/// What is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list")]
pub struct Strange;

impl FromStr for Cursor {
    type Err = Strange;

    fn from_str(text: &str) -> Result<Self, Strange> {
        let digits = text.get(1..17).ok_or(Strange)?;
        let id = (u64::from_str_radix(digits, 16).map_err(|_| Strange)? ^ MASK).cast_signed();
        let cursor = if text.starts_with('c') { Self::Older(id) } else { Self::Newer(id) };
        // There is one way to write each: whatever else leads to the same id is not ours.
        if id >= 0 && cursor.to_string() == text { Ok(cursor) } else { Err(Strange) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(id in 0..i64::MAX) {
            for cursor in [Cursor::Older(id), Cursor::Newer(id)] {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }

        #[test]
        fn whatever_is_read_was_written_so(text in "[cp+]?[0-9a-fA-F+]{0,24}|\\PC*") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn digits_that_are_mistyped_are_noticed() {
        let mistyped = (0..1000_i64).flat_map(|id| {
            let written = Cursor::Older(id).to_string();
            (1..written.len()).map(move |at| {
                let other = if written.as_bytes()[at] == b'0' { "1" } else { "0" };
                [&written[..at], other, &written[at + 1..]].concat()
            })
        });
        let taken = mistyped.filter(|text| text.parse::<Cursor>().is_ok()).count();
        // One change in 65,536 comes to the same check.
        assert!(taken <= 3, "{taken} of 20000");
    }

    #[test]
    fn nothing_else_is_a_cursor() {
        for text in
            ["", "c", "1", "c123", "c00000000000000zz", "c0000000000000000", "ccccccccccccccccccccc", "🦀🦀🦀🦀🦀🦀"]
        {
            assert_eq!(text.parse::<Cursor>(), Err(Strange), "{text}");
        }
        assert!(Cursor::Older(-1).to_string().parse::<Cursor>().is_err());
    }
}
