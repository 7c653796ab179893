//! The API's description: everything that the handlers' annotations say, in one document.

use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi as _};

use super::conditions::Conditions;
use super::everywhere::Everywhere;
use super::limited::Limits;
use super::{articles, auth, docs, favorites, health, notifications, preferences, sessions, stream, users, webhooks};
use crate::response::ErrorBody;

/// What holds for every operation, and would only be noise at each of them.
const DESCRIPTION: &str = "\
A publishing API: people write articles, follow authors, favorite what they like, and are told about it.

JSON in and out, in UTF-8; times are RFC 3339 in UTC. A field of a body that is `null` counts as left out, one that \
nobody knows is ignored; a parameter that is empty counts as left out. A slash at the end of a path makes no difference. HEAD works wherever GET does, and OPTIONS \
answers with `Allow`.

Every error comes in the same envelope: `error.code` is a fixed word for programs, `error.message` a sentence for \
people, and `error.trace_id` the trace to quote when asking for help. `validation_failed` lists every field that was \
not fit. A method that a path does not have is refused with 405 and `Allow`.

What changes something is limited: its answers say by `RateLimit-Policy` and `RateLimit` how much is left, and beyond \
that it is refused with 429 and `Retry-After`. Of logins only those with a wrong password count.
Answers to GET have an `ETag`: with it in `If-None-Match`, the next answer is 304 without a body when nothing has \
changed. They may be kept, but not used again without asking. Larger ones are compressed for those who take gzip; the \
tag of a compressed one ends with `-gzip`, and is known with and without that. Lists name the pages beside them in \
`Link` too. The bodies of requests come as they are, in UTF-8.

Every response has `X-Request-Id`, the request's own when that has 1 to 128 printable ASCII characters, and \
`traceresponse`; a `traceparent` that comes in is continued.";

/// The document.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Callboard", description = DESCRIPTION, contact(name = "The operators of this server")),
    servers((url = "/", description = "This server")),
    paths(
        auth::register,
        auth::login,
        auth::refresh,
        auth::logout,
        users::current,
        users::change,
        users::leave,
        sessions::list,
        sessions::end,
        users::follow,
        users::unfollow,
        articles::read::list,
        articles::read::feed,
        articles::write::create,
        articles::read::find,
        articles::write::update,
        articles::write::delete,
        favorites::add,
        favorites::remove,
        notifications::list,
        notifications::read_all,
        notifications::read,
        webhooks::create,
        webhooks::list,
        webhooks::delete,
        webhooks::rotate_secret,
        webhooks::enable,
        webhooks::deliveries,
        webhooks::replay,
        stream::follow,
        preferences::read,
        preferences::write,
        health::health,
        docs::openapi,
        docs::page,
    ),
    components(schemas(ErrorBody)),
    tags(
        (name = "auth", description = "Registering, signing in and out."),
        (name = "users", description = "Oneself, and whom one follows."),
        (name = "articles", description = "Publishing and reading."),
        (name = "favorites", description = "Saying that one likes an article."),
        (name = "notifications", description = "What one is told about."),
        (name = "webhooks", description = "Where else one is told."),
        (name = "service", description = "The service itself."),
    ),
    modifiers(&Bearer, &Conditions, &Everywhere, &Limits)
)]
struct Document;

/// The one way to say who one is.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".to_owned());
        bearer.description = Some("The access token of a registration, a login or a refresh.".to_owned());
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The document as JSON, laid out for people too.
pub(super) fn json() -> String {
    // Only a value that cannot be JSON fails, and a document holds none.
    Document::openapi().to_pretty_json().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::router;

    fn document() -> Value {
        serde_json::from_str(&json()).unwrap_or_default()
    }

    /// Every operation: its path, its method and what is said about it.
    fn operations(document: &Value) -> Vec<(String, String, &Value)> {
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (path.clone(), method.to_uppercase(), operation))
        });
        operations.collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let Ok(router) = router::public() else { unreachable!() };
        let routes: BTreeSet<_> =
            router.entries().map(|(pattern, method)| (pattern.to_owned(), method.as_str().to_owned())).collect();
        let document = document();
        let described: BTreeSet<_> =
            operations(&document).into_iter().map(|(path, method, _)| (path, method)).collect();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(described, routes);
    }

    #[test]
    fn every_operation_has_a_summary_a_tag_a_name_of_its_own_and_describes_its_variables() {
        let document = document();
        let mut names = BTreeSet::new();
        for (path, method, operation) in operations(&document) {
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
            let tags = document["tags"].as_array().into_iter().flatten();
            assert!(tags.map(|tag| &tag["name"]).any(|name| *name == operation["tags"][0]), "{method} {path}");
            assert!(names.insert(operation["operationId"].to_string()), "{method} {path}");
            let variables = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let described = operation["parameters"].as_array().into_iter().flatten();
            let described = described.filter(|parameter| parameter["in"] == "path");
            let described: Vec<_> = described.filter_map(|parameter| parameter["name"].as_str()).collect();
            assert_eq!(variables.collect::<Vec<_>>(), described, "{method} {path}");
        }
    }

    fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
        let target = value["$ref"].as_str().and_then(|to| document.pointer(to.strip_prefix('#')?));
        target.unwrap_or(value)
    }

    #[test]
    fn every_operation_says_all_that_may_befall_it() {
        let document = document();
        for (path, method, operation) in operations(&document) {
            let mut statuses = vec!["414", "431", "500", "503", "504"];
            if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
                statuses.push("401");
            }
            if operation["requestBody"].is_object() {
                statuses.extend(["400", "408", "413", "415"]);
            }
            if path.contains('{') {
                statuses.push("404");
            }
            for status in statuses {
                assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
            }
        }
    }

    #[test]
    fn every_response_has_our_headers_and_every_body_an_example() {
        let document = document();
        for (path, method, operation) in operations(&document) {
            let request = operation["requestBody"]["content"].as_object();
            let responses = operation["responses"].as_object().into_iter().flatten();
            let responses: Vec<_> = responses.map(|(status, answer)| (status, resolved(&document, answer))).collect();
            for (status, response) in &responses {
                let ours = *status != "431";
                for header in ["X-Request-Id", "traceresponse", "X-Content-Type-Options"] {
                    assert_eq!(response["headers"][header].is_object(), ours, "{method} {path} {status} {header}");
                }
            }
            let contents = responses.iter().filter_map(|(_, response)| response["content"].as_object());
            for content in contents.chain(request).flat_map(|content| content.values()) {
                let shown = content["example"] != Value::Null || content["examples"].is_object();
                assert!(shown && content["example"] != "…", "{method} {path}");
            }
        }
    }

    #[test]
    fn every_refusal_names_its_codes() {
        let document = document();
        for (name, refusal) in document["components"]["responses"].as_object().into_iter().flatten() {
            let Some(content) = refusal["content"].as_object() else { continue };
            let words = &content["application/json"]["schema"]["allOf"][1]["properties"]["error"]["properties"];
            let codes = words["code"]["enum"].as_array().map_or(0, Vec::len);
            let examples = content["application/json"]["examples"].as_object().map_or(0, serde_json::Map::len);
            assert!(codes > 0 && codes == examples, "{name}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn visit(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    fields.iter().for_each(|(name, value)| match (name.as_str(), value.as_str()) {
                        ("$ref", Some(to)) => {
                            assert!(to.strip_prefix('#').is_some_and(|to| document.pointer(to).is_some()), "{to}");
                        }
                        _ => visit(value, document),
                    })
                }
                Value::Array(values) => values.iter().for_each(|value| visit(value, document)),
                _ => {}
            }
        }
        let document = document();
        visit(&document, &document);
    }
}
