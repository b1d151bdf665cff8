//! Starlette's `GZipMiddleware`.
//!
//! Owns: when a response is compressed, and how it then says so. Spec: `starlette/middleware/gzip.py`; RFC 1952.
//! Deviation: the compressor is not zlib, so that the compressed bytes, and their number, are others; what they
//! decompress to is the same, and every piece of a stream still ends at a flush.

use super::text::{before, lower, strip};
use super::{add_vary, set};
use crate::http1::{RequestHead, ResponseHead};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::cell::RefCell;

/// The attributes of a `GZipMiddleware`, texts in Latin-1.
#[derive(Clone, Debug, Default)]
pub struct GzipOptions {
    /// Bytes of a whole body from which it is compressed.
    pub minimum_size: i64,
    /// 0 to 9.
    pub level: u32,
    /// Bytes of a body from which compressing it belongs on another thread.
    pub thread_minimum_size: i64,
    /// Content types that are left alone, in lower case, such as `text/event-stream` or `audio/*`.
    pub exclude_content_types: Vec<Vec<u8>>,
}

/// One `GZipMiddleware`.
#[derive(Debug)]
pub struct Gzip {
    options: GzipOptions,
}

impl Gzip {
    /// With those attributes.
    pub fn new(options: GzipOptions) -> Self {
        Gzip { options }
    }

    /// A whole response: gives the body to send.
    pub fn on_response(&self, head: &RequestHead, response: &mut ResponseHead, body: Bytes) -> Bytes {
        let is_small = i64::try_from(body.len()).is_ok_and(|bytes| bytes < self.options.minimum_size);
        if is_small || !self.is_eligible(response) {
            return body;
        }
        add_vary(&mut response.fields, b"Accept-Encoding");
        if !is_accepted(head) {
            return body;
        }
        let compressed = compress_whole(self.options.level, &body);
        set(&mut response.fields, b"content-encoding", b"gzip");
        response.fields.set_content_length(Some(compressed.len() as u64));
        Bytes::from(compressed)
    }

    /// A streamed response, of which the first piece is there.
    pub fn on_stream(&self, head: &RequestHead, response: &mut ResponseHead) -> Option<StreamCoder> {
        if !self.is_eligible(response) {
            return None;
        }
        add_vary(&mut response.fields, b"Accept-Encoding");
        if !is_accepted(head) {
            return None;
        }
        set(&mut response.fields, b"content-encoding", b"gzip");
        response.fields.set_content_length(None);
        Some(StreamCoder { compress: compressor(self.options.level) })
    }

    /// True when compressing a body of that many bytes may take long.
    pub fn is_heavy(&self, head: &RequestHead, body_bytes: usize) -> bool {
        i64::try_from(body_bytes).is_ok_and(|bytes| bytes >= self.options.thread_minimum_size)
            && is_accepted(head)
    }

    /// Not encoded already, not a part, not of an excluded type.
    fn is_eligible(&self, response: &ResponseHead) -> bool {
        if response.status == 206 || response.fields.first(b"content-encoding").is_some() {
            return false;
        }
        let media_type =
            lower(strip(before(response.fields.first(b"content-type").unwrap_or_default(), b';')));
        let any_of_its_kind = [before(&media_type, b'/'), b"/*"].concat();
        let is_grpc = media_type.starts_with(b"application/grpc+");
        !self.options.exclude_content_types.iter().any(|excluded| {
            *excluded == media_type
                || *excluded == any_of_its_kind
                || (is_grpc && excluded == b"application/grpc")
        })
    }
}

/// Compresses the pieces of one streamed response.
#[derive(Debug)]
pub struct StreamCoder {
    compress: Compress,
}

impl StreamCoder {
    /// A piece. Its reader can decompress all of it: it ends with a flush.
    pub fn piece(&mut self, data: &[u8]) -> Bytes {
        let mut coded = Vec::with_capacity(data.len() / 2 + ROOM_BYTES);
        drive(&mut self.compress, data, FlushCompress::Sync, &mut coded);
        Bytes::from(coded)
    }

    /// What follows the last piece.
    pub fn end(mut self) -> Bytes {
        let mut coded = Vec::with_capacity(ROOM_BYTES);
        drive(&mut self.compress, b"", FlushCompress::Finish, &mut coded);
        Bytes::from(coded)
    }
}

/// Starlette looks for the name anywhere in the first field, whatever its weight.
fn is_accepted(head: &RequestHead) -> bool {
    head.field(b"accept-encoding").is_some_and(|accepted| memchr::memmem::find(accepted, b"gzip").is_some())
}

thread_local! {
    /// The compressor of the last whole body on this thread: one is 250 KiB to allocate and clear.
    static LAST: RefCell<Option<(u32, Compress)>> = const { RefCell::new(None) };
}

fn compress_whole(level: u32, body: &[u8]) -> Vec<u8> {
    let kept = LAST.take().filter(|(kept, _)| *kept == level);
    let mut compress = kept.map_or_else(|| compressor(level), |(_, compress)| compress);
    let mut coded = Vec::with_capacity(body.len() / 4 + ROOM_BYTES);
    drive(&mut compress, body, FlushCompress::Finish, &mut coded);
    compress.reset();
    LAST.set(Some((level, compress)));
    coded
}

/// With a header of gzip, and the largest window.
fn compressor(level: u32) -> Compress {
    Compress::new_gzip(Compression::new(level), 15)
}

/// Appends all that comes of `data` and the flush.
fn drive(compress: &mut Compress, mut data: &[u8], flush: FlushCompress, coded: &mut Vec<u8>) {
    loop {
        if coded.capacity() - coded.len() < ROOM_BYTES {
            coded.reserve(data.len() / 2 + ROOM_BYTES);
        }
        let taken_before = compress.total_in();
        let Ok(status) = compress.compress_vec(data, coded, flush) else {
            // Only for a compressor that was set up wrongly.
            debug_assert!(false, "deflate failed");
            return;
        };
        data = data.get((compress.total_in() - taken_before) as usize..).unwrap_or_default();
        let is_done = match status {
            Status::StreamEnd => true,
            // Room that was left is the sign that all has come out.
            Status::Ok | Status::BufError => {
                !matches!(flush, FlushCompress::Finish) && data.is_empty() && coded.len() < coded.capacity()
            }
        };
        if is_done {
            return;
        }
    }
}

/// Bytes of room in front of each call, more than a header, a trailer or a flush needs.
const ROOM_BYTES: usize = 128;
