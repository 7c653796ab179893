//! Secrets and signatures, by the Standard Webhooks specification: `v1,` and the base64 of the HMAC-SHA256 of
//! `{id}.{timestamp}.{body}`. A secret never shows itself but where it is asked to.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::kit::Fault;

/// What a webhook's messages are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// A new one, of 256 random bits.
    pub(super) fn random() -> Self {
        Self(rand::random::<[u8; 32]>().to_vec())
    }

    /// One that comes out of the database.
    pub(super) fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is stored.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// It in the form that receivers are given: for its owner only, and only once.
    pub fn shown(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    /// The signature of a message that is sent at `timestamp`, in seconds since 1970.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> Result<String, Fault> {
        // A key of any length will do, so that this never fails.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(Fault::internal)?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_the_reference_libraries_make() {
        let secret = SigningSecret::stored(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap_or_default());
        assert_eq!(secret.shown(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature.ok().as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_secret_is_long_new_and_does_not_show_itself() {
        let (one, other) = (SigningSecret::random(), SigningSecret::random());
        assert_ne!(one, other);
        assert_eq!(one.bytes().len(), 32);
        assert_eq!(format!("{one:?}"), "SigningSecret(***)");
    }
}
