//! What holds of everything that parses, whatever it is given. Fuzz targets call these with what libFuzzer makes up,
//! `tests/parsers.rs` with what proptest does: one place for the properties, two ways to look for what breaks them.

use std::net::IpAddr;
use std::time::Duration;

use actors::articles::Slug;
use actors::articles::message::{Body, Description, Title};
use actors::auth::token::{self, Tokens};
use actors::auth::{Email, Name, Password, Secrets, SessionId, UserId};
use actors::kit::trace::parse_traceparent;
use actors::notifications::Kind;
use actors::text::Text;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callboard::cursor::Cursor;
use callboard::error::ApiError;
use callboard::fields::Fields;
use callboard::fuzzing;
use callboard::query::{Query, encode_cursor};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// A body is refused in words of ours, or its fields fit what they are for.
pub fn body(body: &[u8]) {
    let refused = |error: ApiError| {
        assert_eq!(error.status.as_u16(), 400);
        match error.code {
            "invalid_json" => assert!(error.details.is_empty() && error.message.len() < 100),
            "validation_failed" => assert!(error.details.iter().all(|detail| !detail.message.is_empty())),
            other => panic!("{other}"),
        }
    };
    let parsed = || Fields::parse(body);
    let Ok(mut person) = parsed().map_err(refused) else { return };
    let email = person.required("email", Email::parse);
    let name = person.required("name", Name::parse_trimmed);
    let password = person.required("password", Password::parse);
    match person.finish((email, name, password)) {
        Ok((email, name, password)) => {
            assert!((1..=100).contains(&name.as_str().chars().count()));
            is_masked(&email);
            assert!(format!("{password:?}").contains("***"));
        }
        Err(error) => refused(error),
    }
    let Ok(mut article) = parsed() else { unreachable!("it was fit a moment ago") };
    let title = article.required("title", Title::parse_trimmed);
    let description = article.optional("description", Description::parse_trimmed);
    let text = article.required("body", Body::parse);
    match article.finish((title, text)) {
        Ok((title, text)) => {
            assert!((1..=255).contains(&title.as_str().chars().count()) && title.as_str().trim() == title.as_str());
            assert!(!text.as_str().trim().is_empty() && !text.as_str().contains('\0'));
            assert!(description.is_none_or(|text| text.as_str().chars().count() <= 1000));
        }
        Err(error) => refused(error),
    }
    let Ok(mut webhook) = parsed() else { unreachable!("it was fit a moment ago") };
    let kinds = webhook.optional_list("kinds", |word| Kind::parse(word).ok_or("unknown"));
    match webhook.finish(()) {
        Ok(()) => assert!(kinds.is_none_or(|kinds| kinds.iter().all(|kind| Kind::parse(kind.as_str()) == Some(*kind)))),
        Err(error) => refused(error),
    }
    match fuzzing::preferences(body) {
        Ok(count) => assert!(count <= Kind::ALL.len()),
        Err(error) => refused(error),
    }
}

/// A query is refused with the names of what is wrong, or its page is within bounds, and the link to another page
/// leads there with the same filters.
pub fn query(text: &str) {
    let mut query = Query::parse(Some(text));
    let search = query.optional("search", Text::<0, 200>::parse);
    let paging = query.paging();
    let query = match query.finish() {
        Ok(query) => query,
        Err(error) => {
            assert!(error.code == "validation_failed" && !error.details.is_empty());
            return;
        }
    };
    assert!((1..=100).contains(&paging.limit) && (0..=1_000_000).contains(&paging.offset));
    assert!(paging.before.is_none_or(|id| id >= 0));
    let cursor = encode_cursor(7);
    let link = query.link("/api/articles", paging.limit, ("cursor", &cursor));
    let (path, rest) = link.split_once('?').expect("a link has a query");
    assert_eq!(path, "/api/articles");
    let mut next = Query::parse(Some(rest));
    let again = next.optional("search", Text::<0, 200>::parse);
    assert_eq!(again, search);
    let there = next.paging();
    assert_eq!((there.limit, there.before, there.numbered), (paging.limit, Some(7), false));
    assert_eq!(next.link("/api/articles", paging.limit, ("cursor", &cursor)), link);
}

/// What is taken for a cursor is what was given out, to the letter.
pub fn cursor(text: &str) {
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text);
    }
}

/// What is taken for a trace is in the text, and no other.
pub fn traceparent(text: &str) {
    if let Some(span) = parse_traceparent(text) {
        assert!(span.is_valid() && span.is_remote());
        let mut fields = text.trim().split('-').skip(1);
        assert_eq!(fields.next(), Some(span.trace_id().to_string().as_str()));
        assert_eq!(fields.next(), Some(span.span_id().to_string().as_str()));
        let flags = fields.next().and_then(|flags| u8::from_str_radix(flags, 16).ok());
        assert_eq!(flags.map(|flags| flags & 1), Some(span.trace_flags().to_u8()));
    }
}

/// What the tokens of the next property are signed with.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Nothing that we did not sign is let in; and what is signed is only let in when it says all that it has to.
pub fn token(text: &str) {
    let tokens = Tokens::new(&token::Settings {
        secrets: Secrets::parse(SECRET).expect("it is long enough"),
        issuer: "callboard".to_owned(),
        audience: "callboard".to_owned(),
        lifetime: Duration::from_secs(900),
        keep: 1 << 20,
    });
    assert!(tokens.verify(text).is_err(), "let in: {text:?}");
    // The header is one of ours: it names the key.
    let issued = tokens.issue(UserId(1), SessionId(Uuid::nil())).expect("tokens can be issued");
    let (head, _) = issued.split_once('.').expect("a token has parts");
    let said = format!("{head}.{}", URL_SAFE_NO_PAD.encode(text));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("keys may have any length");
    mac.update(said.as_bytes());
    let signed = format!("{said}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
    if let Ok(verified) = tokens.verify(&signed) {
        let claims: serde_json::Value = serde_json::from_str(text).expect("claims are JSON");
        assert_eq!(claims["iss"], "callboard");
        assert!(claims["aud"] == "callboard" || claims["aud"].as_array().is_some(), "{claims}");
        assert_eq!(claims["typ"], "access");
        assert!(claims["exp"].is_number() && claims["nbf"].is_number(), "{claims}");
        assert_eq!(claims["sub"].as_str().and_then(|sub| sub.parse().ok()), Some(verified.user.0));
    }
}

/// Any text makes a slug that is one; what is taken for one is left as it is.
pub fn slug(text: &str) {
    let made = Slug::for_title(text);
    assert_eq!(Slug::parse(made.as_str()).as_ref(), Some(&made));
    assert_ne!(Slug::for_title(text), made, "each is another one");
    if let Some(slug) = Slug::parse(text) {
        assert_eq!(slug.as_str(), text);
        assert!(!text.is_empty() && text.len() <= 100);
        assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
    }
}

/// What is taken for an address is one to us again, and shows itself only masked.
pub fn email(text: &str) {
    if let Ok(email) = Email::parse(text) {
        assert_eq!(Email::parse(email.expose()).as_ref(), Ok(&email));
        assert!(email.expose().len() <= 254);
        is_masked(&email);
    }
}

/// Of what stands before the at sign two characters are shown at most.
fn is_masked(email: &Email) {
    let shown = email.to_string();
    assert_eq!(format!("{email:?}"), shown);
    let (local, domain) = shown.rsplit_once('@').expect("a masked address has an at sign");
    assert!(local.ends_with("***") && local.chars().count() <= 5, "{shown}");
    assert_eq!(email.expose().rsplit_once('@').map(|(_, domain)| domain), Some(domain));
}

/// What a webhook may be sent to has a host and a port, and is nobody's private network, however it is spelled.
pub fn webhook(text: &str) {
    let Some(destination) = fuzzing::webhook(text) else { return };
    assert!(!destination.host.is_empty() && destination.port > 0);
    let Ok(address) = destination.host.parse::<IpAddr>() else {
        assert_eq!(destination.public, None);
        return;
    };
    let private = match address.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_multicast()
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    assert!(!(private && destination.public == Some(true)), "{destination:?}");
}

/// What is taken for an event's id is a number, and says so in digits alone.
pub fn last_event_id(value: &[u8]) {
    match fuzzing::last_event_id(value) {
        Some(None) => assert!(value.is_empty()),
        Some(Some(number)) => assert!(number >= 0 && value.iter().all(u8::is_ascii_digit)),
        None => assert!(!value.is_empty()),
    }
}

/// The token in a header is what stands behind the scheme, without white space around it.
pub fn bearer(value: &[u8]) {
    if let Some(token) = fuzzing::bearer(value) {
        assert!(value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer")));
        assert_eq!(token.trim(), token);
        assert!(token.is_empty() || value.windows(token.len()).any(|part| part == token.as_bytes()));
    }
}
