//! The query of a URL, taken apart parameter by parameter, so that every mistake is reported at once;
//! and paging, which every list has in common.

use std::borrow::Cow;
use std::fmt::Display;

use crate::error::{ApiError, Detail};

/// Articles or notifications on a page, unless the client says otherwise.
const DEFAULT_LIMIT: i64 = 20;
/// The most that a page holds.
const MAX_LIMIT: i64 = 100;
/// Nobody pages further by number; cursors have no such limit.
const MAX_OFFSET: i64 = 1_000_000;

/// The parameters, and what was wrong with those that were taken so far.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    problems: Vec<Detail>,
}

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// At most so many.
    pub limit: i64,
    /// So many left out first.
    pub offset: i64,
    /// After the entry with this id.
    pub before: Option<i64>,
    /// The client counts pages by numbers, and so shall the links to the others.
    pub numbered: bool,
}

impl Query {
    /// Reads what follows the question mark.
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or("").as_bytes())
            .map(|(name, value)| (Cow::into_owned(name), Cow::into_owned(value)))
            .collect();
        Self { pairs, problems: Vec::new() }
    }

    /// A parameter, if it is there and not empty. The last one of a name counts.
    pub fn optional<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())?;
        match parse(value) {
            _ if value.is_empty() => None,
            Ok(value) => Some(value),
            Err(error) => {
                let message = error.to_string();
                self.problems.push(Detail { field: name.into(), message });
                None
            }
        }
    }

    /// Which page is wanted: `limit` with `offset` or `cursor`, or `per_page` with `page`.
    pub fn paging(&mut self) -> Paging {
        let limit = self.optional("limit", |text| number(text, 1, MAX_LIMIT));
        let per_page = self.optional("per_page", |text| number(text, 1, MAX_LIMIT));
        let limit = limit.or(per_page).unwrap_or(DEFAULT_LIMIT);
        let offset = self.optional("offset", |text| number(text, 0, MAX_OFFSET));
        let page = self.optional("page", |text| number(text, 1, MAX_OFFSET / MAX_LIMIT));
        let before = self.optional("cursor", decode_cursor);
        let by_page = page.map(|page| (page - 1).saturating_mul(limit));
        Paging { limit, offset: offset.or(by_page).unwrap_or(0), before, numbered: offset.or(by_page).is_some() }
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// `validation_failed` with every problem.
    pub fn finish(self) -> Result<Self, ApiError> {
        if self.problems.is_empty() { Ok(self) } else { Err(ApiError::validation(self.problems)) }
    }

    /// The same list at `path`, at another place: all parameters but those of paging, then `place`.
    pub fn link(&self, path: &str, limit: i64, place: (&str, &str)) -> String {
        const PAGING: [&str; 5] = ["limit", "offset", "page", "per_page", "cursor"];
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(self.pairs.iter().filter(|(name, _)| !PAGING.contains(&name.as_str())));
        encoded.append_pair("limit", &limit.to_string()).append_pair(place.0, place.1);
        format!("{path}?{}", encoded.finish())
    }
}

/// A whole number between two others.
///
/// # Errors
/// In words, when it is anything else.
pub fn number(text: &str, min: i64, max: i64) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

/// A cursor: the last id of a page, in a form that nobody takes for one to count with.
pub fn encode_cursor(id: i64) -> String {
    format!("c{:016x}", id.cast_unsigned() ^ CURSOR_MASK)
}

/// Keeps people from reading ids out of cursors; it protects nothing.
const CURSOR_MASK: u64 = 0x5a5a_c3c3_9696_a5a5;

/// What a cursor looks like: an id is positive, so that the highest bit is the mask's. An empty one is none.
pub const CURSOR_PATTERN: &str = "^(c[0-7][0-9a-f]{15})?$";

/// The id in a cursor.
///
/// # Errors
/// In words, when it is not one of ours.
pub fn decode_cursor(text: &str) -> Result<i64, &'static str> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = text.strip_prefix('c').filter(|digits| digits.len() == 16 && digits.bytes().all(digit));
    let id = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).map(|id| (id ^ CURSOR_MASK).cast_signed());
    id.filter(|id| *id > 0).ok_or("is not a cursor of this list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_reported_with_their_range() {
        let mut query = Query::parse(Some("limit=0&offset=-1&page=x&cursor=zz"));
        query.paging();
        let Err(error) = query.finish() else { unreachable!() };
        let fields: Vec<_> = error.details.iter().map(|detail| detail.field.as_ref()).collect();
        assert_eq!(fields, ["limit", "offset", "page", "cursor"]);
        assert_eq!(error.details[0].message, "must be a whole number from 1 to 100");
    }

    #[test]
    fn pages_and_offsets_say_the_same() {
        let paging = |query| Query::parse(Some(query)).paging();
        assert_eq!(paging("page=3&per_page=10"), paging("offset=20&limit=10"));
        assert_eq!(paging(""), Paging { limit: 20, offset: 0, before: None, numbered: false });
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        for id in [1, 20, i64::MAX] {
            assert_eq!(decode_cursor(&encode_cursor(id)), Ok(id));
        }
        let other = ["", "c", "1", "c123", "c00000000000000zz", "c5A5AC3C39696A5B0", "c+123456789abcde"];
        for text in other.into_iter().chain([encode_cursor(0).as_str(), &encode_cursor(-1)]) {
            assert!(decode_cursor(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_keeps_the_filters_and_replaces_the_place() {
        let query = Query::parse(Some("search=a%20b&page=2&limit=5&author=7"));
        assert_eq!(
            query.link("/api/articles", 5, ("cursor", "c1")),
            "/api/articles?search=a+b&author=7&limit=5&cursor=c1"
        );
    }
}
