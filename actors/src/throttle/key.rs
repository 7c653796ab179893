//! The names of limits: what is counted is hidden in them by a keyed hash, so that who reads Redis learns nobody's
//! address.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::message::Policy;

/// What hashes are keyed with. Never shows itself.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// Made of a secret that all nodes share, and of no use to find that out.
    pub fn of(secret: &str) -> Option<Self> {
        let mut derived = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        derived.update(b"callboard throttle keys");
        Hmac::new_from_slice(&derived.finalize().into_bytes()).ok().map(Self)
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(***)")
    }
}

/// A key that says whose it is: for numbers that mean nothing outside.
pub(super) fn plain(prefix: &str, policy: Policy, number: i64) -> Arc<str> {
    format!("{prefix}throttle:{}:{number}", policy.as_str()).into()
}

/// A key that does not.
pub(super) fn hidden(prefix: &str, kind: &str, Pepper(pepper): &Pepper, parts: &[&str]) -> Arc<str> {
    let mut hash = pepper.clone();
    for part in [kind].iter().chain(parts) {
        // With its length before it, no part can be taken for two.
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize().into_bytes();
    // 128 bits are enough for nobody to find two alike.
    let shown = BASE64_URL_SAFE_NO_PAD.encode(hash.get(..16).unwrap_or(&hash));
    format!("{prefix}throttle:{kind}:{shown}").into()
}

/// Who is counted together: an address of IPv4, or the /64 of IPv6 that one customer has.
pub(super) fn household(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_is_an_address_or_a_network() {
        let of = |text: &str| text.parse().map(household).unwrap_or_default();
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn a_key_tells_nothing_and_differs_with_the_pepper_and_every_part() {
        let (Some(one), Some(other)) = (Pepper::of("a"), Pepper::of("b")) else { unreachable!() };
        let key = hidden("p:", "logins", &one, &["ann@example.com", "192.0.2.1"]);
        assert!(key.starts_with("p:throttle:logins:") && !key.contains("ann") && !key.contains("192"));
        assert_ne!(key, hidden("p:", "logins", &other, &["ann@example.com", "192.0.2.1"]));
        assert_ne!(key, hidden("p:", "logins", &one, &["ann@example.com192.", "0.2.1"]));
        assert_eq!(format!("{one:?}"), "Pepper(***)");
    }
}
