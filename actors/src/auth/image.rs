//! Where a person's picture is.

use std::fmt;

/// The address of a picture on the web, or none. Others' browsers load it, so that it is `http` or `https` and
/// nothing that runs.
#[derive(Clone, PartialEq, Eq)]
pub struct Image(String);

/// The text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL of at most 2000 characters, or empty")]
pub struct NotAnImage;

impl Image {
    /// Checks text from outside; the white space around it is cut off.
    ///
    /// # Errors
    /// When it is neither empty nor an address.
    pub fn parse(text: &str) -> Result<Self, NotAnImage> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let on_the_web = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
            && rest.starts_with(|c: char| c.is_alphanumeric() || c == '[')
            && !rest.contains(|c: char| c.is_control() || c.is_whitespace());
        let sound = text.is_empty() || (on_the_web && text.chars().count() <= 2000);
        if sound { Ok(Self(text.to_owned())) } else { Err(NotAnImage) }
    }

    /// The address, or nothing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_on_the_web_or_there_is_none() {
        for text in ["", "  ", "https://example.com/a.png", " HTTP://ä.example/?q=1#x ", "https://[::1]/a"] {
            assert!(Image::parse(text).is_ok(), "{text:?}");
        }
        let long = format!("https://example.com/{}", "a".repeat(2000));
        for text in [
            "javascript:alert(1)",
            "data:image/png;base64,",
            "//a.example/b",
            "https://",
            "x",
            "http:// a",
            "https://a\0b",
            &long,
        ] {
            assert_eq!(Image::parse(text), Err(NotAnImage), "{text:?}");
        }
    }
}
