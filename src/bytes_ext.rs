//! Bytes on their way out: one growing buffer, and large bodies kept by reference behind it.
//!
//! Owns: [`OutBuf`]. Does not own: what the bytes mean (`http1`), writing them (`runtime`).
//! Rule: no policy but one, stated in [`OutBuf::SHARE_FROM`]; order of appends is order on the wire.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Output of one connection, in order: pieces ready to write, then the buffer being appended to.
#[derive(Debug, Default)]
pub struct OutBuf {
    ready: VecDeque<Bytes>,
    ready_bytes: usize,
    /// Appended to by the encoders. Goes to the wire behind all that is `ready`.
    pub tail: BytesMut,
}

impl OutBuf {
    /// Bytes from which a body is queued by reference in place of being copied into the buffer.
    ///
    /// Below it one copy is cheaper than one more segment in the write.
    pub const SHARE_FROM: usize = 16 * 1024;

    /// Appends a body: copied when small, by reference when large.
    pub fn push(&mut self, body: Bytes) {
        if body.len() < Self::SHARE_FROM {
            self.tail.extend_from_slice(&body);
        } else {
            self.seal();
            self.ready_bytes += body.len();
            self.ready.push_back(body);
        }
    }

    /// Takes the next piece to write, in order. `None` when all is taken.
    pub fn take_next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.ready.pop_front() {
            self.ready_bytes -= piece.len();
            return Some(piece);
        }
        if self.tail.is_empty() {
            return None;
        }
        Some(self.tail.split().freeze())
    }

    /// True when everything fits the one contiguous buffer, so that it can be written without a piece.
    pub fn is_contiguous(&self) -> bool {
        self.ready.is_empty()
    }

    /// Bytes appended and not yet taken.
    pub fn len(&self) -> usize {
        self.ready_bytes + self.tail.len()
    }

    /// True when nothing waits to be written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let piece = self.tail.split().freeze();
            self.ready_bytes += piece.len();
            self.ready.push_back(piece);
        }
    }
}

/// Without the spaces and tabs at both ends (`OWS`, RFC 9110 section 5.6.3).
pub fn trim_ows(bytes: &[u8]) -> &[u8] {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !is_ows(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_ows(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1.2).
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> + '_ {
    value.split(|&byte| byte == b',').map(trim_ows).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_buf_keeps_order_when_small_and_large_bodies_mix() {
        let mut out = OutBuf::default();
        out.tail.extend_from_slice(b"head");
        let large = Bytes::from(vec![b'x'; OutBuf::SHARE_FROM]);
        out.push(large.clone());
        out.push(Bytes::from_static(b"tail"));
        assert_eq!(out.len(), 8 + large.len());
        assert_eq!(out.take_next().as_deref(), Some(&b"head"[..]));
        assert_eq!(out.take_next(), Some(large));
        assert_eq!(out.take_next().as_deref(), Some(&b"tail"[..]));
        assert_eq!(out.take_next(), None);
        assert!(out.is_empty());
    }
}
