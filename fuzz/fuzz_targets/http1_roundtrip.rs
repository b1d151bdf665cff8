//! Invariant: a response that is encoded is read back by httparse as the value it was made from, and its body is found
//! where its framing says, with nothing behind it (`roundtrip`).
#![no_main]

use arbitrary::Arbitrary;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use turboapi::http1::{
    encode_chunk, encode_full, encode_head, encode_last_chunk, status_allows_body, BodyDecoder, BodyEvent,
    BodyFraming, BodyLength, FieldBlock, Framing, HttpDate, Limits, ReplyContext, Version,
};

#[derive(Arbitrary, Debug)]
struct Response<'a> {
    status: u16,
    is_http11: bool,
    head_only: bool,
    keep_alive: bool,
    is_known: bool,
    seconds: u64,
    fields: Vec<(&'a [u8], &'a [u8])>,
    pieces: Vec<&'a [u8]>,
}

fuzz_target!(|response: Response<'_>| {
    let status = 200 + response.status % 400;
    let version = if response.is_http11 { Version::Http11 } else { Version::Http10 };
    let context = ReplyContext { version, head_only: response.head_only, keep_alive: response.keep_alive };
    let date = HttpDate::from_unix(response.seconds);
    let mut block = FieldBlock::new();
    let mut pushed = Vec::new();
    for (name, value) in &response.fields {
        let before = block.lines().len();
        if block.push(name, value).is_ok() && block.lines().len() > before {
            pushed.push((name.to_ascii_lowercase(), trimmed(value).to_vec()));
        }
    }
    let body = response.pieces.concat();
    let length = if response.is_known { BodyLength::Known(body.len() as u64) } else { BodyLength::Unknown };
    let mut out = BytesMut::new();
    let sent = encode_head(&mut out, &context, status, &block, length, &date);
    assert!(!sent.keep_alive || context.keep_alive);
    let framing = match sent.framing {
        BodyFraming::None => Framing::None,
        // The application's own length for a body that it has not written yet: here, write that many.
        BodyFraming::Length(length) if length != body.len() as u64 => return,
        BodyFraming::Length(length) => {
            out.extend_from_slice(&body);
            Framing::Length(length)
        }
        BodyFraming::UntilClose => {
            assert!(!sent.keep_alive);
            out.extend_from_slice(&body);
            Framing::Length(body.len() as u64)
        }
        BodyFraming::Chunked => {
            response.pieces.iter().for_each(|piece| encode_chunk(&mut out, piece));
            encode_last_chunk(&mut out);
            Framing::Chunked
        }
    };

    let mut headers = vec![httparse::EMPTY_HEADER; pushed.len() + 8];
    let mut parsed = httparse::Response::new(&mut headers);
    let head_len = match parsed.parse(&out) {
        Ok(httparse::Status::Complete(head_len)) => head_len,
        other => panic!("{other:?} for {}", out.escape_ascii()),
    };
    assert_eq!(parsed.code, Some(status));
    let read: Vec<_> =
        parsed.headers.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec())).collect();
    assert_eq!(read[..pushed.len()], pushed[..]);
    let count = |name: &[u8]| read.iter().filter(|(own, _)| own == name).count();
    let dates = pushed.iter().filter(|(name, _)| name == b"date").count();
    assert_eq!(count(b"date"), dates.max(1));
    assert!(count(b"content-length") + count(b"transfer-encoding") <= 1);
    assert_eq!(count(b"transfer-encoding") == 1, framing == Framing::Chunked);
    assert_eq!(read.iter().any(|(name, value)| name == b"connection" && value == b"close"), !sent.keep_alive);

    let mut rest = out.split_off(head_len);
    assert_eq!(
        decode(framing, &mut rest),
        if sent.framing == BodyFraming::None { Vec::new() } else { body.clone() }
    );
    assert!(rest.is_empty());

    // The short way says the same as the long one.
    let (mut short, mut long) = (BytesMut::new(), BytesMut::new());
    let kept = encode_full(&mut short, &context, status, b"text/plain", &body, &date);
    let mut block = FieldBlock::new();
    block.push(b"content-type", b"text/plain").expect("allowed");
    let sent = encode_head(&mut long, &context, status, &block, BodyLength::Known(body.len() as u64), &date);
    if status_allows_body(status) && !context.head_only {
        long.extend_from_slice(&body);
    }
    assert_eq!((short, kept), (long, sent.keep_alive));
});

fn decode(framing: Framing, input: &mut BytesMut) -> Vec<u8> {
    let mut decoder = BodyDecoder::new(framing, Limits { max_body_bytes: 0, ..Limits::default() });
    let mut decoded = Vec::new();
    loop {
        match decoder.next_event(input) {
            Ok(BodyEvent::Piece(piece)) => decoded.extend_from_slice(&piece),
            Ok(BodyEvent::End) => return decoded,
            other => panic!("{other:?}"),
        }
    }
}

fn trimmed(value: &[u8]) -> &[u8] {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_ows(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_ows(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}
