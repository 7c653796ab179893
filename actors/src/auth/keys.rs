//! The keys that access tokens are signed with: several, so that they can be exchanged while tokens are out.
//!
//! ```text
//! JWT_SECRET = old        ─▶ old,new (every node knows the new one) ─▶ new,old (it signs) ─▶ new
//! ```
//!
//! The first signs, all verify. A token names its key (`kid`); one that names none or another is refused without
//! trying all. What must stay true: the name tells nothing of the key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sha2::Sha256;

/// HMAC-SHA256's own strength, in bytes.
const LEAST: usize = 32;
/// What is signed with a key to name it.
const NAMING: &[u8] = b"callboard: the name of this key";
/// As much of that as makes the name, in bytes.
const NAME_LENGTH: usize = 8;

/// The secrets of the keys: at least one, each of at least 32 bytes, none twice.
#[derive(Clone)]
pub struct Secrets {
    first: String,
    others: Vec<String>,
}

impl Secrets {
    /// Reads secrets that are separated by commas; the white space around each is cut off.
    ///
    /// # Errors
    /// When one is shorter than 32 bytes or there twice. The message repeats none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let secrets: Vec<String> = text.split(',').map(|secret| secret.trim().to_owned()).collect();
        if let Some(short) = secrets.iter().position(|secret| secret.len() < LEAST) {
            let which = if secrets.len() > 1 { format!(": number {} is shorter", short + 1) } else { String::new() };
            return Err(format!("must have at least {LEAST} bytes, or several of that, separated by commas{which}"));
        }
        let mut different = secrets.clone();
        different.sort_unstable();
        different.dedup();
        if different.len() < secrets.len() {
            return Err("must not hold the same secret twice".to_owned());
        }
        let mut secrets = secrets.into_iter();
        let first = secrets.next().unwrap_or_default();
        Ok(Self { first, others: secrets.collect() })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(***)")
    }
}

/// The keys themselves, by their names.
pub(super) struct Keys {
    /// The one that signs.
    pub(super) signing: (String, EncodingKey),
    verifying: Vec<(String, DecodingKey)>,
}

impl Keys {
    pub(super) fn new(secrets: &Secrets) -> Self {
        let all = std::iter::once(&secrets.first).chain(&secrets.others);
        Self {
            signing: (name(&secrets.first), EncodingKey::from_secret(secrets.first.as_bytes())),
            verifying: all.map(|secret| (name(secret), DecodingKey::from_secret(secret.as_bytes()))).collect(),
        }
    }

    /// The key of this name.
    pub(super) fn find(&self, wanted: &str) -> Option<&DecodingKey> {
        self.verifying.iter().find(|(name, _)| name == wanted).map(|(_, key)| key)
    }
}

/// A key's name: the same on every node, and of no use to whoever looks for the key.
fn name(secret: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(NAMING);
    mac.finalize().into_bytes().iter().take(NAME_LENGTH).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "another secret of thirty-two byt";

    #[test]
    fn secrets_are_separated_by_commas_and_each_is_long_enough_and_there_once() {
        assert!(Secrets::parse(ONE).is_ok());
        assert!(Secrets::parse(&format!(" {ONE} ,\n{OTHER}")).is_ok_and(|secrets| secrets.others == [OTHER]));
        let wrong = ["", " ", "short", &format!("{ONE},"), &format!(",{ONE}"), &format!("{ONE},short, {OTHER}")];
        for text in wrong.into_iter().chain([format!("{ONE}, {ONE}").as_str()]) {
            let Err(problem) = Secrets::parse(text) else { unreachable!("{text:?} was taken") };
            assert!(!problem.contains(ONE) && !problem.contains("short,"), "{problem}");
        }
        assert!(Secrets::parse(&format!("{ONE},short")).is_err_and(|problem| problem.contains("number 2")));
    }

    #[test]
    fn a_key_has_a_name_of_its_own_that_shows_nothing_of_it() {
        let Ok(secrets) = Secrets::parse(&format!("{ONE},{OTHER}")) else { unreachable!() };
        let keys = Keys::new(&secrets);
        assert_eq!(keys.signing.0, name(ONE));
        assert!(keys.find(&name(ONE)).is_some() && keys.find(&name(OTHER)).is_some());
        assert!(name(ONE) != name(OTHER) && name(ONE).len() == 2 * NAME_LENGTH);
        assert!(keys.find("").is_none() && keys.find(ONE).is_none());
        assert_eq!(format!("{secrets:?}"), "Secrets(***)");
    }
}
