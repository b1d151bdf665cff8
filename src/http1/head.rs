//! One request head: its bytes as received, and where its parts lie.
//!
//! Owns: [`RequestHead`] and how it is asked. Does not own: how it is read (`parse`, `scan`).
//! Rule: parts are spans of one shared buffer; nothing is copied.
//! Spec: RFC 9112 sections 2 to 6. Deviations: docs/wire.md.

use super::ReplyContext;
use bytes::Bytes;

/// Request methods the server itself tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    Other,
}

impl Method {
    /// Case-sensitive (RFC 9110 section 9.1): `get` is `Other`.
    pub fn from_bytes(method: &[u8]) -> Self {
        match method {
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
pub enum Version {
    Http10,
    Http11,
}

/// How the request body is delimited, decided once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body. `Content-Length: 0` too: no body event follows.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks, with a trailer section that is dropped.
    Chunked,
}

/// One request head: the bytes as received, and where its parts lie.
#[derive(Clone)]
pub struct RequestHead {
    pub(crate) bytes: Bytes,
    pub(super) method: Method,
    pub(super) method_end: u32,
    pub(super) target: Span,
    pub(super) path: Span,
    pub(super) query: Span,
    pub(super) host: Option<Span>,
    pub(super) version: Version,
    pub(super) framing: Framing,
    pub(super) flags: Flags,
    pub(super) fields: Vec<FieldSpan>,
}

/// Answers that were found while the fields were read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) wants_upgrade: bool,
}

impl RequestHead {
    /// The method, if the server knows it.
    pub fn method(&self) -> Method {
        self.method
    }
    /// The method as sent, upper case letters as received.
    pub fn method_bytes(&self) -> &[u8] {
        self.bytes.get(..self.method_end as usize).unwrap_or_default()
    }
    /// The version, 1.1 for any later 1.x.
    pub fn version(&self) -> Version {
        self.version
    }
    /// Request target as sent.
    pub fn target(&self) -> &[u8] {
        self.target.of(&self.bytes)
    }
    /// Path of the target, still percent-encoded, always beginning with `/` (or `*`), without the query.
    pub fn path(&self) -> &[u8] {
        self.path.of(&self.bytes)
    }
    /// Query string without `?`, empty when absent.
    pub fn query(&self) -> &[u8] {
        self.query.of(&self.bytes)
    }
    /// Scheme of an absolute-form target is not trusted; authority: the target's own or Host's.
    pub fn host(&self) -> Option<&[u8]> {
        self.host.map(|span| span.of(&self.bytes))
    }
    /// Fields in order as `(name as sent, trimmed value)`.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + '_ {
        self.fields.iter().map(|field| (field.name.of(&self.bytes), field.value.of(&self.bytes)))
    }
    /// First field of that name (ASCII case-insensitive).
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
    /// A part returned by another method, as shared bytes without a copy. Other bytes are copied.
    pub fn share(&self, part: &[u8]) -> Bytes {
        let own = self.bytes.as_ptr_range();
        let asked = part.as_ptr_range();
        if asked.start >= own.start && asked.end <= own.end {
            self.bytes.slice_ref(part)
        } else {
            Bytes::copy_from_slice(part)
        }
    }
    /// The head as received, its blank line included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// How the body is delimited.
    pub fn framing(&self) -> Framing {
        self.framing
    }
    /// What the request says of the connection: may it be kept after the response?
    pub fn keep_alive(&self) -> bool {
        self.flags.keep_alive
    }
    /// The client waits for `100 Continue` before it sends its body (1.1 only, and only with a body).
    pub fn expects_continue(&self) -> bool {
        self.flags.expects_continue
    }
    /// True when `Connection: upgrade` and an `Upgrade` field are both present (1.1 only).
    pub fn wants_upgrade(&self) -> bool {
        self.flags.wants_upgrade
    }
    /// All that the response encoder must know of this request.
    pub fn reply_context(&self) -> ReplyContext {
        ReplyContext {
            version: self.version,
            head_only: self.method == Method::Head,
            keep_alive: self.flags.keep_alive,
        }
    }
}

/// Equal when they were sent as the same bytes.
impl PartialEq for RequestHead {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for RequestHead {}

/// The request line and the framing; not the fields, which may hold secrets.
impl std::fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &String::from_utf8_lossy(self.method_bytes()))
            .field("target", &String::from_utf8_lossy(self.target()))
            .field("version", &self.version)
            .field("framing", &self.framing)
            .field("fields", &self.fields.len())
            .finish_non_exhaustive()
    }
}

/// A range of a head's bytes. Heads are far smaller than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) const EMPTY: Span = Span { start: 0, end: 0 };

    pub(super) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Span { start: start as u32, end: end as u32 }
    }
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
    pub(super) fn start(self) -> usize {
        self.start as usize
    }
    pub(super) fn end(self) -> usize {
        self.end as usize
    }
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One field of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldSpan {
    pub(super) name: Span,
    pub(super) value: Span,
}
