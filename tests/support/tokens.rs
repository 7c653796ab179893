//! Access tokens that a test makes itself: the service's own ones, changed.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::Value;

use super::User;

/// What a user's access token claims, changed.
pub fn claims(user: &User, change: impl Fn(&mut Value)) -> Value {
    let payload = user.access.split('.').nth(1).unwrap();
    let mut claims = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    change(&mut claims);
    claims
}

/// The header of a user's access token, which names its key.
pub fn header(user: &User) -> Header {
    jsonwebtoken::decode_header(&user.access).unwrap()
}

/// A token of this.
pub fn signed(header: &Header, secret: &str, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}
