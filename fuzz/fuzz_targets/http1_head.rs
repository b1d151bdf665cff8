//! Invariant: no input panics; a head that is accepted is, written out from its parts, read as the same value; a
//! rejected one stays rejected for the same reason when more bytes come; a waiting one has room left under its limit.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use turboapi::http1::{Conn, Event, Framing, Limits, RequestHead, Version, Violation};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let mut input = BytesMut::from(bytes);
    match Conn::new(limits).next_event(&mut input) {
        Ok(Event::Head(head)) => {
            assert_eq!(
                head.bytes().len() + input.len() + skipped(bytes),
                bytes.len(),
                "every byte is accounted for"
            );
            assert_sound(&head, &limits);
            let again = read(&written(&head)).expect("what was accepted is accepted when written out");
            assert_same(&head, &again);
        }
        Ok(Event::NeedMore) => assert!(input.len() <= limits.max_head_bytes),
        Ok(event) => panic!("no body before a head: {event:?}"),
        Err(violation) => {
            let longer = [bytes, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            assert_eq!(read(&longer).err(), Some(violation));
        }
    }
});

fn read(bytes: &[u8]) -> Result<RequestHead, Violation> {
    match Conn::new(Limits::default()).next_event(&mut BytesMut::from(bytes))? {
        Event::Head(head) => Ok(head),
        event => panic!("{event:?} for {}", bytes.escape_ascii()),
    }
}

/// Bytes of empty lines before the head.
fn skipped(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

fn written(head: &RequestHead) -> Vec<u8> {
    let version: &[u8] = if head.version() == Version::Http11 { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" };
    let mut bytes = [head.method_bytes(), b" ", head.target(), version].concat();
    for (name, value) in head.fields() {
        bytes.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn assert_sound(head: &RequestHead, limits: &Limits) {
    assert!(head.bytes().len() <= limits.max_head_bytes);
    assert!(head.fields().len() <= limits.max_fields);
    assert!(head.target().len() <= limits.max_target_bytes);
    assert!(head.path().starts_with(b"/") || head.path() == b"*");
    assert_eq!(head.share(head.path()), head.path());
    assert!(head.version() == Version::Http10 || head.host().is_some());
    for (name, value) in head.fields() {
        assert!(!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':'));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        assert!(!matches!(value.first(), Some(b' ' | b'\t')) && !matches!(value.last(), Some(b' ' | b'\t')));
    }
    if head.framing() == Framing::Chunked {
        assert!(head.field(b"content-length").is_none() && head.version() == Version::Http11);
    }
}

fn assert_same(one: &RequestHead, other: &RequestHead) {
    assert_eq!(one.method_bytes(), other.method_bytes());
    assert_eq!((one.target(), one.path(), one.query()), (other.target(), other.path(), other.query()));
    assert_eq!((one.host(), one.framing()), (other.host(), other.framing()));
    assert_eq!(one.reply_context(), other.reply_context());
    assert_eq!(one.expects_continue(), other.expects_continue());
    assert_eq!(one.wants_upgrade(), other.wants_upgrade());
    assert!(one.fields().eq(other.fields()));
}
