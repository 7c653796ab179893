//! Text that is fit to be stored: parsed once, at the edge, and never checked again.

use std::fmt;

/// Text of `MIN` to `MAX` characters without NUL, which PostgreSQL cannot store. Surrounding white space
/// does not count towards `MIN`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// Why text is not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It has too few characters.
    #[error("{}", if *.0 == 1 { "must not be empty".to_owned() } else { format!("must have at least {} characters", .0) })]
    TooShort(usize),
    /// It has too many characters.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// It holds a NUL character.
    #[error("must not contain NUL characters")]
    Nul,
}

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Checks text from outside.
    ///
    /// # Errors
    /// When it is too short, too long, or holds a NUL character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.contains('\0') {
            return Err(TextError::Nul);
        }
        if text.trim().chars().count() < MIN {
            return Err(TextError::TooShort(MIN));
        }
        // A character has at least one byte, so that most text need not be counted.
        if text.len() > MAX && text.chars().count() > MAX {
            return Err(TextError::TooLong(MAX));
        }
        Ok(Self(text.to_owned()))
    }

    /// The same as [`Self::parse`], without the white space around it, which counts towards `MAX` all the same: for
    /// names and headlines.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_trimmed(text: &str) -> Result<Self, TextError> {
        let Self(text) = Self::parse(text)?;
        Ok(Self(text.trim().to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Debug for Text<MIN, MAX> {
    /// What people write does not belong into logs; its length does no harm.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_accepted_fits_and_is_unchanged(text in any::<String>()) {
            if let Ok(parsed) = Text::<1, 20>::parse(&text) {
                prop_assert_eq!(parsed.as_str(), text.as_str());
                prop_assert!(text.chars().count() <= 20 && !text.trim().is_empty() && !text.contains('\0'));
            }
        }
    }

    #[test]
    fn each_mistake_is_named() {
        assert_eq!(Text::<1, 3>::parse("  "), Err(TextError::TooShort(1)));
        assert_eq!(Text::<1, 3>::parse("äöüß"), Err(TextError::TooLong(3)));
        assert_eq!(Text::<1, 3>::parse("a\0"), Err(TextError::Nul));
        assert!(Text::<1, 3>::parse("äöü").is_ok());
        assert_eq!(TextError::TooShort(1).to_string(), "must not be empty");
        assert_eq!(TextError::TooShort(8).to_string(), "must have at least 8 characters");
    }
}
