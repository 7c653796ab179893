//! A JSON body, taken apart field by field, so that every mistake is reported at once.
//!
//! Fields that nobody asks for are ignored. A field that is `null` counts as left out.

use std::borrow::Cow;
use std::fmt::Display;

use serde_json::{Map, Value};

use crate::error::{ApiError, Detail};

/// Objects and lists within each other. Nothing of ours is nearly as deep.
const DEPTH: usize = 32;

/// The fields of a body, and what was wrong with those that were taken so far.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    problems: Vec<Detail>,
}

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not JSON, or not an object.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let bad = |message: String| ApiError::new(hyper::StatusCode::BAD_REQUEST, "invalid_json", message);
        if is_deeper_than(body, DEPTH) {
            return Err(bad(format!("The body is nested deeper than {DEPTH} levels")));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => Ok(Self { object, problems: Vec::new() }),
            Ok(_) => Err(bad("The body must be a JSON object".to_owned())),
            // What serde says here names places and tokens, never values.
            Err(error) => {
                Err(bad(format!("The body is not valid JSON: line {}, column {}", error.line(), error.column())))
            }
        }
    }

    /// A text that has to be there.
    pub fn required<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if matches!(self.object.get(name), None | Some(Value::Null)) {
            self.problem(name, "is required");
            return None;
        }
        self.optional(name, parse)
    }

    /// A text that may be left out.
    pub fn optional<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = match self.object.get(name) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => parse(text).map_err(|error| error.to_string()),
            Some(_) => Err("must be a string".to_owned()),
        };
        match parsed {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(name, message);
                None
            }
        }
    }

    /// A list of texts that may be left out.
    pub fn optional_list<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let text = |value: &Value| match value.as_str() {
            Some(text) => parse(text).map_err(|error| error.to_string()),
            None => Err("must be a list of strings".to_owned()),
        };
        let parsed = match self.object.get(name) {
            None | Some(Value::Null) => return None,
            Some(Value::Array(values)) => values.iter().map(text).collect(),
            Some(_) => Err("must be a list of strings".to_owned()),
        };
        parsed.map_err(|message: String| self.problem(name, message)).ok()
    }

    /// All fields, `null` or not, for a body whose names are data. Once taken they are not there any more.
    pub fn take_all(&mut self) -> impl Iterator<Item = (String, Value)> + use<> {
        std::mem::take(&mut self.object).into_iter()
    }

    /// Notes what is wrong with a field.
    pub fn problem(&mut self, name: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        self.problems.push(Detail { field: name.into(), message: message.into() });
    }

    /// The required values, if nothing was wrong with any field.
    ///
    /// # Errors
    /// `validation_failed` with every problem.
    pub fn finish<T: Required>(self, values: T) -> Result<T::Values, ApiError> {
        match values.all() {
            Some(values) if self.problems.is_empty() => Ok(values),
            _ => Err(ApiError::validation(self.problems)),
        }
    }
}

/// Whether more objects and lists are within each other. Told before anything is built of them.
fn is_deeper_than(body: &[u8], limit: usize) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

/// Values that are there together or not at all.
pub trait Required {
    /// The values themselves.
    type Values;
    /// All of them, unless one is missing.
    fn all(self) -> Option<Self::Values>;
}

macro_rules! required {
    ($($name:ident),*) => {
        #[allow(non_snake_case)]
        impl<$($name),*> Required for ($(Option<$name>,)*) {
            type Values = ($($name,)*);
            fn all(self) -> Option<Self::Values> {
                let ($($name,)*) = self;
                Some(($($name?,)*))
            }
        }
    };
}

required!();
required!(A);
required!(A, B);
required!(A, B, C);

#[cfg(test)]
mod tests {
    use super::*;

    fn not_x(text: &str) -> Result<String, &'static str> {
        if text == "x" { Err("must not be x") } else { Ok(text.to_owned()) }
    }

    #[test]
    fn every_field_that_is_not_fit_is_reported_at_once() {
        let Ok(mut fields) = Fields::parse(br#"{"a":"x","b":7,"other":true}"#) else { unreachable!() };
        let (a, b, c) = (fields.required("a", not_x), fields.required("b", not_x), fields.required("c", not_x));
        let Err(error) = fields.finish((a, b, c)) else { unreachable!() };
        let problems: Vec<_> = error.details.iter().map(|d| (d.field.as_ref(), d.message.as_str())).collect();
        assert_eq!(problems, [("a", "must not be x"), ("b", "must be a string"), ("c", "is required")]);
    }

    #[test]
    fn null_counts_as_left_out() {
        let Ok(mut fields) = Fields::parse(br#"{"a":null}"#) else { unreachable!() };
        assert_eq!(fields.optional("a", not_x), None);
        assert!(fields.finish(()).is_ok());
    }

    #[test]
    fn a_body_has_a_depth_and_brackets_in_texts_do_not_count() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(Fields::parse(nested(DEPTH - 1).as_bytes()).is_ok());
        assert!(Fields::parse(nested(DEPTH).as_bytes()).is_err_and(|error| error.message.contains("deeper")));
        let text = format!("{{\"a\":\"\\\"{}\\\\\"}}", "[{".repeat(100));
        assert!(Fields::parse(text.as_bytes()).is_ok(), "{text}");
        let long = format!("{{\"a\":[{}[]]}}", "[],".repeat(1000));
        assert!(Fields::parse(long.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_a_json_object_is_refused() {
        for body in ["", "{", "[]", "7", "{\"a\":1}x", "\u{feff}{}"] {
            assert!(Fields::parse(body.as_bytes()).is_err(), "{body:?}");
        }
    }
}
