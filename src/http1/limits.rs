//! The limits of a request, each a named constant with unit, effect and precedent.
//!
//! Owns: defaults and the [`Limits`] value. Does not own: time limits (`runtime`).

/// Bytes of head (request line, fields, blank line) accepted before 431.
///
/// nginx 4 x 8 KiB, Node 16 KiB, h11 16 KiB. Ours follows h11.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Fields in one head accepted before 431. Apache 100, httparse's own examples 64 to 100.
pub const MAX_FIELDS: usize = 100;

/// Bytes of request target accepted before 414. nginx and Apache: about 8 KiB.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Bytes of request body accepted before 413; 0 is unlimited. nginx 1 MiB, aiohttp 1 MiB; ours fits uploads.
pub const MAX_BODY_BYTES: u64 = 16 * 1024 * 1024;

/// Empty lines before a request line that are skipped, before 400. RFC 9112 2.2 asks for at least one.
///
/// Old clients send one after a body. More than a few is no client that we know.
pub const MAX_EMPTY_LINES: usize = 4;

/// Bytes of method accepted before 501. The longest registered one, `UPDATEREDIRECTREF`, has 17.
pub const MAX_METHOD_BYTES: usize = 32;

/// Bytes of chunk extensions in one body, all chunks together, before 400. hyper: 16 KiB a body.
///
/// Without it a peer makes us read without end for a body of a few bytes (CVE-2023-39326 and others).
pub const MAX_CHUNK_EXTENSION_BYTES: usize = 16 * 1024;

/// Hex digits of one chunk size before 400: as many as 64 bits have.
pub const MAX_CHUNK_SIZE_DIGITS: u8 = 16;

/// What one connection may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of head before 431.
    pub max_head_bytes: usize,
    /// Fields of a head, and of a trailer section, before 431.
    pub max_fields: usize,
    /// Bytes of request target before 414.
    pub max_target_bytes: usize,
    /// Bytes of body before 413. 0 is unlimited.
    pub max_body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_head_bytes: MAX_HEAD_BYTES,
            max_fields: MAX_FIELDS,
            max_target_bytes: MAX_TARGET_BYTES,
            max_body_bytes: MAX_BODY_BYTES,
        }
    }
}
