//! Entity tags: what an answer is recognised by.
//!
//! ```text
//! an article      "<id>.<version>-<hash of the bytes>"        anything else   "<hash of the bytes>"
//! compressed      the same with -gzip at its end
//! ```
//!
//! A tag is strong: two answers with the same tag are the same bytes, for they are hashed as they go out, with all
//! that differs by reader (`favorited`, the author's address) or changes without the article (`favorites_count`, the
//! author's name). `If-None-Match` compares the whole of it.
//!
//! `If-Match` compares id and version only: what PUT and DELETE take away is the row, and its version counts every
//! change that somebody made to it. Had it to match as a whole, a favorite by anybody would refuse the author's edit,
//! and nobody could edit what is popular. So each tag that was given for this version of this article matches,
//! whoever it was given to, and in whichever coding; weak ones never do.

use actors::articles::Revision;
use actors::kit::trace::hexadecimal;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use xxhash_rust::xxh3::xxh3_64;

/// What the tag of a compressed answer ends with.
const GZIP: &str = "-gzip";

/// The tag of these bytes.
pub fn of(bytes: &[u8]) -> HeaderValue {
    tag("", bytes)
}

/// The tag of an article as these bytes show it.
pub fn of_article(Revision { article, version }: Revision, bytes: &[u8]) -> HeaderValue {
    tag(&format!("{article}.{version}-"), bytes)
}

/// Written by hand, since every answer has one: formatting it took 2,300 instructions.
fn tag(before: &str, bytes: &[u8]) -> HeaderValue {
    let mut text = Vec::with_capacity(before.len() + 18);
    text.push(b'"');
    text.extend_from_slice(before.as_bytes());
    hexadecimal(&mut text, &xxh3_64(bytes).to_be_bytes());
    text.push(b'"');
    value(text)
}

/// The tag of the same, compressed.
pub fn of_gzip(tag: &HeaderValue) -> HeaderValue {
    match tag.to_str().ok().and_then(|tag| tag.strip_suffix('"')) {
        Some(tag) => value(format!("{tag}{GZIP}\"")),
        None => tag.clone(),
    }
}

/// Letters, digits, dots, hyphens and quotes are always a header's value.
fn value(text: impl TryInto<HeaderValue>) -> HeaderValue {
    text.try_into().unwrap_or(HeaderValue::from_static("\"\""))
}

/// The values of a header that may stand several times, as one.
pub fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    match values.next() {
        None => Some(first.clone()),
        Some(second) => {
            let all: Vec<_> = [first, second].into_iter().chain(values).map(HeaderValue::as_bytes).collect();
            HeaderValue::from_bytes(&all.join(&b", "[..])).ok()
        }
    }
}

/// Whether `If-None-Match` names this answer, and the tag by which the reader knows it.
pub fn matching(list: &HeaderValue, tag: &HeaderValue) -> Option<HeaderValue> {
    let (list, ours) = (list.to_str().ok()?, tag.to_str().ok()?.trim_matches('"'));
    if list.trim() == "*" {
        return Some(tag.clone());
    }
    let theirs = Tags(list).find(|theirs| theirs.plain() == ours)?;
    Some(value(format!("\"{}\"", theirs.text)))
}

/// The states that a change is for: those of `If-Match`, or none at all where `If-None-Match` wants the article not
/// to be there. `None` where it does not matter.
pub fn expected(headers: &HeaderMap) -> Option<Vec<Revision>> {
    let text = |name| joined(headers, name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if text(&IF_NONE_MATCH).is_some_and(|list| list.trim() == "*") {
        return Some(Vec::new());
    }
    let list = text(&IF_MATCH).filter(|list| list.trim() != "*")?;
    Some(Tags(&list).filter(|tag| !tag.weak).filter_map(|tag| revision(tag.plain())).collect())
}

fn revision(tag: &str) -> Option<Revision> {
    let (revision, hash) = tag.split_once('-')?;
    let (article, version) = revision.split_once('.')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let state = Revision { article: number(article)?, version: number(version)? };
    (hash.len() == 16).then_some(state)
}

/// One tag of a list.
struct Listed<'a> {
    weak: bool,
    text: &'a str,
}

impl<'a> Listed<'a> {
    /// Without what says how the bytes were coded.
    fn plain(&self) -> &'a str {
        self.text.strip_suffix(GZIP).unwrap_or(self.text)
    }
}

/// The tags of a list, up to the first that is none.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = Listed<'a>;

    fn next(&mut self) -> Option<Listed<'a>> {
        let rest = self.0.trim_start_matches([' ', '\t', ',']);
        let (weak, rest) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
        let (text, rest) = rest.strip_prefix('"')?.split_once('"')?;
        self.0 = rest;
        Some(Listed { weak, text })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listed(name: HeaderName, text: &str) -> Option<HeaderMap> {
        Some(HeaderMap::from_iter([(name, HeaderValue::from_str(text).ok()?)]))
    }

    fn states(text: &str) -> Option<Vec<(i64, i64)>> {
        let states = expected(&listed(IF_MATCH, text)?)?;
        Some(states.into_iter().map(|state| (state.article, state.version)).collect())
    }

    #[test]
    fn if_match_names_the_states_of_strong_tags_of_ours() {
        assert_eq!(states("*"), None);
        assert_eq!(states("\"7.2-0123456789abcdef\""), Some(vec![(7, 2)]));
        assert_eq!(states("\"7.2-0123456789abcdef-gzip\", \"7.3-0123456789abcdef\""), Some(vec![(7, 2), (7, 3)]));
        let strange = "W/\"7.2-0123456789abcdef\", \"\", \"x\", \"+7.2-0123456789abcdef\", \"7.2-1\", \"7.2\", \"7.-\"";
        assert_eq!(states(strange), Some(Vec::new()));
        assert_eq!(states("7.2-0123456789abcdef"), Some(Vec::new()), "without quotes it is no tag");
        assert_eq!(states("\"a,b\", \"7.2-0123456789abcdef\""), Some(vec![(7, 2)]), "a tag may hold a comma");
    }

    #[test]
    fn if_none_match_compares_weakly_and_whatever_the_coding() {
        let tag = of(b"bytes");
        let Ok(ours) = tag.to_str() else { unreachable!() };
        let finds = |list: &str| HeaderValue::from_str(list).ok().and_then(|list| matching(&list, &tag));
        assert_eq!(finds("*"), Some(tag.clone()));
        assert_eq!(finds(&format!("\"x\" , W/{ours}")), Some(tag.clone()));
        assert_eq!(finds(&format!("{}-gzip\"", ours.trim_end_matches('"'))), Some(of_gzip(&tag)));
        for other in ["", "\"\"", "x", "\"0\"", &ours[1..], &format!("x{ours}")] {
            assert_eq!(finds(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_that_was_given_is_known_again(article in 1..i64::MAX, version in 1..i64::MAX, bytes in any::<Vec<u8>>()) {
            let tag = of_article(Revision { article, version }, &bytes);
            for tag in [&tag, &of_gzip(&tag)] {
                let text = tag.to_str().unwrap_or_default();
                prop_assert_eq!(states(text), Some(vec![(article, version)]));
                prop_assert!(matching(tag, tag).is_some() || text.ends_with("-gzip\""));
            }
        }

        #[test]
        fn no_list_makes_the_parser_panic(list in "[W/\", *.a-]{0,40}") {
            if let Ok(list) = HeaderValue::from_str(&list) {
                matching(&list, &of(b""));
                expected(&HeaderMap::from_iter([(IF_MATCH, list)]));
            }
        }
    }
}
