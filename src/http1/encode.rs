//! Response heads and chunks, appended to the caller's buffer.
//!
//! Owns: status lines, framing of responses. Does not own: which fields are allowed (`fields`), writing.
//! Rule: nothing is appended before everything was checked. Spec: RFC 9112 sections 4, 6, 7; RFC 9110 section 6.6, 8.6.

use super::status::status_line;
use super::{FieldBlock, HttpDate, Version, Violation};
use bytes::BytesMut;

/// What a response must know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyContext {
    /// The request's version.
    pub version: Version,
    /// The request was HEAD: no body goes out, whatever the response says.
    pub head_only: bool,
    /// The peer, and the server (draining, limits), allow the connection to be kept.
    pub keep_alive: bool,
}

/// Status and fields of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Three digits. 200 to 599 from applications.
    pub status: u16,
    /// The fields, without those of framing.
    pub fields: FieldBlock,
}

/// What is known of the body when the head is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes.
    Known(u64),
    /// It ends when it ends.
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
    /// How the body must be written.
    pub framing: BodyFraming,
    /// May the connection be kept afterwards?
    pub keep_alive: bool,
}

/// Statuses 1xx, 204 and 304 never have a body.
pub fn status_allows_body(status: u16) -> bool {
    !(status < 200 || status == 204 || status == 304)
}

/// Appends a response head. `fields.content_length()`, when set, is the length for `Unknown`.
/// HTTP/1.0 without known length: `UntilClose`. Writes `connection: close` when not kept (and
/// `connection: keep-alive` for a kept 1.0 connection), `date`, `content-length` or `transfer-encoding`.
/// 204 and 1xx get neither length nor coding (RFC 9110 8.6); 304 and HEAD get the length if known:
/// the one among the fields before that of the body, and never the 0 of a 304 without one.
pub fn encode_head(
    out: &mut BytesMut,
    context: &ReplyContext,
    status: u16,
    fields: &FieldBlock,
    length: BodyLength,
    date: &HttpDate,
) -> SentHead {
    let given = fields.content_length();
    let known = match length {
        BodyLength::Known(known) => Some(known),
        BodyLength::Unknown => given,
    };
    let (framing, said_length) = if !status_allows_body(status) {
        let would_be = given.or(known.filter(|&known| known > 0));
        (BodyFraming::None, would_be.filter(|_| status == 304))
    } else if context.head_only {
        (BodyFraming::None, given.or(known))
    } else {
        match (known, context.version) {
            (Some(known), _) => (BodyFraming::Length(known), Some(known)),
            (None, Version::Http11) => (BodyFraming::Chunked, None),
            (None, Version::Http10) => (BodyFraming::UntilClose, None),
        }
    };
    let keep_alive = context.keep_alive && !fields.wants_close() && framing != BodyFraming::UntilClose;

    out.reserve(fields.lines().len() + HEAD_ROOM);
    put_status_line(out, status);
    out.extend_from_slice(fields.lines());
    if let Some(said_length) = said_length {
        put_content_length(out, said_length);
    }
    if framing == BodyFraming::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if !fields.has_date() {
        encode_date(out, date);
    }
    if status < 200 {
        // The final response says what becomes of the connection.
        out.extend_from_slice(b"\r\n");
    } else {
        encode_head_end(out, &ReplyContext { keep_alive, ..*context });
    }
    SentHead { framing, keep_alive }
}

/// The short way for a whole response with one content type (the hot path): head, then the body copied
/// unless `head_only` or the status has none. `content_type` must already be checked; empty: no such line.
/// Returns keep-alive.
pub fn encode_full(
    out: &mut BytesMut,
    context: &ReplyContext,
    status: u16,
    content_type: &[u8],
    body: &[u8],
    date: &HttpDate,
) -> bool {
    let allows_body = status_allows_body(status);
    out.reserve(HEAD_ROOM + content_type.len() + body.len());
    put_status_line(out, status);
    if !content_type.is_empty() {
        out.extend_from_slice(b"content-type: ");
        out.extend_from_slice(content_type);
        out.extend_from_slice(b"\r\n");
    }
    if allows_body || (status == 304 && !body.is_empty()) {
        put_content_length(out, body.len() as u64);
    }
    encode_date(out, date);
    encode_head_end(out, context);
    if allows_body && !context.head_only {
        out.extend_from_slice(body);
    }
    context.keep_alive
}

/// A head rendered beforehand: status line, fields and length, without `date`, connection and the blank line.
/// To be sent as it is, then [`encode_date`], then [`encode_head_end`].
pub fn render_head(status: u16, fields: &FieldBlock, length: u64) -> BytesMut {
    let mut head = BytesMut::with_capacity(HEAD_ROOM + fields.lines().len());
    put_status_line(&mut head, status);
    head.extend_from_slice(fields.lines());
    if status_allows_body(status) {
        put_content_length(&mut head, length);
    }
    head
}

/// Appends the `date` line.
pub fn encode_date(out: &mut BytesMut, date: &HttpDate) {
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Ends a head whose field lines are written: what the connection needs said, then the blank line.
pub fn encode_head_end(out: &mut BytesMut, context: &ReplyContext) {
    out.extend_from_slice(match (context.version, context.keep_alive) {
        (Version::Http11, true) => b"\r\n",
        (_, false) => b"connection: close\r\n\r\n",
        (Version::Http10, true) => b"connection: keep-alive\r\n\r\n",
    });
}

/// Appends one chunk with its size line. Empty data appends nothing: an empty chunk would end the body.
pub fn encode_chunk(out: &mut BytesMut, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    out.reserve(CHUNK_ROOM + data.len());
    encode_chunk_size(out, data.len());
    out.extend_from_slice(data);
    encode_chunk_end(out);
}

/// Appends the size line of a chunk of `length` bytes, not 0, which the caller sends.
pub fn encode_chunk_size(out: &mut BytesMut, length: usize) {
    let mut line = [0u8; 18];
    let start = chunk_size_line(&mut line, length);
    out.extend_from_slice(&line[start..]);
}

/// Appends what follows the data of a chunk.
pub fn encode_chunk_end(out: &mut BytesMut) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and an empty trailer section.
pub fn encode_last_chunk(out: &mut BytesMut) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// Appends `HTTP/1.1 100 Continue`.
pub fn encode_continue(out: &mut BytesMut) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Appends the whole answer to a violation: its status, a short text body, `connection: close`.
pub fn encode_violation(out: &mut BytesMut, violation: Violation, date: &HttpDate) {
    let context = ReplyContext { version: Version::Http11, head_only: false, keep_alive: false };
    let text = b"text/plain; charset=utf-8";
    encode_full(out, &context, violation.status(), text, violation.reason().as_bytes(), date);
}

/// Bytes that a head needs at most besides its fields: status line, length or coding, date, connection.
const HEAD_ROOM: usize = 192;

/// Bytes that a chunk needs at most besides its data: 16 digits and twice CRLF.
const CHUNK_ROOM: usize = 20;

fn put_status_line(out: &mut BytesMut, status: u16) {
    if let Some(line) = status_line(status) {
        out.extend_from_slice(line);
        return;
    }
    // Three digits are the grammar (RFC 9110 section 15). The reason may be empty, its space may not be left out.
    debug_assert!((100..=999).contains(&status), "callers check statuses");
    let status = if (100..=999).contains(&status) { status } else { 500 };
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.extend_from_slice(b" \r\n");
}

fn put_content_length(out: &mut BytesMut, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the size in hex and CRLF to the end of `line`. Gives where it begins.
fn chunk_size_line(line: &mut [u8; 18], size: usize) -> usize {
    line[16] = b'\r';
    line[17] = b'\n';
    let (mut at, mut rest) = (16, size);
    loop {
        at -= 1;
        line[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
        if rest == 0 {
            return at;
        }
    }
}
