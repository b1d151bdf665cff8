//! Invariant: a form is the same parts, and ends in the same way, whole, byte by byte and split anywhere; what a whole form
//! holds back is nothing, and content is never longer than its limit.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use turboapi::multipart::{Event, Limits, Parser, PartHead, Violation};

const LIMITS: Limits =
    Limits { max_parts: 8, max_part_head_bytes: 256, max_field_bytes: 512, max_file_bytes: 1024 };

type Parts = Vec<(PartHead, Vec<u8>, bool)>;

fuzz_target!(|bytes: &[u8]| {
    let whole = parsed([bytes]);
    let cut = bytes.first().map_or(0, |&byte| usize::from(byte)).min(bytes.len());
    for split in [parsed(bytes.chunks(1)), parsed([&bytes[..cut], &bytes[cut..]])] {
        assert_eq!(split.1, whole.1);
        if whole.1 != Some(Violation::FieldTooLarge) && whole.1 != Some(Violation::FileTooLarge) {
            assert_eq!(split.0, whole.0);
        }
    }
    for (head, content, _) in &whole.0 {
        let limit = if head.filename.is_some() { LIMITS.max_file_bytes } else { LIMITS.max_field_bytes };
        assert!(content.len() as u64 <= limit);
    }
    assert!(whole.0.len() <= LIMITS.max_parts);
});

/// All parts, whether each was ended, and what was wrong.
fn parsed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Parts, Option<Violation>) {
    let mut parser = Parser::new(b"b", LIMITS);
    let mut input = BytesMut::new();
    let mut parts = Parts::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match parser.next_event(&mut input) {
                Ok(Event::NeedMore | Event::End) => break,
                Ok(Event::Part(head)) => parts.push((head, Vec::new(), false)),
                Ok(Event::Data(data)) => parts.last_mut().unwrap().1.extend_from_slice(&data),
                Ok(Event::PartEnd) => parts.last_mut().unwrap().2 = true,
                Err(violation) => return (parts, Some(violation)),
            }
        }
    }
    (parts, parser.finish().err())
}
