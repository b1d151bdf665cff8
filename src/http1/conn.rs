//! One connection's order of things: head, body, drained, next head.
//!
//! Owns: which bytes may be read as what. Rule (`no_smuggle`): a head is only parsed after the previous body ended.

use super::{Limits, RequestHead, Violation};
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
pub struct Conn {}

impl Conn {
    pub fn new(_limits: Limits) -> Self {
        todo!()
    }
    /// Takes the next event off the front of `input`. After a violation the connection is closed: further calls repeat it.
    pub fn next_event(&mut self, _input: &mut BytesMut) -> Result<Event, Violation> {
        todo!()
    }
    /// True when the current request's body has been read to its end (or it had none), or no request was read yet.
    pub fn is_drained(&self) -> bool {
        todo!()
    }
    /// True between requests with no byte of a next head seen in `input` (leading CRLF aside).
    pub fn is_idle(&self, _input: &BytesMut) -> bool {
        todo!()
    }
    /// Bytes of the current body still to come where the length is known.
    pub fn body_left(&self) -> Option<u64> {
        todo!()
    }
}
