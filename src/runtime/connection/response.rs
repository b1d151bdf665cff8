//! A response that comes in words: checked, framed, appended.
//!
//! Owns: [`Response`], how far one response has come. Does not own: waiting for words, writing.
//! Rule: what the application may not say does not reach the wire; a body ends as it was announced or not at all.

use crate::bytes_ext::OutBuf;
use crate::error::{AppFault, ConnError};
use crate::http1::{self, BodyFraming, BodyLength, HttpDate, ReplyContext, ResponseHead, SentHead};
use crate::service::{FilePart, ReplyEvent};
use bytes::Bytes;

/// One response, from the application's first word to its last.
#[derive(Debug)]
pub struct Response {
    context: ReplyContext,
    sent: Option<SentHead>,
    /// Bytes still owed of a known length.
    owed: u64,
    /// Bytes of chunks appended since last asked.
    queued: usize,
}

/// A piece of a file, announced as its framing asks.
#[derive(Clone, Debug)]
pub struct FileWord {
    /// What is to be sent.
    pub part: FilePart,
    /// It is a chunk, whose end is to be appended when it is sent.
    pub is_chunk: bool,
}

/// What a word came to.
#[derive(Clone, Debug)]
pub enum Progress {
    /// More is to come.
    More,
    /// A piece of a file goes out before anything else is said.
    File(FileWord),
    /// The response is whole, and whether the connection may be kept by its head.
    Whole {
        /// May it?
        keep_alive: bool,
    },
}

impl Response {
    /// To a request that says so of its response.
    pub fn new(context: ReplyContext) -> Self {
        Response { context, sent: None, owed: 0, queued: 0 }
    }

    /// The head has been appended: it is too late for another answer.
    pub fn has_begun(&self) -> bool {
        self.sent.is_some()
    }

    /// Only the close says where the body ends: a torn one needs a reset.
    pub fn ends_with_close(&self) -> bool {
        self.sent.is_some_and(|sent| sent.framing == BodyFraming::UntilClose)
    }

    /// Bytes of chunks appended since the last call.
    pub fn take_queued(&mut self) -> usize {
        std::mem::take(&mut self.queued)
    }

    /// Appends a word. `may_keep`: the server would keep the connection, as things stand.
    ///
    /// # Errors
    /// The response is torn: what was appended may go out, and nothing more.
    pub fn push(
        &mut self,
        event: ReplyEvent,
        may_keep: bool,
        out: &mut OutBuf,
        date: &HttpDate,
    ) -> Result<Progress, ConnError> {
        self.context.keep_alive &= may_keep || self.has_begun();
        match (event, self.sent) {
            (ReplyEvent::Full(head, body), None) => Ok(self.full(&head, body, out, date)),
            (ReplyEvent::Head(head), None) => {
                let tail = &mut out.tail;
                let unknown = BodyLength::Unknown;
                let sent = http1::encode_head(tail, &self.context, head.status, &head.fields, unknown, date);
                if let BodyFraming::Length(length) = sent.framing {
                    self.owed = length;
                }
                self.sent = Some(sent);
                Ok(Progress::More)
            }
            (ReplyEvent::Chunk(data), Some(sent)) => {
                self.chunk(data, sent.framing, out)?;
                Ok(Progress::More)
            }
            (ReplyEvent::File(part), Some(sent)) => Ok(self.file(part, sent.framing, out)?),
            (ReplyEvent::End, Some(sent)) => {
                if sent.framing == BodyFraming::Chunked {
                    http1::encode_last_chunk(&mut out.tail);
                }
                if self.owed > 0 {
                    return Err(AppFault::BodyTooShort.into());
                }
                Ok(Progress::Whole { keep_alive: sent.keep_alive })
            }
            (ReplyEvent::Abort, None) => Ok(self.server_error(out, date)),
            (ReplyEvent::Abort, Some(_)) => Err(AppFault::Aborted.into()),
            (ReplyEvent::Full(..) | ReplyEvent::Head(_), Some(_))
            | (ReplyEvent::Chunk(_) | ReplyEvent::File(_) | ReplyEvent::End, None) => {
                Err(ConnError::Bug("a response out of order"))
            }
        }
    }

    fn full(&mut self, head: &ResponseHead, body: Bytes, out: &mut OutBuf, date: &HttpDate) -> Progress {
        // 205 has no content, and says so with a length of zero (RFC 9110 section 15.3.6).
        let body = if head.status == 205 { Bytes::new() } else { body };
        let length = body.len() as u64;
        let has_body =
            head.status != 205 && !self.context.head_only && http1::status_allows_body(head.status);
        match head.fields.content_length() {
            Some(told) if has_body && told != length => {
                log::error!("content-length is {told} for a body of {length} bytes: answered 500");
                self.server_error(out, date)
            }
            _ => {
                let known = BodyLength::Known(length);
                let sent =
                    http1::encode_head(&mut out.tail, &self.context, head.status, &head.fields, known, date);
                if sent.framing != BodyFraming::None {
                    out.push(body);
                }
                Progress::Whole { keep_alive: sent.keep_alive }
            }
        }
    }

    fn chunk(&mut self, data: Bytes, framing: BodyFraming, out: &mut OutBuf) -> Result<(), AppFault> {
        self.queued += data.len();
        match framing {
            BodyFraming::None => {}
            BodyFraming::UntilClose => out.push(data),
            BodyFraming::Chunked => {
                http1::encode_chunk_size(&mut out.tail, data.len());
                out.push(data);
                http1::encode_chunk_end(&mut out.tail);
            }
            BodyFraming::Length(_) => {
                let rest = self.owed.checked_sub(data.len() as u64);
                self.owed = rest.ok_or(AppFault::BodyTooLong)?;
                out.push(data);
            }
        }
        Ok(())
    }

    fn file(&mut self, part: FilePart, framing: BodyFraming, out: &mut OutBuf) -> Result<Progress, AppFault> {
        let length = usize::try_from(part.length).map_err(|_| AppFault::BodyTooLong)?;
        self.queued = self.queued.saturating_add(length);
        match framing {
            BodyFraming::None => return Ok(Progress::More),
            BodyFraming::UntilClose => {}
            // One chunk, however long: its size is known, and it is sent without being held.
            BodyFraming::Chunked => http1::encode_chunk_size(&mut out.tail, length),
            BodyFraming::Length(_) => {
                let rest = self.owed.checked_sub(part.length);
                self.owed = rest.ok_or(AppFault::BodyTooLong)?;
            }
        }
        Ok(Progress::File(FileWord { part, is_chunk: framing == BodyFraming::Chunked }))
    }

    fn server_error(&mut self, out: &mut OutBuf, date: &HttpDate) -> Progress {
        let text = b"text/plain; charset=utf-8";
        let body = b"Internal Server Error";
        let keep_alive = http1::encode_full(&mut out.tail, &self.context, 500, text, body, date);
        Progress::Whole { keep_alive }
    }
}
