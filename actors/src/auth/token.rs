//! Access tokens (signed, short-lived, verified without asking anybody) and refresh tokens (random,
//! kept as hashes). Whether an access token's session is still open is another question, asked of the
//! database for every request.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::message::{SessionId, UserId};
use crate::kit::Fault;

/// Who issues the tokens, and for whom: both are this service.
const ISSUER: &str = "callboard";
/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 5;

/// The secret that access tokens are signed with: at least 32 bytes.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Checks a secret.
    ///
    /// # Errors
    /// When it is shorter than 32 bytes, HMAC-SHA256's own strength.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() >= 32 { Ok(Self(text.to_owned())) } else { Err("must have at least 32 bytes".to_owned()) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: Uuid,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    typ: String,
}

/// What a valid access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub user: UserId,
    /// The session that it belongs to.
    pub session: SessionId,
}

/// The token is not one of ours, or no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid token")]
pub struct InvalidToken;

/// Issues and verifies access tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    /// How long an access token is valid.
    pub lifetime: Duration,
}

impl Tokens {
    /// Tokens signed with `secret` and valid for `lifetime`.
    pub fn new(secret: &Secret, lifetime: Duration) -> Self {
        // The algorithm is pinned: a token that names another one, or none, is not looked at.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        Self {
            encoding: EncodingKey::from_secret(secret.0.as_bytes()),
            decoding: DecodingKey::from_secret(secret.0.as_bytes()),
            validation,
            lifetime,
        }
    }

    /// A token for a session.
    ///
    /// # Errors
    /// Only when the signing library contradicts itself.
    pub fn issue(&self, user: UserId, session: SessionId) -> Result<String, Fault> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: user.0.to_string(),
            sid: session.0,
            jti: Uuid::new_v4(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)),
            typ: "access".to_owned(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(Fault::internal)
    }

    /// What a token says, if it is ours and valid now.
    ///
    /// # Errors
    /// When it is anything else; it does not say what, since that helps only forgers.
    pub fn verify(&self, token: &str) -> Result<Verified, InvalidToken> {
        let claims =
            jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).map_err(|_| InvalidToken)?.claims;
        if claims.typ != "access" {
            return Err(InvalidToken);
        }
        let user = claims.sub.parse().map(UserId).map_err(|_| InvalidToken)?;
        Ok(Verified { user, session: SessionId(claims.sid) })
    }
}

/// A refresh token, as its holder has it.
#[derive(Clone)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// A new one, of 256 random bits.
    pub fn random() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// One that somebody brings: anything at all, hashed and never stored.
    pub fn claimed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The token itself: for its holder only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored. The token is random and long, so that a plain hash needs no salt.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&Secret::parse(secret).unwrap_or_else(|e| unreachable!("{e}")), Duration::from_secs(900))
    }

    #[test]
    fn a_token_says_what_it_was_issued_for_and_only_to_its_issuer() -> Result<(), Fault> {
        let (user, session) = (UserId(7), SessionId(Uuid::new_v4()));
        let token = tokens(SECRET).issue(user, session)?;
        assert_eq!(tokens(SECRET).verify(&token), Ok(Verified { user, session }));
        assert_eq!(tokens("another secret of thirty-two byt").verify(&token), Err(InvalidToken));
        Ok(())
    }

    proptest! {
        #[test]
        fn no_text_makes_the_verifier_panic_or_pass(text in any::<String>()) {
            prop_assert_eq!(tokens(SECRET).verify(&text), Err(InvalidToken));
        }

        #[test]
        fn a_token_changed_anywhere_is_refused(at in 0_usize..400, with in "[A-Za-z0-9_.-]") {
            let token = tokens(SECRET).issue(UserId(7), SessionId(Uuid::nil())).unwrap_or_default();
            let at = at % token.len();
            let changed = format!("{}{with}{}", token.get(..at).unwrap_or(""), token.get(at + 1..).unwrap_or(""));
            // The last character of base64 holds bits that do not count.
            if changed != token && at + 1 < token.len() {
                prop_assert_eq!(tokens(SECRET).verify(&changed), Err(InvalidToken));
            }
        }
    }
}
