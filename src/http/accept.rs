//! What a client takes: media types and codings, each with a weight.

use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

/// Whether this media type is among those that a client takes. Who says nothing, or nothing that can be understood,
/// takes anything. The range that names the type most closely decides.
pub fn takes(headers: &HeaderMap, media: &str) -> bool {
    let kind = media.split('/').next().unwrap_or_default();
    let (mut closest, mut weight, mut said) = (0, 0.0_f32, false);
    for (range, q) in weighted(headers, &ACCEPT) {
        let close = match range.split_once('/') {
            _ if range.eq_ignore_ascii_case(media) => 3,
            Some((name, "*")) if name.eq_ignore_ascii_case(kind) => 2,
            Some(("*", "*")) => 1,
            // An old spelling, which is still met.
            None if range == "*" => 1,
            None => continue,
            Some(_) => 0,
        };
        said = true;
        if close > closest || (close == closest && close > 0 && q > weight) {
            (closest, weight) = (close, q);
        }
    }
    !said || (closest > 0 && weight > 0.0)
}

/// Whether a client would rather have gzip than the bytes as they are.
pub fn gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, 0.0_f32);
    for (coding, q) in weighted(headers, &ACCEPT_ENCODING) {
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(q);
        } else if coding.eq_ignore_ascii_case("identity") {
            identity = q;
        } else if coding == "*" {
            any = Some(q);
        }
    }
    gzip.or(any).is_some_and(|q| q > 0.0 && q >= identity)
}

/// The entries of a list with their weights: 1 where none is given, or none that is one.
fn weighted<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'a str, f32)> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight =
            parts.filter_map(|part| part.split_once('=')).find(|(key, _)| key.trim().eq_ignore_ascii_case("q"));
        let weight = weight.and_then(|(_, q)| q.trim().parse().ok()).filter(|q| (0.0..=1.0).contains(q));
        Some((name, weight.unwrap_or(1.0)))
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn with(name: HeaderName, text: &str) -> HeaderMap {
        HeaderValue::from_str(text).ok().map(|value| (name, value)).into_iter().collect()
    }

    #[test]
    fn the_closest_range_decides() {
        let takes = |accept: &str| takes(&with(ACCEPT, accept), "application/json");
        for accept in [
            "*/*",
            "application/*",
            "APPLICATION/JSON",
            "application/json; charset=utf-8",
            "text/html, */*;q=0.1",
            "text/html;q=1, application/json;q=0.001",
            "application/json, */*;q=0",
            "*; q=.2",
            "",
            "nonsense",
            ";q=0",
            "application/json;q=x",
        ] {
            assert!(takes(accept), "{accept}");
        }
        for accept in [
            "text/html",
            "text/*",
            "application/json;q=0",
            "application/json;q=0.0, */*",
            "*/*;q=0",
            "application/*;q=0, */*",
            "text/html, application/xml;q=0.9",
            "application/jsonx",
        ] {
            assert!(!takes(accept), "{accept}");
        }
    }

    #[test]
    fn gzip_is_chosen_unless_the_bytes_as_they_are_are_liked_better() {
        let gzip = |accept: &str| gzip(&with(ACCEPT_ENCODING, accept));
        for accept in
            ["gzip", "X-GZIP", "gzip, deflate, br", "*", "br;q=1.0, gzip;q=0.2", "identity, gzip", "gzip;q=0.5"]
        {
            assert!(gzip(accept), "{accept}");
        }
        for accept in ["", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "identity, gzip;q=0.5", "identity", "deflate"] {
            assert!(!gzip(accept), "{accept}");
        }
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(text in "[a-z*/;=q0-9., -]{0,60}") {
            takes(&with(ACCEPT, &text), "application/json");
            gzip(&with(ACCEPT_ENCODING, &text));
        }
    }
}
