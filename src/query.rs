//! The query of a URL, taken apart parameter by parameter, so that every mistake is reported at once;
//! and paging, which every list has in common.

use std::borrow::Cow;
use std::fmt::Display;

use crate::cursor::{Cursor, Strange};
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
    /// Only entries older than the one with this id.
    pub before: Option<i64>,
    /// Only entries newer than the one with this id, and of those the nearest.
    pub after: Option<i64>,
    /// The client counts pages by numbers, and so shall the links to the others.
    pub numbered: bool,
}

impl Paging {
    /// How many entries to ask for: one more than a page holds tells whether there are more.
    pub fn wanted(&self) -> i64 {
        self.limit + 1
    }

    /// The page of what was asked for, newest first, and whether there are more beyond its end: its last entry, or
    /// its first where the page was reached from older ones.
    pub fn cut<'a, T>(&self, entries: &'a [T]) -> (&'a [T], bool) {
        let more = i64::try_from(entries.len()).is_ok_and(|count| count > self.limit);
        let rest = match self.after {
            _ if !more => None,
            Some(_) => entries.split_first().map(|(_, rest)| rest),
            None => entries.split_last().map(|(_, rest)| rest),
        };
        (rest.unwrap_or(entries), more)
    }
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

    /// Which page is wanted: `limit` with `offset` or `cursor`, or `per_page` with `page`. The list leads to older
    /// entries only.
    pub fn paging(&mut self) -> Paging {
        self.take_paging(|cursor| matches!(cursor, Cursor::Older(_)))
    }

    /// The same for a list that leads back as well.
    pub fn paging_both_ways(&mut self) -> Paging {
        self.take_paging(|_| true)
    }

    fn take_paging(&mut self, leads_there: impl Fn(&Cursor) -> bool) -> Paging {
        let limit = self.optional("limit", |text| number(text, 1, MAX_LIMIT));
        let per_page = self.optional("per_page", |text| number(text, 1, MAX_LIMIT));
        let limit = limit.or(per_page).unwrap_or(DEFAULT_LIMIT);
        let offset = self.optional("offset", |text| number(text, 0, MAX_OFFSET));
        let page = self.optional("page", |text| number(text, 1, MAX_OFFSET / MAX_LIMIT));
        let cursor = self.optional("cursor", |text| text.parse().ok().filter(&leads_there).ok_or(Strange));
        let by_page = page.map(|page| (page - 1).saturating_mul(limit));
        let (before, after) = match cursor {
            Some(Cursor::Older(id)) => (Some(id), None),
            Some(Cursor::Newer(id)) => (None, Some(id)),
            None => (None, None),
        };
        // Whoever has a cursor has stopped counting.
        let offset = offset.or(by_page).filter(|_| cursor.is_none());
        Paging { limit, offset: offset.unwrap_or(0), before, after, numbered: offset.is_some() }
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

/// The cursor that leads on from the entry with this id, to older ones.
pub fn encode_cursor(id: i64) -> String {
    Cursor::Older(id).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Paging = Paging { limit: 20, offset: 0, before: None, after: None, numbered: false };

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
        assert_eq!(paging(""), FIRST);
    }

    #[test]
    fn a_cursor_wins_over_numbers_and_leads_only_where_its_list_does() {
        let (older, newer) = (Cursor::Older(7).to_string(), Cursor::Newer(7).to_string());
        let paging = |cursor: &str| Query::parse(Some(&format!("offset=40&cursor={cursor}"))).paging_both_ways();
        assert_eq!(paging(&older), Paging { before: Some(7), ..FIRST });
        assert_eq!(paging(&newer), Paging { after: Some(7), ..FIRST });
        let mut one_way = Query::parse(Some(&format!("cursor={newer}")));
        one_way.paging();
        assert!(one_way.finish().is_err());
    }

    #[test]
    fn one_entry_more_than_a_page_holds_tells_that_there_are_more() {
        let page = Paging { limit: 2, ..FIRST };
        assert_eq!((page.cut(&[3, 2, 1]), page.cut(&[3, 2])), ((&[3, 2][..], true), (&[3, 2][..], false)));
        let back = Paging { after: Some(0), ..page };
        assert_eq!((back.cut(&[3, 2, 1]), back.cut(&[3, 2])), ((&[2, 1][..], true), (&[3, 2][..], false)));
        assert_eq!(page.cut::<i64>(&[]), (&[][..], false));
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
