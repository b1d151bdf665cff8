//! Buffers as the kernel reads them.
//!
//! Owns: [`Pieces`], many byte strings written with one call and without a copy.
//! Rule: what an `iovec` points at is kept, unmoved, for as long as the `iovec` may be read.

use crate::bytes_ext::OutBuf;
use bytes::{Buf, Bytes};
use monoio::buf::IoVecBuf;

/// Pieces in one write, at most. Linux takes 1,024; more than a few do not make it cheaper.
const MAX_PIECES: usize = 64;

/// Byte strings in the order they go out.
#[derive(Debug)]
pub struct Pieces {
    pieces: Vec<Bytes>,
    /// INVARIANT: `iovecs[i]` is the address and length of `pieces[i]`.
    iovecs: Vec<libc::iovec>,
}

impl Pieces {
    /// Takes up to [`MAX_PIECES`] from the front of `out`.
    pub fn take(out: &mut OutBuf) -> Self {
        let mut pieces = Vec::with_capacity(4);
        while pieces.len() < MAX_PIECES {
            let Some(piece) = out.take_next() else { break };
            pieces.push(piece);
        }
        let iovecs = pieces.iter().map(iovec).collect();
        Pieces { pieces, iovecs }
    }

    /// True when all is written.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// So many bytes were written.
    pub fn advance(&mut self, mut written: usize) {
        let whole = self.pieces.iter().take_while(|piece| {
            let is_whole = written >= piece.len();
            if is_whole {
                written -= piece.len();
            }
            is_whole
        });
        let whole = whole.count();
        self.pieces.drain(..whole);
        self.iovecs.drain(..whole);
        if let (Some(first), Some(entry)) = (self.pieces.first_mut(), self.iovecs.first_mut()) {
            first.advance(written);
            *entry = iovec(first);
        }
    }
}

fn iovec(piece: &Bytes) -> libc::iovec {
    // The kernel only reads from it.
    libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() }
}

// SAFETY: the pointer is that of a `Vec` which nothing changes while the runtime owns `self`, and there are as many
// entries as its length says. Each entry points into a `Bytes` that `self` owns: its memory does not move when `self`
// does, and is not written to by anybody, since `Bytes` are shared.
unsafe impl IoVecBuf for Pieces {
    fn read_iovec_ptr(&self) -> *const libc::iovec {
        self.iovecs.as_ptr()
    }

    fn read_iovec_len(&self) -> usize {
        debug_assert_eq!(self.pieces.len(), self.iovecs.len());
        self.iovecs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces_of(parts: &[&'static [u8]]) -> Pieces {
        let pieces: Vec<Bytes> = parts.iter().map(|part| Bytes::from_static(part)).collect();
        let iovecs = pieces.iter().map(iovec).collect();
        Pieces { pieces, iovecs }
    }

    fn left(pieces: &Pieces) -> Vec<u8> {
        for (piece, entry) in pieces.pieces.iter().zip(&pieces.iovecs) {
            assert_eq!(
                (piece.as_ptr(), piece.len()),
                (entry.iov_base.cast::<u8>().cast_const(), entry.iov_len)
            );
        }
        pieces.pieces.concat()
    }

    #[test]
    fn pieces_keep_what_is_left_after_every_count_of_bytes_written() {
        let all = b"abcdefghij";
        for written in 0..=all.len() {
            let mut pieces = pieces_of(&[b"abc", b"d", b"efghij"]);
            pieces.advance(written);
            assert_eq!(left(&pieces), &all[written..]);
            assert_eq!(pieces.is_empty(), written == all.len());
        }
    }
}
