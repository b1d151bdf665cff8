//! Turns the bytes of one request head into a [`RequestHead`].
//!
//! Owns: the request line, the field table, the choice of body framing.
//! Does not own: finding where a head ends (`scan`), reading the body (`decode`).
//! Rule: every rejection is one `Violation` variant naming the clause it enforces.
//! Spec: RFC 9112 sections 2 to 6. Deviations: docs/wire.md.

use super::{Limits, ReplyContext, Violation};
use bytes::Bytes;
use std::mem::MaybeUninit;

/// Request methods the server itself tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of RFC 9110 section 9")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
    Trace,
    Connect,
    /// Any other token.
    Other,
}

impl Method {
    fn of(token: &[u8]) -> Self {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"PATCH" => Method::Patch,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        }
    }
}

/// Version of the request. 1.1 for any later 1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Version {
    Http10,
    Http11,
}

/// How the request body is delimited, decided once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A part of the head, as offsets: heads are smaller than 4 GiB by their limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len());
        Span { start: start as u32, end: (start + part.len()) as u32 }
    }

    fn cut(self, whole: &[u8]) -> &[u8] {
        &whole[self.start as usize..self.end as usize]
    }
}

/// One request head: the bytes as received, and where its parts lie.
#[derive(Clone, Debug)]
pub struct RequestHead {
    bytes: Bytes,
    parts: Parts,
}

/// What was read from the bytes.
#[derive(Clone, Debug)]
struct Parts {
    method: Method,
    method_end: u32,
    target: Span,
    path: Span,
    query: Span,
    host: Span,
    fields: Vec<(Span, Span)>,
    version: Version,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
    wants_upgrade: bool,
}

impl RequestHead {
    /// Parses a whole head, from the first byte of the request line to the blank line.
    ///
    /// # Errors
    /// The first violation found.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Self, Violation> {
        const USUAL_FIELDS: usize = 100;
        if limits.max_fields <= USUAL_FIELDS {
            let mut table = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
            let parts = Parts::read(&bytes, limits, &mut table[..limits.max_fields])?;
            Ok(RequestHead { bytes, parts })
        } else {
            let mut table: Vec<_> = (0..limits.max_fields).map(|_| MaybeUninit::uninit()).collect();
            let parts = Parts::read(&bytes, limits, &mut table)?;
            Ok(RequestHead { bytes, parts })
        }
    }

    /// The method, as far as the server tells methods apart.
    pub fn method(&self) -> Method {
        self.parts.method
    }

    /// The method as sent.
    pub fn method_bytes(&self) -> &[u8] {
        &self.bytes[..self.parts.method_end as usize]
    }

    /// Version of the request.
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// Request target as sent.
    pub fn target(&self) -> &[u8] {
        self.parts.target.cut(&self.bytes)
    }

    /// Path of the target, still percent-encoded, without the query. Begins with `/`, or is `*`.
    pub fn path(&self) -> &[u8] {
        match self.parts.path.cut(&self.bytes) {
            b"" => b"/",
            path => path,
        }
    }

    /// Query string without `?`, empty when absent.
    pub fn query(&self) -> &[u8] {
        self.parts.query.cut(&self.bytes)
    }

    /// The authority of an absolute-form target, otherwise the value of Host. `None` on HTTP/1.0 without Host.
    pub fn host(&self) -> Option<&[u8]> {
        match self.parts.host.cut(&self.bytes) {
            b"" => None,
            host => Some(host),
        }
    }

    /// Fields in order as `(name as sent, trimmed value)`.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + '_ {
        self.parts.fields.iter().map(|(name, value)| (name.cut(&self.bytes), value.cut(&self.bytes)))
    }

    /// First field of that name (ASCII case-insensitive).
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The head as received.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How the body is delimited.
    pub fn framing(&self) -> Framing {
        self.parts.framing
    }

    /// What the request says of the connection: may it be kept after the response?
    pub fn keep_alive(&self) -> bool {
        self.parts.keep_alive
    }

    /// The client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.parts.expects_continue
    }

    /// True when `Connection: upgrade` and an `Upgrade` field are both present (1.1 only).
    pub fn wants_upgrade(&self) -> bool {
        self.parts.wants_upgrade
    }

    /// All that the response encoder must know of this request.
    pub fn reply_context(&self) -> ReplyContext {
        ReplyContext {
            version: self.parts.version,
            head_only: self.parts.method == Method::Head,
            keep_alive: self.parts.keep_alive,
        }
    }
}

impl Parts {
    fn read<'b>(
        whole: &'b [u8],
        limits: &Limits,
        table: &mut [MaybeUninit<httparse::Header<'b>>],
    ) -> Result<Self, Violation> {
        let mut request = httparse::Request::new(&mut []);
        let parsed = parse_into(&mut request, whole, table).map_err(|error| named(error, whole))?;
        let (method, target, version, headers) = parsed;
        if target.len() > limits.max_target_bytes {
            return Err(Violation::TargetTooLong);
        }
        let method_kind = Method::of(method);
        let (path, query, authority) = split_target(method_kind, target)?;
        let mut facts = FieldFacts::default();
        let mut fields = Vec::with_capacity(headers.len());
        for header in headers {
            let (name, value) = (header.name.as_bytes(), trim(header.value));
            facts.note(name, value, whole)?;
            fields.push((Span::of(name, whole), Span::of(value, whole)));
        }
        let host = facts.host(version, authority, whole)?;
        let framing = facts.framing(version, limits)?;
        let keep_alive = match version {
            Version::Http11 => !facts.says_close,
            Version::Http10 => facts.says_keep_alive && !facts.says_close,
        };
        let spans = (Span::of(target, whole), Span::of(path, whole));
        let query = query.map(|query| Span::of(query, whole)).unwrap_or_default();
        let method_end = method.len() as u32;
        let is_http11 = version == Version::Http11;
        Ok(Parts {
            method: method_kind,
            method_end,
            target: spans.0,
            path: spans.1,
            query,
            host,
            fields,
            version,
            framing,
            keep_alive,
            expects_continue: is_http11 && facts.expects_continue && framing != Framing::None,
            wants_upgrade: is_http11 && facts.says_upgrade && facts.has_upgrade,
        })
    }
}

type Parsed<'b, 't> = (&'b [u8], &'b [u8], Version, &'t [httparse::Header<'b>]);

fn parse_into<'b, 't>(
    request: &mut httparse::Request<'t, 'b>,
    whole: &'b [u8],
    table: &'t mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<Parsed<'b, 't>, httparse::Error> {
    match request.parse_with_uninit_headers(whole, table)? {
        httparse::Status::Complete(length) if length == whole.len() => {}
        // The scan found the blank line at the very end of `whole`, so httparse has to agree.
        _ => return Err(httparse::Error::NewLine),
    }
    let method = request.method.ok_or(httparse::Error::Token)?.as_bytes();
    let target = request.path.ok_or(httparse::Error::Token)?.as_bytes();
    let version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let headers = std::mem::take(&mut request.headers);
    Ok((method, target, version, headers))
}

fn named(error: httparse::Error, whole: &[u8]) -> Violation {
    match error {
        httparse::Error::HeaderName => Violation::FieldName,
        httparse::Error::HeaderValue => Violation::FieldValue,
        httparse::Error::TooManyHeaders => Violation::TooManyFields,
        httparse::Error::NewLine => Violation::BareCr,
        httparse::Error::Version => version_fault(whole),
        httparse::Error::Token | httparse::Error::Status => Violation::RequestLine,
    }
}

/// `HTTP/` and two digits is a version, though not ours; anything else is no request line.
fn version_fault(whole: &[u8]) -> Violation {
    let line = whole.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Violation::VersionUnsupported
        }
        _ => Violation::RequestLine,
    }
}

/// Path, query and authority of a target.
#[allow(clippy::type_complexity, reason = "three parts, taken apart at once by the one caller")]
fn split_target(method: Method, target: &[u8]) -> Result<(&[u8], Option<&[u8]>, Option<&[u8]>), Violation> {
    if method == Method::Connect {
        return Err(Violation::ConnectUnsupported);
    }
    if target.iter().any(|&byte| !(0x21..0x7f).contains(&byte) || byte == b'#') {
        return Err(Violation::Target);
    }
    if target == b"*" {
        return if method == Method::Options { Ok((target, None, None)) } else { Err(Violation::Target) };
    }
    let (rest, authority) = if target.first() == Some(&b'/') {
        (target, None)
    } else {
        let rest = strip_scheme(target).ok_or(Violation::Target)?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if !is_host(authority) {
            return Err(Violation::Target);
        }
        (rest, Some(authority))
    };
    let (path, query) = match memchr::memchr(b'?', rest) {
        Some(mark) => (&rest[..mark], Some(&rest[mark + 1..])),
        None => (rest, None),
    };
    Ok((path, query, authority))
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    for scheme in [&b"http://"[..], b"https://"] {
        if target.len() >= scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme) {
            return Some(&target[scheme.len()..]);
        }
    }
    None
}

/// RFC 9110 section 7.2, with RFC 3986's `reg-name` and IP literals; no userinfo, and not empty.
fn is_host(value: &[u8]) -> bool {
    let name_end = if value.first() == Some(&b'[') {
        match memchr::memchr(b']', value) {
            Some(end) if end > 1 => {
                if !value[1..end].iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) {
                    return false;
                }
                end + 1
            }
            _ => return false,
        }
    } else {
        let end = memchr::memchr(b':', value).unwrap_or(value.len());
        let is_name = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte);
        if end == 0 || !value[..end].iter().all(is_name) {
            return false;
        }
        end
    };
    match &value[name_end..] {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// What the fields of a head say of its framing and its connection.
#[derive(Default)]
struct FieldFacts {
    host: Option<Span>,
    length: Option<u64>,
    has_coding: bool,
    is_chunked: bool,
    coding_fault: Option<Violation>,
    says_close: bool,
    says_keep_alive: bool,
    says_upgrade: bool,
    has_upgrade: bool,
    expects_continue: bool,
}

impl FieldFacts {
    fn note(&mut self, name: &[u8], value: &[u8], whole: &[u8]) -> Result<(), Violation> {
        // The length decides first: most fields are looked at no further.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.host.is_some() {
                    return Err(Violation::HostRepeated);
                }
                if !is_host(value) {
                    return Err(Violation::HostInvalid);
                }
                self.host = Some(Span::of(value, whole));
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Violation::ExpectationUnknown);
                }
                self.expects_continue = true;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.has_upgrade = true,
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in value.split(|&byte| byte == b',').map(trim) {
                    self.says_close |= option.eq_ignore_ascii_case(b"close");
                    self.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    self.says_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Violation::ContentLengthRepeated);
                }
                self.length = Some(parse_length(value).ok_or(Violation::ContentLengthInvalid)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.has_coding = true;
                for coding in value.split(|&byte| byte == b',').map(trim) {
                    self.note_coding(coding);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn note_coding(&mut self, coding: &[u8]) {
        let fault = if coding.is_empty() || self.is_chunked {
            // Nothing may follow chunked, and chunked may not be applied twice.
            Some(Violation::CodingInvalid)
        } else if coding.eq_ignore_ascii_case(b"chunked") {
            self.is_chunked = true;
            None
        } else {
            Some(Violation::CodingUnknown)
        };
        // A malformed list stays malformed whatever else it names.
        match (self.coding_fault, fault) {
            (None, _) | (Some(Violation::CodingUnknown), Some(Violation::CodingInvalid)) => {
                self.coding_fault = fault
            }
            _ => {}
        }
    }

    fn host(&self, version: Version, authority: Option<&[u8]>, whole: &[u8]) -> Result<Span, Violation> {
        if self.host.is_none() && version == Version::Http11 {
            return Err(Violation::HostMissing);
        }
        Ok(authority.map(|authority| Span::of(authority, whole)).or(self.host).unwrap_or_default())
    }

    fn framing(&self, version: Version, limits: &Limits) -> Result<Framing, Violation> {
        if self.has_coding {
            if self.length.is_some() {
                return Err(Violation::LengthAndCoding);
            }
            if version == Version::Http10 {
                return Err(Violation::CodingOnHttp10);
            }
            return match self.coding_fault {
                Some(fault) => Err(fault),
                None => Ok(Framing::Chunked),
            };
        }
        match self.length {
            None | Some(0) => Ok(Framing::None),
            Some(length) if limits.max_body_bytes != 0 && length > limits.max_body_bytes => {
                Err(Violation::BodyTooLarge)
            }
            Some(length) => Ok(Framing::Length(length)),
        }
    }
}

/// RFC 9110 section 8.6: digits only.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')))
}

/// RFC 9110 section 5.6.3: optional white space is SP and HTAB.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
