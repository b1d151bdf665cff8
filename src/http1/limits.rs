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
