//! Cursors: where to go on in a list, in a form that nobody takes for one to count with.
//!
//! ```text
//! c<16 hex digits>   after the entry with this id, towards the older ones
//! p<16 hex digits>   before it, towards the newer ones
//! ```
//!
//! They keep no secret: whoever makes a cursor of their own sees nothing that they could not see anyway. What has the
//! form of a cursor is one, so that the description can say exactly what is taken.
//!
//! Ids are given in the order of publication and never change, so that a walk by cursor meets every entry that was
//! there when it began exactly once, as long as it stays there. An entry may commit after one with a larger id: whoever
//! has passed its place meets it in their next walk.

use std::fmt;
use std::str::FromStr;

/// Keeps people from reading ids out of cursors; it protects nothing.
const MASK: u64 = 0x5a5a_c3c3_9696_a5a5;

/// The form of a cursor that leads to older entries: an id is positive, so that the highest bit is the mask's. An empty
/// one is none.
pub const OLDER_PATTERN: &str = "^(c[0-7][0-9a-f]{15})?$";
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

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, masked) = self.parts();
        write!(f, "{letter}{masked:016x}")
    }
}

/// What is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list")]
pub struct Strange;

impl FromStr for Cursor {
    type Err = Strange;

    fn from_str(text: &str) -> Result<Self, Strange> {
        let digits = text.get(1..).ok_or(Strange)?;
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
    fn nothing_else_is_a_cursor() {
        for text in [
            "",
            "c",
            "1",
            "c123",
            "c00000000000000zz",
            "cffffffffffffffff",
            "c5A5AC3C39696A5B0",
            "c00000000000000000",
            "ccccccccccccccccccccc",
            "🦀🦀🦀🦀🦀🦀",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(Strange), "{text}");
        }
        assert!(Cursor::Older(-1).to_string().parse::<Cursor>().is_err());
    }
}
