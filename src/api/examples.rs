//! An example for every body that has none: put together from what its schema says of each part, so that it is
//! always an instance of it.

use serde_json::{Map, Value, json};
use utoipa::openapi::content::Content;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ArrayItems, KnownFormat, Object, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Components, Ref, RefOr};

/// Schemas that lie in one another deeper than this have no example.
const DEEPEST: u8 = 12;

/// Adds examples where an operation has none.
pub(super) fn add(operation: &mut Operation, components: &Components) {
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.values_mut().for_each(|content| complete(content, components));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.values_mut().for_each(|content| complete(content, components));
        }
    }
}

/// The name of the schema that a reference leads to.
pub(super) fn name(to: &Ref) -> Option<&str> {
    to.ref_location.strip_prefix("#/components/schemas/")
}

fn complete(content: &mut RefOr<Content>, components: &Components) {
    if let RefOr::T(content) = content
        && content.example.is_none()
        && content.examples.is_empty()
        && let Some(schema) = &content.schema
    {
        content.example = Some(Maker { components, deep: DEEPEST, listed: false }.make(schema));
    }
}

#[derive(Clone, Copy)]
struct Maker<'a> {
    components: &'a Components,
    deep: u8,
    /// What stands in a list shows only what is always there.
    listed: bool,
}

impl Maker<'_> {
    fn make(mut self, schema: &RefOr<Schema>) -> Value {
        let Some(deep) = self.deep.checked_sub(1) else { return Value::Null };
        self.deep = deep;
        match schema {
            RefOr::Ref(to) => {
                let schema = name(to).and_then(|name| self.components.schemas.get(name));
                schema.map_or(Value::Null, |schema| self.make(schema))
            }
            RefOr::T(Schema::Object(object)) => self.object(object),
            RefOr::T(Schema::Array(array)) => match (&array.example, &array.items) {
                (Some(example), _) => example.clone(),
                (None, ArrayItems::RefOrSchema(items)) => json!([Self { listed: true, ..self }.make(items)]),
                (None, ArrayItems::False) => json!([]),
            },
            RefOr::T(Schema::OneOf(choice)) => self.first(&choice.items),
            RefOr::T(Schema::AnyOf(choice)) => self.first(&choice.items),
            RefOr::T(Schema::AllOf(all)) => {
                let parts = all.items.iter().filter_map(|part| match self.make(part) {
                    Value::Object(part) => Some(part),
                    _ => None,
                });
                Value::Object(parts.flatten().collect())
            }
            RefOr::T(_) => Value::Null,
        }
    }

    /// The first choice that is something.
    fn first(self, choices: &[RefOr<Schema>]) -> Value {
        let made = choices.iter().map(|choice| self.make(choice));
        made.into_iter().find(|value| !value.is_null()).unwrap_or_default()
    }

    fn object(self, object: &Object) -> Value {
        let given = object.example.as_ref().or(object.examples.first());
        let given = given.or(object.enum_values.as_ref().and_then(|values| values.first()));
        if let Some(given) = given {
            return given.clone();
        }
        let kind = match &object.schema_type {
            SchemaType::Type(kind) => kind,
            SchemaType::Array(kinds) => kinds.first().unwrap_or(&Type::Null),
            SchemaType::AnyValue => &Type::Null,
        };
        match kind {
            Type::Object => Value::Object(self.properties(object)),
            Type::String => text(object.format.as_ref()).into(),
            Type::Integer | Type::Number => json!(1),
            Type::Boolean => false.into(),
            Type::Array => json!([]),
            Type::Null => Value::Null,
        }
    }

    fn properties(self, object: &Object) -> Map<String, Value> {
        let shown = object.properties.iter().filter(|(name, _)| !self.listed || object.required.contains(name));
        shown.map(|(name, schema)| (name.clone(), self.make(schema))).collect()
    }
}

fn text(format: Option<&SchemaFormat>) -> &'static str {
    match format {
        Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)) => "2026-11-21T09:41:58.080279Z",
        Some(SchemaFormat::KnownFormat(KnownFormat::Email)) => "alice@example.com",
        Some(SchemaFormat::Custom(format)) if format == "uri" => "https://example.com/",
        Some(SchemaFormat::Custom(format)) if format == "uuid" => "0f8fad5b-d9cb-469f-a165-70867728950e",
        _ => "…",
    }
}
