//! Feeding bytes to a connection, whole or in pieces, and what came out of it.

use bytes::BytesMut;
use turboapi::http1::{Conn, Event, Framing, Limits, RequestHead, Violation};

/// One request as it came out of a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub head: RequestHead,
    pub body: Vec<u8>,
    pub ended: bool,
}

/// All that came out, body pieces joined, and what it ended in.
#[derive(Debug, PartialEq, Eq)]
pub struct Transcript {
    pub requests: Vec<Seen>,
    pub violation: Option<Violation>,
    /// Bytes that were not taken from the input. Not compared after a violation.
    pub left: usize,
}

impl Transcript {
    fn new() -> Self {
        Transcript { requests: Vec::new(), violation: None, left: 0 }
    }

    fn push(&mut self, event: Event) {
        match event {
            Event::NeedMore => {}
            Event::Head(head) => {
                let ended = head.framing() == Framing::None;
                self.requests.push(Seen { head, body: Vec::new(), ended });
            }
            Event::Body(piece) => {
                assert!(!piece.is_empty(), "a body piece is never empty");
                self.requests.last_mut().expect("a body follows a head").body.extend_from_slice(&piece);
            }
            Event::BodyEnd => self.requests.last_mut().expect("an end follows a head").ended = true,
        }
    }
}

/// Feeds pieces one by one, taking all events after each.
pub fn feed<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Transcript {
    let mut conn = Conn::new(limits);
    let mut input = BytesMut::new();
    let mut transcript = Transcript::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match conn.next_event(&mut input) {
                Ok(Event::NeedMore) => break,
                Ok(event) => transcript.push(event),
                Err(violation) => {
                    assert_eq!(conn.next_event(&mut input).err(), Some(violation), "a violation is repeated");
                    transcript.violation = Some(violation);
                    return transcript;
                }
            }
        }
    }
    transcript.left = input.len();
    transcript
}

/// Feeds the bytes at once and byte by byte, checks that both say the same, and gives it.
pub fn read(bytes: &[u8]) -> Transcript {
    read_with(Limits::default(), bytes)
}

pub fn read_with(limits: Limits, bytes: &[u8]) -> Transcript {
    let whole = feed(limits, [bytes]);
    let trickled = feed(limits, bytes.chunks(1));
    assert_eq!(whole, trickled, "split_invariance of {:?}", bytes.escape_ascii().to_string());
    whole
}

/// The head of bytes that are one whole request.
pub fn head_of(bytes: &[u8]) -> RequestHead {
    let mut transcript = read(bytes);
    assert_eq!(transcript.violation, None, "{}", bytes.escape_ascii());
    assert_eq!((transcript.requests.len(), transcript.left), (1, 0), "{}", bytes.escape_ascii());
    let seen = transcript.requests.remove(0);
    assert!(seen.ended, "{}", bytes.escape_ascii());
    seen.head
}

/// Checks rows of (what, bytes, expected violation).
pub fn assert_refused(rows: &[(&str, &[u8], Violation)]) {
    for (what, bytes, expected) in rows {
        let transcript = read(bytes);
        assert_eq!(transcript.violation, Some(*expected), "{what}: {}", bytes.escape_ascii());
    }
}

/// Checks rows of (what, bytes): each one whole request.
pub fn assert_accepted(rows: &[(&str, &[u8])]) {
    for (what, bytes) in rows {
        let transcript = read(bytes);
        assert_eq!(transcript.violation, None, "{what}: {}", bytes.escape_ascii());
        assert_eq!(transcript.requests.len(), 1, "{what}: {}", bytes.escape_ascii());
        assert!(transcript.requests[0].ended, "{what}: {}", bytes.escape_ascii());
        assert_eq!(transcript.left, 0, "{what}: {}", bytes.escape_ascii());
    }
}
