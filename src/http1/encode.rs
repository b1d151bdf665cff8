//! Response heads and chunks, appended to the caller's buffer.
//!
//! Owns: status lines, framing of responses, validation of response fields. Does not own: writing.
//! Rule: nothing is appended before everything was checked. Spec: RFC 9112 sections 4, 6, 7; RFC 9110 section 6.6, 8.6.

use super::{HttpDate, Version, Violation};
use bytes::BytesMut;

/// What a response must know of its request.
#[derive(Clone, Copy, Debug)]
pub struct ReplyContext {
    pub version: Version,
    /// The request was HEAD: no body goes out, whatever the response says.
    pub head_only: bool,
    /// The peer, and the server (draining, limits), allow the connection to be kept.
    pub keep_alive: bool,
}

/// Response fields, checked one by one and kept as encoded lines.
#[derive(Clone, Debug, Default)]
pub struct FieldBlock {
    // encoded lines, plus notes of what was seen
}

/// Why a response field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFault {
    /// The name is empty or not a token (RFC 9110 section 5.6.2).
    Name,
    /// The value holds CR, LF or NUL, or another byte that is not allowed (RFC 9110 section 5.5).
    Value,
    /// `content-length` is not a number, or repeated with another value.
    ContentLength,
}

impl FieldBlock {
    pub fn new() -> Self {
        todo!()
    }
    /// Adds one field. `content-length` is noted, not encoded (the encoder writes the framing);
    /// `connection` is noted if it says `close`, and dropped; `transfer-encoding`, `keep-alive` and `upgrade` are dropped
    /// and noted in `has_framing`; `date` and `server` given by the app replace ours.
    pub fn push(&mut self, _name: &[u8], _value: &[u8]) -> Result<(), FieldFault> {
        todo!()
    }
    /// A field of framing was given (`content-length`, `transfer-encoding`, `connection`): a fault for raw handlers.
    pub fn has_framing(&self) -> bool {
        todo!()
    }
    pub fn has_content_type(&self) -> bool {
        todo!()
    }
    pub fn content_length(&self) -> Option<u64> {
        todo!()
    }
}

/// Status and fields of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    pub status: u16,
    pub fields: FieldBlock,
}

/// What is known of the body when the head is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    Known(u64),
    Unknown,
}

/// How the body that follows must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// No body bytes may follow (HEAD, 204, 304).
    None,
    /// Exactly so many bytes follow, raw.
    Length(u64),
    /// Chunks, ended by `encode_last_chunk`.
    Chunked,
    /// Raw bytes; the end is the close (HTTP/1.0).
    UntilClose,
}

/// What was decided when a head was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentHead {
    pub framing: BodyFraming,
    pub keep_alive: bool,
}

/// Statuses 1xx, 204 and 304 never have a body.
pub fn status_allows_body(status: u16) -> bool {
    !(status < 200 || status == 204 || status == 304)
}

/// Appends a response head. `fields.content_length()`, when set, is the length for `Unknown`.
/// HTTP/1.0 without known length: `UntilClose`. Writes `connection: close` when not kept (and
/// `connection: keep-alive` for a kept 1.0 connection), `date`, `content-length` or `transfer-encoding`.
/// 204 and 1xx get neither length nor coding (RFC 9110 8.6); 304 and HEAD get the length if known.
pub fn encode_head(
    _out: &mut BytesMut,
    _context: &ReplyContext,
    _status: u16,
    _fields: &FieldBlock,
    _length: BodyLength,
    _date: &HttpDate,
) -> SentHead {
    todo!()
}

/// The short way for a whole response with one content type (the hot path): head, then the body copied
/// unless `head_only` or the status has none. `content_type` must already be checked. Returns keep-alive.
pub fn encode_full(
    _out: &mut BytesMut,
    _context: &ReplyContext,
    _status: u16,
    _content_type: &[u8],
    _body: &[u8],
    _date: &HttpDate,
) -> bool {
    todo!()
}

/// Ends a head whose fields are written: what the connection needs said, then the blank line.
pub fn encode_head_end(_out: &mut BytesMut, _context: &ReplyContext) {
    todo!()
}

/// Appends one chunk with its size line. Empty data appends nothing.
pub fn encode_chunk(_out: &mut BytesMut, _data: &[u8]) {
    todo!()
}
/// Appends the last chunk and an empty trailer section.
pub fn encode_last_chunk(_out: &mut BytesMut) {
    todo!()
}
/// Appends `HTTP/1.1 100 Continue`.
pub fn encode_continue(_out: &mut BytesMut) {
    todo!()
}
/// Appends the whole answer to a violation: its status, a short text body, `connection: close`.
pub fn encode_violation(_out: &mut BytesMut, _violation: Violation, _date: &HttpDate) {
    todo!()
}
