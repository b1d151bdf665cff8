//! The answer to a request for a file that was found: status, fields, and which bytes of the file.
//!
//! Owns: 200, 206, 304, 412, 416; entity tags; the framing of several ranges (`multipart/byteranges`).
//! Does not own: the file (`open`), what the application adds to every answer ([`Settings::fields`]).
//!
//! **Entity tags** are strong: time of the last change in nanoseconds, size, and the coding. Two versions of a file get
//! the same tag only where neither its size nor its time of change tells them apart; replace files by renaming, as all
//! good tools do. A file that changes while it is sent is read on: what its client then has may be of two versions, as
//! with every server that does not copy first; where it became shorter, the connection is closed.

use super::condition::{check, Verdict};
use super::encoding::Coding;
use super::range::{ranges_of, Asked};
use crate::http1::{FieldBlock, HttpDate, Method, RequestHead};
use bytes::Bytes;

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representation {
    /// Its bytes.
    pub length: u64,
    /// Unix seconds of its last change.
    pub modified: u64,
    /// Nanoseconds beyond that.
    pub modified_nanos: u32,
    /// Of the plain file, whatever its coding.
    pub content_type: &'static str,
    /// How it is coded, when it is not the plain file.
    pub coding: Option<Coding>,
}

impl Representation {
    /// Its entity tag, quotes included.
    pub fn etag(&self) -> String {
        let time = u128::from(self.modified) * 1_000_000_000 + u128::from(self.modified_nanos);
        let coding = self.coding.map_or("", Coding::suffix).replace('.', "-");
        format!("\"{time:x}-{:x}{coding}\"", self.length)
    }
}

/// What is the same for every file of one folder.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Fields of every answer that may be stored: `cache-control` and what else was asked for.
    pub fields: FieldBlock,
    /// Coded files are looked for: caches must know that `Accept-Encoding` decides.
    pub has_codings: bool,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// 200, 206, 304, 412 or 416.
    pub status: u16,
    /// Its fields, `content-length` included where there is a body.
    pub fields: FieldBlock,
    /// Its body, in order.
    pub pieces: Vec<Piece>,
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of ours.
    Bytes(Bytes),
    /// Bytes of the file.
    File {
        /// The first.
        offset: u64,
        /// How many, at least one.
        length: u64,
    },
}

/// Answers `head` with `file`. `boundary` is used between several ranges: it must not be in the file, so make it long
/// and random.
pub fn plan(head: &RequestHead, file: &Representation, settings: &Settings, boundary: &str) -> Answer {
    let etag = file.etag();
    let modified = HttpDate::from_unix(file.modified);
    let verdict = check(head, etag.as_bytes(), file.modified);
    let mut fields = settings.fields.clone();
    if settings.has_codings {
        put(&mut fields, "vary", "accept-encoding");
    }
    let Verdict::Proceed { ranges_count } = verdict else {
        put(&mut fields, "etag", &etag);
        let status = if verdict == Verdict::NotModified { 304 } else { 412 };
        if status == 412 {
            put(&mut fields, "content-length", "0");
        }
        return Answer { status, fields, pieces: Vec::new() };
    };
    // Ranges are defined for GET alone (RFC 9110 section 14.2).
    let asked = match head.field(b"range") {
        Some(field) if ranges_count && head.method() == Method::Get => ranges_of(field, file.length),
        _ => Asked::Whole,
    };
    put(&mut fields, "accept-ranges", "bytes");
    if asked == Asked::Unsatisfiable {
        put(&mut fields, "content-range", &format!("bytes */{}", file.length));
        put(&mut fields, "content-length", "0");
        return Answer { status: 416, fields, pieces: Vec::new() };
    }
    put(&mut fields, "etag", &etag);
    put(&mut fields, "last-modified", &String::from_utf8_lossy(modified.as_bytes()));
    if let Some(coding) = file.coding {
        put(&mut fields, "content-encoding", coding.name());
    }
    let (status, content_type, pieces) = match asked {
        Asked::Ranges(ranges) => match ranges[..] {
            [(offset, length)] => {
                put(&mut fields, "content-range", &content_range(offset, length, file.length));
                (206, file.content_type.to_owned(), vec![Piece::File { offset, length }])
            }
            _ => {
                let content_type = format!("multipart/byteranges; boundary={boundary}");
                (206, content_type, byteranges(&ranges, file, boundary))
            }
        },
        Asked::Whole | Asked::Unsatisfiable => {
            let all = Piece::File { offset: 0, length: file.length };
            let pieces = if file.length == 0 { Vec::new() } else { vec![all] };
            (200, file.content_type.to_owned(), pieces)
        }
    };
    put(&mut fields, "content-type", &content_type);
    let length: u64 = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File { length, .. } => *length,
        })
        .sum();
    put(&mut fields, "content-length", itoa::Buffer::new().format(length));
    Answer { status, fields, pieces }
}

/// Several ranges, each with its head (RFC 9110 section 14.6).
fn byteranges(ranges: &[(u64, u64)], file: &Representation, boundary: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(2 * ranges.len() + 1);
    let mut before = "";
    for &(offset, length) in ranges {
        let head = format!(
            "{before}--{boundary}\r\ncontent-type: {}\r\ncontent-range: {}\r\n\r\n",
            file.content_type,
            content_range(offset, length, file.length)
        );
        before = "\r\n";
        pieces.push(Piece::Bytes(head.into()));
        pieces.push(Piece::File { offset, length });
    }
    pieces.push(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    pieces
}

fn content_range(offset: u64, length: u64, of: u64) -> String {
    format!("bytes {offset}-{}/{of}", offset + length - 1)
}

fn put(fields: &mut FieldBlock, name: &str, value: &str) {
    let pushed = fields.push(name.as_bytes(), value.as_bytes());
    debug_assert!(pushed.is_ok(), "fields of ours are sound: {name}");
}
