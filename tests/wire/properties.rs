//! Properties over generated streams: `split_invariance`, `roundtrip`, `no_smuggle` (DESIGN section 9).

use crate::support::feed;
use bytes::BytesMut;
use proptest::prelude::*;
use turboapi::http1::{
    encode_chunk, encode_head, encode_last_chunk, BodyDecoder, BodyEvent, BodyFraming, BodyLength, Conn,
    Event, FieldBlock, Framing, HttpDate, Limits, ReplyContext, Version,
};

/// A request that is sound, and what must come out of it.
#[derive(Clone, Debug)]
struct Sent {
    bytes: Vec<u8>,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Bodies made of what an attacker would put into one.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"[..]),
        Just(&b"0\r\n\r\n"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"5\r\n"[..]),
        Just(&b"\0\xff"[..]),
        Just(&b"hello"[..]),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let value =
        prop::collection::vec(prop_oneof![32u8..127, Just(b'\t'), 128u8..], 0..12).prop_map(|value| {
            let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
            let start = value.iter().position(|byte| !is_ows(byte)).unwrap_or(value.len());
            let end = value.iter().rposition(|byte| !is_ows(byte)).map_or(start, |last| last + 1);
            value[start..end].to_vec()
        });
    prop::collection::vec(("X-[a-zA-Z0-9!#$%&'*+.^_`|~-]{0,8}", value), 0..40)
}

/// How a body is sent: chunk sizes to cycle through, with extensions and trailers; none: by length.
fn framings() -> impl Strategy<Value = Option<(Vec<usize>, &'static str, &'static str)>> {
    let extension = prop_oneof![Just(""), Just(";a"), Just(" ; a=\"\\\";\" ;b = c")];
    let trailers =
        prop_oneof![Just(""), Just("T: v\r\n"), Just("Content-Length: 3\r\nTransfer-Encoding: x\r\n")];
    prop::option::of((prop::collection::vec(1usize..40, 1..4), extension, trailers))
}

fn requests() -> impl Strategy<Value = Sent> {
    let target = "/[a-z0-9%?=&/.~!$'()*+,;:@\"<>\\[\\]^`{|}_-]{0,30}";
    let ows = prop_oneof![Just(""), Just(" "), Just("\t ")];
    (target, fields(), bodies(), framings(), ows, 0usize..3).prop_map(
        |(target, fields, body, framing, ows, empty_lines)| {
            let mut bytes = b"\r\n".repeat(empty_lines);
            bytes.extend_from_slice(format!("POST {target} HTTP/1.1\r\nHost: a\r\n").as_bytes());
            for (name, value) in &fields {
                bytes.extend_from_slice(format!("{name}:{ows}").as_bytes());
                bytes.extend_from_slice(value);
                bytes.extend_from_slice(format!("{ows}\r\n").as_bytes());
            }
            match framing {
                None => {
                    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                    bytes.extend_from_slice(&body);
                }
                Some((sizes, extension, trailers)) => {
                    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                    let mut rest = &body[..];
                    for size in sizes.into_iter().cycle() {
                        let (chunk, after) = rest.split_at(size.min(rest.len()));
                        bytes.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                        if chunk.is_empty() {
                            break;
                        }
                        bytes.extend_from_slice(chunk);
                        bytes.extend_from_slice(b"\r\n");
                        rest = after;
                    }
                    bytes.extend_from_slice(format!("{trailers}\r\n").as_bytes());
                }
            }
            Sent { bytes, target, fields, body }
        },
    )
}

/// What may go wrong on the way: a byte replaced, put in, or lost.
fn mutations() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    let byte = prop_oneof![
        Just(b'\r'),
        Just(b'\n'),
        Just(b' '),
        Just(b':'),
        Just(0),
        Just(b';'),
        Just(b','),
        any::<u8>()
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, byte), 0..3)
}

fn mutate(bytes: &mut Vec<u8>, mutations: Vec<(prop::sample::Index, u8, u8)>) {
    for (at, kind, byte) in mutations {
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

/// The bytes, cut at these places.
fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[from..place]);
        from = place;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Any split of the input, sound or broken, gives the same requests and the same verdict.
    #[test]
    fn split_invariance(
        requests in prop::collection::vec(requests(), 1..4),
        mutations in mutations(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        small in any::<bool>(),
    ) {
        let mut bytes = requests.iter().flat_map(|sent| sent.bytes.clone()).collect::<Vec<_>>();
        mutate(&mut bytes, mutations);
        let limits = if small {
            Limits { max_head_bytes: 160, max_fields: 6, max_target_bytes: 20, max_body_bytes: 60 }
        } else {
            Limits::default()
        };
        let whole = feed(limits, [&bytes[..]]);
        prop_assert_eq!(&whole, &feed(limits, cut(&bytes, &cuts)));
        prop_assert_eq!(&whole, &feed(limits, bytes.chunks(1)));
    }

    /// Sound requests come out as they were sent, one for one: no byte of a body is read as a head.
    #[test]
    fn no_smuggle(requests in prop::collection::vec(requests(), 1..5)) {
        let bytes = requests.iter().flat_map(|sent| sent.bytes.clone()).collect::<Vec<_>>();
        let seen = feed(Limits::default(), [&bytes[..]]);
        prop_assert_eq!(seen.violation, None);
        prop_assert_eq!(seen.requests.len(), requests.len());
        for (seen, sent) in seen.requests.iter().zip(&requests) {
            prop_assert!(seen.ended);
            prop_assert_eq!(&seen.body, &sent.body);
            prop_assert_eq!(seen.head.target(), sent.target.as_bytes());
            let own: Vec<_> = seen.head.fields().filter(|(name, _)| name.starts_with(b"X-")).collect();
            let sent: Vec<_> = sent.fields.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
            prop_assert_eq!(own, sent);
        }
    }

    /// A response head, encoded and read by httparse, is the value it was made from; its body is found by its framing.
    #[test]
    fn roundtrip(
        status in 200u16..600,
        fields in fields(),
        pieces in prop::collection::vec(bodies(), 0..5),
        known in any::<bool>(),
        keep_alive in any::<bool>(),
        head_only in any::<bool>(),
        is_http11 in any::<bool>(),
    ) {
        let version = if is_http11 { Version::Http11 } else { Version::Http10 };
        let context = ReplyContext { version, head_only, keep_alive };
        let mut block = FieldBlock::new();
        for (name, value) in &fields {
            prop_assert_eq!(block.push(name.as_bytes(), value), Ok(()));
        }
        let body = pieces.concat();
        let length = if known { BodyLength::Known(body.len() as u64) } else { BodyLength::Unknown };
        let mut out = BytesMut::new();
        let sent = encode_head(&mut out, &context, status, &block, length, &HttpDate::from_unix(0));
        match sent.framing {
            BodyFraming::None => {}
            BodyFraming::Length(_) | BodyFraming::UntilClose => out.extend_from_slice(&body),
            BodyFraming::Chunked => {
                pieces.iter().for_each(|piece| encode_chunk(&mut out, piece));
                encode_last_chunk(&mut out);
            }
        }

        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let head_len = response.parse(&out).unwrap().unwrap();
        prop_assert_eq!((response.version, response.code), (Some(1), Some(status)));
        let lowered: Vec<_> = fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let read: Vec<_> = response.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
        prop_assert_eq!(&read[..lowered.len()], &lowered[..]);
        let value = |name: &str| read[lowered.len()..].iter().find(|(own, _)| own == name).map(|(_, value)| &value[..]);
        prop_assert!(value("date").is_some());
        prop_assert_eq!(value("connection") == Some(b"close"), !sent.keep_alive);

        let mut rest = BytesMut::from(&out[head_len..]);
        let framing = match sent.framing {
            BodyFraming::None => {
                prop_assert!(rest.is_empty());
                return Ok(());
            }
            BodyFraming::UntilClose => {
                prop_assert_eq!((value("content-length"), value("transfer-encoding")), (None, None));
                prop_assert_eq!((&rest[..], sent.keep_alive), (&body[..], false));
                return Ok(());
            }
            BodyFraming::Length(length) => {
                let text = length.to_string();
                prop_assert_eq!(value("content-length"), Some(text.as_bytes()));
                prop_assert_eq!(value("transfer-encoding"), None);
                Framing::Length(length)
            }
            BodyFraming::Chunked => {
                prop_assert_eq!(value("transfer-encoding"), Some(&b"chunked"[..]));
                prop_assert_eq!(value("content-length"), None);
                Framing::Chunked
            }
        };
        let mut decoder = BodyDecoder::new(framing, Limits::default());
        let mut decoded = Vec::new();
        loop {
            match decoder.next_event(&mut rest) {
                Ok(BodyEvent::Piece(piece)) => decoded.extend_from_slice(&piece),
                Ok(BodyEvent::End) => break,
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(decoded, body);
        prop_assert!(rest.is_empty());
    }

    /// A head that was read, sent again as it was read, is read as the same.
    #[test]
    fn head_bytes_are_read_again_as_the_same_head(sent in requests()) {
        let mut input = BytesMut::from(&sent.bytes[..]);
        let head = match Conn::new(Limits::default()).next_event(&mut input) {
            Ok(Event::Head(head)) => head,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let mut again = BytesMut::from(&head.bytes()[..]);
        match Conn::new(Limits::default()).next_event(&mut again) {
            Ok(Event::Head(second)) => {
                prop_assert_eq!(&head, &second);
                prop_assert_eq!(head.fields().collect::<Vec<_>>(), second.fields().collect::<Vec<_>>());
                prop_assert!(again.is_empty());
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
