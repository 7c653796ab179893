//! What limits add to the description: for every operation that the route table has counted, the refusal, and the
//! headers that say how the caller stands.

use hyper::Method;
use serde_json::Value;
use utoipa::Modify;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr};

use super::refusals::RateLimited;
use crate::router;
use crate::throttling::{LEFT, Limited, POLICY};

/// Adds it.
pub(super) struct Limits;

impl Modify for Limits {
    fn modify(&self, document: &mut OpenApi) {
        // A table that contradicts itself does not get as far as to be described.
        let Ok(router) = router::public() else { return };
        for (pattern, method, limited) in router.operations() {
            let operation = document.paths.paths.get_mut(pattern).and_then(|item| operation(item, method));
            if let Some(operation) = operation.filter(|_| limited != Limited::Freely) {
                describe(operation);
            }
        }
        let refusals = document.components.get_or_insert_default();
        if let Some(RefOr::T(refusal)) = refusals.responses.get_mut(RateLimited::NAME) {
            refusal.headers.extend(headers());
        }
    }
}

fn operation<'a>(item: &'a mut PathItem, method: &Method) -> Option<&'a mut Operation> {
    match method.as_str() {
        "POST" => item.post.as_mut(),
        "PUT" => item.put.as_mut(),
        "DELETE" => item.delete.as_mut(),
        "PATCH" => item.patch.as_mut(),
        _ => None,
    }
}

fn describe(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for (_, response) in responses.iter_mut().filter(|(status, _)| status.starts_with('2')) {
        if let RefOr::T(response) = response {
            response.headers.extend(headers());
        }
    }
    responses.insert("429".to_owned(), RefOr::Ref(Ref::from_response_name(RateLimited::NAME)));
}

fn headers() -> [(String, RefOr<Header>); 2] {
    let header = |description: &str, example: &str| {
        let schema = ObjectBuilder::new().schema_type(Type::String).examples([Value::from(example)]).build();
        RefOr::T(HeaderBuilder::new().description(Some(description)).schema(Some(schema)).build())
    };
    let policy = "The limit: its name, how many it allows at once, and in how many seconds they grow back.";
    let left = "What is left of it, and in how many seconds all of it will be there again.";
    [
        (POLICY.to_string(), header(policy, "\"writes\";q=120;w=60")),
        (LEFT.to_string(), header(left, "\"writes\";r=119;t=1")),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn whatever_is_limited_is_described_as_limited_and_nothing_else_is() {
        let document: Value = serde_json::from_str(&super::super::openapi::json()).unwrap_or_default();
        let Ok(router) = router::public() else { unreachable!() };
        for (pattern, method, limited) in router.operations() {
            let operation = &document["paths"][pattern][method.as_str().to_lowercase()];
            let refusal = &operation["responses"]["429"];
            let limited = limited != Limited::Freely;
            assert_eq!(refusal["$ref"] == "#/components/responses/RateLimited", limited, "{method} {pattern}");
            let successes = operation["responses"].as_object().into_iter().flatten();
            for (status, success) in successes.filter(|(status, _)| status.starts_with('2')) {
                assert_eq!(success["headers"]["ratelimit"].is_object(), limited, "{method} {pattern} {status}");
            }
        }
        for header in ["Retry-After", "ratelimit", "ratelimit-policy"] {
            let refusal = &document["components"]["responses"]["RateLimited"];
            assert!(refusal["headers"][header].is_object(), "{header}");
        }
    }

    #[test]
    fn signing_out_and_reading_are_never_limited() {
        let Ok(router) = router::public() else { unreachable!() };
        for (pattern, method, limited) in router.operations() {
            let free = method == Method::GET || ["/api/logout", "/api/token/refresh"].contains(&pattern);
            assert_eq!(limited == Limited::Freely, free, "{method} {pattern}");
        }
    }
}
