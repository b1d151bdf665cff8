//! How the body of a request is delimited (RFC 9112 section 6).

use crate::support::{assert_refused, read};
use turboapi::http1::{Framing, Violation};

/// The framing of a 1.1 POST with these field lines.
fn framing(fields: &str) -> Result<Framing, Violation> {
    let seen = read(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
    match seen.violation {
        Some(violation) => Err(violation),
        None => Ok(seen.requests[0].head.framing()),
    }
}

#[test]
fn framing_decided_when_fields_are_sound() {
    let table = [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::None),
        ("Content-Length: 00\r\n", Framing::None),
        ("Content-Length: 7\r\n", Framing::Length(7)),
        ("Content-Length: \t007 \r\n", Framing::Length(7)),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding: \tCHUNKED \r\n", Framing::Chunked),
    ];
    for (fields, expected) in table {
        assert_eq!(framing(fields), Ok(expected), "{fields:?}");
    }
}

#[test]
fn content_length_refused_when_not_one_number() {
    use Violation::*;
    let table = [
        ("Content-Length:\r\n", BadContentLength),
        ("Content-Length: +1\r\n", BadContentLength),
        ("Content-Length: -1\r\n", BadContentLength),
        ("Content-Length: 1,1\r\n", BadContentLength),
        ("Content-Length: 1 1\r\n", BadContentLength),
        ("Content-Length: 0x1\r\n", BadContentLength),
        ("Content-Length: 1.0\r\n", BadContentLength),
        ("Content-Length: 1e1\r\n", BadContentLength),
        ("Content-Length: \u{661}\r\n", BadContentLength),
        ("Content-Length: a\r\n", BadContentLength),
        ("Content-Length: 18446744073709551616\r\n", BadContentLength),
        ("Content-Length: 99999999999999999999999\r\n", BadContentLength),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", RepeatedContentLength),
        ("Content-Length: 1\r\ncontent-length: 2\r\n", RepeatedContentLength),
        ("Content-Length: 0\r\nContent-Length: 0\r\n", RepeatedContentLength),
    ];
    for (fields, violation) in table {
        assert_eq!(framing(fields), Err(violation), "{fields:?}");
    }
}

#[test]
fn transfer_encoding_refused_unless_chunked_alone() {
    use Violation::*;
    let table = [
        ("Transfer-Encoding:\r\n", BadTransferEncoding),
        ("Transfer-Encoding: \t\r\n", BadTransferEncoding),
        ("Transfer-Encoding: ,\r\n", BadTransferEncoding),
        ("Transfer-Encoding: chunked,\r\n", BadTransferEncoding),
        ("Transfer-Encoding: ,chunked\r\n", BadTransferEncoding),
        ("Transfer-Encoding: chunked;a=b\r\n", BadTransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", BadTransferEncoding),
        ("Transfer-Encoding: chunked chunked\r\n", BadTransferEncoding),
        ("Transfer-Encoding: chun\x0bked\r\n", BadFieldValue),
        ("Transfer-Encoding: chunked, chunked\r\n", ChunkedNotFinal),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ChunkedNotFinal),
        ("Transfer-Encoding: chunked, gzip\r\n", ChunkedNotFinal),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", ChunkedNotFinal),
        ("Transfer-Encoding: gzip\r\n", UnknownTransferCoding),
        ("Transfer-Encoding: gzip, chunked\r\n", UnknownTransferCoding),
        ("Transfer-Encoding: identity\r\n", UnknownTransferCoding),
        ("Transfer-Encoding: xchunked\r\n", UnknownTransferCoding),
        ("Transfer-Encoding: chunke\r\n", UnknownTransferCoding),
    ];
    for (fields, violation) in table {
        assert_eq!(framing(fields), Err(violation), "{fields:?}");
    }
}

#[test]
fn framing_refused_when_length_and_coding_meet() {
    use Violation::*;
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n",
    ] {
        assert_eq!(framing(fields), Err(LengthWithCoding), "{fields:?}");
    }
    assert_refused(&[
        ("1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", CodingOnHttp10),
        ("1.0, unknown", b"POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", CodingOnHttp10),
        (
            "1.0, with a length",
            b"POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            CodingOnHttp10,
        ),
    ]);
}

#[test]
fn framing_fields_with_tricks_in_their_names_are_refused() {
    use Violation::*;
    assert_refused(&[
        ("space", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", SpaceBeforeColon),
        ("NUL", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\0: chunked\r\n\r\n", BadFieldName),
        ("fold", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", ObsFold),
        (
            "vertical tab",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
            BadFieldValue,
        ),
        ("LF", b"POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", BareLf),
        ("CR", b"POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", BareCr),
    ]);
}
