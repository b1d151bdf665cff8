//! HTTP/1.1, server side, as a pure function of bytes.
//!
//! Owns: heads, framing, bodies, the order of a connection. Does not own: sockets, time, Python.
//! Rule: bytes in, values out; "need more bytes" is a result and no error.
//! Spec: RFC 9110, RFC 9112. Deviations: docs/wire.md.
#![forbid(unsafe_code)]

mod chars;
mod conn;
mod date;
mod decode;
mod encode;
mod fields;
mod head;
pub mod limits;
mod parse;
mod scan;
mod status;
mod target;
mod violation;

pub use conn::{Conn, Event};
pub use date::HttpDate;
pub use decode::{BodyDecoder, BodyEvent};
pub use encode::{
    encode_chunk, encode_chunk_end, encode_chunk_size, encode_continue, encode_date, encode_full,
    encode_head, encode_head_end, encode_last_chunk, encode_violation, render_head, status_allows_body,
    BodyFraming, BodyLength, ReplyContext, ResponseHead, SentHead,
};
pub use fields::{FieldBlock, FieldFault};
pub use head::{Framing, Method, RequestHead, Version};
pub use limits::{Limits, MAX_BODY_BYTES, MAX_FIELDS, MAX_HEAD_BYTES, MAX_TARGET_BYTES};
pub use violation::Violation;
