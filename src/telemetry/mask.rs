//! The second net: e-mail addresses in whatever text leaves the process are masked, `alice@example.com` to
//! `al***@example.com`, also where the at sign is `%40`. The first net is [`actors::auth::Email`], which never shows
//! itself, and [`super::shown()`] for what clients chose.
//!
//! What must stay true: whatever [`actors::auth::Email`] takes for an address does not go through, what was masked stays
//! as it is, and JSON stays JSON. Text without an at sign costs a glance.

use std::borrow::Cow;

use memchr::memchr2_iter;
use opentelemetry::{Array, Value};

/// What an at sign is in a URL.
const ENCODED: &str = "%40";
/// What stands for the rest of a name.
const REST: &str = "***";

/// Whether there may be an address in it, which may be text or OTLP's bytes: a number in them looks like an at sign now and
/// then, but not like one before a domain.
pub(super) fn is_suspicious(text: &[u8]) -> bool {
    // One pass over what is nearly always neither.
    memchr2_iter(b'@', b'%', text).any(|at| {
        let rest = text.get(at..).unwrap_or_default();
        let after = rest.strip_prefix(b"@").or_else(|| rest.strip_prefix(ENCODED.as_bytes()));
        after.is_some_and(may_be_domain)
    })
}

/// Whether it begins like two labels; anything but ASCII may be part of one.
fn may_be_domain(text: &[u8]) -> bool {
    let part_of_it = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') || !byte.is_ascii();
    text.iter().take_while(part_of_it).skip(1).any(|byte| *byte == b'.')
}

/// The text, its addresses masked.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    if !is_suspicious(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::new();
    // What was copied so far, and where the next address may begin.
    let (mut copied, mut begin) = (0, 0);
    while let Some((at, sign)) = next_sign(text, begin) {
        let name = name_before(text.get(begin..at).unwrap_or_default());
        begin = at + sign;
        if !name.is_empty() && !is_masked(name) && is_domain(text.get(begin..).unwrap_or_default()) {
            clean.push_str(text.get(copied..at - name.len()).unwrap_or_default());
            let shown = if name.chars().count() > 2 { 2 } else { 1 };
            clean.extend(name.chars().take(shown));
            clean.push_str(REST);
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(clean)
}

/// Masks a value where it stands, and in lists.
pub(super) fn mask_value(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = masked(text.as_str()) {
                *value = clean.into();
            }
        }
        Value::Array(Array::String(texts)) => {
            for text in texts {
                if let Cow::Owned(clean) = masked(text.as_str()) {
                    *text = clean.into();
                }
            }
        }
        _ => {}
    }
}

/// The next at sign from `begin` on, and its length.
fn next_sign(text: &str, begin: usize) -> Option<(usize, usize)> {
    let rest = text.get(begin..)?;
    let plain = rest.find('@').map(|at| (begin + at, 1));
    let encoded = rest.find(ENCODED).map(|at| (begin + at, ENCODED.len()));
    plain.into_iter().chain(encoded).min()
}

/// The longest end of the text that may be the name in an address.
fn name_before(text: &str) -> &str {
    let ends_it = |c: char| c.is_control() || c.is_whitespace() || "@\"<>(),;:\\".contains(c);
    text.rsplit(ends_it).next().unwrap_or_default()
}

fn is_masked(name: &str) -> bool {
    name.strip_suffix(REST).is_some_and(|shown| (1..=2).contains(&shown.chars().count()))
}

/// Whether the text begins with labels, at least two of them.
fn is_domain(text: &str) -> bool {
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.'))).unwrap_or(text.len());
    let mut labels = text.get(..end).unwrap_or_default().split('.');
    labels.next().is_some_and(|label| !label.is_empty()) && labels.next().is_some_and(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use actors::auth::Email;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_masked_wherever_they_stand_and_the_rest_is_left() {
        for (text, clean) in [
            ("nothing here", "nothing here"),
            ("alice@example.com", "al***@example.com"),
            ("al@example.com", "a***@example.com"),
            ("al***@example.com, a***@b.cd", "al***@example.com, a***@b.cd"),
            ("from <alice@example.com> to:bob.b+x@x-y.example!", "from <al***@example.com> to:bo***@x-y.example!"),
            ("/users/alice%40example.com/x", "/u***%40example.com/x"),
            ("Key (email)=(alice@example.com) exists", "Key (email)=(al***@example.com) exists"),
            (r#"{"to":"o'brien/x=y@example.com"}"#, r#"{"to":"o'***@example.com"}"#),
            ("user@localhost @example.com 3@ 50%40", "user@localhost @example.com 3@ 50%40"),
            ("ä@ö.example ünal@ö.example", "ä***@ö.example ün***@ö.example"),
            ("a@b@c.de", "a@b***@c.de"),
        ] {
            assert_eq!(masked(text), clean);
        }
    }

    proptest! {
        #[test]
        fn no_address_goes_through_and_json_stays_json(
            before in any::<String>(), name in "[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~ä-]{1,12}",
            domain in "[a-z0-9]{1,5}(\\.[a-z]{2,5}){1,2}",
            after in any::<String>(),
        ) {
            let address = format!("{name}@{domain}");
            // What ends with asterisks cannot be told from what was masked.
            prop_assume!(Email::parse(&address).is_ok() && !name.ends_with('*'));
            for text in [address.clone(), format!("{before} {address} {after}")] {
                let json = serde_json::to_string(&serde_json::json!({"text": text})).unwrap_or_default();
                for text in [text, json] {
                    let clean = masked(&text).into_owned();
                    prop_assert!(!clean.contains(&address), "{clean}");
                    prop_assert_eq!(&masked(&clean), &clean);
                    let was_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
                    prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).is_ok(), was_json);
                }
            }
        }
    }
}
