//! A head with memory of its own. hyper's are slices of the buffer that the connection reads into, which a request that
//! waits for its answer would hold: hyper, which looks for the client going away meanwhile, then takes another 8 KB. A
//! copy is a few hundred bytes.
//!
//! What must stay true: the head says the same as before.

use bytes::{Bytes, BytesMut};
use hyper::header::HeaderValue;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};

/// Copies the head to where nothing else is. A target with an authority, which hardly anybody sends, stays as it is.
pub(super) fn own<B>(request: &mut Request<B>) {
    let target = target(request.uri()).map_or(0, str::len);
    let size = request.headers().values().map(HeaderValue::len).sum::<usize>() + target;
    let mut memory = BytesMut::with_capacity(size);
    for value in request.headers().values() {
        memory.extend_from_slice(value.as_bytes());
    }
    memory.extend_from_slice(self::target(request.uri()).unwrap_or_default().as_bytes());
    let mut memory = memory.freeze();
    for value in request.headers_mut().values_mut() {
        // They are copies of what was taken for values before.
        if let Ok(copy) = HeaderValue::from_maybe_shared(memory.split_to(value.len())) {
            *value = copy;
        }
    }
    if target > 0
        && let Some(copy) = uri_of(memory)
    {
        *request.uri_mut() = copy;
    }
}

/// What is asked for, where no host is named with it.
fn target(uri: &Uri) -> Option<&str> {
    if uri.authority().is_some() { None } else { uri.path_and_query().map(PathAndQuery::as_str) }
}

fn uri_of(target: Bytes) -> Option<Uri> {
    PathAndQuery::from_maybe_shared(target).ok().map(Uri::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A request whose head is made of slices of one buffer, as hyper's are.
    fn sliced(target: &str, values: &[Vec<u8>]) -> (Request<()>, Bytes) {
        let mut whole = target.as_bytes().to_vec();
        values.iter().for_each(|value| whole.extend_from_slice(value));
        let buffer = Bytes::from(whole);
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_maybe_shared(buffer.slice(..target.len())).unwrap();
        let mut begin = target.len();
        for value in values {
            let value = buffer.slice(begin..begin + value.len());
            begin += value.len();
            request.headers_mut().append("x-some", HeaderValue::from_maybe_shared(value).unwrap());
        }
        (request, buffer)
    }

    fn said(request: &Request<()>) -> Vec<(String, Vec<u8>)> {
        let pairs = request.headers().iter();
        pairs.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
    }

    proptest! {
        #[test]
        fn a_head_of_its_own_says_the_same_and_holds_no_buffer(
            target in "(/[a-z%0-9]{0,9}){1,3}(\\?[a-z=&]{0,9})?|\\*",
            values in prop::collection::vec("[ -~\u{80}-\u{ff}]{0,20}".prop_map(String::into_bytes), 0..5),
        ) {
            let (mut request, buffer) = sliced(&target, &values);
            let (uri, headers) = (request.uri().to_string(), said(&request));
            prop_assert_eq!(headers.len(), values.len());
            own(&mut request);
            prop_assert_eq!(request.uri().to_string(), uri);
            prop_assert_eq!(said(&request), headers);
            prop_assert!(buffer.is_unique());
        }
    }

    #[test]
    fn a_target_with_an_authority_and_one_without_a_path_stay_as_they_are() {
        for target in ["http://callboard.example/api?x=1", "callboard.example:443"] {
            let (mut request, _) = sliced(target, &[b"value".to_vec()]);
            let before = request.uri().clone();
            own(&mut request);
            assert_eq!(request.uri(), &before);
        }
    }
}
