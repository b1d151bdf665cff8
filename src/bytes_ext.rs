//! Bytes on their way out, and percent-encoded bytes on their way in.
//!
//! Owns: [`OutBuf`], [`percent_decode`], [`parse_query`]. Does not own: what the bytes mean (`http1`), writing them (`runtime`).
//! Rule: no policy but one, stated in [`OutBuf::SHARE_FROM`]; order of appends is order on the wire.

use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::collections::VecDeque;

/// Output of one connection, in order: pieces ready to write, then the buffer being appended to.
#[derive(Debug, Default)]
pub struct OutBuf {
    ready: VecDeque<Bytes>,
    ready_bytes: usize,
    /// Appended to by the encoders. Goes to the wire behind all that is `ready`.
    pub tail: BytesMut,
}

impl OutBuf {
    /// Bytes from which a body is queued by reference in place of being copied into the buffer.
    ///
    /// Below it one copy is cheaper than one more segment in the write.
    pub const SHARE_FROM: usize = 16 * 1024;

    /// Appends a body: copied when small, by reference when large.
    pub fn push(&mut self, body: Bytes) {
        if body.len() < Self::SHARE_FROM {
            self.tail.extend_from_slice(&body);
        } else {
            self.seal();
            self.ready_bytes += body.len();
            self.ready.push_back(body);
        }
    }

    /// Takes the next piece to write, in order. `None` when all is taken.
    pub fn take_next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.ready.pop_front() {
            self.ready_bytes -= piece.len();
            return Some(piece);
        }
        if self.tail.is_empty() {
            return None;
        }
        Some(self.tail.split().freeze())
    }

    /// True when everything fits the one contiguous buffer, so that it can be written without a piece.
    pub fn is_contiguous(&self) -> bool {
        self.ready.is_empty()
    }

    /// Bytes appended and not yet taken.
    pub fn len(&self) -> usize {
        self.ready_bytes + self.tail.len()
    }

    /// True when nothing waits to be written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let piece = self.tail.split().freeze();
            self.ready_bytes += piece.len();
            self.ready.push_back(piece);
        }
    }
}

/// Without the spaces and tabs at both ends (`OWS`, RFC 9110 section 5.6.3).
pub fn trim_ows(bytes: &[u8]) -> &[u8] {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !is_ows(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_ows(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1.2).
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> + '_ {
    value.split(|&byte| byte == b',').map(trim_ows).filter(|member| !member.is_empty())
}

/// Decodes `%XX`. What is no escape stays as it is, as `urllib.parse.unquote` leaves it.
pub fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(decode_escapes(text, false))
}

/// Pairs of a query string or a form (`application/x-www-form-urlencoded`), in order, repeats kept.
///
/// As `urllib.parse.parse_qsl(keep_blank_values=True)`: empty parts are skipped, `+` is a space, invalid UTF-8 becomes
/// U+FFFD.
pub fn parse_query(query: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split(|&byte| byte == b'&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = match memchr::memchr(b'=', part) {
            Some(mark) => (&part[..mark], &part[mark + 1..]),
            None => (part, &[][..]),
        };
        (decode_form(name), decode_form(value))
    })
}

fn decode_form(text: &[u8]) -> Cow<'_, str> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return String::from_utf8_lossy(text);
    }
    match String::from_utf8(decode_escapes(text, true)) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn decode_escapes(text: &[u8], plus_is_space: bool) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            if let [high, low, after @ ..] = tail {
                if let (Some(high), Some(low)) = (hex(*high), hex(*low)) {
                    decoded.push(high << 4 | low);
                    rest = after;
                    continue;
                }
            }
        }
        decoded.push(if byte == b'+' && plus_is_space { b' ' } else { byte });
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_buf_keeps_order_when_small_and_large_bodies_mix() {
        let mut out = OutBuf::default();
        out.tail.extend_from_slice(b"head");
        let large = Bytes::from(vec![b'x'; OutBuf::SHARE_FROM]);
        out.push(large.clone());
        out.push(Bytes::from_static(b"tail"));
        assert_eq!(out.len(), 8 + large.len());
        assert_eq!(out.take_next().as_deref(), Some(&b"head"[..]));
        assert_eq!(out.take_next(), Some(large));
        assert_eq!(out.take_next().as_deref(), Some(&b"tail"[..]));
        assert_eq!(out.take_next(), None);
        assert!(out.is_empty());
    }

    #[test]
    fn percent_escapes_are_decoded_and_others_left() {
        let table: [(&[u8], &[u8]); 9] = [
            (b"/plain", b"/plain"),
            (b"/a%2Fb%20c", b"/a/b c"),
            (b"/%c3%A4", b"/\xc3\xa4"),
            (b"%00%ff", b"\0\xff"),
            (b"%", b"%"),
            (b"%4", b"%4"),
            (b"%zz%4g", b"%zz%4g"),
            (b"%%34%31", b"%41"),
            (b"a+b", b"a+b"),
        ];
        for (text, expected) in table {
            assert_eq!(*percent_decode(text), *expected, "{}", text.escape_ascii());
        }
        assert!(matches!(percent_decode(b"/plain"), Cow::Borrowed(_)), "nothing is copied without an escape");
    }

    #[test]
    fn query_is_parsed_as_python_parses_it() {
        // Expected values are those of urllib.parse.parse_qsl(text, keep_blank_values=True), CPython 3.13.
        let table: [(&str, &[(&str, &str)]); 20] = [
            ("", &[]),
            ("&", &[]),
            ("a", &[("a", "")]),
            ("a=", &[("a", "")]),
            ("=a", &[("", "a")]),
            ("=", &[("", "")]),
            ("a=1&&b=2&", &[("a", "1"), ("b", "2")]),
            ("a=1&a=2", &[("a", "1"), ("a", "2")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a+b=c+d", &[("a b", "c d")]),
            ("a%2Bb=%26", &[("a+b", "&")]),
            ("a=%zz&b=%4", &[("a", "%zz"), ("b", "%4")]),
            ("a=%C3%A4", &[("a", "\u{e4}")]),
            ("a=%ff%fe", &[("a", "\u{fffd}\u{fffd}")]),
            ("a=%e2%82x", &[("a", "\u{fffd}x")]),
            ("a=%e2%28%a1", &[("a", "\u{fffd}(\u{fffd}")]),
            ("a=%f4%90%80%80", &[("a", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}")]),
            ("a=%f0%9f%98%80", &[("a", "\u{1f600}")]),
            ("a;b=c", &[("a;b", "c")]),
            ("%61=%%34%31", &[("a", "%41")]),
        ];
        for (query, expected) in table {
            let pairs: Vec<_> = parse_query(query.as_bytes()).collect();
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(pairs, expected, "{query}");
        }
    }

    #[test]
    fn list_members_are_trimmed_and_empty_ones_left_out() {
        let members: Vec<_> = list_members(b" a ,,\tb c\t, ").collect();
        assert_eq!(members, [&b"a"[..], b"b c"]);
        assert_eq!(trim_ows(b" \t "), b"");
        assert_eq!(trim_ows(b"a\r"), b"a\r");
    }
}
