//! Header text as Starlette reads it: `str`, decoded as Latin-1, with the methods of `str`.
//!
//! Owns: what those methods do to the 256 characters of Latin-1, a byte each.

/// `str.lower()`.
pub(super) fn lower(text: &[u8]) -> Vec<u8> {
    text.iter()
        .map(|&byte| match byte {
            b'A'..=b'Z' | 0xC0..=0xD6 | 0xD8..=0xDE => byte + 0x20,
            _ => byte,
        })
        .collect()
}

/// `str.strip()`.
pub(super) fn strip(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|&byte| !is_space(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// `text.partition(mark)[0]`.
pub(super) fn before(text: &[u8], mark: u8) -> &[u8] {
    memchr::memchr(mark, text).map_or(text, |at| &text[..at])
}

/// `str.isspace()`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | 0x1C..=0x20 | 0x85 | 0xA0)
}
