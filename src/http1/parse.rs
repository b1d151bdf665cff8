//! Turns the bytes of one whole request head into a [`RequestHead`].
//!
//! Owns: the request line, the field table, what fields mean for framing and the connection.
//! Does not own: heads that are not whole or break a character rule: `scan` names what is wrong with those.
//! Rule: every byte is accounted for; what httparse would forgive (bare LF, say) is refused.
//! Spec: RFC 9112 sections 3, 5, 6, 9.3. Deviations: docs/wire.md.

use super::head::{FieldSpan, Flags, Framing, Method, RequestHead, Span, Version};
use super::limits::{Limits, MAX_METHOD_BYTES};
use super::target::{is_host, parse_target, Target};
use super::{chars, Violation};
use crate::bytes_ext::{list_members, trim_ows};
use bytes::{Bytes, BytesMut};

/// Why there is no head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unparsed {
    /// Not whole, or a character rule or limit is broken: `HeadScan` tells which.
    AskScan,
    /// Whole and well-formed, but refused for what it says.
    Refused(Violation),
}

impl From<Violation> for Unparsed {
    fn from(violation: Violation) -> Self {
        Unparsed::Refused(violation)
    }
}

/// Takes one head off the front of `input`, which begins with its method. On `Err` nothing is taken.
pub(crate) fn take_head(input: &mut BytesMut, limits: &Limits) -> Result<RequestHead, Unparsed> {
    let line = request_line(input, limits).ok_or(Unparsed::AskScan)?;
    let (fields, end) = field_table(input, line.end, limits).ok_or(Unparsed::AskScan)?;
    if end > limits.max_head_bytes {
        return Err(Unparsed::AskScan);
    }
    let mut head = RequestHead {
        bytes: Bytes::new(),
        method: line.method,
        method_end: line.method_end,
        target: line.target,
        path: Span::EMPTY,
        query: Span::EMPTY,
        host: None,
        version: line.version,
        framing: Framing::None,
        flags: Flags::default(),
        fields,
    };
    apply_fields(&mut head, input, limits)?;
    apply_target(&mut head, input)?;
    head.bytes = input.split_to(end).freeze();
    Ok(head)
}

struct RequestLine {
    method: Method,
    method_end: u32,
    target: Span,
    version: Version,
    /// Where the first field line begins.
    end: usize,
}

/// `None`: not whole, or malformed.
fn request_line(input: &[u8], limits: &Limits) -> Option<RequestLine> {
    let method_end = input.iter().position(|&byte| !chars::is_token(byte))?;
    if method_end == 0 || method_end > MAX_METHOD_BYTES || input[method_end] != b' ' {
        return None;
    }
    let target_start = method_end + 1;
    let target_len = input[target_start..].iter().position(|&byte| !chars::is_target(byte))?;
    let target_end = target_start + target_len;
    if target_len == 0 || target_len > limits.max_target_bytes || input[target_end] != b' ' {
        return None;
    }
    let version = match input.get(target_end + 1..target_end + 11)? {
        b"HTTP/1.1\r\n" => Version::Http11,
        b"HTTP/1.0\r\n" => Version::Http10,
        // A later 1.x is read as the highest version that is known here (RFC 9110 section 2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9', b'\r', b'\n'] => Version::Http11,
        _ => return None,
    };
    Some(RequestLine {
        method: Method::from_bytes(&input[..method_end]),
        method_end: method_end as u32,
        target: Span::new(target_start, target_end),
        version,
        end: target_end + 11,
    })
}

/// Fields for which httparse is given room on the stack. Browsers send 12 to 20.
const USUAL_FIELDS: usize = 32;

/// The spans of all fields, and where the head ends. `None`: not whole, malformed, or too many.
fn field_table(input: &[u8], start: usize, limits: &Limits) -> Option<(Vec<FieldSpan>, usize)> {
    let lines = input.get(start..)?;
    let mut usual = [httparse::EMPTY_HEADER; USUAL_FIELDS];
    match httparse::parse_headers(lines, &mut usual) {
        Ok(httparse::Status::Complete((_, parsed))) if parsed.len() <= limits.max_fields => {
            account(input, start, parsed)
        }
        Err(httparse::Error::TooManyHeaders) if limits.max_fields > USUAL_FIELDS => {
            // However high the limit is set: a field line takes four bytes at least.
            let mut many = vec![httparse::EMPTY_HEADER; limits.max_fields.min(lines.len() / 4 + 1)];
            match httparse::parse_headers(lines, &mut many) {
                Ok(httparse::Status::Complete((_, parsed))) => account(input, start, parsed),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Walks the lines that httparse read and finds each byte where the grammar wants it:
/// `name ":" OWS value OWS CRLF`, then an empty line.
fn account(input: &[u8], start: usize, parsed: &[httparse::Header<'_>]) -> Option<(Vec<FieldSpan>, usize)> {
    let mut fields = Vec::with_capacity(parsed.len());
    let mut at = start;
    for header in parsed {
        let name = Span::new(at, at + header.name.len());
        at += header.name.len();
        if input.get(at) != Some(&b':') {
            return None;
        }
        at = skip_ows(input, at + 1);
        let value = Span::new(at, at + header.value.len());
        at = skip_ows(input, at + header.value.len());
        if input.get(at..at + 2) != Some(b"\r\n") {
            return None;
        }
        at += 2;
        fields.push(FieldSpan { name, value });
    }
    (input.get(at..at + 2) == Some(b"\r\n")).then_some((fields, at + 2))
}

fn skip_ows(input: &[u8], mut at: usize) -> usize {
    while matches!(input.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// Reads the fields that the server itself obeys.
fn apply_fields(head: &mut RequestHead, input: &[u8], limits: &Limits) -> Result<(), Violation> {
    let mut length = None;
    let mut codings = Codings::default();
    let mut host = None;
    let mut connection = Connection::default();
    let mut has_upgrade = false;
    for field in &head.fields {
        let value = field.value.of(input);
        let name = field.name.of(input);
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if host.replace(field.value).is_some() {
                    return Err(Violation::RepeatedHost);
                }
                if !is_host(value) {
                    return Err(Violation::BadHost);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Violation::UnknownExpectation);
                }
                head.flags.expects_continue = head.version == Version::Http11;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => has_upgrade = true,
            10 if name.eq_ignore_ascii_case(b"connection") => connection.read(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let value = parse_length(value).ok_or(Violation::BadContentLength)?;
                if length.replace(value).is_some() {
                    return Err(Violation::RepeatedContentLength);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => codings.read(value)?,
            _ => {}
        }
    }
    if host.is_none() && head.version == Version::Http11 {
        return Err(Violation::MissingHost);
    }
    head.host = host;
    if codings.seen {
        if head.version == Version::Http10 {
            return Err(Violation::CodingOnHttp10);
        }
        if length.is_some() {
            return Err(Violation::LengthWithCoding);
        }
        codings.check()?;
    }
    head.framing = match length {
        _ if codings.seen => Framing::Chunked,
        None | Some(0) => Framing::None,
        Some(length) if limits.max_body_bytes != 0 && length > limits.max_body_bytes => {
            return Err(Violation::BodyTooLarge)
        }
        Some(length) => Framing::Length(length),
    };
    let is_http11 = head.version == Version::Http11;
    head.flags.keep_alive = !connection.close && (is_http11 || connection.keep_alive);
    head.flags.wants_upgrade = is_http11 && connection.upgrade && has_upgrade;
    // Nothing is held back by a client that sends no content (RFC 9110 section 10.1.1).
    head.flags.expects_continue &= head.framing != Framing::None;
    Ok(())
}

/// Splits the target, and lets its authority win over Host (RFC 9112 section 3.2.2).
fn apply_target(head: &mut RequestHead, input: &[u8]) -> Result<(), Violation> {
    if head.method == Method::Connect {
        return Err(Violation::ConnectNotImplemented);
    }
    match parse_target(input, head.target)? {
        Target::Origin { path, query } => (head.path, head.query) = (path, query),
        Target::Absolute { authority, path, query } => {
            (head.path, head.query) = (path, query);
            head.host = Some(authority);
        }
        Target::Asterisk if head.method == Method::Options => head.path = head.target,
        Target::Asterisk => return Err(Violation::AsteriskWithoutOptions),
    }
    Ok(())
}

/// `1*DIGIT` that fits 64 bits.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// What all Transfer-Encoding fields of a head say, read as one list.
#[derive(Default)]
struct Codings {
    seen: bool,
    chunked: bool,
    after_chunked: bool,
    unknown: bool,
}

impl Codings {
    fn read(&mut self, value: &[u8]) -> Result<(), Violation> {
        self.seen = true;
        for member in value.split(|&byte| byte == b',') {
            let coding = trim_ows(member);
            if !chars::is_token_all(coding) {
                return Err(Violation::BadTransferEncoding);
            }
            self.after_chunked |= self.chunked;
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                self.unknown = true;
            }
        }
        Ok(())
    }

    /// Checks that the list is `chunked`, once and alone.
    fn check(&self) -> Result<(), Violation> {
        if self.after_chunked {
            return Err(Violation::ChunkedNotFinal);
        }
        if self.unknown {
            return Err(Violation::UnknownTransferCoding);
        }
        Ok(())
    }
}

/// The options of all Connection fields that mean something here. Others name fields for proxies.
#[derive(Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Connection {
    fn read(&mut self, value: &[u8]) {
        for option in list_members(value) {
            match option.len() {
                5 => self.close |= option.eq_ignore_ascii_case(b"close"),
                7 => self.upgrade |= option.eq_ignore_ascii_case(b"upgrade"),
                10 => self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive"),
                _ => {}
            }
        }
    }
}
