//! What holds for every operation of its sort, put into the description by code, so that no handler has to say it
//! and none can forget it: what may befall a request before its handler sees it, the headers that every response
//! and every request may have, what text has to be like, and an example where nobody gave a better one.
//!
//! What must stay true: only what is missing is added, so that an annotation which knows more wins; all of it holds
//! for whatever operation comes next.

use utoipa::openapi::content::Content;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr};
use utoipa::{Modify, ToResponse};

use super::examples;
use super::refusals::{
    BadBody, BadHead, BadQuery, BodyTooLarge, BodyTooSlow, HeadTooLarge, Internal, NotJson, TooLate,
    TooManyConnections, Unauthorized, Unavailable, UrlTooLong, refer,
};
use crate::cursor::OLDER_PATTERN;

/// The status that hyper answers with by itself, when a head cannot be taken at all: without any of our headers.
const BEFORE_US: &str = "431";

/// The headers of every answer.
const EVERYWHERE: [&str; 10] = [
    "X-Request-Id",
    "traceresponse",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Cross-Origin-Resource-Policy",
    "Content-Security-Policy",
    "Cache-Control",
    "Vary",
    "Content-Encoding",
];

/// Text of ours holds no NUL, which PostgreSQL cannot store.
const NO_NUL: &str = r"^[^\u0000]*$";
/// Nor may it be white space alone where something has to be in it. What white space is, is spelled out, since
/// dialects of regular expressions differ in it.
const NOT_BLANK: &str = "^[^\\u0000]*[^\\u0000\\u0009-\\u000d\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\
    \\u202f\\u205f\\u3000][^\\u0000]*$";

/// Completes the document.
pub(super) struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        declare(components);
        for (name, response) in &mut components.responses {
            if name != HeadTooLarge::response().0 {
                add_headers(response);
            }
        }
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            complete(operation);
            for body in bodies(operation) {
                restrict_all(components.schemas.get_mut(&body));
            }
        }
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            examples::add(operation, components);
        }
    }
}

/// Every operation at a path.
pub(super) fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete, &mut path.patch].into_iter().flatten()
}

/// The parts that operations refer to.
fn declare(components: &mut Components) {
    components.responses.append(&mut super::refusals::all());
    let header = |description: &str, schema: ObjectBuilder| -> RefOr<Header> {
        let header = HeaderBuilder::new().description(Some(description)).schema(Some(schema));
        // utoipa knows no field for it.
        header.extensions(Some([("required", true)].into_iter().collect())).build().into()
    };
    let sometimes = |description: &str, schema: ObjectBuilder| -> RefOr<Header> {
        HeaderBuilder::new().description(Some(description)).schema(Some(schema)).build().into()
    };
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let id = text().min_length(Some(1)).max_length(Some(128)).examples(["6f1c3c9d4b0f4a0f8a5d2c7e9b1a3d5f"]);
    let trace = text().pattern(Some("^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"));
    let trace = trace.examples(["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]);
    components.headers.extend([
        ("X-Request-Id".to_owned(), header("The request's own id, or the one that it was given.", id)),
        ("traceresponse".to_owned(), header("The trace that the request belongs to, and its span in it.", trace)),
        (
            "X-Content-Type-Options".to_owned(),
            header("What the content is said to be, it is.", text().enum_values(Some(["nosniff"]))),
        ),
        ("X-Frame-Options".to_owned(), header("In no frame.", text().enum_values(Some(["DENY"])))),
        (
            "Referrer-Policy".to_owned(),
            header("Whoever is led on is not told from where.", text().examples(["no-referrer"])),
        ),
        (
            "Cross-Origin-Resource-Policy".to_owned(),
            header(
                "Pages of other origins may ask for it only as `CORS_ORIGINS` allows.",
                text().examples(["same-origin"]),
            ),
        ),
        (
            "Content-Security-Policy".to_owned(),
            header("What a page of ours may do.", text().examples(["default-src 'none'"])),
        ),
        (
            "Cache-Control".to_owned(),
            header("Who may keep the answer, and for how long.", text().examples(["no-store"])),
        ),
        (
            "Vary".to_owned(),
            sometimes("Which headers of the request the answer depends on.", text().examples(["accept-encoding"])),
        ),
        ("Content-Encoding".to_owned(), sometimes("How the body is compressed.", text().examples(["gzip"]))),
    ]);
    let parameter = |name: &str, description: &str, example: &str| {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
        let parameter = parameter.description(Some(description)).schema(Some(text())).example(Some(example.into()));
        (name.to_owned(), RefOr::T(Parameter::from(parameter)))
    };
    components.parameters.extend([
        parameter(
            "X-Request-Id",
            "An id to find the request by; taken when it has 1 to 128 printable ASCII characters, else one is made.",
            "6f1c3c9d4b0f4a0f8a5d2c7e9b1a3d5f",
        ),
        parameter(
            "traceparent",
            "The caller's trace, by W3C Trace Context. It is continued; what is no such header begins a trace.",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01",
        ),
    ]);
}

/// What may befall an operation before its handler sees the request, and on the way there.
fn complete(operation: &mut Operation) {
    let mut answers = vec![refer::<UrlTooLong>(414), refer::<HeadTooLarge>(431)];
    answers.extend([refer::<Internal>(500), refer::<Unavailable>(503), refer::<TooLate>(504)]);
    if operation.security.as_ref().is_some_and(|schemes| !schemes.is_empty()) {
        answers.push(refer::<Unauthorized>(401));
    }
    if operation.request_body.is_some() {
        answers.extend([
            refer::<BadBody>(400),
            refer::<BodyTooSlow>(408),
            refer::<BodyTooLarge>(413),
            refer::<NotJson>(415),
        ]);
    }
    let parameters = operation.parameters.get_or_insert_default();
    let in_query = |parameter: &RefOr<Parameter>| {
        matches!(parameter, RefOr::T(Parameter { parameter_in: ParameterIn::Query, .. }))
    };
    if parameters.iter().any(in_query) {
        answers.push(refer::<BadQuery>(400));
    }
    answers.extend([refer::<BadHead>(400), refer::<TooManyConnections>(429)]);
    for parameter in parameters.iter_mut() {
        if let RefOr::T(Parameter { parameter_in: ParameterIn::Query, extensions, .. }) = parameter {
            // utoipa knows no field for it either.
            extensions.get_or_insert_default().insert("allowEmptyValue".to_owned(), true.into());
        }
        if let RefOr::T(Parameter { name, schema: Some(RefOr::T(Schema::Object(schema))), .. }) = parameter {
            if name == "cursor" {
                schema.pattern.get_or_insert_with(|| OLDER_PATTERN.to_owned());
            }
            restrict(schema);
        }
    }
    for name in ["X-Request-Id", "traceparent"] {
        parameters.push(RefOr::Ref(Ref::new(format!("#/components/parameters/{name}"))));
    }
    let responses = &mut operation.responses.responses;
    for (status, answer) in answers {
        responses.entry(status).or_insert(answer);
    }
    for (status, response) in responses {
        if status != BEFORE_US {
            add_headers(response);
        }
    }
}

/// What every response of ours has; those that are referred to have it already.
fn add_headers(response: &mut RefOr<Response>) {
    if let RefOr::T(response) = response {
        for name in EVERYWHERE {
            let header = RefOr::Ref(Ref::new(format!("#/components/headers/{name}")));
            response.headers.entry(name.to_owned()).or_insert(header);
        }
    }
}

/// The names of the schemas of an operation's body.
fn bodies(operation: &Operation) -> Vec<String> {
    let Some(RefOr::T(body)) = &operation.request_body else { return Vec::new() };
    let name = |content: &RefOr<Content>| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(to)), .. }) => examples::name(to).map(str::to_owned),
        _ => None,
    };
    body.content.values().filter_map(name).collect()
}

/// Says of all text in a body what it may not hold.
fn restrict_all(body: Option<&mut RefOr<Schema>>) {
    if let Some(RefOr::T(Schema::Object(body))) = body {
        for property in body.properties.values_mut() {
            if let RefOr::T(Schema::Object(schema)) = property {
                restrict(schema);
            }
        }
    }
}

/// Text with a limit and without a form of its own is stored as it is: `actors::text::Text`.
fn restrict(text: &mut Object) {
    let is_text = match &text.schema_type {
        SchemaType::Type(kind) => *kind == Type::String,
        SchemaType::Array(kinds) => kinds.contains(&Type::String),
        SchemaType::AnyValue => false,
    };
    if is_text && text.max_length.is_some() && text.format.is_none() && text.pattern.is_none() {
        let pattern = if text.min_length.unwrap_or(0) > 0 { NOT_BLANK } else { NO_NUL };
        text.pattern = Some(pattern.to_owned());
    }
}
