//! Text that clients chose and that we write down for operators: paths, names of agents, ids of requests. Whoever puts
//! a token or an address there by mistake is not to find it in our logs.
//!
//! What must stay true: nothing that looks like a token of ours or an e-mail address goes through; all else does as it
//! is. A password cannot be told from any other word.

use std::borrow::Cow;

use actors::auth::email::mask;
use memchr::memchr2_iter;

/// What stands for a token.
const HIDDEN: &str = "***";
/// A refresh token has 64 hexadecimal digits, ids have 32.
const LONGEST_ID: usize = 40;

/// The text without what is nobody's business.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !is_suspicious(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let part_of_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@' | '%');
    let mut clean = String::with_capacity(text.len());
    for part in text.split_inclusive(|c| !part_of_word(c)) {
        let word = part.trim_end_matches(|c| !part_of_word(c));
        clean.push_str(&shown_word(word));
        clean.push_str(part.get(word.len()..).unwrap_or_default());
    }
    Cow::Owned(clean)
}

/// Looked at for each request, and hardly ever so.
fn is_suspicious(text: &[u8]) -> bool {
    // An address in a path comes percent-encoded as often as not.
    let is_sign = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with(b"@") || rest.starts_with(b"%40"));
    // Of what a token begins with, the letters that are rare elsewhere: J in eyJ, the underscore in whsec_.
    let is_token = |at: usize| {
        let ends = |what: &[u8]| text.get(..=at).is_some_and(|begin| begin.ends_with(what));
        ends(b"eyJ") || ends(b"whsec_")
    };
    text.len() > LONGEST_ID
        || memchr2_iter(b'@', b'%', text).any(is_sign)
        || memchr2_iter(b'J', b'_', text).any(is_token)
}

fn shown_word(word: &str) -> Cow<'_, str> {
    let is_jwt = word.starts_with("eyJ") && word.matches('.').count() >= 2;
    let is_digest = word.len() > LONGEST_ID && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_jwt || is_digest || word.starts_with("whsec_") {
        return HIDDEN.into();
    }
    let decoded = word.replace("%40", "@");
    match decoded.rsplit_once('@') {
        Some((local, _)) if !local.is_empty() => mask(&decoded).into(),
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_addresses_are_hidden_and_the_rest_is_left() {
        let refresh = "0f".repeat(32);
        for (text, clean) in [
            ("/api/articles/on-actors-k7m2p9xa", "/api/articles/on-actors-k7m2p9xa"),
            ("/api/articles/eyJhbGciOi.eyJpc3Mi.c2ln", "/api/articles/***"),
            (&format!("/x/{refresh}/y"), "/x/***/y"),
            ("agent/1.0 (alice@example.com)", "agent/1.0 (al***@example.com)"),
            ("/users/alice%40example.com/", "/users/al***@example.com/"),
            ("6f1c3c9d4b0f4a0f8a5d2c7e9b1a3d5f", "6f1c3c9d4b0f4a0f8a5d2c7e9b1a3d5f"),
            ("key=whsec_MfKQ9r8GKYqr", "key=***"),
        ] {
            assert_eq!(shown(text), clean);
        }
    }
}
