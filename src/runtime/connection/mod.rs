//! One connection: bytes read, requests answered in order, one write for each batch.
//!
//! Owns: the order of requests on one connection, how a connection ends.
//! Does not own: HTTP (`http1`), routes and answers (`service`), deadlines passing (`slots`), bytes moving (`wire`),
//! answers that come later (`pending`).
//! Rule (`own_reply`, `no_smuggle`): answers leave in the order of their requests; a body is read to its end or the
//! connection closed.

mod file;
mod pending;
mod response;
mod wire;

use self::pending::Pending;
use self::wire::{Wire, BODY_READ_BYTES, READ_BYTES};
use super::caught::caught;
use super::slots::{Phase, SlotGuard};
use super::stream::Transport;
use super::worker::Worker;
use crate::error::ConnError;
use crate::http1::{self, Conn, Event, Framing, ReplyContext, RequestHead, Version, Violation};
use crate::invariants;
use crate::service::{
    BodyMode, Ends, Exchange, Outcome, Reply, Request, RequestBody, Service, HIGH_WATER_BYTES,
};
use bytes::{Bytes, BytesMut};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of answers gathered before they are written.
const WRITE_FROM: usize = 64 * 1024;

/// Bytes of an unwanted body that are read and dropped so that the connection can be kept.
///
/// Node closes at once, Go reads 256 KiB; ours is one read.
const MAX_DISCARDED_BYTES: u64 = 64 * 1024;

/// How long a closing connection is read from, so that its last answer is not lost to a reset. nginx 5 s between reads.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes read from a closing connection: an upload that is refused while it comes is told why. nginx has no bound.
const MAX_LINGER_BYTES: usize = 16 * 1024 * 1024;

/// Bytes for a body beyond which room is made only as they come.
const MAX_GROWTH_BYTES: usize = 1024 * 1024;

/// Reads in a row that need not wait, after which other connections have their turn.
///
/// A peer that always has more to send held others up for 20 ms with 32.
const MAX_UNWAITED_READS: u32 = 2;

/// Reads after the drain has begun, after which a connection is closed though its peer has sent more requests.
const MAX_DRAIN_READS: u32 = 16;

/// Serves a connection to its end.
pub fn serve<S: Service, T: Transport>(
    worker: &Rc<Worker<S>>,
    stream: T,
    ends: Ends,
) -> impl Future<Output = ()> + 'static {
    // Made at once: from here on the drain knows of it.
    let mut connection = Connection::new(worker, stream, ends);
    async move {
        // A panic ends this connection and no other.
        let lived = {
            let living = pin!(connection.live());
            caught(living).await
        };
        if lived.is_err() {
            log::error!("a request panicked inside the server; its connection is closed; please report it");
            connection.reset();
        }
    }
}

/// Answers 503 and closes, for a connection that there is no room for.
pub fn refuse<S: Service, T: Transport>(
    worker: &Rc<Worker<S>>,
    stream: T,
    ends: Ends,
) -> impl Future<Output = ()> + 'static {
    let mut connection = Connection::new(worker, stream, ends);
    async move {
        let context = ReplyContext { version: Version::Http11, head_only: false, keep_alive: false };
        connection.put_busy(&context);
        let refusing = pin!(async {
            connection.flush().await?;
            connection.linger().await.map(drop)
        });
        let refused = caught(refusing).await;
        if !matches!(refused, Ok(Ok(()))) {
            log::debug!("a connection beyond the limit left before its 503");
        }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// After its last answer, in good order.
    Close,
    /// The peer has left, or was silent too long.
    Gone,
    /// So that the peer cannot take what it got for whole.
    Reset,
}

/// What a closing connection heard of its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// The peer has ended too, or was silent.
    Heard,
    /// The peer goes on sending. Closed without a reset, it would wait for room in a window that nobody empties.
    StillSending,
}

/// What handling the buffered bytes came to.
enum Step<S: Service> {
    /// All is handled; more bytes are needed.
    NeedBytes,
    /// One request was answered; there may be more.
    Answered,
    /// A request is being answered by its application.
    Pending(Pending<S>),
    /// The connection ends, after what was appended is written.
    Close,
}

/// A request whose body is being gathered.
struct Assembling<R> {
    head: RequestHead,
    route: R,
    body: Gathered,
}

/// A body in pieces: one piece is kept as it came.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
    fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = piece;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&piece);
    }

    fn take(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

// Fields are dropped in order: `slot` goes before `wire`, which owns the descriptor that it names.
struct Connection<S: Service, T: Transport> {
    slot: SlotGuard,
    wire: Wire<T>,
    conn: Conn,
    ends: Arc<Ends>,
    assembling: Option<Assembling<S::Route>>,
    /// Bytes that may still be dropped of the body of a request that is answered.
    discardable: u64,
    /// The service was entered for a batch already.
    is_batching: bool,
    /// Reads since the drain began.
    drain_reads: u32,
    worker: Rc<Worker<S>>,
}

impl<S: Service, T: Transport> Connection<S, T> {
    fn new(worker: &Rc<Worker<S>>, stream: T, ends: Ends) -> Self {
        let wire = Wire::new(stream);
        Connection {
            slot: worker.slots.add(wire.stream().fd()),
            wire,
            conn: Conn::new(worker.config.limits),
            ends: Arc::new(ends),
            assembling: None,
            discardable: 0,
            is_batching: false,
            drain_reads: 0,
            worker: worker.clone(),
        }
    }

    async fn live(&mut self) {
        let end = match self.run().await {
            Ok(end) => end,
            Err(ConnError::Peer(violation)) => {
                log::debug!("{:?}: {}", self.ends.client, violation.reason());
                let date = self.worker.clock.date();
                http1::encode_violation(&mut self.wire.out.tail, violation, &date);
                match self.flush().await {
                    Ok(()) => End::Close,
                    Err(_) => End::Gone,
                }
            }
            // A peer that does not take what is written is not waited for by the kernel either.
            Err(ConnError::Io(_)) if self.slot.has_expired() || self.slot.is_cut() => End::Reset,
            Err(ConnError::Io(error)) => {
                log::debug!("{:?}: {error}", self.ends.client);
                End::Gone
            }
            Err(ConnError::App(fault)) => {
                log::error!("{:?}: {fault}", self.ends.client);
                End::Reset
            }
            Err(ConnError::Bug(what)) => {
                log::error!("{what}: a bug in the server; the connection is closed; please report it");
                End::Reset
            }
        };
        match end {
            End::Close => match self.linger().await {
                Ok(Farewell::Heard) => {}
                Ok(Farewell::StillSending) => self.reset(),
                Err(error) => log::debug!("{:?}: {error}", self.ends.client),
            },
            End::Gone => {}
            End::Reset => self.reset(),
        }
    }

    async fn run(&mut self) -> Result<End, ConnError> {
        loop {
            // A reading side that is shut still gives what comes in: a peer that never pauses would never see its end.
            if self.slot.is_cut() {
                return Ok(End::Reset);
            }
            match self.handle_next()? {
                Step::Answered if self.wire.out.len() >= WRITE_FROM => self.flush().await?,
                Step::Answered => {}
                Step::NeedBytes => {
                    self.flush().await?;
                    if self.wire.take_unwaited(MAX_UNWAITED_READS) {
                        self.worker.turns.pass().await;
                    }
                    if let Some(end) = self.read_for_next().await? {
                        return Ok(end);
                    }
                }
                Step::Pending(pending) => {
                    if let Some(end) = self.follow(pending).await? {
                        return Ok(end);
                    }
                }
                Step::Close => {
                    self.flush().await?;
                    return Ok(End::Close);
                }
            }
        }
    }

    /// Handles one request of what has arrived, or all of them when there are more.
    fn handle_next(&mut self) -> Result<Step<S>, ConnError> {
        loop {
            if self.assembling.is_some() && self.missing() > 0 {
                return Ok(Step::NeedBytes);
            }
            match self.conn.next_event(&mut self.wire.input)? {
                Event::NeedMore => return Ok(Step::NeedBytes),
                Event::Head(head) => match self.begin(head)? {
                    Some(step) => return Ok(step),
                    None => continue,
                },
                Event::Body(piece) => match &mut self.assembling {
                    Some(assembling) => assembling.body.push(piece),
                    // Of a request that is answered already: read, and dropped.
                    None => match self.discardable.checked_sub(piece.len() as u64) {
                        Some(rest) => self.discardable = rest,
                        None => return Ok(Step::Close),
                    },
                },
                Event::BodyEnd => {
                    if let Some(Assembling { head, route, body }) = self.assembling.take() {
                        return self.answer(head, route, RequestBody::Whole(body.take()));
                    }
                }
            }
        }
    }

    /// Bytes still to come of a body of known length that is wanted whole. It is gathered in the input buffer, and taken
    /// from there without a copy.
    fn missing(&self) -> usize {
        let left = self.conn.body_left().and_then(|left| usize::try_from(left).ok()).unwrap_or(0);
        left.saturating_sub(self.wire.input.len())
    }

    /// Finds what is to be done with a request. `None`: its body is gathered first.
    fn begin(&mut self, head: RequestHead) -> Result<Option<Step<S>>, ConnError> {
        self.slot.note_request();
        if self.worker.is_busy() {
            let context = self.context_of(&head);
            self.put_busy(&context);
            return Ok(Some(self.after_answer(context.keep_alive)));
        }
        let route = self.worker.service.route(&head);
        if head.framing() == Framing::None {
            return self.answer(head, route, RequestBody::Empty).map(Some);
        }
        if self.worker.service.body_mode(&route, head.framing()) == BodyMode::Buffered {
            if head.expects_continue() && self.wire.input.is_empty() {
                http1::encode_continue(&mut self.wire.out.tail);
            }
            self.assembling = Some(Assembling { head, route, body: Gathered::default() });
            return Ok(None);
        }
        let body = self.streamed_body()?;
        self.answer(head, route, body).map(Some)
    }

    /// The body of a request that is called at once: whole if it has arrived already.
    fn streamed_body(&mut self) -> Result<RequestBody, Violation> {
        let mut pieces = Vec::new();
        let mut bytes = 0;
        while bytes < HIGH_WATER_BYTES {
            match self.conn.next_event(&mut self.wire.input)? {
                Event::Body(piece) => {
                    bytes += piece.len();
                    pieces.push(piece);
                }
                Event::BodyEnd => {
                    let mut body = Gathered::default();
                    pieces.into_iter().for_each(|piece| body.push(piece));
                    return Ok(RequestBody::Whole(body.take()));
                }
                Event::NeedMore | Event::Head(_) => break,
            }
        }
        let exchange = Exchange::with_body();
        pieces.into_iter().for_each(|piece| exchange.offer_body(piece));
        Ok(RequestBody::Streamed(exchange))
    }

    /// Calls the service; when more requests have arrived, it is entered once for all of them.
    fn answer(
        &mut self,
        head: RequestHead,
        route: S::Route,
        body: RequestBody,
    ) -> Result<Step<S>, ConnError> {
        if self.is_batching || self.wire.input.is_empty() {
            return self.call(head, route, body);
        }
        self.is_batching = true;
        let mut first = Some((head, route, body));
        let mut step = Err(ConnError::Bug("a service did not run its batch"));
        let worker = self.worker.clone();
        worker.service.batch(&mut || {
            let Some((head, route, body)) = first.take() else { return };
            step = self.call(head, route, body);
            while matches!(step, Ok(Step::Answered))
                && !self.wire.input.is_empty()
                && self.wire.out.len() < WRITE_FROM
            {
                step = self.handle_next();
            }
        });
        self.is_batching = false;
        step
    }

    fn call(&mut self, head: RequestHead, route: S::Route, body: RequestBody) -> Result<Step<S>, ConnError> {
        self.worker.requests.add();
        let context = self.context_of(&head);
        // What holds for an answer of now need not hold for a later one: the body may be read by then.
        let later = head.reply_context();
        let expects_continue = head.expects_continue();
        let head_bytes = head.bytes().clone();
        let date = self.worker.clock.date();
        let reply = Reply::new(&mut self.wire.out, context, &date);
        let request = Request { head, body, ends: self.ends.clone() };
        Ok(match self.worker.service.call(route, request, reply) {
            Outcome::Answered(answered) => self.after_answer(answered.keep_alive()),
            Outcome::Pending(exchange) => {
                let has_body = !self.conn.is_drained();
                let pending = Pending::new(self.worker.clone(), exchange, later, head_bytes);
                Step::Pending(pending.with_body(has_body, has_body && expects_continue))
            }
        })
    }

    fn context_of(&self, head: &RequestHead) -> ReplyContext {
        let mut context = head.reply_context();
        // A client that waits for 100 and gets an answer may send its body or not: the next bytes would be ambiguous.
        let is_ambiguous = head.expects_continue() && !self.conn.is_drained();
        context.keep_alive &= self.may_keep() && !self.has_much_left() && !is_ambiguous;
        context
    }

    /// Would the server keep this connection after the current response?
    fn may_keep(&self) -> bool {
        // Requests that have arrived before the drain are answered, and the last one of them says close.
        let has_more = !self.wire.input.is_empty() && self.drain_reads < MAX_DRAIN_READS;
        (has_more || !self.worker.draining.is_set()) && !self.slot.has_expired()
    }

    /// More is left of the request's body than is read for nothing.
    fn has_much_left(&self) -> bool {
        self.conn.body_left().is_some_and(|left| left > MAX_DISCARDED_BYTES)
    }

    /// After a whole answer: the next request, or the end.
    fn after_answer(&mut self, keep_alive: bool) -> Step<S> {
        if !keep_alive || self.has_much_left() {
            return Step::Close;
        }
        self.discardable = MAX_DISCARDED_BYTES;
        Step::Answered
    }

    /// Appends the answer of a server that has no room.
    fn put_busy(&mut self, context: &ReplyContext) {
        let body = b"Service Unavailable";
        let length = http1::BodyLength::Known(body.len() as u64);
        let fields = &self.worker.busy_fields;
        let tail = &mut self.wire.out.tail;
        let sent = http1::encode_head(tail, context, 503, fields, length, &self.worker.clock.date());
        if sent.framing != http1::BodyFraming::None {
            tail.extend_from_slice(body);
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let timeout = self.worker.config.timeouts.write;
        self.wire.flush(&self.slot, &self.worker.clock, timeout).await
    }

    /// Reads until something new can be handled. Gives how the connection ends, if it does.
    async fn read_for_next(&mut self) -> Result<Option<End>, ConnError> {
        let timeouts = self.worker.config.timeouts;
        let now = self.worker.clock.read();
        self.drain_reads += u32::from(self.worker.draining.is_set());
        let mut wanted = READ_BYTES;
        if self.conn.is_idle(&self.wire.input) {
            self.slot.wait_for(Phase::Idle, Some(now + timeouts.keep_alive));
            if self.worker.draining.is_set() {
                // What was sent before the drain is still found by the read.
                self.slot.end_idle(now, self.worker.config.shares_listener);
            }
            self.wire.shrink();
        } else if !self.conn.is_drained() {
            self.slot.wait_for(Phase::Body, Some(now + timeouts.body));
            wanted = match self.missing() {
                0 => BODY_READ_BYTES,
                missing => missing.min(self.wire.input.len().clamp(BODY_READ_BYTES, MAX_GROWTH_BYTES)),
            };
        } else if self.slot.phase() != Phase::Head {
            // The whole head has so long from its first byte: further bytes do not extend it.
            self.slot.wait_for(Phase::Head, Some(now + timeouts.head));
        }
        invariants::about_to_wait();
        let read = self.wire.read(wanted).await?;
        self.worker.clock.read();
        if read > 0 {
            return Ok(None);
        }
        if !self.slot.has_expired() || self.slot.is_cut() {
            // A reading side that was shut here announces no more room. In the middle of a request the peer is likely to
            // wait for some, and would do so for long after a close without a reset.
            let is_ours = self.slot.is_reading_shut() || self.slot.is_cut();
            let is_amid = !self.conn.is_idle(&self.wire.input);
            return Ok(Some(if is_ours && is_amid { End::Reset } else { End::Gone }));
        }
        match self.slot.phase() {
            Phase::Head => Err(Violation::HeadTimeout.into()),
            Phase::Body if self.assembling.is_some() => Err(Violation::BodyTimeout.into()),
            // Idle for too long; or what was left of the body of an answered request did not come.
            _ => Ok(Some(End::Gone)),
        }
    }

    /// Closes in good order: what the peer still sends is read for a while, so that no reset overtakes the last answer.
    async fn linger(&mut self) -> io::Result<Farewell> {
        self.wire.stream().end_writing()?;
        let deadline = self.worker.clock.read() + LINGER;
        self.slot.wait_for(Phase::Linger, Some(deadline));
        let mut left = MAX_LINGER_BYTES;
        let mut wanted = READ_BYTES;
        while left > 0 {
            self.wire.input.clear();
            let read = self.wire.read(wanted).await?;
            if read == 0 {
                // Where reading was shut here, an empty queue is no word of the peer's.
                let is_quiet = self.drain_reads <= 1 && left == MAX_LINGER_BYTES;
                let is_ours = self.slot.is_reading_shut() || self.slot.has_expired() || self.slot.is_cut();
                return Ok(if is_quiet || !is_ours { Farewell::Heard } else { Farewell::StillSending });
            }
            if self.worker.clock.read() >= deadline {
                break;
            }
            left = left.saturating_sub(read);
            wanted = if read < wanted { READ_BYTES } else { BODY_READ_BYTES };
        }
        Ok(Farewell::StillSending)
    }

    /// Closes with a reset: half a response must not look like a whole one.
    fn reset(&mut self) {
        if let Err(error) = self.wire.stream().reset_on_close() {
            log::debug!("SO_LINGER: {error}");
        }
    }
}
