//! Invariant: the decoder agrees with a naive one that has the whole body at hand: the same data, the same end, the same
//! bytes left over; what the naive one refuses is refused. Byte by byte it says the same as at once.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use turboapi::http1::limits::MAX_CHUNK_EXTENSION_BYTES;
use turboapi::http1::{BodyDecoder, BodyEvent, Framing, Limits, Violation};

const LIMITS: Limits =
    Limits { max_head_bytes: 256, max_fields: 8, max_target_bytes: 64, max_body_bytes: 4096 };

#[derive(Debug, PartialEq)]
enum Verdict {
    /// The body, and how many bytes lie behind it.
    Whole(Vec<u8>, usize),
    Broken,
    Partial,
}

fuzz_target!(|bytes: &[u8]| {
    let (verdict, violation) = decoded([bytes]);
    assert_eq!(decoded(bytes.chunks(1)), (verdict, violation));
    let (verdict, _) = decoded([bytes]);
    if bytes.len() > MAX_CHUNK_EXTENSION_BYTES {
        return; // The naive decoder does not count extensions.
    }
    match naive(bytes) {
        // What is not whole may be refused already: the naive decoder only sees whole lines.
        Verdict::Partial => assert!(!matches!(verdict, Verdict::Whole(..)), "{verdict:?}"),
        expected => assert_eq!(verdict, expected),
    }
});

fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Verdict, Option<Violation>) {
    let mut decoder = BodyDecoder::new(Framing::Chunked, LIMITS);
    let mut input = BytesMut::new();
    let mut body = Vec::new();
    let mut has_ended = false;
    for piece in pieces {
        input.extend_from_slice(piece);
        while !has_ended {
            match decoder.next_event(&mut input) {
                Ok(BodyEvent::NeedMore) => break,
                Ok(BodyEvent::Piece(piece)) => body.extend_from_slice(&piece),
                Ok(BodyEvent::End) => has_ended = true,
                Err(violation) => return (Verdict::Broken, Some(violation)),
            }
        }
    }
    (if has_ended { Verdict::Whole(body, input.len()) } else { Verdict::Partial }, None)
}

fn naive(bytes: &[u8]) -> Verdict {
    let mut rest = bytes;
    let mut body = Vec::new();
    let mut announced = 0u64;
    loop {
        let Some((line, after)) = line(rest) else { return Verdict::Partial };
        let Some(size) = size_of(line) else { return Verdict::Broken };
        announced = announced.saturating_add(size);
        if announced > LIMITS.max_body_bytes {
            return Verdict::Broken;
        }
        rest = after;
        if size == 0 {
            break;
        }
        let size = size as usize;
        if rest.len() < size + 2 {
            return Verdict::Partial;
        }
        if &rest[size..size + 2] != b"\r\n" {
            return Verdict::Broken;
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
    let trailers = rest;
    for count in 0.. {
        let Some((line, after)) = line(rest) else { return Verdict::Partial };
        rest = after;
        if trailers.len() - rest.len() > LIMITS.max_head_bytes {
            return Verdict::Broken;
        }
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Verdict::Broken };
        let (name, value) = line.split_at(colon);
        if !is_token(name) || !value.iter().all(|byte| is_text(*byte)) || count >= LIMITS.max_fields {
            return Verdict::Broken;
        }
    }
    Verdict::Whole(body, rest.len())
}

/// A line that ends with LF, without CRLF. A lone CR or LF stays in it, where nothing allows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..=end]);
    Some((line, &bytes[end + 1..]))
}

fn size_of(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || digits > 16 || !is_extensions(&line[digits..]) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`, by recursive descent.
fn is_extensions(text: &[u8]) -> bool {
    if text.is_empty() {
        return true;
    }
    let Some(text) = skip_ws(text).strip_prefix(b";") else { return false };
    let Some(text) = skip_token(skip_ws(text)) else { return false };
    let Some(value) = skip_ws(text).strip_prefix(b"=") else { return is_extensions(text) };
    let value = skip_ws(value);
    match value.strip_prefix(b"\"") {
        Some(quoted) => skip_quoted(quoted).is_some_and(is_extensions),
        None => skip_token(value).is_some_and(is_extensions),
    }
}

fn skip_ws(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[count..]
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| is_token(&[**byte])).count();
    (count > 0).then(|| &text[count..])
}

fn skip_quoted(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"', rest @ ..] => Some(rest),
        [b'\\', escaped, rest @ ..] if is_text(*escaped) => skip_quoted(rest),
        [byte, rest @ ..] if is_text(*byte) && *byte != b'\\' => skip_quoted(rest),
        _ => None,
    }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= 0x20 && byte != 0x7f
}
