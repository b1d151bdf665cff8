//! One connection's order of things: head, body, drained, next head.
//!
//! Owns: which bytes may be read as what. Does not own: bytes (the caller's buffer), time.
//! Rule (`no_smuggle`): a head is only parsed after the previous body ended; after a violation nothing is parsed.
//! Spec: RFC 9112 sections 6.3 and 9.

use super::decode::Piece;
use super::scan::HeadScan;
use super::{BodyDecoder, Framing, Limits, RequestHead, Violation};
use bytes::{Bytes, BytesMut};

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
#[derive(Debug)]
pub struct Conn {
    limits: Limits,
    state: State,
}

#[derive(Debug)]
enum State {
    ExpectHead(HeadScan),
    ExpectBody(BodyDecoder),
    Broken(Violation),
}

impl Conn {
    /// A connection on which nothing has been read.
    pub fn new(limits: Limits) -> Self {
        Conn { limits, state: State::ExpectHead(HeadScan::default()) }
    }

    /// Takes the next event off the front of `input`.
    ///
    /// # Errors
    /// The peer broke HTTP: answer and close. Further calls repeat the violation.
    pub fn next_event(&mut self, input: &mut BytesMut) -> Result<Event, Violation> {
        let found = match &mut self.state {
            State::ExpectHead(scan) => match scan.find_end(input, &self.limits) {
                Ok(None) => return Ok(Event::NeedMore),
                Ok(Some(length)) => {
                    let bytes = input.split_to(length).freeze();
                    RequestHead::parse(bytes, &self.limits).map(Event::Head)
                }
                Err(violation) => Err(violation),
            },
            State::ExpectBody(decoder) => match decoder.next_piece(input) {
                Ok(Piece::NeedMore) => return Ok(Event::NeedMore),
                Ok(Piece::Data(data)) => return Ok(Event::Body(data)),
                Ok(Piece::End) => Ok(Event::BodyEnd),
                Err(violation) => Err(violation),
            },
            State::Broken(violation) => return Err(*violation),
        };
        self.state = match &found {
            Ok(Event::Head(head)) if head.framing() != Framing::None => {
                State::ExpectBody(BodyDecoder::new(head.framing(), self.limits))
            }
            Ok(_) => State::ExpectHead(HeadScan::default()),
            Err(violation) => State::Broken(*violation),
        };
        found
    }

    /// True when the current request's body has been read to its end (or it had none), or no request was read yet.
    pub fn is_drained(&self) -> bool {
        matches!(self.state, State::ExpectHead(_))
    }

    /// True between requests with no byte of a next head seen.
    pub fn is_idle(&self, input: &BytesMut) -> bool {
        matches!(&self.state, State::ExpectHead(scan) if scan.is_untouched(input))
    }

    /// Bytes of the current body still to come where the length is known.
    pub fn body_left(&self) -> Option<u64> {
        match &self.state {
            State::ExpectBody(decoder) => decoder.left(),
            _ => Some(0),
        }
    }
}
