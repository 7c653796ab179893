//! What one wants to be told: a switch for each kind of notification.

use actors::notifications::Kind;
use actors::notifications::message::{Preferences, SetPreferences};
use serde::Serialize;
use serde_json::Value;

use super::refusals::{BodyRefusals, Failures, Unauthorized};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::request::Request;
use crate::response::{self, Response};

/// How much of a name that nobody knows is repeated in the answer, in characters.
const NAME_SHOWN: usize = 64;
/// Mistakes that are reported at once: a body may hold more names than anybody reads.
const PROBLEMS_SHOWN: usize = 20;

/// What one wants to be told of a kind.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Preference {
    /// Whether one is told.
    #[schema(example = true)]
    pub enabled: bool,
}

/// What one wants to be told, kind by kind.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NotificationPreferences)]
pub struct PreferencesBody {
    /// That somebody whom one follows published an article.
    pub article_published: Preference,
    /// That somebody favorited one's article.
    pub article_favorited: Preference,
    /// That somebody follows one.
    pub followed: Preference,
}

/// What is to change. A kind that is left out stays as it is.
#[derive(utoipa::ToSchema)]
#[schema(as = NotificationPreferencesChange, example = json!({"article_favorited": {"enabled": false}}))]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct PreferencesChange {
    /// That somebody whom one follows published an article.
    article_published: Option<Preference>,
    /// That somebody favorited one's article.
    article_favorited: Option<Preference>,
    /// That somebody follows one.
    followed: Option<Preference>,
}

impl From<Preferences> for PreferencesBody {
    fn from(preferences: Preferences) -> Self {
        let of = |kind| Preference { enabled: !preferences.unwanted.contains(&kind) };
        Self {
            article_published: of(Kind::ArticlePublished),
            article_favorited: of(Kind::ArticleFavorited),
            followed: of(Kind::Followed),
        }
    }
}

/// Read what one wants to be told.
#[utoipa::path(
    get, path = "/api/user/notifications", operation_id = "read_notification_preferences", tag = "notifications",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The preferences, of all kinds.", body = PreferencesBody),
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn read(request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let preferences = request.app.system.notifications.preferences(&request.caller, user).await?;
    response::ok(&PreferencesBody::from(preferences))
}

/// Say what one wants to be told from now on.
///
/// What one was told before stays. A favorite or a follow that happens while its kind is disabled is not told
/// later either.
#[utoipa::path(
    put, path = "/api/user/notifications", operation_id = "change_notification_preferences", tag = "notifications",
    security(("bearer" = [])),
    request_body = PreferencesChange,
    responses(
        (status = 200, description = "The preferences as they are now, of all kinds.", body = PreferencesBody),
        BodyRefusals,
        (status = 401, response = Unauthorized),
        Failures,
    )
)]
pub async fn write(mut request: Request) -> Result<Response, ApiError> {
    let user = request.viewer().await?.user;
    let wanted = wanted(request.fields().await?)?;
    let set = SetPreferences { user, wanted };
    let preferences = request.app.system.notifications.set_preferences(&request.caller, set).await?;
    response::ok(&PreferencesBody::from(preferences))
}

/// The kinds in a body, each with whether it is wanted.
pub(crate) fn wanted(mut fields: Fields) -> Result<Vec<(Kind, bool)>, ApiError> {
    let (mut wanted, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in fields.take_all() {
        match (Kind::parse(&name), value.get("enabled").and_then(Value::as_bool)) {
            (Some(kind), Some(enabled)) => wanted.push((kind, enabled)),
            (Some(_), None) if value.is_null() => {}
            (Some(_), None) => problems.push((name, "must be an object whose enabled is true or false")),
            (None, _) => problems.push((name, "is not a kind of notification")),
        }
    }
    for (name, problem) in problems.into_iter().take(PROBLEMS_SHOWN) {
        fields.problem(name.chars().take(NAME_SHOWN).collect::<String>(), problem);
    }
    fields.finish(())?;
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfit(body: &str) -> Vec<String> {
        let Ok(fields) = Fields::parse(body.as_bytes()) else { unreachable!() };
        let problems = wanted(fields).err().map(|error| error.details).unwrap_or_default();
        problems.into_iter().map(|detail| detail.field.into_owned()).collect()
    }

    #[test]
    fn every_kind_has_a_preference_of_its_own() {
        let Ok(Value::Object(body)) =
            serde_json::to_value(PreferencesBody::from(Preferences { unwanted: vec![Kind::Followed] }))
        else {
            unreachable!()
        };
        assert_eq!(body.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(body[kind.as_str()]["enabled"], kind != Kind::Followed, "{kind:?}");
        }
    }

    #[test]
    fn whatever_is_no_kind_or_no_switch_is_named() {
        assert_eq!(unfit(r#"{"liked":{"enabled":true},"followed":{"enabled":"no"}}"#), ["followed", "liked"]);
        for value in ["true", "{}", "[]", "\"on\"", "{\"enabled\":null}", "{\"enabled\":1}"] {
            assert_eq!(unfit(&format!("{{\"followed\":{value}}}")), ["followed"], "{value}");
        }
        assert!(unfit(r#"{"followed":null,"article_favorited":{"enabled":false,"other":1}}"#).is_empty());
        assert_eq!(unfit(r#"{"liked":null}"#), ["liked"], "a name that is no kind is a mistake whatever it holds");
        let many = (0..1000).map(|n| format!("\"{n:0>100}\":1")).collect::<Vec<_>>().join(",");
        let unfit = unfit(&format!("{{{many}}}"));
        assert!(unfit.len() == PROBLEMS_SHOWN && unfit.iter().all(|name| name.len() == NAME_SHOWN));
    }
}
