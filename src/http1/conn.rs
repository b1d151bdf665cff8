//! One connection's order of things: head, body, drained, next head.
//!
//! Owns: which bytes may be read as what. Rule (`no_smuggle`): a head is only parsed after the previous body ended.

use super::decode::BodyEvent;
use super::limits::MAX_EMPTY_LINES;
use super::parse::{take_head, Unparsed};
use super::scan::HeadScan;
use super::{BodyDecoder, Framing, Limits, RequestHead, Violation};
use bytes::{Buf, Bytes, BytesMut};

/// What the input holds next.
#[derive(Debug)]
pub enum Event {
    /// Nothing whole yet: read more, then ask again.
    NeedMore,
    /// A request head. If its framing is `None`, the body has already ended and no body event follows.
    Head(RequestHead),
    /// A non-empty piece of the body.
    Body(Bytes),
    /// The body ended. Trailer fields, if any, were checked and dropped (never merged into the head).
    BodyEnd,
}

/// Server side of one connection, bytes in, events out.
///
/// ```
/// use bytes::BytesMut;
/// use turboapi::http1::{Conn, Event, Limits};
///
/// let mut conn = Conn::new(Limits::default());
/// let mut input = BytesMut::from("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
/// assert!(matches!(conn.next_event(&mut input)?, Event::Head(head) if head.path() == b"/"));
/// assert!(matches!(conn.next_event(&mut input)?, Event::Body(piece) if piece == "hel"));
/// assert!(matches!(conn.next_event(&mut input)?, Event::NeedMore));
/// input.extend_from_slice(b"lo");
/// assert!(matches!(conn.next_event(&mut input)?, Event::Body(piece) if piece == "lo"));
/// assert!(matches!(conn.next_event(&mut input)?, Event::BodyEnd));
/// # Ok::<(), turboapi::http1::Violation>(())
/// ```
#[derive(Debug)]
pub struct Conn {
    limits: Limits,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The previous body, if any, ended. Bytes are those of a head.
    ExpectHead { empty_lines: usize, scan: HeadScan },
    /// Bytes are those of a body.
    ExpectBody(BodyDecoder),
    /// No byte is read any more.
    Failed(Violation),
}

impl State {
    fn expect_head() -> Self {
        State::ExpectHead { empty_lines: 0, scan: HeadScan::new() }
    }
}

impl Conn {
    /// A connection before its first byte.
    pub fn new(limits: Limits) -> Self {
        // Parts of a head are found again by 32 bit offsets.
        let max_head_bytes = limits.max_head_bytes.min(u32::MAX as usize);
        Conn { limits: Limits { max_head_bytes, ..limits }, state: State::expect_head() }
    }

    /// Takes the next event off the front of `input`. After a violation the connection is closed: further calls repeat it.
    ///
    /// Between calls `input` may only grow at its end: its front is remembered.
    pub fn next_event(&mut self, input: &mut BytesMut) -> Result<Event, Violation> {
        let result = match &mut self.state {
            State::Failed(violation) => Err(*violation),
            State::ExpectBody(decoder) => decoder.next_event(input).map(|event| match event {
                BodyEvent::NeedMore => Event::NeedMore,
                BodyEvent::Piece(piece) => Event::Body(piece),
                BodyEvent::End => Event::BodyEnd,
            }),
            State::ExpectHead { empty_lines, scan } => next_head(input, &self.limits, empty_lines, scan),
        };
        match &result {
            Err(violation) => self.state = State::Failed(*violation),
            Ok(Event::Head(head)) if head.framing() != Framing::None => {
                self.state = State::ExpectBody(BodyDecoder::new(head.framing(), self.limits));
            }
            Ok(Event::Head(_) | Event::BodyEnd) => self.state = State::expect_head(),
            Ok(Event::NeedMore | Event::Body(_)) => {}
        }
        result
    }

    /// True when the current request's body has been read to its end (or it had none), or no request was read yet.
    pub fn is_drained(&self) -> bool {
        matches!(self.state, State::ExpectHead { .. })
    }

    /// True between requests with no byte of a next head seen in `input` (leading CRLF aside).
    pub fn is_idle(&self, input: &BytesMut) -> bool {
        self.is_drained() && input.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// Bytes of the current body still to come where the length is known.
    pub fn body_left(&self) -> Option<u64> {
        match &self.state {
            State::ExpectHead { .. } => Some(0),
            State::ExpectBody(decoder) => decoder.left(),
            State::Failed(_) => None,
        }
    }
}

fn next_head(
    input: &mut BytesMut,
    limits: &Limits,
    empty_lines: &mut usize,
    scan: &mut HeadScan,
) -> Result<Event, Violation> {
    let is_first_look = scan.is_fresh();
    if is_first_look {
        skip_empty_lines(input, empty_lines)?;
        if matches!(input[..], [] | [b'\r']) {
            return Ok(Event::NeedMore);
        }
        // Most heads arrive whole: those are parsed at once, and never scanned.
        match take_head(input, limits) {
            Ok(head) => return Ok(Event::Head(head)),
            Err(Unparsed::Refused(violation)) => return Err(violation),
            Err(Unparsed::AskScan) => {}
        }
    }
    if !scan.advance(input, limits)? {
        return Ok(Event::NeedMore);
    }
    match take_head(input, limits) {
        Ok(head) => Ok(Event::Head(head)),
        Err(Unparsed::Refused(violation)) => Err(violation),
        Err(Unparsed::AskScan) => Err(Violation::BadHead),
    }
}

fn skip_empty_lines(input: &mut BytesMut, empty_lines: &mut usize) -> Result<(), Violation> {
    loop {
        match input[..] {
            [b'\r', b'\n', ..] => {
                *empty_lines += 1;
                if *empty_lines > MAX_EMPTY_LINES {
                    return Err(Violation::TooManyEmptyLines);
                }
                input.advance(2);
            }
            [b'\r', _, ..] => return Err(Violation::BareCr),
            _ => return Ok(()),
        }
    }
}
