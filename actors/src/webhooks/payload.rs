//! What a webhook is sent: the notification as the inbox shows it, as it was when it came into being.

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset};

use crate::auth::UserId;
use crate::notifications::{Kind, Notification};

/// A notification, as the trigger wrote it down.
#[derive(Deserialize)]
struct Facts {
    id: i64,
    kind: String,
    count: i64,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    actor: Actor,
    article: Option<Article>,
}

#[derive(Deserialize, Serialize)]
struct Actor {
    id: i64,
    name: String,
}

#[derive(Deserialize, Serialize)]
struct Article {
    slug: String,
    title: String,
}

#[derive(Serialize)]
struct Event {
    r#type: String,
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    id: i64,
    kind: &'static str,
    message: String,
    article: Option<Article>,
    actor: Actor,
    count: i64,
    read: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// The body of a message that tells of these facts; in words, why there is none.
pub(super) fn body(facts: &serde_json::Value) -> Result<String, String> {
    let facts = Facts::deserialize(facts).map_err(|error| error.to_string())?;
    let kind = Kind::parse(&facts.kind).ok_or_else(|| format!("notifications of the unknown kind {}", facts.kind))?;
    let told = Notification {
        id: facts.id,
        kind,
        article: facts.article.map(|article| (article.slug, article.title)),
        actor: (UserId(facts.actor.id), facts.actor.name),
        count: facts.count,
        read: false,
        created_at: facts.created_at.to_offset(UtcOffset::UTC),
        updated_at: facts.updated_at.to_offset(UtcOffset::UTC),
    };
    let event = Event {
        r#type: format!("notification.{}", kind.as_str()),
        timestamp: told.updated_at,
        data: Data {
            message: told.message(),
            id: told.id,
            kind: kind.as_str(),
            article: told.article.map(|(slug, title)| Article { slug, title }),
            actor: Actor { id: told.actor.0.0, name: told.actor.1 },
            count: told.count,
            read: told.read,
            created_at: told.created_at,
            updated_at: told.updated_at,
        },
    };
    serde_json::to_string(&event).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_made_of_the_facts_alone_and_always_the_same() {
        let facts = json!({
            "id": 7, "kind": "article_favorited", "count": 2,
            "created_at": "2026-11-21T10:00:00.5+00:00", "updated_at": "2026-11-21T12:00:00+01:00",
            "actor": {"id": 3, "name": "Ann"}, "article": {"slug": "a-b", "title": "A b"},
        });
        let expected = concat!(
            r#"{"type":"notification.article_favorited","timestamp":"2026-11-21T11:00:00Z","data":{"id":7,"#,
            r#""kind":"article_favorited","message":"Ann and 1 other favorited “A b”","article":{"slug":"a-b","#,
            r#""title":"A b"},"actor":{"id":3,"name":"Ann"},"count":2,"read":false,"#,
            r#""created_at":"2026-11-21T10:00:00.5Z","updated_at":"2026-11-21T11:00:00Z"}}"#,
        );
        assert_eq!(body(&facts).as_deref(), Ok(expected));
        assert_eq!(body(&facts), body(&facts));
    }

    #[test]
    fn facts_that_are_none_are_told_and_nothing_is_sent() {
        assert!(body(&json!({"id": 7})).is_err());
    }
}
