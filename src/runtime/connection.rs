//! One connection: bytes read, requests answered in order, one write for each batch.
//!
//! Owns: the read buffer, the output, the order of requests on one connection, how a connection ends.
//! Does not own: HTTP (`http1`), routes and answers (`service`), deadlines passing (`slots`).
//! Rule (`own_reply`, `no_smuggle`, `bounded_memory`): answers leave in the order of their requests; a body is read to
//! its end or the connection closed; nothing is read that there is no room for. A read in flight is never dropped.

use super::slots::{Phase, SlotGuard};
use super::stream::Transport;
use super::worker::{busy, Worker};
use crate::bytes_ext::OutBuf;
use crate::http1::{
    self, BodyFraming, BodyLength, Conn, Event, Framing, ReplyContext, RequestHead, SentHead, Violation,
};
use crate::service::{
    BodyMode, CloseReason, Ends, Exchange, Outcome, Reply, ReplyEvent, Request, RequestBody, Service,
};
use bytes::{Buf, Bytes, BytesMut};
use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use socket2::SockRef;
use std::future::{poll_fn, Future};
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Bytes read at once while a connection sends heads. Small: it is what an idle connection costs.
const READ_BYTES: usize = 4 * 1024;

/// Bytes read at once while a body is coming.
const BODY_READ_BYTES: usize = 64 * 1024;

/// Bytes of further requests kept while one is being answered.
const MAX_AHEAD_BYTES: usize = 64 * 1024;

/// Bytes of answers gathered before they are written.
const WRITE_FROM: usize = 64 * 1024;

/// Bytes of an unwanted body that are read and dropped so that the connection can be kept.
const MAX_DISCARDED_BYTES: u64 = 64 * 1024;

/// How long a closing connection is read from, so that its last answer is not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);

/// An output buffer larger than this is given back after its batch.
const KEPT_OUTPUT_BYTES: usize = 8 * 1024;

type ReadOutcome<T> = (OwnedReadHalf<T>, io::Result<usize>, BytesMut);
type ReadFuture<T> = Pin<Box<dyn Future<Output = ReadOutcome<T>>>>;

/// The reading side, which may have a read in flight.
enum Reader<T: Transport> {
    Ready(OwnedReadHalf<T>),
    InFlight(ReadFuture<T>),
    /// Between the two, for the time of a call.
    Taken,
}

/// Serves a connection to its end.
pub async fn serve<S: Service, T: Transport>(worker: Rc<Worker<S>>, stream: T, ends: Ends) {
    let fd = stream.as_raw_fd();
    let slot = worker.slots.add(fd);
    let (reader, writer) = stream.into_split();
    let mut connection = Connection {
        conn: Conn::new(worker.config.limits),
        input: BytesMut::new(),
        out: OutBuf::default(),
        ends: Arc::new(ends),
        assembling: None,
        slot,
        reader: Reader::Ready(reader),
        writer,
        worker,
    };
    match connection.run().await {
        Ok(End::Close) => connection.linger().await,
        Ok(End::Gone) => {}
        Ok(End::Torn) => connection.reset(),
        // The transport failed: nobody is left to answer.
        Err(error) => log::debug!("connection ended: {error}"),
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// After its last answer, in good order.
    Close,
    /// The peer has left, or was silent too long.
    Gone,
    /// In the middle of a response: the peer must not take it for whole.
    Torn,
}

/// What handling the buffered bytes came to.
enum Step<R> {
    /// All is handled; more bytes are needed.
    NeedBytes,
    /// One request was answered; there may be more.
    Answered,
    /// A request is being answered by its application.
    Pending(Waiting),
    /// The connection ends, after what was appended is written.
    End(End),
    /// The body of a request is wanted whole first.
    Assemble(Assembling<R>),
}

/// A request whose response comes through an exchange.
struct Waiting {
    exchange: Arc<Exchange>,
    context: ReplyContext,
    expects_continue: bool,
    /// For log lines.
    request: String,
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
    first: Option<Bytes>,
    all: BytesMut,
}

impl Gathered {
    fn push(&mut self, piece: Bytes, expected: Option<u64>) {
        match (&self.first, self.all.is_empty()) {
            (None, true) => self.first = Some(piece),
            (Some(first), _) => {
                let expected = expected.and_then(|left| usize::try_from(left).ok()).unwrap_or(0);
                self.all.reserve(first.len() + piece.len() + expected);
                self.all.extend_from_slice(first);
                self.all.extend_from_slice(&piece);
                self.first = None;
            }
            (None, false) => self.all.extend_from_slice(&piece),
        }
    }

    fn take(self) -> Bytes {
        self.first.unwrap_or_else(|| self.all.freeze())
    }
}

// Fields are dropped in order: `slot` goes before the stream halves, which own the descriptor that it names.
struct Connection<S: Service, T: Transport> {
    slot: SlotGuard,
    conn: Conn,
    input: BytesMut,
    out: OutBuf,
    ends: Arc<Ends>,
    assembling: Option<Assembling<S::Route>>,
    reader: Reader<T>,
    writer: OwnedWriteHalf<T>,
    worker: Rc<Worker<S>>,
}

impl<S: Service, T: Transport> Connection<S, T> {
    async fn run(&mut self) -> io::Result<End> {
        loop {
            match self.handle_batch() {
                Step::Answered if self.out.len() >= WRITE_FROM => self.flush().await?,
                Step::Answered => {}
                Step::Assemble(assembling) => self.assembling = Some(assembling),
                Step::NeedBytes => {
                    self.flush().await?;
                    if let Some(end) = self.read_for_next().await? {
                        self.flush().await?;
                        return Ok(end);
                    }
                }
                Step::Pending(waiting) => {
                    let exchange = waiting.exchange.clone();
                    let result = self.follow(waiting).await;
                    self.worker.in_flight.set(self.worker.in_flight.get() - 1);
                    let is_whole = matches!(result, Ok(None | Some(End::Close)));
                    exchange.close(if is_whole { CloseReason::Complete } else { CloseReason::Disconnected });
                    if let Some(end) = result? {
                        return Ok(end);
                    }
                }
                Step::End(end) => {
                    self.flush().await?;
                    return Ok(end);
                }
            }
        }
    }

    /// Handles what has arrived. When it is more than one request, the interpreter is entered once for all of them.
    fn handle_batch(&mut self) -> Step<S::Route> {
        let mut step = self.guarded(Self::handle_next);
        if !matches!(step, Step::Answered) || self.input.is_empty() {
            return step;
        }
        let worker = self.worker.clone();
        worker.service.batch(&mut || {
            while matches!(step, Step::Answered) && self.out.len() < WRITE_FROM {
                step = self.guarded(Self::handle_next);
            }
        });
        step
    }

    /// A panic ends this connection and no other.
    fn guarded(&mut self, handle: fn(&mut Self) -> Step<S::Route>) -> Step<S::Route> {
        catch_unwind(AssertUnwindSafe(|| handle(self))).unwrap_or_else(|_| {
            log::error!("a request panicked inside the server; its connection is closed; please report it");
            Step::End(End::Torn)
        })
    }

    fn handle_next(&mut self) -> Step<S::Route> {
        loop {
            return match self.conn.next_event(&mut self.input) {
                Ok(Event::NeedMore) => Step::NeedBytes,
                Ok(Event::Head(head)) => self.begin(head),
                Ok(Event::Body(piece)) => {
                    let left = self.conn.body_left();
                    if let Some(assembling) = &mut self.assembling {
                        assembling.body.push(piece, left);
                    }
                    // Otherwise the body of a request that is answered already: read, and dropped.
                    continue;
                }
                Ok(Event::BodyEnd) => match self.assembling.take() {
                    Some(Assembling { head, route, body }) => {
                        self.call(head, route, RequestBody::Whole(body.take()))
                    }
                    None => continue,
                },
                Err(violation) => self.refuse(violation),
            };
        }
    }

    fn refuse(&mut self, violation: Violation) -> Step<S::Route> {
        log::debug!("{:?}: {}", self.ends.client, violation.reason());
        self.assembling = None;
        http1::encode_violation(&mut self.out.tail, violation, &self.worker.date.now());
        Step::End(End::Close)
    }

    fn begin(&mut self, head: RequestHead) -> Step<S::Route> {
        if self.worker.max_in_flight != 0 && self.worker.in_flight.get() >= self.worker.max_in_flight {
            let context = self.context_of(&head);
            busy(&mut self.out.tail, &context, &self.worker);
            return self.after_answer(context.keep_alive);
        }
        let route = self.worker.service.route(&head);
        if head.framing() == Framing::None {
            return self.call(head, route, RequestBody::Empty);
        }
        if self.worker.service.body_mode(&route) == BodyMode::Buffered {
            if head.expects_continue() && self.input.is_empty() {
                http1::encode_continue(&mut self.out.tail);
            }
            return Step::Assemble(Assembling { head, route, body: Gathered::default() });
        }
        if matches!(head.framing(), Framing::Length(length) if length <= self.input.len() as u64) {
            return Step::Assemble(Assembling { head, route, body: Gathered::default() });
        }
        self.call(head, route, RequestBody::Streamed(Exchange::with_body()))
    }

    fn context_of(&self, head: &RequestHead) -> ReplyContext {
        let mut context = head.reply_context();
        context.keep_alive &= !self.worker.is_draining.get();
        context
    }

    fn call(&mut self, head: RequestHead, route: S::Route, body: RequestBody) -> Step<S::Route> {
        let context = self.context_of(&head);
        let expects_continue = head.expects_continue() && matches!(body, RequestBody::Streamed(_));
        let date = self.worker.date.now();
        let request = Request { head, body, ends: self.ends.clone() };
        let head = request.head.bytes().clone();
        let reply = Reply::new(&mut self.out, context, &date);
        self.worker.in_flight.set(self.worker.in_flight.get() + 1);
        match self.worker.service.call(route, request, reply) {
            Outcome::Answered(answered) => {
                self.worker.in_flight.set(self.worker.in_flight.get() - 1);
                self.after_answer(answered.keep_alive())
            }
            Outcome::Pending(exchange) => {
                let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
                let request = String::from_utf8_lossy(line).into_owned();
                Step::Pending(Waiting { exchange, context, expects_continue, request })
            }
        }
    }

    /// After a whole answer: the next request, or the end.
    fn after_answer(&mut self, keep_alive: bool) -> Step<S::Route> {
        if !keep_alive {
            return Step::End(End::Close);
        }
        match self.conn.body_left() {
            Some(left) if left > MAX_DISCARDED_BYTES => Step::End(End::Close),
            _ => Step::Answered,
        }
    }

    /// Reads until something new can be handled. Gives how the connection ends, if it does.
    async fn read_for_next(&mut self) -> io::Result<Option<End>> {
        let now = Instant::now();
        let timeouts = self.worker.config.timeouts;
        let is_drained = self.conn.is_drained();
        if self.conn.is_idle(&self.input) {
            if self.worker.is_draining.get() {
                // One last look: what was sent before the drain began is answered.
                self.slot.wait_for(Phase::Idle, Some(now));
            } else {
                self.slot.wait_for(Phase::Idle, Some(now + timeouts.keep_alive));
            }
            if self.out.tail.capacity() > KEPT_OUTPUT_BYTES {
                self.out = OutBuf::default();
            }
            if self.input.capacity() > BODY_READ_BYTES / 2 {
                self.input = BytesMut::new();
            }
        } else if !is_drained {
            self.slot.wait_for(Phase::Body, Some(now + timeouts.body));
        } else if self.slot.phase() != Phase::Head {
            // The whole head has so long from its first byte: further bytes do not extend it.
            self.slot.wait_for(Phase::Head, Some(now + timeouts.head));
        }
        let wanted = if is_drained { READ_BYTES } else { BODY_READ_BYTES };
        let read = self.read(wanted).await?;
        if self.slot.has_expired() && read == 0 {
            return Ok(Some(self.expired()));
        }
        if read == 0 {
            return Ok(Some(End::Gone));
        }
        Ok(None)
    }

    fn expired(&mut self) -> End {
        let violation = match self.slot.phase() {
            Phase::Head => Violation::HeadTimeout,
            Phase::Body => Violation::BodyTimeout,
            _ => return End::Gone,
        };
        if self.slot.phase() == Phase::Body && self.assembling.is_none() {
            // The answer has gone out already; what was left of the body did not come.
            return End::Gone;
        }
        http1::encode_violation(&mut self.out.tail, violation, &self.worker.date.now());
        End::Close
    }

    /// Reads once, behind what is in the buffer.
    async fn read(&mut self, wanted: usize) -> io::Result<usize> {
        match std::mem::replace(&mut self.reader, Reader::Taken) {
            Reader::Ready(mut half) => {
                let buffer = room(std::mem::take(&mut self.input), wanted);
                let (length, capacity) = (buffer.len(), buffer.capacity());
                let (result, slice) = half.read(buffer.slice_mut(length..capacity)).await;
                self.input = slice.into_inner();
                self.reader = Reader::Ready(half);
                result
            }
            Reader::InFlight(future) => {
                let outcome = future.await;
                self.take_read(outcome)
            }
            Reader::Taken => Err(io::Error::other("the reader is in use")),
        }
    }

    fn take_read(&mut self, (half, result, buffer): ReadOutcome<T>) -> io::Result<usize> {
        self.reader = Reader::Ready(half);
        if self.input.is_empty() {
            self.input = buffer;
        } else {
            self.input.extend_from_slice(&buffer);
        }
        result
    }

    /// Polls for bytes while the application works; the read stays in flight in between.
    fn poll_read(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Reader::Ready(_) = &self.reader {
            if let Reader::Ready(mut half) = std::mem::replace(&mut self.reader, Reader::Taken) {
                self.reader = Reader::InFlight(Box::pin(async move {
                    let (result, buffer) = half.read(BytesMut::with_capacity(wanted)).await;
                    (half, result, buffer)
                }));
            }
        }
        match &mut self.reader {
            Reader::InFlight(future) => match future.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(self.take_read(outcome)),
                Poll::Pending => Poll::Pending,
            },
            _ => Poll::Pending,
        }
    }

    /// Writes all that was appended.
    async fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            if self.out.is_contiguous() {
                let buffer = std::mem::take(&mut self.out.tail);
                let (result, mut buffer) = self.write(buffer).await;
                result?;
                buffer.clear();
                self.out.tail = buffer;
                return Ok(());
            }
            if let Some(piece) = self.out.take_next() {
                let (result, _) = self.write(piece).await;
                result?;
            }
        }
        Ok(())
    }

    /// Writes one buffer whole. The peer must take some of it within each write timeout.
    async fn write<B: Buf + monoio::buf::IoBuf>(&mut self, mut buffer: B) -> (io::Result<()>, B) {
        let phase = self.slot.phase();
        let timeout = self.worker.config.timeouts.write;
        while buffer.has_remaining() {
            self.slot.wait_for(Phase::Write, Some(Instant::now() + timeout));
            let (result, back) = self.writer.write(buffer).await;
            buffer = back;
            match result {
                Ok(0) => return (Err(io::Error::from(io::ErrorKind::WriteZero)), buffer),
                Ok(written) => buffer.advance(written),
                Err(error) => return (Err(error), buffer),
            }
        }
        self.slot.wait_for(phase, None);
        (Ok(()), buffer)
    }

    /// Follows an exchange to the end of its response. `None`: the connection goes on.
    async fn follow(&mut self, waiting: Waiting) -> io::Result<Option<End>> {
        let Waiting { exchange, context, mut expects_continue, request } = waiting;
        let mut response = Response { sent: None, left: 0, queued: 0 };
        // Answers that came before this one leave first, and do not wait for it.
        let mut is_first = true;
        let mut has_body = !self.conn.is_drained();
        let mut body_since = Instant::now();
        loop {
            // Everything that is there already goes into one write.
            let mut quiet = Context::from_waker(Waker::noop());
            while let Poll::Ready(event) = exchange.poll_event(&mut quiet) {
                match self.encode(event, &context, &mut response, &request) {
                    Progress::More => {}
                    Progress::Whole(keep_alive) => {
                        self.flush().await?;
                        return Ok(self.end_of_response(
                            keep_alive && !expects_continue_unsent(expects_continue, has_body),
                        ));
                    }
                    Progress::Torn => {
                        self.flush().await?;
                        return Ok(Some(End::Torn));
                    }
                }
                if self.out.len() >= WRITE_FROM {
                    break;
                }
            }
            if !self.out.is_empty() {
                self.flush().await?;
                exchange.written(std::mem::take(&mut response.queued));
                continue;
            }
            is_first = is_first && response.sent.is_none();
            if has_body {
                match self.feed(&exchange) {
                    Ok(true) => {}
                    Ok(false) => {
                        has_body = false;
                        exchange.end_body();
                    }
                    Err(violation) => {
                        // The application never sees the rest of a body that broke.
                        if response.sent.is_some() {
                            return Ok(Some(End::Torn));
                        }
                        http1::encode_violation(&mut self.out.tail, violation, &self.worker.date.now());
                        exchange.close(CloseReason::Disconnected);
                        self.flush().await?;
                        return Ok(Some(End::Close));
                    }
                }
            }
            let timeout = self.worker.config.timeouts.body;
            // What was left in the buffer for want of room is fed before more is read.
            let is_held_back = has_body && !exchange.has_inbound_room();
            let news = poll_fn(|cx| {
                self.slot.remember(cx.waker());
                if self.slot.is_cut() {
                    return Poll::Ready(News::Cut);
                }
                // Registers for every change of the exchange, and puts the event back by handling it next.
                if let Poll::Ready(event) = exchange.poll_event(cx) {
                    return Poll::Ready(News::Event(event));
                }
                if is_held_back && exchange.has_inbound_room() {
                    return Poll::Ready(News::Room);
                }
                if has_body {
                    if expects_continue && exchange.is_body_wanted() {
                        return Poll::Ready(News::Continue);
                    }
                    // A client that expects 100 sends nothing before; a body nobody asked for is not read ahead of need.
                    if expects_continue || !exchange.has_inbound_room() {
                        self.slot.wait_for(Phase::Pending, None);
                        if !expects_continue {
                            return Poll::Pending;
                        }
                    } else {
                        self.slot.wait_for(Phase::Body, Some(body_since + timeout));
                    }
                    return self.poll_read(BODY_READ_BYTES, cx).map(News::Read);
                }
                self.slot.wait_for(Phase::Pending, None);
                if self.input.len() >= MAX_AHEAD_BYTES {
                    return Poll::Pending;
                }
                self.poll_read(READ_BYTES, cx).map(News::Read)
            })
            .await;
            match news {
                News::Room => {}
                News::Cut => return Ok(Some(if response.sent.is_some() { End::Torn } else { End::Gone })),
                News::Continue => {
                    expects_continue = false;
                    body_since = Instant::now();
                    http1::encode_continue(&mut self.out.tail);
                    self.flush().await?;
                }
                News::Event(event) => match self.encode(event, &context, &mut response, &request) {
                    Progress::More => {}
                    Progress::Whole(keep_alive) => {
                        self.flush().await?;
                        return Ok(self.end_of_response(
                            keep_alive && !expects_continue_unsent(expects_continue, has_body),
                        ));
                    }
                    Progress::Torn => {
                        self.flush().await?;
                        return Ok(Some(End::Torn));
                    }
                },
                News::Read(Ok(0)) | News::Read(Err(_)) => {
                    if self.slot.has_expired() && has_body && response.sent.is_none() {
                        exchange.close(CloseReason::Disconnected);
                        http1::encode_violation(
                            &mut self.out.tail,
                            Violation::BodyTimeout,
                            &self.worker.date.now(),
                        );
                        self.flush().await?;
                        return Ok(Some(End::Close));
                    }
                    if self.worker.config.half_close && !has_body && !self.slot.has_expired() {
                        return self.finish_half_closed(&exchange, &context, response, &request).await;
                    }
                    exchange.close(CloseReason::Disconnected);
                    return Ok(Some(End::Gone));
                }
                News::Read(Ok(_)) => {
                    body_since = Instant::now();
                    // Bytes before a 100: the client did not wait for it.
                    expects_continue = false;
                }
            }
        }
    }

    /// The peer sends no more, and still reads: its response is finished without watching it.
    async fn finish_half_closed(
        &mut self,
        exchange: &Arc<Exchange>,
        context: &ReplyContext,
        mut response: Response,
        request: &str,
    ) -> io::Result<Option<End>> {
        loop {
            let event = poll_fn(|cx| {
                self.slot.remember(cx.waker());
                if self.slot.is_cut() {
                    return Poll::Ready(None);
                }
                exchange.poll_event(cx).map(Some)
            })
            .await;
            let Some(event) = event else { return Ok(Some(End::Torn)) };
            let progress = self.encode(event, context, &mut response, request);
            self.flush().await?;
            exchange.written(std::mem::take(&mut response.queued));
            match progress {
                Progress::More => {}
                Progress::Whole(_) => return Ok(Some(End::Close)),
                Progress::Torn => return Ok(Some(End::Torn)),
            }
        }
    }

    fn end_of_response(&self, keep_alive: bool) -> Option<End> {
        match self.conn.body_left() {
            _ if !keep_alive => Some(End::Close),
            Some(left) if left > MAX_DISCARDED_BYTES => Some(End::Close),
            None => Some(End::Close),
            _ => None,
        }
    }

    /// Moves what has arrived of the body to the application. False when the body has ended.
    fn feed(&mut self, exchange: &Exchange) -> Result<bool, Violation> {
        while exchange.has_inbound_room() {
            match self.conn.next_event(&mut self.input)? {
                Event::Body(piece) => exchange.offer_body(piece),
                Event::BodyEnd => return Ok(false),
                Event::NeedMore | Event::Head(_) => return Ok(true),
            }
        }
        Ok(true)
    }

    /// Appends one word of the application's.
    fn encode(
        &mut self,
        event: ReplyEvent,
        context: &ReplyContext,
        response: &mut Response,
        request: &str,
    ) -> Progress {
        // The drain may have begun since the request was read.
        let context =
            &ReplyContext { keep_alive: context.keep_alive && !self.worker.is_draining.get(), ..*context };
        let date = self.worker.date.now();
        match (event, response.sent) {
            (ReplyEvent::Full(head, body), None) => {
                let told = head.fields.content_length();
                let has_body = !context.head_only && http1::status_allows_body(head.status);
                if has_body && told.is_some_and(|told| told != body.len() as u64) {
                    log::error!("{request}: content-length {told:?} for a body of {} bytes", body.len());
                    return self.server_error(context, &date);
                }
                let length = BodyLength::Known(body.len() as u64);
                let sent =
                    http1::encode_head(&mut self.out.tail, context, head.status, &head.fields, length, &date);
                if sent.framing != BodyFraming::None {
                    self.out.push(body);
                }
                Progress::Whole(sent.keep_alive)
            }
            (ReplyEvent::Head(head), None) => {
                let length = BodyLength::Unknown;
                let sent =
                    http1::encode_head(&mut self.out.tail, context, head.status, &head.fields, length, &date);
                if let BodyFraming::Length(left) = sent.framing {
                    response.left = left;
                }
                response.sent = Some(sent);
                Progress::More
            }
            (ReplyEvent::Chunk(data), Some(sent)) => {
                response.queued += data.len();
                match sent.framing {
                    BodyFraming::None => {}
                    BodyFraming::Chunked => {
                        http1::encode_chunk_size(&mut self.out.tail, data.len());
                        self.out.push(data);
                        http1::encode_chunk_end(&mut self.out.tail);
                    }
                    BodyFraming::UntilClose => self.out.push(data),
                    BodyFraming::Length(_) => {
                        if data.len() as u64 > response.left {
                            log::error!("{request}: the body is longer than its content-length");
                            return Progress::Torn;
                        }
                        response.left -= data.len() as u64;
                        self.out.push(data);
                    }
                }
                Progress::More
            }
            (ReplyEvent::End, Some(sent)) => {
                match sent.framing {
                    BodyFraming::Chunked => http1::encode_last_chunk(&mut self.out.tail),
                    BodyFraming::Length(_) if response.left > 0 => {
                        log::error!("{request}: the body is shorter than its content-length");
                        return Progress::Torn;
                    }
                    _ => {}
                }
                Progress::Whole(sent.keep_alive)
            }
            (ReplyEvent::Abort, None) => self.server_error(context, &date),
            (ReplyEvent::Abort, Some(_)) => Progress::Torn,
            (ReplyEvent::Full(..) | ReplyEvent::Head(_), Some(_))
            | (ReplyEvent::Chunk(_) | ReplyEvent::End, None) => {
                log::error!("{request}: a response out of order inside the server; please report it");
                Progress::Torn
            }
        }
    }

    fn server_error(&mut self, context: &ReplyContext, date: &http1::HttpDate) -> Progress {
        let keep_alive = http1::encode_full(
            &mut self.out.tail,
            context,
            500,
            b"text/plain; charset=utf-8",
            b"Internal Server Error",
            date,
        );
        Progress::Whole(keep_alive)
    }

    /// Closes in good order: what the peer still sends is read for a while, so that no reset overtakes the last answer.
    async fn linger(&mut self) {
        if self.writer.shutdown().await.is_err() || self.slot.is_cut() {
            return;
        }
        let deadline = Instant::now() + LINGER;
        self.slot.wait_for(Phase::Linger, Some(deadline));
        let mut left = 16 * MAX_DISCARDED_BYTES as usize;
        loop {
            self.input.clear();
            match self.read(READ_BYTES).await {
                Ok(read) if read > 0 && read < left && Instant::now() < deadline => left -= read,
                _ => return,
            }
        }
    }

    /// Closes with a reset: half a response must not look like a whole one.
    fn reset(&mut self) {
        // SAFETY: the stream, which owns the descriptor, lives in both halves, of which `self` holds at least one.
        let stream = unsafe { &*self.writer.0.get() };
        // SAFETY: as above: the descriptor is open for the whole call.
        let fd = unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) };
        if let Err(error) = SockRef::from(&fd).set_linger(Some(Duration::ZERO)) {
            log::debug!("SO_LINGER: {error}");
        }
    }
}

/// The body was announced, is waited for by nobody, and the client holds it back: the next bytes would be ambiguous.
fn expects_continue_unsent(expects_continue: bool, has_body: bool) -> bool {
    expects_continue && has_body
}

/// How far a response has been appended.
struct Response {
    sent: Option<SentHead>,
    /// Bytes still owed of a known length.
    left: u64,
    /// Bytes of chunks appended and not yet reported as written.
    queued: usize,
}

enum Progress {
    More,
    Whole(bool),
    Torn,
}

enum News {
    /// The application has taken some of the body.
    Room,
    Cut,
    Continue,
    Event(ReplyEvent),
    Read(io::Result<usize>),
}

/// A buffer with room for `wanted` more bytes. What lies in it stays.
fn room(mut buffer: BytesMut, wanted: usize) -> BytesMut {
    if buffer.capacity() - buffer.len() < wanted / 4 {
        buffer.reserve(wanted);
    }
    buffer
}
