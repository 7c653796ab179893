//! Whoever a token says that one is, if its session is open.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Answer, Failure, Plain, json};

const FIND: &str = include_str!("find_user.sql");

#[derive(Serialize)]
struct User<'a> {
    id: i64,
    email: &'a str,
    name: &'a str,
    bio: &'a str,
    image: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// The current user, if they are signed in.
pub(crate) async fn find(plain: &Plain, headers: &HeaderMap) -> Answer {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let session = plain.tokens().session(token.ok_or("there is no token")?)?;
    let Some(row) = plain.one(FIND, &[&session]).await? else { return Ok(None) };
    json(&User {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        bio: row.try_get("bio")?,
        image: row.try_get("image")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// Verifies the service's access tokens.
pub(crate) struct Tokens(Hmac<Sha256>);

#[derive(Deserialize)]
struct Claims {
    sid: Uuid,
    exp: i64,
}

impl Tokens {
    /// Those that are signed with this.
    pub(crate) fn new(secret: &str) -> Result<Self, Failure> {
        Ok(Self(Hmac::new_from_slice(secret.as_bytes())?))
    }

    /// Whose session it is of.
    fn session(&self, token: &str) -> Result<Uuid, Failure> {
        let (signed, signature) = token.rsplit_once('.').ok_or("that is no token")?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature)?;
        self.0.clone().chain_update(signed).verify_slice(&signature)?;
        let (_, claims) = signed.split_once('.').ok_or("that is no token")?;
        let claims: Claims = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
        match claims.exp > OffsetDateTime::now_utc().unix_timestamp() {
            true => Ok(claims.sid),
            false => Err("the token is over".into()),
        }
    }
}
