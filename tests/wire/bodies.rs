//! Request bodies: by length and chunked (RFC 9112 sections 6.2 and 7.1).

use crate::support::{read, read_with};
use turboapi::http1::limits::MAX_CHUNK_EXTENSION_BYTES;
use turboapi::http1::{Limits, Violation};

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The body of a chunked request.
fn body(chunks: &[u8]) -> Result<Vec<u8>, Violation> {
    let seen = read(&[CHUNKED.as_bytes(), chunks].concat());
    match seen.violation {
        Some(violation) => Err(violation),
        None => {
            assert!(seen.requests[0].ended && seen.left == 0, "{}", chunks.escape_ascii());
            Ok(seen.requests[0].body.clone())
        }
    }
}

#[test]
fn body_of_length_ends_where_the_next_head_begins() {
    let seen = read(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(seen.violation, None);
    assert_eq!(seen.requests[0].body, b"hello");
    assert_eq!(seen.requests[1].head.path(), b"/b");
}

#[test]
fn body_not_ended_when_bytes_are_missing() {
    let seen = read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell");
    assert_eq!((seen.violation, seen.requests[0].ended), (None, false));
    let seen = read(format!("{CHUNKED}5\r\nhello\r\n0\r\n").as_bytes());
    assert_eq!((seen.violation, seen.requests[0].ended), (None, false));
}

#[test]
fn chunks_are_joined_when_sound() {
    let table: [(&[u8], &[u8]); 13] = [
        (b"0\r\n\r\n", b""),
        (b"000\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
        (b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"A\r\n0\r\n\r\n56789\r\n0\r\n\r\n", b"0\r\n\r\n56789"),
        (b"1;a\r\nx\r\n0\r\n\r\n", b"x"),
        (b"1;a=b\r\nx\r\n0;c\r\n\r\n", b"x"),
        (b"1 \t; \ta \t= \tb ; c=\"d;\\\"\xff\";e\r\nx\r\n0\r\n\r\n", b"x"),
        (b"1;a=\"\"\r\nx\r\n0\r\n\r\n", b"x"),
        (b"1\r\nx\r\n0\r\nT: a\r\nContent-Length: 99\r\n\r\n", b"x"),
        (b"1\r\nx\r\n0\r\nT:\r\n\r\n", b"x"),
    ];
    for (chunks, expected) in table {
        assert_eq!(body(chunks).as_deref(), Ok(expected), "{}", chunks.escape_ascii());
    }
}

#[test]
fn chunk_refused_when_its_framing_is_broken() {
    use Violation::*;
    let table: [(&[u8], Violation); 28] = [
        (b"\r\n", BadChunkSize),
        (b"\n", BareLf),
        (b" 5\r\nhello\r\n", BadChunkSize),
        (b"+5\r\nhello\r\n", BadChunkSize),
        (b"-1\r\n", BadChunkSize),
        (b"0x5\r\nhello\r\n", BadChunkSize),
        (b"5_0\r\n", BadChunkSize),
        (b"g\r\n", BadChunkSize),
        (b";a=b\r\n", BadChunkSize),
        (b"5\nhello\r\n", BareLf),
        (b"5\rhello\r\n", BareCr),
        (b"5\r\r\nhello", BareCr),
        (b"5\r\nhelloX", BadChunkEnd),
        (b"5\r\nhello\n", BadChunkEnd),
        (b"5\r\nhello\rX", BadChunkEnd),
        (b"5\r\nhello0\r\n\r\n", BadChunkEnd),
        (b"10000000000000000\r\n", ChunkSizeOverflow),
        (b"00000000000000001\r\n", ChunkSizeOverflow),
        (b"1 \r\nx\r\n", BadChunkExtension),
        (b"1 a\r\nx\r\n", BadChunkExtension),
        (b"1;\r\nx\r\n", BadChunkExtension),
        (b"1;=a\r\nx\r\n", BadChunkExtension),
        (b"1;a=\r\nx\r\n", BadChunkExtension),
        (b"1;a=\"b\r\nx\r\n", BadChunkExtension),
        (b"1;a\0\r\nx\r\n", BadChunkExtension),
        (b"1;a=\"\r\n\"\r\nx\r\n", BadChunkExtension),
        (b"1;a=\"\\\r\n\"\r\nx\r\n", BadChunkExtension),
        (b"1;a=b\nx\r\n", BareLf),
    ];
    for (chunks, violation) in table {
        assert_eq!(body(chunks), Err(violation), "{}", chunks.escape_ascii());
    }
}

#[test]
fn trailers_are_checked_and_dropped() {
    use Violation::*;
    let table: [(&[u8], Violation); 8] = [
        (b"0\r\n T: a\r\n\r\n", ObsFold),
        (b"0\r\nT: a\r\n b\r\n\r\n", ObsFold),
        (b"0\r\nT : a\r\n\r\n", SpaceBeforeColon),
        (b"0\r\n: a\r\n\r\n", EmptyFieldName),
        (b"0\r\nT\r\n\r\n", BadFieldName),
        (b"0\r\nT: a\0\r\n\r\n", BadFieldValue),
        (b"0\r\nT: a\n\r\n", BareLf),
        (b"0\r\n\rX", BareCr),
    ];
    for (chunks, violation) in table {
        assert_eq!(body(chunks), Err(violation), "{}", chunks.escape_ascii());
    }
    let seen = read(format!("{CHUNKED}0\r\nX-Late: a\r\n\r\n").as_bytes());
    assert_eq!(seen.requests[0].head.field(b"x-late"), None);
}

#[test]
fn trailers_refused_when_over_the_limits() {
    let limits = Limits { max_head_bytes: 128, max_fields: 3, ..Limits::default() };
    let answer =
        |trailers: &str| read_with(limits, format!("{CHUNKED}0\r\n{trailers}\r\n").as_bytes()).violation;
    assert_eq!(answer("A: 1\r\nB: 2\r\nC: 3\r\n"), None);
    assert_eq!(answer("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n"), Some(Violation::TooManyFields));
    assert_eq!(answer(&format!("A: {}\r\n", "x".repeat(121))), None);
    assert_eq!(answer(&format!("A: {}\r\n", "x".repeat(122))), Some(Violation::TrailersTooLarge));
}

#[test]
fn chunk_extensions_refused_when_all_together_are_too_large() {
    // Each chunk is small and each extension is allowed: only their sum is an attack.
    let chunk = format!("1;a={}\r\nx\r\n", "b".repeat(1000));
    let count = MAX_CHUNK_EXTENSION_BYTES / 1003;
    assert_eq!(
        body(format!("{}0\r\n\r\n", chunk.repeat(count)).as_bytes()).map(|body| body.len()),
        Ok(count)
    );
    assert_eq!(
        body(format!("{}0\r\n\r\n", chunk.repeat(count + 1)).as_bytes()),
        Err(Violation::ChunkExtensionsTooLarge)
    );
}

#[test]
fn chunk_refused_when_it_would_exceed_the_body_limit() {
    let limits = Limits { max_body_bytes: 8, ..Limits::default() };
    let answer = |chunks: &str| read_with(limits, format!("{CHUNKED}{chunks}").as_bytes());
    assert_eq!(answer("5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n").violation, None);
    let seen = answer("5\r\nhello\r\n4\r\n");
    assert_eq!(seen.violation, Some(Violation::BodyTooLarge));
    assert_eq!(seen.requests[0].body, b"hello");
    assert_eq!(answer("ffffffffffffffff\r\n").violation, Some(Violation::BodyTooLarge));
}

#[test]
fn chunk_sizes_do_not_overflow_when_the_body_is_unlimited() {
    let limits = Limits { max_body_bytes: 0, ..Limits::default() };
    let seen = read_with(limits, format!("{CHUNKED}1\r\nx\r\nffffffffffffffff\r\nabc").as_bytes());
    assert_eq!((seen.violation, seen.requests[0].body.as_slice()), (None, &b"xabc"[..]));
}
