//! The addresses that a request came through, as proxies wrote them down: `Forwarded` (RFC 7239) and
//! `X-Forwarded-For`. Whether they are believed is decided in [`crate::proxies`].
//!
//! What must stay true: any text gives some list, and what is not understood is `None` in it and never skipped.
//! A hop that is left out would have the one before it believed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// A hop: where the one who wrote it down was asked from, unless that is hidden or not understood.
pub(crate) type Hop = Option<IpAddr>;

/// The hops in a value of `Forwarded`, the nearest to us last.
pub(crate) fn forwarded(value: &str) -> Vec<Hop> {
    split(value, ',').map(|element| element.and_then(from)).collect()
}

/// The hops in a value of `X-Forwarded-For`, the nearest to us last.
pub(crate) fn x_forwarded_for(value: &str) -> Vec<Hop> {
    value.split(',').map(|hop| node(hop.trim_matches([' ', '\t']))).collect()
}

/// The address after `for=` in an element; none when it is there twice.
fn from(element: &str) -> Hop {
    let mut found = None;
    for pair in split(element, ';') {
        let (name, value) = pair?.trim_matches([' ', '\t']).split_once('=')?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    node(&unquoted(found?)?)
}

/// The parts between separators that stand outside of quotes. A quote that does not end spoils its part.
fn split(text: &str, separator: char) -> impl Iterator<Item = Option<&str>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        for (at, next) in text.char_indices() {
            match next {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if next == separator && !quoted => {
                    let (part, more) = text.split_at(at);
                    rest = more.strip_prefix(separator);
                    return Some(Some(part));
                }
                _ => {}
            }
        }
        rest = None;
        Some((!quoted).then_some(text))
    })
}

/// A token as it is, a quoted string without its quotes.
fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else { return (!value.contains('"')).then(|| value.to_owned()) };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.strip_suffix('"')?.chars();
    while let Some(next) = characters.next() {
        match next {
            '\\' => text.push(characters.next()?),
            '"' => return None,
            _ => text.push(next),
        }
    }
    Some(text)
}

/// An address, perhaps with a port, which nobody asks for.
fn node(text: &str) -> Hop {
    let bare = text.parse::<IpAddr>().ok();
    let address = bare
        .or_else(|| text.parse::<SocketAddrV4>().ok().map(|address| IpAddr::V4(*address.ip())))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6))
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    // 0.0.0.0 is nobody.
    Some(address.to_canonical()).filter(|address| *address != IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(hops: Vec<Hop>) -> Vec<String> {
        hops.into_iter().map(|hop| hop.map_or_else(|| "-".to_owned(), |address| address.to_string())).collect()
    }

    #[test]
    fn the_examples_of_rfc_7239_are_understood() {
        for (value, hops) in [
            ("for=\"_gazonk\"", vec!["-"]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec!["2001:db8:cafe::17"]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", vec!["192.0.2.60"]),
            ("for=192.0.2.43, for=198.51.100.17", vec!["192.0.2.43", "198.51.100.17"]),
            (
                "for=192.0.2.43, for=\"[2001:db8:cafe::17]\";by=\"a,b;c\", for=unknown",
                vec!["192.0.2.43", "2001:db8:cafe::17", "-"],
            ),
        ] {
            assert_eq!(shown(forwarded(value)), hops, "{value}");
        }
    }

    #[test]
    fn what_is_malformed_is_nobody_and_still_a_hop() {
        for value in [
            "",
            "for",
            "for=",
            "for=\"1.2.3.4",
            "for=1.2.3.4;for=5.6.7.8",
            "by=1.2.3.4",
            "for=1.2.3.256",
            "for=\"1.2.3.4\"x",
            "for=::ffff:0.0.0.0",
            "for=1.2.3.4 5",
            "host=\"x",
            "for=\"1.2.3.4\\\"",
        ] {
            assert_eq!(shown(forwarded(value)), ["-"], "{value}");
        }
        assert_eq!(shown(forwarded("for=1.2.3.4, for=\"5.6.7.8, for=9.9.9.9")), ["1.2.3.4", "-"]);
        assert_eq!(
            shown(x_forwarded_for("1.2.3.4,,x, 5.6.7.8:80 ,[::1],::ffff:9.8.7.6")),
            ["1.2.3.4", "-", "-", "5.6.7.8", "::1", "9.8.7.6"]
        );
    }

    proptest! {
        #[test]
        fn any_text_gives_hops_and_as_many_as_it_has_parts(text in ".{0,200}") {
            prop_assert!(!forwarded(&text).is_empty());
            prop_assert_eq!(x_forwarded_for(&text).len(), text.split(',').count());
        }

        #[test]
        fn what_proxies_write_is_read_back(
            hops in prop::collection::vec((any::<IpAddr>(), any::<Option<u16>>(), any::<bool>()), 1..8)
        ) {
            let host = |address: &IpAddr| match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            };
            let text = |(address, port, _): &(IpAddr, Option<u16>, bool)| {
                port.map_or_else(|| host(address), |port| format!("{}:{port}", host(address)))
            };
            let said: Vec<_> = hops.iter().map(|(address, ..)| node(&address.to_string())).collect();
            let elements: Vec<_> = hops.iter().map(|hop| match hop.2 {
                true => format!("by=\"_a,b\";for=\"{}\"", text(hop)),
                false => format!("proto=https;FOR=\"{}\";host=\"x;for=1.1.1.1\"", text(hop)),
            }).collect();
            prop_assert_eq!(forwarded(&elements.join(", ")), said.clone());
            prop_assert_eq!(x_forwarded_for(&hops.iter().map(text).collect::<Vec<_>>().join(",")), said);
        }
    }
}
