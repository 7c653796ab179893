//! What `src/http` makes of every operation's answers, in the description: tags, conditions, and what a client takes.

use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Header, OpenApi, RefOr, Required};

use super::everywhere::operations;
use super::refusals::{NotAcceptable, refer};

/// Whose answers are kept by nobody: they are out of date when they arrive.
const NEVER_KEPT: [&str; 2] = ["/api/health", "/api/notifications/stream"];

/// Adds it.
pub(super) struct Conditions;

impl Modify for Conditions {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            if let Some(get) = item.get.as_mut().filter(|_| !NEVER_KEPT.contains(&path.as_str())) {
                validated(get);
            }
            for operation in operations(item) {
                let (status, refusal) = refer::<NotAcceptable>(406);
                operation.responses.responses.insert(status, refusal);
            }
        }
    }
}

/// The answer has a tag, and who has it already gets none.
fn validated(get: &mut Operation) {
    let condition = ParameterBuilder::new()
        .name("If-None-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Tags of answers that the client has, or `*`."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
    get.parameters.get_or_insert_default().push(condition.build().into());
    if let Some(RefOr::T(answer)) = get.responses.responses.get_mut("200") {
        answer.headers.entry("ETag".to_owned()).or_insert_with(|| tag().into());
    }
    let mut unchanged = ResponseBuilder::new().description("The client has it already.").header("ETag", tag());
    if let Some(RefOr::T(answer)) = get.responses.responses.get("200")
        && let Some(RefOr::T(link)) = answer.headers.get("Link")
    {
        unchanged = unchanged.header("Link", link.clone());
    }
    get.responses.responses.insert("304".to_owned(), unchanged.build().into());
}

fn tag() -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    HeaderBuilder::new().schema(Some(text)).description(Some("The tag of exactly this representation.")).build()
}
