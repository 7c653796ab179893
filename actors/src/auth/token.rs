//! Access tokens (signed, short-lived, verified without asking anybody, and known when they come again) and refresh
//! tokens (random, kept as hashes). Whether an access token's session is still open is another question, asked of the
//! database for every request.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::keys::{Keys, Secrets};
use super::known_tokens::{Known, KnownTokens};
use super::message::{SessionId, UserId};
use crate::kit::Fault;
use crate::kit::kept::Size;

/// How far clocks may differ, in seconds: a token is valid that much before its time and after it.
const LEEWAY: u32 = 5;
/// The type of token: one of these is not taken for anything else that is signed with the same key.
const ACCESS: &str = "access";

/// What access tokens are set up with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What they are signed with.
    pub secrets: Secrets,
    /// Who issues them.
    pub issuer: String,
    /// For whom.
    pub audience: String,
    /// How long each is valid.
    pub lifetime: Duration,
    /// The bytes that may be taken by what is known of tokens that were verified before.
    pub keep: usize,
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
    keys: Keys,
    validation: Validation,
    known: KnownTokens,
    settings: Settings,
}

impl Tokens {
    /// Tokens as the settings say.
    pub fn new(settings: &Settings) -> Self {
        // The algorithm is pinned: a token that names another one, or none, is not looked at.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY.into();
        let known = KnownTokens::new(settings.keep);
        Self { keys: Keys::new(&settings.secrets), validation, known, settings: settings.clone() }
    }

    /// How long an access token is valid.
    pub fn lifetime(&self) -> Duration {
        self.settings.lifetime
    }

    /// A token for a session.
    ///
    /// # Errors
    /// Only when the signing library contradicts itself.
    pub fn issue(&self, user: UserId, session: SessionId) -> Result<String, Fault> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: user.0.to_string(),
            sid: session.0,
            jti: Uuid::new_v4(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(i64::try_from(self.settings.lifetime.as_secs()).unwrap_or(i64::MAX)),
            typ: ACCESS.to_owned(),
        };
        let (name, key) = &self.keys.signing;
        let header = Header { kid: Some(name.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, key).map_err(Fault::internal)
    }

    /// What a token says, if it is ours and valid now.
    ///
    /// # Errors
    /// When it is anything else; it does not say what, since that helps only forgers.
    pub fn verify(&self, token: &str) -> Result<Verified, InvalidToken> {
        let digest = KnownTokens::digest(token);
        match self.known.find(&digest) {
            Some(known) => known.at(OffsetDateTime::now_utc().unix_timestamp()).ok_or(InvalidToken),
            None => {
                let known = self.read(token)?;
                self.known.keep(digest, known);
                Ok(known.verified)
            }
        }
    }

    /// How much is known of tokens that were verified before.
    pub(crate) fn known(&self) -> Size {
        self.known.size()
    }

    fn read(&self, token: &str) -> Result<Known, InvalidToken> {
        let named = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid);
        let key = named.and_then(|name| self.keys.find(&name)).ok_or(InvalidToken)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| InvalidToken)?.claims;
        if claims.typ != ACCESS {
            return Err(InvalidToken);
        }
        let user = claims.sub.parse().map(UserId).map_err(|_| InvalidToken)?;
        let leeway = i64::from(LEEWAY);
        let (from, until) = (claims.nbf.saturating_sub(leeway), claims.exp.saturating_add(leeway));
        Ok(Known { verified: Verified { user, session: SessionId(claims.sid) }, from, until })
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
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use jsonwebtoken::EncodingKey;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// What is done to a header and to claims.
    type Change<'a> = &'a dyn Fn(&mut Value, &mut Value);

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "another secret of thirty-two byt";

    fn settings(secrets: &str) -> Settings {
        Settings {
            secrets: Secrets::parse(secrets).unwrap_or_else(|e| unreachable!("{e}")),
            issuer: "callboard".to_owned(),
            audience: "readers".to_owned(),
            lifetime: Duration::from_secs(900),
            keep: 1 << 20,
        }
    }

    fn tokens(secrets: &str) -> Tokens {
        Tokens::new(&settings(secrets))
    }

    fn issued(by: &Tokens) -> String {
        by.issue(UserId(7), SessionId(Uuid::nil())).unwrap_or_else(|fault| unreachable!("{fault}"))
    }

    /// A part of a token: 0 is the header, 1 the claims.
    fn part(token: &str, number: usize) -> Value {
        let part = token.split('.').nth(number).unwrap_or_default();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default()).unwrap_or_default()
    }

    /// What comes of one of our tokens when its header and claims are changed and it is signed again as they say.
    fn changed(change: impl Fn(&mut Value, &mut Value)) -> Result<Verified, InvalidToken> {
        let token = issued(&tokens(ONE));
        let (mut header, mut claims) = (part(&token, 0), part(&token, 1));
        change(&mut header, &mut claims);
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let algorithm = serde_json::from_value(header["alg"].clone()).unwrap_or(Algorithm::HS256);
        let key = EncodingKey::from_secret(ONE.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap_or_default();
        let (tokens, token) = (tokens(ONE), format!("{message}.{signature}"));
        let verified = tokens.verify(&token);
        assert_eq!(tokens.verify(&token), verified, "it is judged alike when it is known");
        verified
    }

    #[test]
    fn a_token_says_what_it_was_issued_for_and_only_to_its_issuer() -> Result<(), Fault> {
        let (user, session) = (UserId(7), SessionId(Uuid::new_v4()));
        let token = tokens(ONE).issue(user, session)?;
        assert_eq!(tokens(ONE).verify(&token), Ok(Verified { user, session }));
        assert_eq!(tokens(OTHER).verify(&token), Err(InvalidToken));
        let mut claims: Vec<_> =
            part(&token, 1).as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        claims.sort_unstable();
        assert_eq!(claims, ["aud", "exp", "iat", "iss", "jti", "nbf", "sid", "sub", "typ"]);
        assert_ne!(part(&token, 1)["jti"], part(&tokens(ONE).issue(user, session)?, 1)["jti"]);
        Ok(())
    }

    #[test]
    fn keys_are_exchanged_while_tokens_are_out() {
        let both = |first, second| tokens(&format!("{first},{second}"));
        let (old, known, first, new) = (tokens(ONE), both(ONE, OTHER), both(OTHER, ONE), tokens(OTHER));
        // At each step nodes of this and of the next one work side by side.
        for (one, next) in [(&old, &known), (&known, &first), (&first, &new)] {
            assert!(next.verify(&issued(one)).is_ok() && one.verify(&issued(next)).is_ok());
        }
        assert_eq!(new.verify(&issued(&old)), Err(InvalidToken));
        assert_eq!(part(&issued(&first), 0)["kid"], part(&issued(&new), 0)["kid"], "the first signs");
    }

    #[test]
    fn a_token_that_differs_from_ours_in_anything_that_counts_is_refused() {
        assert!(changed(|_, _| ()).is_ok());
        assert!(changed(|_, claims| claims["more"] = json!(true)).is_ok());
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let refused: [(&str, Change<'_>); 18] = [
            ("no key is named", &|header, _| drop(header.as_object_mut().and_then(|header| header.remove("kid")))),
            ("another key is named", &|header, _| header["kid"] = part(&issued(&tokens(OTHER)), 0)["kid"].clone()),
            ("an empty key is named", &|header, _| header["kid"] = json!("")),
            ("a stronger algorithm", &|header, _| header["alg"] = json!("HS512")),
            ("an algorithm of another family", &|header, _| header["alg"] = json!("RS256")),
            ("no algorithm", &|header, _| header["alg"] = json!("none")),
            ("no algorithm, in capitals", &|header, _| header["alg"] = json!("NONE")),
            ("another type", &|_, claims| claims["typ"] = json!("refresh")),
            ("no type", &|_, claims| claims["typ"] = Value::Null),
            ("another issuer", &|_, claims| claims["iss"] = json!("other")),
            ("another audience", &|_, claims| claims["aud"] = json!("callboard")),
            ("nobody", &|_, claims| claims["sub"] = json!("")),
            ("no session", &|_, claims| claims["sid"] = json!("7")),
            ("no number of its own", &|_, claims| claims["jti"] = Value::Null),
            ("without an end", &|_, claims| claims["exp"] = Value::Null),
            ("expired", &|_, claims| claims["exp"] = json!(now - 30)),
            ("not yet valid", &|_, claims| claims["nbf"] = json!(now + 30)),
            ("issued by nobody", &|_, claims| claims["iss"] = Value::Null),
        ];
        for (what, change) in refused {
            assert_eq!(changed(change), Err(InvalidToken), "{what}");
        }
    }

    #[test]
    fn clocks_may_differ_by_a_few_seconds() {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        assert!(changed(|_, claims| claims["exp"] = json!(now - 1)).is_ok());
        assert!(changed(|_, claims| claims["nbf"] = json!(now + 3)).is_ok());
    }

    #[test]
    fn a_refresh_token_never_shows_itself() {
        let token = RefreshToken::random();
        assert!(!format!("{token:?}").contains(token.expose()) && token.expose().len() == 64);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_verifier_panic_or_pass(text in any::<String>()) {
            prop_assert_eq!(tokens(ONE).verify(&text), Err(InvalidToken));
        }

        #[test]
        fn a_token_changed_anywhere_is_refused(at in 0_usize..400, with in "[A-Za-z0-9_.-]") {
            let tokens = tokens(ONE);
            let token = issued(&tokens);
            prop_assert!(tokens.verify(&token).is_ok() && tokens.verify(&token).is_ok());
            let at = at % token.len();
            let changed = format!("{}{with}{}", token.get(..at).unwrap_or(""), token.get(at + 1..).unwrap_or(""));
            // The last character of base64 holds bits that do not count.
            if changed != token && at + 1 < token.len() {
                prop_assert_eq!(tokens.verify(&changed), Err(InvalidToken));
            }
        }
    }
}
