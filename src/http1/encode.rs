//! Response heads and chunks, appended to the caller's buffer.
//!
//! Owns: status lines, framing of responses, validation of response fields. Does not own: writing.
//! Rule: nothing is appended before everything was checked; the framing of a response is ours alone to write.
//! Spec: RFC 9112 sections 4, 6, 7; RFC 9110 sections 6.6 and 8.6.

use super::decode::is_field_value_byte;
use super::head::{parse_length, trim};
use super::scan::is_token_byte;
use super::{HttpDate, Version, Violation};
use bytes::{BufMut, BytesMut};

/// What a response must know of its request.
#[derive(Clone, Copy, Debug)]
pub struct ReplyContext {
    /// The request's version.
    pub version: Version,
    /// The request was HEAD: no body goes out, whatever the response says.
    pub head_only: bool,
    /// The peer, and the server (draining, limits), allow the connection to be kept.
    pub keep_alive: bool,
}

/// Response fields, checked one by one and kept as encoded lines.
#[derive(Clone, Debug, Default)]
pub struct FieldBlock {
    lines: Vec<u8>,
    content_length: Option<u64>,
    has_framing: bool,
    has_content_type: bool,
    has_date: bool,
    says_close: bool,
}

/// Why a response field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFault {
    /// The name is empty or not a token (RFC 9110 section 5.6.2).
    Name,
    /// The value holds CR, LF or NUL, or another control byte (RFC 9110 section 5.5).
    Value,
    /// `content-length` is not a number, or repeated with another value.
    ContentLength,
}

impl FieldFault {
    /// One fixed sentence.
    pub fn reason(self) -> &'static str {
        match self {
            FieldFault::Name => "the name is not a token",
            FieldFault::Value => "the value holds a control character",
            FieldFault::ContentLength => "content-length is not one number",
        }
    }
}

impl FieldBlock {
    /// No fields.
    pub fn new() -> Self {
        FieldBlock::default()
    }

    /// Adds one field, its name in lower case.
    ///
    /// `content-length` is noted (the encoder writes the framing); `connection` is noted if it says `close`;
    /// `transfer-encoding`, `keep-alive` and `upgrade` are dropped. A `date` given here replaces ours.
    ///
    /// # Errors
    /// The field may not be sent; nothing was added.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldFault> {
        if name.is_empty() || !name.iter().all(|&byte| is_token_byte(byte)) {
            return Err(FieldFault::Name);
        }
        let value = trim(value);
        if !value.iter().all(|&byte| is_field_value_byte(byte)) {
            return Err(FieldFault::Value);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"date") => self.has_date = true,
            7 if name.eq_ignore_ascii_case(b"upgrade") => return Ok(()),
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.has_framing = true;
                let options = value.split(|&byte| byte == b',').map(trim);
                self.says_close |= options.into_iter().any(|option| option.eq_ignore_ascii_case(b"close"));
                return Ok(());
            }
            10 if name.eq_ignore_ascii_case(b"keep-alive") => return Ok(()),
            12 if name.eq_ignore_ascii_case(b"content-type") => self.has_content_type = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.has_framing = true;
                let length = parse_length(value).ok_or(FieldFault::ContentLength)?;
                if self.content_length.is_some_and(|known| known != length) {
                    return Err(FieldFault::ContentLength);
                }
                self.content_length = Some(length);
                return Ok(());
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.has_framing = true;
                return Ok(());
            }
            _ => {}
        }
        self.lines.extend(name.iter().map(u8::to_ascii_lowercase));
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(value);
        self.lines.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// A field of framing was given (`content-length`, `transfer-encoding`, `connection`): a fault for raw handlers.
    pub fn has_framing(&self) -> bool {
        self.has_framing
    }

    /// `content-type` was given.
    pub fn has_content_type(&self) -> bool {
        self.has_content_type
    }

    /// The `content-length` given.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }
}

/// Status and fields of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// 200 to 599.
    pub status: u16,
    /// The fields.
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
    /// How to write the body.
    pub framing: BodyFraming,
    /// May the connection be kept afterwards?
    pub keep_alive: bool,
}

/// Statuses 1xx, 204 and 304 never have a body.
pub fn status_allows_body(status: u16) -> bool {
    !(status < 200 || status == 204 || status == 304)
}

/// Appends a response head, and decides how its body goes.
///
/// `fields.content_length()`, when set, is the length for `Unknown`, and for a body that HEAD, 304 left out.
pub fn encode_head(
    out: &mut BytesMut,
    context: &ReplyContext,
    status: u16,
    fields: &FieldBlock,
    length: BodyLength,
    date: &HttpDate,
) -> SentHead {
    let told = match (length, fields.content_length) {
        (BodyLength::Known(0), Some(given)) if context.head_only || status == 304 => Some(given),
        (BodyLength::Known(length), _) => Some(length),
        (BodyLength::Unknown, given) => given,
    };
    out.reserve(fields.lines.len() + 160);
    put_status_line(out, status);
    out.extend_from_slice(&fields.lines);
    let mut keep_alive = context.keep_alive && !fields.says_close;
    let framing = if !status_allows_body(status) {
        if let (304, Some(length @ 1..)) = (status, told) {
            put_length(out, length);
        }
        BodyFraming::None
    } else {
        let framing = match (told, context.version) {
            (Some(length), _) => {
                put_length(out, length);
                BodyFraming::Length(length)
            }
            (None, Version::Http11) => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                BodyFraming::Chunked
            }
            (None, Version::Http10) => {
                keep_alive &= context.head_only;
                BodyFraming::UntilClose
            }
        };
        if context.head_only {
            BodyFraming::None
        } else {
            framing
        }
    };
    if !fields.has_date {
        put_date(out, date);
    }
    encode_head_end(out, &ReplyContext { keep_alive, ..*context });
    SentHead { framing, keep_alive }
}

/// The short way for a whole response with one content type (the hot path): head, then the body copied
/// unless `head_only` or the status has none. `content_type` must already be checked. Returns keep-alive.
pub fn encode_full(
    out: &mut BytesMut,
    context: &ReplyContext,
    status: u16,
    content_type: &[u8],
    body: &[u8],
    date: &HttpDate,
) -> bool {
    let has_body = status_allows_body(status);
    out.reserve(160 + content_type.len() + body.len());
    put_status_line(out, status);
    if has_body {
        out.extend_from_slice(b"content-type: ");
        out.extend_from_slice(content_type);
        out.extend_from_slice(b"\r\n");
        put_length(out, body.len() as u64);
    }
    put_date(out, date);
    encode_head_end(out, context);
    if has_body && !context.head_only {
        out.extend_from_slice(body);
    }
    context.keep_alive
}

/// A head rendered beforehand: status line, fields and length, without `date`, connection and the blank line.
pub fn render_head(status: u16, fields: &FieldBlock, length: u64) -> BytesMut {
    let mut head = BytesMut::new();
    put_status_line(&mut head, status);
    head.extend_from_slice(&fields.lines);
    if status_allows_body(status) {
        put_length(&mut head, length);
    }
    head
}

/// Appends the `date` line.
pub fn encode_date(out: &mut BytesMut, date: &HttpDate) {
    put_date(out, date);
}

/// Ends a head whose fields are written: what the connection needs said, then the blank line.
pub fn encode_head_end(out: &mut BytesMut, context: &ReplyContext) {
    out.extend_from_slice(match (context.keep_alive, context.version) {
        (true, Version::Http11) => b"\r\n",
        (true, Version::Http10) => b"connection: keep-alive\r\n\r\n",
        (false, _) => b"connection: close\r\n\r\n",
    });
}

/// Appends one chunk with its size line. Empty data appends nothing: it would end the body.
pub fn encode_chunk(out: &mut BytesMut, data: &[u8]) {
    if !data.is_empty() {
        encode_chunk_size(out, data.len());
        out.extend_from_slice(data);
        encode_chunk_end(out);
    }
}

/// Appends the size line of a chunk of `length` bytes, which the caller writes.
pub fn encode_chunk_size(out: &mut BytesMut, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let used = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for place in (0..used).rev() {
        out.put_u8(DIGITS[length >> (place * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends what follows the data of a chunk.
pub fn encode_chunk_end(out: &mut BytesMut) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and an empty trailer section.
pub fn encode_last_chunk(out: &mut BytesMut) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// Appends `100 Continue`.
pub fn encode_continue(out: &mut BytesMut) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Appends the whole answer to a violation: its status, a short text body, `connection: close`.
pub fn encode_violation(out: &mut BytesMut, violation: Violation, date: &HttpDate) {
    let context = ReplyContext { version: Version::Http11, head_only: false, keep_alive: false };
    encode_full(
        out,
        &context,
        violation.status(),
        b"text/plain; charset=utf-8",
        violation.reason().as_bytes(),
        date,
    );
}

fn put_status_line(out: &mut BytesMut, status: u16) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn put_length(out: &mut BytesMut, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn put_date(out: &mut BytesMut, date: &HttpDate) {
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Reason phrases of RFC 9110 section 15 and the IANA registry; empty for others.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a Teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => "",
    }
}
