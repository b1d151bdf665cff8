//! Turns the bytes of one request head into a [`RequestHead`].
//!
//! Owns: the request line, the field table, the choice of body framing.
//! Does not own: reading sockets (`runtime`), reading the body (`decode`).
//! Rule: every rejection is one `Violation` variant naming the clause it enforces.
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

/// Version of the request. 1.1 for any later 1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// How the request body is delimited, decided once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// One request head: the bytes as received, and where its parts lie.
#[derive(Clone, Debug)]
pub struct RequestHead {
    pub(crate) bytes: Bytes,
}

impl RequestHead {
    pub fn method(&self) -> Method {
        todo!()
    }
    /// The method as sent, upper case letters as received.
    pub fn method_bytes(&self) -> &[u8] {
        todo!()
    }
    pub fn version(&self) -> Version {
        todo!()
    }
    /// Request target as sent.
    pub fn target(&self) -> &[u8] {
        todo!()
    }
    /// Path of the target, still percent-encoded, always beginning with `/` (or `*`), without the query.
    pub fn path(&self) -> &[u8] {
        todo!()
    }
    /// Query string without `?`, empty when absent.
    pub fn query(&self) -> &[u8] {
        todo!()
    }
    /// Scheme of an absolute-form target is not trusted; authority: the target's own or Host's.
    pub fn host(&self) -> Option<&[u8]> {
        todo!()
    }
    /// Fields in order as `(name as sent, trimmed value)`.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + '_ {
        [].into_iter()
    }
    /// First field of that name (ASCII case-insensitive).
    pub fn field(&self, _name: &[u8]) -> Option<&[u8]> {
        todo!()
    }
    /// A part returned by another method, as shared bytes without a copy.
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.bytes.slice_ref(part)
    }
    pub fn framing(&self) -> Framing {
        todo!()
    }
    /// What the request says of the connection: may it be kept after the response?
    pub fn keep_alive(&self) -> bool {
        todo!()
    }
    pub fn expects_continue(&self) -> bool {
        todo!()
    }
    /// True when `Connection: upgrade` and an `Upgrade` field are both present (1.1 only).
    pub fn wants_upgrade(&self) -> bool {
        todo!()
    }
    /// All that the response encoder must know of this request.
    pub fn reply_context(&self) -> ReplyContext {
        todo!()
    }
}
