//! A request whose response comes through an exchange.
//!
//! Owns: moving the body in and the response out, noticing that the peer has left.
//! Does not own: what is said (`response`), the queues and their bounds (`service::Exchange`).
//! Rule (`bounded_memory`, `stream_closed_once`): the body is read while the application has room for it; the exchange is
//! closed exactly once, however this ends.

use super::response::{FileWord, Progress, Response};
use super::wire::{BODY_READ_BYTES, READ_BYTES};
use super::{Connection, End, Step, WRITE_FROM};
use crate::error::{AppFault, ConnError};
use crate::http1::{self, Event, ReplyContext, Violation};
use crate::runtime::slots::Phase;
use crate::runtime::stream::Transport;
use crate::runtime::worker::Worker;
use crate::service::{CloseReason, Exchange, ReplyEvent, Service};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// Bytes of further requests kept while one is being answered.
const MAX_AHEAD_BYTES: usize = 64 * 1024;

/// Bytes of such a read while a response is being streamed: most clients send nothing then, and all may leave.
const SLIM_READ_BYTES: usize = 256;

/// Bytes of a body still to come from which it is read in large pieces.
const LARGE_BODY_BYTES: u64 = 1024 * 1024;

/// Bytes of such a read: an application is entered once for each, and that is most of what an upload costs.
const LARGE_READ_BYTES: usize = 128 * 1024;

/// A request that its application is answering. Counts as in flight for as long as it lives.
pub struct Pending<S> {
    exchange: Arc<Exchange>,
    response: Response,
    /// The head as received, for log lines.
    head: Bytes,
    /// What a response that takes long need not hold was let go of.
    is_slim: bool,
    /// The body has not ended.
    has_body: bool,
    /// The client waits for 100 before it sends the body.
    expects_continue: bool,
    /// Since when the peer owes us more of the body.
    body_since: Option<Instant>,
    /// The peer sends no more, and still reads.
    is_half_closed: bool,
    is_whole: bool,
    /// A piece of a file that goes out next, behind what is appended.
    file: Option<FileWord>,
    worker: Rc<Worker<S>>,
}

impl<S> Pending<S> {
    pub fn new(worker: Rc<Worker<S>>, exchange: Arc<Exchange>, context: ReplyContext, head: Bytes) -> Self {
        worker.in_flight.set(worker.in_flight.get() + 1);
        Pending {
            exchange,
            response: Response::new(context),
            head,
            is_slim: false,
            has_body: false,
            expects_continue: false,
            body_since: None,
            is_half_closed: false,
            is_whole: false,
            file: None,
            worker,
        }
    }

    pub fn with_body(mut self, has_body: bool, expects_continue: bool) -> Self {
        self.has_body = has_body;
        self.expects_continue = expects_continue;
        self
    }

    /// The request line, for people.
    fn line(&self) -> String {
        String::from_utf8_lossy(first_line(&self.head)).into_owned()
    }
}

fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b'\r').next().unwrap_or_default()
}

impl<S> Drop for Pending<S> {
    fn drop(&mut self) {
        self.worker.in_flight.set(self.worker.in_flight.get() - 1);
        self.exchange.close(if self.is_whole { CloseReason::Complete } else { CloseReason::Disconnected });
    }
}

/// What ended a wait.
enum News {
    /// The application has said something, or has room for more of the body.
    App,
    /// The application asked for a body that the client holds back.
    Continue,
    /// Bytes from the peer.
    Read(io::Result<usize>),
    /// The server cut the connection.
    Cut,
}

impl<S: Service, T: Transport> Connection<S, T> {
    /// Follows an exchange to the end of its response. `None`: the connection goes on.
    pub(super) async fn follow(&mut self, mut pending: Pending<S>) -> Result<Option<End>, ConnError> {
        let has_begun = |pending: &Pending<S>| pending.response.has_begun();
        match self.respond(&mut pending).await {
            Ok(end) => Ok(end),
            Err(ConnError::App(fault)) => {
                if fault != AppFault::Aborted {
                    log::error!("{}: {fault}", pending.line());
                }
                self.tear(&pending).await
            }
            Err(ConnError::Peer(violation)) if has_begun(&pending) => {
                log::debug!("{}: {}", pending.line(), violation.reason());
                self.tear(&pending).await
            }
            Err(ConnError::Bug(what)) => {
                log::error!("{}: {what}: a bug in the server; please report it", pending.line());
                self.tear(&pending).await
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a response that will not become whole, in a way that the peer can tell.
    async fn tear(&mut self, pending: &Pending<S>) -> Result<Option<End>, ConnError> {
        self.flush().await?;
        // With a length or with chunks, what is missing shows. Otherwise only a reset does.
        Ok(Some(if pending.response.ends_with_close() { End::Reset } else { End::Close }))
    }

    async fn respond(&mut self, pending: &mut Pending<S>) -> Result<Option<End>, ConnError> {
        loop {
            if let Some(keep_alive) = self.append_words(pending)? {
                self.flush().await?;
                pending.is_whole = true;
                let may_go_on = keep_alive && !pending.is_half_closed;
                return Ok(match self.after_answer(may_go_on) {
                    Step::Close => Some(End::Close),
                    _ => None,
                });
            }
            if pending.has_body {
                self.feed(pending)?;
            }
            if let Some(word) = pending.file.take() {
                self.flush().await?;
                self.send_file(&word.part).await?;
                if word.is_chunk {
                    http1::encode_chunk_end(&mut self.wire.out.tail);
                }
                pending.exchange.written(pending.response.take_queued());
                continue;
            }
            // Chunks of a response without a body are taken as well, though nothing of them is written.
            let taken = pending.response.take_queued();
            if taken > 0 || !self.wire.out.is_empty() {
                self.flush().await?;
                pending.exchange.written(taken);
                continue;
            }
            if pending.response.has_begun() && !pending.has_body && !pending.is_slim {
                // A stream that waits may do so for hours: it keeps neither the head, nor the buffer that the head lies in.
                pending.is_slim = true;
                pending.head = Bytes::copy_from_slice(first_line(&pending.head));
                self.wire.release();
            }
            let news = self.wait(pending).await;
            self.worker.clock.read();
            match news {
                News::App => {}
                News::Continue => {
                    pending.expects_continue = false;
                    http1::encode_continue(&mut self.wire.out.tail);
                }
                News::Read(Ok(read)) if read > 0 => {
                    pending.body_since = None;
                    // Bytes before a 100: the client did not wait for it.
                    pending.expects_continue = false;
                }
                News::Read(result) => {
                    if self.slot.has_expired() && !self.slot.is_cut() {
                        return Err(Violation::BodyTimeout.into());
                    }
                    // As in uvicorn, the end of the peer's sending is taken for its leaving, unless told otherwise.
                    let is_half_closed = self.worker.config.half_close && result.is_ok() && !pending.has_body;
                    if !is_half_closed {
                        return Ok(Some(End::Gone));
                    }
                    pending.is_half_closed = true;
                }
                News::Cut => return Ok(Some(End::Reset)),
            }
        }
    }

    /// Appends what the application has said. Gives whether the connection may be kept once the response is whole.
    fn append_words(&mut self, pending: &mut Pending<S>) -> Result<Option<bool>, ConnError> {
        let date = self.worker.clock.date();
        while self.wire.out.len() < WRITE_FROM {
            let Some(word) = pending.exchange.take_event() else { break };
            let is_ambiguous = pending.has_body && pending.expects_continue;
            // A body that is still being read when the head goes out may yet be read to its end.
            let has_much_left = !matches!(word, ReplyEvent::Head(_)) && self.has_much_left();
            let may_keep = self.may_keep() && !is_ambiguous && !has_much_left;
            match pending.response.push(word, may_keep, &mut self.wire.out, &date)? {
                Progress::More => {}
                Progress::File(word) => {
                    pending.file = Some(word);
                    break;
                }
                Progress::Whole { keep_alive } => return Ok(Some(keep_alive && !is_ambiguous)),
            }
        }
        Ok(None)
    }

    /// Moves what has arrived of the body to the application, while it has room. Its end needs none.
    fn feed(&mut self, pending: &mut Pending<S>) -> Result<(), Violation> {
        while self.has_ended_body() || pending.exchange.has_inbound_room() {
            match self.conn.next_event(&mut self.wire.input)? {
                Event::Body(piece) if self.has_ended_body() => {
                    // Its end comes with it: no application waits for more in between.
                    self.conn.next_event(&mut self.wire.input)?;
                    pending.has_body = false;
                    pending.exchange.offer_last(piece);
                    break;
                }
                Event::Body(piece) => pending.exchange.offer_body(piece),
                Event::BodyEnd => {
                    pending.has_body = false;
                    pending.exchange.end_body();
                    break;
                }
                Event::NeedMore | Event::Head(_) => break,
            }
        }
        Ok(())
    }

    /// Nothing is left of a body whose end has not been told: the next event is its end.
    fn has_ended_body(&self) -> bool {
        !self.conn.is_drained() && self.conn.body_left() == Some(0)
    }

    /// Waits for the application, and watches the peer meanwhile.
    async fn wait(&mut self, pending: &mut Pending<S>) -> News {
        poll_fn(|cx| {
            self.slot.remember(cx.waker());
            if self.slot.is_cut() {
                return Poll::Ready(News::Cut);
            }
            let wants = pending.exchange.poll_wants(cx);
            if wants.has_event {
                return Poll::Ready(News::App);
            }
            self.slot.wait_for(Phase::Pending, None);
            if !pending.has_body {
                // A reading side that we shut, for the drain, says nothing of the peer.
                let is_deaf = pending.is_half_closed || self.slot.is_reading_shut();
                if is_deaf || self.wire.input.len() >= MAX_AHEAD_BYTES {
                    return Poll::Pending;
                }
                let wanted = if pending.is_slim { SLIM_READ_BYTES } else { READ_BYTES };
                return self.wire.poll_read(wanted, cx).map(News::Read);
            }
            if pending.expects_continue {
                if wants.wants_body {
                    return Poll::Ready(News::Continue);
                }
            } else {
                if !wants.has_inbound_room {
                    pending.body_since = None;
                    return Poll::Pending;
                }
                if !self.wire.input.is_empty() {
                    return Poll::Ready(News::App);
                }
                let since = *pending.body_since.get_or_insert_with(|| self.worker.clock.read());
                self.slot.wait_for(Phase::Body, Some(since + self.worker.config.timeouts.body));
            }
            let is_large = self.conn.body_left().is_some_and(|left| left > LARGE_BODY_BYTES);
            let wanted = if is_large { LARGE_READ_BYTES } else { BODY_READ_BYTES };
            self.wire.poll_read(wanted, cx).map(News::Read)
        })
        .await
    }
}
