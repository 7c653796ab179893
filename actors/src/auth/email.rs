//! An e-mail address that never shows itself in logs, spans or errors.

use std::fmt;

/// An address that looks like one: something, an at sign, a domain with a dot. Whether it can be
/// delivered to is not known. At most 254 characters, as RFC 5321 section 4.5.3.1.3 allows for a path.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address")]
pub struct NotAnEmail;

impl Email {
    /// Checks text from outside; the white space around it is cut off.
    ///
    /// # Errors
    /// When it does not look like an address.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(NotAnEmail)?;
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        let sound = (1..=64).contains(&local.len())
            && text.len() <= 254
            && !text.chars().any(|c| c.is_control() || c.is_whitespace())
            && !local.contains(['@', '"', '<', '>', '(', ')', ',', ';', ':', '\\'])
            && domain.contains('.')
            && domain.split('.').all(label);
        if sound { Ok(Self(text.to_owned())) } else { Err(NotAnEmail) }
    }

    /// An address that was checked when it was stored.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The address itself: for the database and its owner, never for logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

/// `alice@example.com` becomes `al***@example.com`; a local part of two characters or fewer shows one.
pub fn mask(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or(("", address));
    let shown = if local.chars().count() > 2 { 2 } else { 1 };
    format!("{}***@{domain}", local.chars().take(shown).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_shows_itself_only_masked() {
        let email = Email::parse("alice@example.com").unwrap_or_else(|_| unreachable!());
        assert_eq!(format!("{email} {email:?}"), "al***@example.com al***@example.com");
        assert_eq!(mask("al@example.com"), "a***@example.com");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in
            ["", "a", "@", "a@", "@b.c", "a@b", "a b@c.de", "a@b..c", "a@-b.c", "a\0@b.cd", "a@b@c.de", "<a>@b.cd"]
        {
            assert_eq!(Email::parse(text), Err(NotAnEmail), "{text:?}");
        }
        for text in ["a@b.cd", "A.b+c@x-y.example", " a@b.cd ", "ä@ö.example"] {
            assert!(Email::parse(text).is_ok(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Email::parse(&text);
            let _ = mask(&text);
        }
    }
}
