//! A piece of an open file, as a body or a part of one.
//!
//! Owns: [`FilePart`]. Does not own: reading it (`runtime`), choosing it (`files`, `asgi`).
//! Rule: the file stays open for as long as a piece of it is to be sent; its bytes are never held in memory.

use std::fs::File;
use std::sync::Arc;

/// So many bytes of a file, from an offset on.
#[derive(Clone, Debug)]
pub struct FilePart {
    /// The file, open for reading. Nobody moves its position: reading is by offset.
    pub file: Arc<File>,
    /// Where the first byte lies.
    pub offset: u64,
    /// How many bytes there are, as far as is known: a file may be cut short meanwhile.
    pub length: u64,
}
