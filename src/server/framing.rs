//! Finds the request over HTTP/1 whose head gives two lengths for its body: `Content-Length` and
//! `Transfer-Encoding`. Servers on the way differ in which of them they go by, and what one takes for the body is the
//! next request for another (RFC 9112, section 11.2).
//!
//! hyper goes by the encoding, as it may, drops the length and closes; so whether there was one has to be seen in the
//! bytes. They are only followed here, never changed or cut: what hyper reads decides what a request is. When this
//! loses its way, nothing is found, and what hyper does is still safe.

use memchr::memchr;

/// A line is kept up to here: names and lengths are at its beginning.
const LINE: usize = 128;

/// Where in a connection's bytes we are.
#[derive(Debug, Default)]
pub(super) struct Framing {
    place: Place,
    line: Vec<u8>,
    head: Head,
    /// Heads that were begun.
    heads: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a request line.
    #[default]
    Start,
    Headers,
    /// So many bytes that say nothing, then the next request, or the next chunk.
    Body(u64),
    Chunk(u64),
    ChunkSize,
    Trailers,
    /// It is not HTTP/1, or we do not understand it, or have found what we looked for.
    Lost,
}

/// What a head said of its body.
#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    encoded: bool,
}

impl Framing {
    /// Goes on with these bytes. Gives the number, from 1, of a request with two lengths.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Option<u64> {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Lost => return None,
                Place::Body(left) | Place::Chunk(left) => {
                    let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= skipped as u64;
                    bytes = bytes.get(skipped..).unwrap_or_default();
                    self.place = match self.place {
                        Place::Body(0) => Place::Start,
                        Place::Chunk(0) => Place::ChunkSize,
                        other => other,
                    };
                }
                _ => {
                    let end = memchr(b'\n', bytes);
                    let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
                    let room = LINE.saturating_sub(self.line.len()).min(part.len());
                    self.line.extend_from_slice(part.get(..room).unwrap_or_default());
                    bytes = rest;
                    if end.is_some() && self.line_ends() {
                        return Some(self.heads);
                    }
                }
            }
        }
        None
    }

    /// Whether it ended a head with two lengths.
    fn line_ends(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii();
        self.place = match self.place {
            Place::Start if text.is_empty() => Place::Start,
            Place::Start if text.starts_with(b"PRI * HTTP/2") => Place::Lost,
            Place::Start => {
                self.heads += 1;
                self.head = Head::default();
                Place::Headers
            }
            Place::Headers if text.is_empty() => match (self.head.encoded, self.head.length) {
                (true, Some(_)) => {
                    self.place = Place::Lost;
                    return true;
                }
                (true, None) => Place::ChunkSize,
                (false, Some(length)) if length > 0 => Place::Body(length),
                (false, _) => Place::Start,
            },
            Place::Headers => self.header(text),
            Place::ChunkSize => match chunk_size(text) {
                Some(0) => Place::Trailers,
                // The line's end behind it belongs to it.
                Some(size) => Place::Chunk(size.saturating_add(2)),
                None => Place::Lost,
            },
            Place::Trailers if text.is_empty() => Place::Start,
            other => other,
        };
        self.line = line;
        self.line.clear();
        false
    }

    fn header(&mut self, line: &[u8]) -> Place {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.head.encoded = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value.trim_ascii()).ok().and_then(|value| value.parse().ok());
            // One that is no number is refused by hyper, unless an encoding has it not look.
            self.head.length = Some(length.unwrap_or(0));
        }
        Place::Headers
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next()?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const LENGTH: &str =
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 41\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n";
    const CHUNKS: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
         13;x=y\r\nContent-Length: 1\r\n\r\n2\r\n\r\n\r\n0\r\nContent-Length: 1\r\n\r\n";
    const LONG: &str = "POST / HTTP/1.1\r\nX: transfer-encoding: chunked content-length: 1\r\n\r\n";
    const BOTH: [&str; 3] = [
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\nTRANSFER-ENCODING: chunked\nX: y\ncontent-length: 1\n\n",
        "\r\nPOST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\nContent-Length: x\r\n\r\n",
    ];

    fn followed(text: &str, cuts: &[usize]) -> Option<u64> {
        let mut framing = Framing::default();
        let mut rest = text.as_bytes();
        for cut in cuts {
            let (part, more) = rest.split_at((*cut).min(rest.len()));
            rest = more;
            if let Some(found) = framing.follow(part) {
                return Some(found);
            }
        }
        framing.follow(rest)
    }

    #[test]
    fn another_protocol_and_nonsense_are_left_alone() {
        for text in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{0}\u{1}\n\n", "", "\n\n\n"] {
            assert_eq!(followed(&format!("{text}{}", BOTH[0].trim_start())[..text.len()], &[]), None);
        }
    }

    proptest! {
        #[test]
        fn the_request_with_two_lengths_is_found_wherever_it_stands_and_however_it_comes(
            before in prop::collection::vec(prop::sample::select(vec![GET, LENGTH, CHUNKS, LONG]), 0..8),
            both in prop::option::of(prop::sample::select(BOTH.to_vec())),
            cuts in prop::collection::vec(1_usize..60, 0..40),
        ) {
            let text = before.concat() + both.unwrap_or("") + GET;
            let expected = both.map(|_| before.len() as u64 + 1);
            prop_assert_eq!(followed(&text, &cuts), expected, "{}", text);
        }

        #[test]
        fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            Framing::default().follow(&bytes);
        }
    }
}
