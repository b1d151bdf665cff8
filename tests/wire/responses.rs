//! Responses as bytes (RFC 9112 sections 4, 6, 7; RFC 9110 sections 6.6 and 8.6).

use bytes::BytesMut;
use turboapi::http1::{
    encode_chunk, encode_continue, encode_full, encode_head, encode_last_chunk, encode_violation,
    render_head, BodyFraming, BodyLength, FieldBlock, FieldFault, HttpDate, ReplyContext, Version, Violation,
};

const KEPT: ReplyContext = ReplyContext { version: Version::Http11, head_only: false, keep_alive: true };
const CLOSED: ReplyContext = ReplyContext { keep_alive: false, ..KEPT };
const HEAD: ReplyContext = ReplyContext { head_only: true, ..KEPT };
const KEPT_10: ReplyContext = ReplyContext { version: Version::Http10, ..KEPT };
const CLOSED_10: ReplyContext = ReplyContext { keep_alive: false, ..KEPT_10 };

/// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110 section 5.6.7.
fn date() -> HttpDate {
    HttpDate::from_unix(784_111_777)
}

/// The bytes as text, without the date line, which every response here has.
fn dateless(out: &[u8]) -> String {
    let text = String::from_utf8(out.to_vec()).unwrap();
    let line = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    assert_eq!(text.matches(line).count(), 1, "{text:?}");
    text.replace(line, "")
}

fn block(fields: &[(&str, &str)]) -> FieldBlock {
    let mut block = FieldBlock::new();
    for (name, value) in fields {
        block.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    block
}

#[test]
fn full_response_has_its_lines_in_order() {
    let mut out = BytesMut::new();
    assert!(encode_full(&mut out, &KEPT, 200, b"application/json", b"{}", &date()));
    assert_eq!(
        out,
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
           date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n{}"[..]
    );
}

#[test]
fn full_response_fits_its_context_and_status() {
    let table: [(&ReplyContext, u16, &[u8], &str); 9] = [
        (
            &CLOSED,
            404,
            b"no",
            "HTTP/1.1 404 Not Found\r\ncontent-type: t\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno",
        ),
        (
            &KEPT_10,
            200,
            b"x",
            "HTTP/1.1 200 OK\r\ncontent-type: t\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\nx",
        ),
        (
            &CLOSED_10,
            200,
            b"x",
            "HTTP/1.1 200 OK\r\ncontent-type: t\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx",
        ),
        (&HEAD, 200, b"body", "HTTP/1.1 200 OK\r\ncontent-type: t\r\ncontent-length: 4\r\n\r\n"),
        (&KEPT, 200, b"", "HTTP/1.1 200 OK\r\ncontent-type: t\r\ncontent-length: 0\r\n\r\n"),
        (&KEPT, 204, b"x", "HTTP/1.1 204 No Content\r\ncontent-type: t\r\n\r\n"),
        (&KEPT, 304, b"", "HTTP/1.1 304 Not Modified\r\ncontent-type: t\r\n\r\n"),
        (&KEPT, 304, b"body", "HTTP/1.1 304 Not Modified\r\ncontent-type: t\r\ncontent-length: 4\r\n\r\n"),
        (&KEPT, 299, b"x", "HTTP/1.1 299 \r\ncontent-type: t\r\ncontent-length: 1\r\n\r\nx"),
    ];
    for (context, status, body, expected) in table {
        let mut out = BytesMut::new();
        assert_eq!(encode_full(&mut out, context, status, b"t", body, &date()), context.keep_alive);
        assert_eq!(dateless(&out), expected);
    }
}

#[test]
fn content_type_line_left_out_when_empty() {
    let mut out = BytesMut::new();
    encode_full(&mut out, &KEPT, 204, b"", b"", &date());
    assert_eq!(dateless(&out), "HTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn head_says_the_framing_that_follows() {
    use BodyFraming::{Chunked, Length, None as NoBody, UntilClose};
    use BodyLength::{Known, Unknown};
    let plain = block(&[]);
    let with_length = block(&[("Content-Length", "7")]);
    let table: [(&ReplyContext, u16, &FieldBlock, BodyLength, &str, BodyFraming, bool); 19] = [
        (&KEPT, 200, &plain, Known(3), "content-length: 3\r\n", Length(3), true),
        (&KEPT, 200, &plain, Known(0), "content-length: 0\r\n", Length(0), true),
        (&KEPT, 200, &plain, Unknown, "transfer-encoding: chunked\r\n", Chunked, true),
        (&KEPT, 200, &with_length, Unknown, "content-length: 7\r\n", Length(7), true),
        (&KEPT, 200, &with_length, Known(3), "content-length: 3\r\n", Length(3), true),
        (
            &CLOSED,
            200,
            &plain,
            Unknown,
            "transfer-encoding: chunked\r\nconnection: close\r\n",
            Chunked,
            false,
        ),
        (&KEPT_10, 200, &plain, Known(3), "content-length: 3\r\nconnection: keep-alive\r\n", Length(3), true),
        (&KEPT_10, 200, &plain, Unknown, "connection: close\r\n", UntilClose, false),
        (
            &KEPT_10,
            200,
            &with_length,
            Unknown,
            "content-length: 7\r\nconnection: keep-alive\r\n",
            Length(7),
            true,
        ),
        (&HEAD, 200, &plain, Known(3), "content-length: 3\r\n", NoBody, true),
        (&HEAD, 200, &with_length, Known(0), "content-length: 7\r\n", NoBody, true),
        (&HEAD, 200, &with_length, Unknown, "content-length: 7\r\n", NoBody, true),
        (&HEAD, 200, &plain, Unknown, "", NoBody, true),
        (&KEPT, 204, &with_length, Known(3), "", NoBody, true),
        (&KEPT, 204, &plain, Unknown, "", NoBody, true),
        (&KEPT, 304, &plain, Known(0), "", NoBody, true),
        (&KEPT, 304, &plain, Known(3), "content-length: 3\r\n", NoBody, true),
        (&KEPT, 304, &with_length, Known(0), "content-length: 7\r\n", NoBody, true),
        (&CLOSED, 101, &plain, Unknown, "", NoBody, false),
    ];
    for (context, status, fields, length, lines, framing, keep_alive) in table {
        let mut out = BytesMut::new();
        let sent = encode_head(&mut out, context, status, fields, length, &date());
        let text = dateless(&out);
        let (_, rest) = text.split_once("\r\n").unwrap();
        assert_eq!(rest, format!("{lines}\r\n"), "{context:?} {status} {length:?}");
        assert_eq!((sent.framing, sent.keep_alive), (framing, keep_alive), "{context:?} {status} {length:?}");
    }
}

#[test]
fn fields_of_the_app_come_first_and_in_lower_case() {
    let fields = block(&[("X-B", " 2\t"), ("Set-Cookie", "a"), ("set-cookie", "b"), ("X-Obs", "\u{e4}")]);
    let mut out = BytesMut::new();
    encode_head(&mut out, &KEPT, 200, &fields, BodyLength::Known(0), &date());
    assert_eq!(
        dateless(&out),
        "HTTP/1.1 200 OK\r\nx-b: 2\r\nset-cookie: a\r\nset-cookie: b\r\nx-obs: \u{e4}\r\ncontent-length: 0\r\n\r\n"
    );
}

#[test]
fn date_and_server_of_the_app_replace_ours() {
    let fields = block(&[("Date", "yesterday"), ("Server", "mine")]);
    let mut out = BytesMut::new();
    encode_head(&mut out, &KEPT, 200, &fields, BodyLength::Known(0), &date());
    assert_eq!(out, &b"HTTP/1.1 200 OK\r\ndate: yesterday\r\nserver: mine\r\ncontent-length: 0\r\n\r\n"[..]);
}

#[test]
fn connection_closed_when_the_app_says_so() {
    let fields = block(&[("Connection", "x, Close")]);
    let mut out = BytesMut::new();
    let sent = encode_head(&mut out, &KEPT, 200, &fields, BodyLength::Known(0), &date());
    assert!(!sent.keep_alive);
    assert_eq!(dateless(&out), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

#[test]
fn framing_fields_of_the_app_are_noted_and_not_sent() {
    for name in ["Connection", "Transfer-Encoding", "Keep-Alive", "Upgrade"] {
        let fields = block(&[(name, "x")]);
        assert!(fields.has_framing(), "{name}");
        assert_eq!(fields.lines(), b"");
    }
    let fields = block(&[("Content-Length", "5"), ("Content-Type", "t")]);
    assert!(fields.has_framing() && fields.has_content_type());
    assert_eq!(fields.content_length(), Some(5));
    assert_eq!(fields.lines(), b"content-type: t\r\n");
    assert!(!block(&[("X", "y")]).has_framing());
}

#[test]
fn field_refused_when_it_would_break_the_head() {
    let table: [(&[u8], &[u8], FieldFault); 13] = [
        (b"", b"x", FieldFault::Name),
        (b"a b", b"x", FieldFault::Name),
        (b"a:", b"x", FieldFault::Name),
        (b"a\r\nb", b"x", FieldFault::Name),
        (b"\xc3\xa4", b"x", FieldFault::Name),
        (b"a", b"b\r\nc: d", FieldFault::Value),
        (b"a", b"b\n", FieldFault::Value),
        (b"a", b"b\r", FieldFault::Value),
        (b"a", b"b\0", FieldFault::Value),
        (b"a", b"\x7f", FieldFault::Value),
        (b"content-length", b"x", FieldFault::ContentLength),
        (b"content-length", b"", FieldFault::ContentLength),
        (b"content-length", b"5, 5", FieldFault::ContentLength),
    ];
    for (name, value, fault) in table {
        let mut fields = FieldBlock::new();
        assert_eq!(fields.push(name, value), Err(fault), "{} {}", name.escape_ascii(), value.escape_ascii());
        assert_eq!(fields, FieldBlock::new(), "nothing is kept of a refused field");
    }
    let mut fields = block(&[("content-length", "5")]);
    assert_eq!(fields.push(b"content-length", b"5"), Ok(()));
    assert_eq!(fields.push(b"content-length", b"6"), Err(FieldFault::ContentLength));
}

#[test]
fn chunks_have_their_size_in_hex() {
    let mut out = BytesMut::new();
    encode_chunk(&mut out, b"");
    assert!(out.is_empty(), "an empty chunk would end the body");
    encode_chunk(&mut out, b"0123456789abcdef!");
    encode_last_chunk(&mut out);
    assert_eq!(out, &b"11\r\n0123456789abcdef!\r\n0\r\n\r\n"[..]);
}

#[test]
fn violation_is_answered_whole_and_closes() {
    let mut out = BytesMut::new();
    encode_violation(&mut out, Violation::BareLf, &date());
    assert_eq!(
        dateless(&out),
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 33\r\n\
         connection: close\r\n\r\nline feed without carriage return"
    );
}

#[test]
fn continue_is_a_head_alone() {
    let mut out = BytesMut::new();
    encode_continue(&mut out);
    assert_eq!(out, &b"HTTP/1.1 100 Continue\r\n\r\n"[..]);
}

#[test]
fn rendered_head_has_all_but_date_and_connection() {
    let fields = block(&[("Content-Type", "t")]);
    assert_eq!(
        render_head(200, &fields, 3),
        &b"HTTP/1.1 200 OK\r\ncontent-type: t\r\ncontent-length: 3\r\n"[..]
    );
    assert_eq!(render_head(204, &fields, 0), &b"HTTP/1.1 204 No Content\r\ncontent-type: t\r\n"[..]);
}

#[test]
fn every_registered_status_has_a_well_formed_line() {
    for status in 100..=599 {
        let line = render_head(status, &FieldBlock::new(), 0);
        let mut fields = [httparse::EMPTY_HEADER; 4];
        let mut response = httparse::Response::new(&mut fields);
        let whole = [&line[..], b"\r\n"].concat();
        assert!(response.parse(&whole).unwrap().is_complete());
        assert_eq!((response.version, response.code), (Some(1), Some(status)));
    }
}

#[test]
fn date_is_imf_fixdate() {
    for (seconds, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        assert_eq!(HttpDate::from_unix(seconds).as_bytes().escape_ascii().to_string(), text);
    }
}
