//! Raw routes whose answers are files of a folder. Python is never entered.
//!
//! Owns: from a request's path to words of a response. Does not own: which file and which bytes (`files`), sending them
//! (`runtime`).
//! Rule: the worker never waits for the disk: what it takes to open a file is asked of the kernel's memory first, and of
//! the disk on a thread of the offload pool.

use super::fault;
use crate::files::{self, Answer, Folder, OpenFault, Opened, Piece, Settings, Symlinks};
use crate::http1::{FieldBlock, FieldFault, RequestHead, ResponseHead};
use crate::service::{Exchange, FilePart, Offload, Outcome, Reply, ReplyEvent, Request, RequestBody};
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A folder that is served below a prefix.
#[derive(Debug)]
pub struct FileRoute {
    folder: Folder,
    settings: Settings,
    /// The file that answers for a folder.
    index: Option<String>,
    serves_hidden: bool,
}

/// How a folder is served.
#[derive(Debug, Default)]
pub struct FileOptions {
    /// The file that answers for a folder, such as `index.html`. None: a folder is 404.
    pub index: Option<String>,
    /// Names that begin with a dot are served.
    pub serves_hidden: bool,
    /// `.br`, `.zst` and `.gz` files beside a file are sent in its place, where the client takes them.
    pub has_codings: bool,
    /// Which links are followed.
    pub symlinks: Symlinks,
}

impl FileOptions {
    /// The defaults, but for which links are followed, by the name that Python has for it.
    ///
    /// # Errors
    /// Says that there is no such name.
    pub fn following(symlinks: &str) -> Result<Self, String> {
        Ok(FileOptions { symlinks: Symlinks::from_name(symlinks)?, ..FileOptions::default() })
    }
}

/// What a request for a file comes to.
enum Found {
    File(Answer, Arc<std::fs::File>),
    /// Another answer: status, fields, body.
    Other(u16, FieldBlock, &'static [u8]),
}

impl FileRoute {
    /// Opens the folder.
    ///
    /// # Errors
    /// The system's: there is no such folder, or it may not be entered.
    pub fn open(
        folder: &Path,
        options: FileOptions,
        headers: &[(String, String)],
    ) -> io::Result<Result<Self, FieldFault>> {
        let folder = Folder::open(folder, options.symlinks)?;
        let mut fields = FieldBlock::new();
        for (name, value) in headers {
            if let Err(fault) = fields.push(name.as_bytes(), value.as_bytes()) {
                return Ok(Err(fault));
            }
        }
        let settings = Settings { fields, has_codings: options.has_codings };
        let (index, serves_hidden) = (options.index, options.serves_hidden);
        Ok(Ok(FileRoute { folder, settings, index, serves_hidden }))
    }

    /// Answers a request for what lies at `tail` below the prefix.
    pub fn call(
        self: &Arc<Self>,
        tail: String,
        request: Request,
        reply: Reply<'_>,
        offload: &Offload,
    ) -> Outcome {
        let exchange = match &request.body {
            RequestBody::Streamed(exchange) => Some(exchange.clone()),
            _ => None,
        };
        if let Some(found) = self.find(&tail, &request.head, false) {
            return match found {
                Found::File(answer, file) if !answer.pieces.is_empty() && !reply.context().head_only => {
                    let exchange = exchange.unwrap_or_else(Exchange::without_body);
                    push(&exchange, answer, &file);
                    Outcome::Pending(exchange)
                }
                Found::File(answer, _) => reply.full(answer.status, &answer.fields, Bytes::new()),
                Found::Other(status, fields, body) => reply.full(status, &fields, Bytes::from_static(body)),
            };
        }
        let exchange = exchange.unwrap_or_else(Exchange::without_body);
        let (route, answered, head) = (self.clone(), exchange.clone(), request.head);
        let job = Box::new(move || match route.find(&tail, &head, true) {
            Some(Found::File(answer, file)) => push(&answered, answer, &file),
            Some(Found::Other(status, fields, body)) => {
                let head = ResponseHead { status, fields };
                let _ = answered.push(ReplyEvent::Full(head, Bytes::from_static(body)));
            }
            None => fault::abort(&answered),
        });
        match offload.submit(job) {
            Ok(()) => Outcome::Pending(exchange),
            Err(_) => reply.short(503, b"text/plain; charset=utf-8", b"Service Unavailable"),
        }
    }

    /// `None`: the disk would have to be asked, and `may_wait` is false.
    fn find(&self, tail: &str, head: &RequestHead, may_wait: bool) -> Option<Found> {
        // Two slashes in a row are no name, and a redirect there would lead to another host.
        let Some(path) =
            files::relative_path(tail, self.serves_hidden).ok().filter(|_| !tail.starts_with('/'))
        else {
            return Some(text(404));
        };
        let codings = if self.settings.has_codings {
            let fields = head.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"accept-encoding"));
            files::acceptable(&fields.map(|(_, value)| value).collect::<Vec<_>>())
        } else {
            Vec::new()
        };
        let means_folder = tail.is_empty() || tail.ends_with('/');
        let indexed =
            self.index.as_ref().map(
                |index| {
                    if path.is_empty() {
                        index.clone()
                    } else {
                        format!("{path}/{index}")
                    }
                },
            );
        let opened = match (means_folder, &indexed) {
            (true, Some(indexed)) => self.folder.find(indexed, &codings, may_wait),
            (true, None) => Err(OpenFault::NotFound),
            (false, _) => self.folder.find(path, &codings, may_wait),
        };
        Some(match opened {
            Ok(Opened { file, found }) => {
                let answer = files::plan(head, &found, &self.settings, &boundary());
                Found::File(answer, Arc::new(file))
            }
            Err(OpenFault::WouldWait) => return None,
            Err(OpenFault::IsFolder) if !means_folder && indexed.is_some() => redirect(head),
            Err(OpenFault::NotFound | OpenFault::IsFolder) => text(404),
            Err(OpenFault::Forbidden) => text(403),
            Err(OpenFault::Io(error)) => {
                log::error!("{}/{path}: {error}", self.folder.path().display());
                text(500)
            }
        })
    }
}

/// Says the whole response.
fn push(exchange: &Exchange, answer: Answer, file: &Arc<std::fs::File>) {
    // Refused when the peer is gone: nobody is left to tell.
    let _ = exchange.push(ReplyEvent::Head(ResponseHead { status: answer.status, fields: answer.fields }));
    for piece in answer.pieces {
        let _ = exchange.push(match piece {
            Piece::Bytes(bytes) => ReplyEvent::Chunk(bytes),
            Piece::File { offset, length } => {
                ReplyEvent::File(FilePart { file: file.clone(), offset, length })
            }
        });
    }
    let _ = exchange.push(ReplyEvent::End);
}

/// The folder's own path ends with a slash, so that what is linked in its index is found below it.
fn redirect(head: &RequestHead) -> Found {
    let mut location = head.path().to_vec();
    location.push(b'/');
    if !head.query().is_empty() {
        location.push(b'?');
        location.extend_from_slice(head.query());
    }
    let mut fields = FieldBlock::new();
    match fields.push(b"location", &location) {
        Ok(()) => Found::Other(307, fields, b""),
        Err(_) => text(404),
    }
}

fn text(status: u16) -> Found {
    let body: &[u8] = match status {
        404 => b"Not Found",
        403 => b"Forbidden",
        _ => b"Internal Server Error",
    };
    let mut fields = FieldBlock::new();
    let pushed = fields.push(b"content-type", b"text/plain; charset=utf-8");
    debug_assert!(pushed.is_ok(), "a constant field is sound");
    Found::Other(status, fields, body)
}

/// 128 random bits: no file has them by chance.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(0_u8);
    format!("{:016x}{:016x}", random(), random())
}
