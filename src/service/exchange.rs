//! Bytes between one request's connection and an application that answers later.
//!
//! Owns: the bounded request body queue, the bounded response queue, the disconnect flag, both sides' wakers.
//! Does not own: what either side does with them.
//! Rule: neither queue grows past its bound, a waker is called outside the lock, every state change wakes who waits.
//! Threads: the connection side stays on its worker; the application side may be on any thread.

use super::FilePart;
use crate::http1::ResponseHead;
use crate::invariants::{Alive, Kind, Owner};
use crate::sync::Mutex;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Bytes queued in one direction above which its producer must wait. uvicorn: 64 KiB.
pub const HIGH_WATER_BYTES: usize = 64 * 1024;

/// One request and its response, between a connection and an application.
#[derive(Debug)]
pub struct Exchange {
    state: Mutex<State>,
    owner: Owner,
    _alive: Alive,
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange { state: Mutex::default(), owner: Owner::default(), _alive: Alive::new(Kind::Exchange) }
    }
}

#[derive(Debug, Default)]
struct State {
    /// Request body: connection to application.
    inbound: VecDeque<Bytes>,
    inbound_bytes: usize,
    /// The connection has offered the last piece.
    inbound_ended: bool,
    /// The application has been told that the body ended.
    inbound_end_told: bool,
    /// The application asked for the body at least once (time for `100 Continue`).
    inbound_wanted: bool,
    /// Response: application to connection.
    outbound: VecDeque<ReplyEvent>,
    outbound_bytes: usize,
    /// The application has said its last word (`Full`, `End` or `Abort`).
    outbound_ended: bool,
    /// No more response will be taken.
    closed: Option<CloseReason>,
    /// The application was told that its response should end.
    is_told: bool,
    /// Woken by every change that the connection may act on.
    connection: Option<Waker>,
    /// Woken when `poll_inbound` has something new.
    receiver: Option<Waker>,
    /// Woken when there is room for more response, or none will be taken. All of them: several tasks of an application
    /// may send.
    senders: Vec<Waker>,
    /// Woken when no more response will be taken.
    watcher: Option<Waker>,
}

/// Why the connection takes no more response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer left before the response was whole.
    Disconnected,
    /// The response is whole, and written.
    Complete,
}

/// What the application has to say, in order: `Full` alone, or `Head`, any `Chunk`s and `File`s, then `End` or `Abort`.
#[derive(Debug)]
pub enum ReplyEvent {
    /// A whole response.
    Full(ResponseHead, Bytes),
    /// The head of a streamed response.
    Head(ResponseHead),
    /// A piece of the body. Empty ones are dropped.
    Chunk(Bytes),
    /// A piece of the body that lies in a file. Empty ones are dropped.
    File(FilePart),
    /// The body ended well.
    End,
    /// The application failed. With no head sent: 500. After it: close without the final chunk.
    Abort,
}

/// What an application wants of its connection, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// It has said something: see [`Exchange::take_event`].
    pub has_event: bool,
    /// It has asked for the body at least once: time for `100 Continue`.
    pub wants_body: bool,
    /// More of the body may be offered.
    pub has_inbound_room: bool,
}

/// What the application's `receive` finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Inbound {
    /// A piece of the body, and whether more is to come.
    Body(Bytes, bool),
    /// The response cannot reach, or has reached, its peer.
    Closed(CloseReason),
}

impl Exchange {
    /// An exchange for a request whose body is empty, or was handed over whole.
    pub fn without_body() -> Arc<Self> {
        let exchange = Exchange::default();
        {
            let mut state = exchange.state.lock();
            state.inbound_ended = true;
            state.inbound_end_told = true;
        }
        Arc::new(exchange)
    }

    /// An exchange whose request body is still to come.
    pub fn with_body() -> Arc<Self> {
        Arc::new(Exchange::default())
    }

    /// (`own_reply`) It is for the request named so, as method and path, say both who asked and who answers.
    pub fn claim(&self, request: impl FnOnce() -> String) {
        self.owner.claim(request);
    }

    // ---- Application side: any thread. ----

    /// The next piece of the request body; after the last one, pending until the exchange is closed.
    pub fn poll_inbound(&self, cx: &mut Context<'_>) -> Poll<Inbound> {
        let mut state = self.state.lock();
        let first_wish = !std::mem::replace(&mut state.inbound_wanted, true);
        let found = if let Some(piece) = state.inbound.pop_front() {
            state.inbound_bytes -= piece.len();
            let more = !(state.inbound_ended && state.inbound.is_empty());
            state.inbound_end_told |= !more;
            Poll::Ready(Inbound::Body(piece, more))
        } else if state.inbound_ended && !state.inbound_end_told {
            state.inbound_end_told = true;
            Poll::Ready(Inbound::Body(Bytes::new(), false))
        } else if let Some(reason) = state.closed {
            Poll::Ready(Inbound::Closed(reason))
        } else if state.is_told && state.inbound_end_told {
            Poll::Ready(Inbound::Closed(CloseReason::Disconnected))
        } else {
            remember(&mut state.receiver, cx);
            Poll::Pending
        };
        let waker = if first_wish || found.is_ready() { state.connection.take() } else { None };
        drop(state);
        wake(waker);
        found
    }

    /// Says the next thing of the response.
    ///
    /// # Errors
    /// Gives back why nothing more is taken: the peer is gone, or the response was already ended.
    pub fn push(&self, event: ReplyEvent) -> Result<(), CloseReason> {
        let mut state = self.state.lock();
        if let Some(reason) = state.closed {
            return Err(reason);
        }
        if state.outbound_ended {
            return Err(CloseReason::Complete);
        }
        match &event {
            ReplyEvent::Chunk(data) => {
                if data.is_empty() {
                    return Ok(());
                }
                state.outbound_bytes += data.len();
            }
            ReplyEvent::File(part) => {
                if part.length == 0 {
                    return Ok(());
                }
                // Not held in memory, yet not written either: whoever waits until all is written waits for it too.
                state.outbound_bytes = state.outbound_bytes.saturating_add(saturated(part.length));
            }
            ReplyEvent::Full(..) | ReplyEvent::End | ReplyEvent::Abort => state.outbound_ended = true,
            ReplyEvent::Head(_) => {}
        }
        state.outbound.push_back(event);
        let waker = state.connection.take();
        drop(state);
        wake(waker);
        Ok(())
    }

    /// More response may be pushed, or none will be taken. A look: whoever waits for room goes on waiting.
    pub fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.closed.is_some() || state.outbound_bytes < HIGH_WATER_BYTES
    }

    /// Ready when more response may be pushed, or when none will be taken (`Err`).
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut state = self.state.lock();
        if let Some(reason) = state.closed {
            return Poll::Ready(Err(reason));
        }
        if state.outbound_bytes < HIGH_WATER_BYTES {
            return Poll::Ready(Ok(()));
        }
        remember_all(&mut state.senders, cx);
        Poll::Pending
    }

    /// Ready when all that was pushed has been taken by the connection and written, or when none will be taken.
    pub fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut state = self.state.lock();
        if let Some(reason) = state.closed {
            return Poll::Ready(Err(reason));
        }
        if state.outbound.is_empty() && state.outbound_bytes == 0 {
            return Poll::Ready(Ok(()));
        }
        remember_all(&mut state.senders, cx);
        Poll::Pending
    }

    /// Ready when no more response will be taken. Leaves the request body alone, so that it may be waited for beside.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut state = self.state.lock();
        match state.closed {
            Some(reason) => Poll::Ready(reason),
            None => {
                remember(&mut state.watcher, cx);
                Poll::Pending
            }
        }
    }

    /// Tells an application that waits for its peer to leave that it has, though what it still says is sent: the drain
    /// has begun, and its response would have no end.
    pub fn tell_to_end(&self) {
        let mut state = self.state.lock();
        state.is_told = true;
        let waker = state.receiver.take();
        drop(state);
        wake(waker);
    }

    /// The application was told that its response should end.
    pub fn is_told_to_end(&self) -> bool {
        self.state.lock().is_told
    }

    /// Why no more response is taken, if so.
    pub fn closed(&self) -> Option<CloseReason> {
        self.state.lock().closed
    }

    /// The peer left, or was cut off, before the response was whole.
    pub fn is_disconnected(&self) -> bool {
        self.closed() == Some(CloseReason::Disconnected)
    }

    /// The application has said its last word, or none will be taken.
    pub fn has_ended(&self) -> bool {
        let state = self.state.lock();
        state.outbound_ended || state.closed.is_some()
    }

    // ---- Connection side: the connection's worker. ----

    /// Takes the application's next word, if it has said one.
    ///
    /// The bytes of a `Chunk` or a `File` count as queued until [`Exchange::written`] says that they went to the kernel.
    pub fn take_event(&self) -> Option<ReplyEvent> {
        self.state.lock().outbound.pop_front()
    }

    /// What the application wants now. Registers the connection's waker, which any change wakes.
    pub fn poll_wants(&self, cx: &Context<'_>) -> Wants {
        let mut state = self.state.lock();
        remember(&mut state.connection, cx);
        Wants {
            has_event: !state.outbound.is_empty(),
            wants_body: state.inbound_wanted,
            has_inbound_room: state.inbound_bytes < HIGH_WATER_BYTES,
        }
    }

    /// So many bytes of chunks have gone to the kernel: there may be room again.
    pub fn written(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.outbound_bytes -= bytes.min(state.outbound_bytes);
        let has_room = state.outbound_bytes < HIGH_WATER_BYTES;
        let senders = if has_room { std::mem::take(&mut state.senders) } else { Vec::new() };
        drop(state);
        senders.into_iter().for_each(Waker::wake);
    }

    /// More of the request body may be offered.
    pub fn has_inbound_room(&self) -> bool {
        self.state.lock().inbound_bytes < HIGH_WATER_BYTES
    }

    /// Offers a piece of the request body.
    pub fn offer_body(&self, piece: Bytes) {
        self.offer(piece, false);
    }

    /// Offers the last piece of the request body.
    pub fn offer_last(&self, piece: Bytes) {
        self.offer(piece, true);
    }

    /// The request body is whole.
    pub fn end_body(&self) {
        self.offer(Bytes::new(), true);
    }

    fn offer(&self, piece: Bytes, is_last: bool) {
        let mut state = self.state.lock();
        state.inbound_ended |= is_last;
        if !piece.is_empty() {
            state.inbound_bytes += piece.len();
            state.inbound.push_back(piece);
        }
        let waker = state.receiver.take();
        drop(state);
        wake(waker);
    }

    /// No more response will be taken. Queued response bytes are dropped. The first reason stays.
    pub fn close(&self, reason: CloseReason) {
        let mut state = self.state.lock();
        state.closed.get_or_insert(reason);
        let dropped = std::mem::take(&mut state.outbound);
        state.outbound_bytes = 0;
        // A handler may keep the exchange, to ask how it ended; it is not to keep the connection's task.
        let dropped = (dropped, state.connection.take());
        let senders = std::mem::take(&mut state.senders);
        let waiting = [state.receiver.take(), state.watcher.take()];
        drop(state);
        drop(dropped);
        senders.into_iter().for_each(Waker::wake);
        waiting.into_iter().for_each(wake);
    }
}

fn saturated(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Do both wake the same task?
///
/// `Waker::will_wake` compares the addresses of the vtables too, and a generic runtime's lie several times in one
/// program: a task's waker then differs from its own clone. What identifies a task is its data, which a waker that is
/// kept keeps from being used again.
pub fn is_same_task(known: &Waker, waker: &Waker) -> bool {
    !known.data().is_null() && known.data() == waker.data()
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(known) if is_same_task(known, cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

fn remember_all(waiting: &mut Vec<Waker>, cx: &Context<'_>) {
    if !waiting.iter().any(|known| is_same_task(known, cx.waker())) {
        waiting.push(cx.waker().clone());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(all(test, not(feature = "models")))]
mod tests {
    use super::*;
    use std::task::Wake;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn closed_exchange_says_who_left_and_keeps_no_task() {
        for (reason, has_left) in [(CloseReason::Disconnected, true), (CloseReason::Complete, false)] {
            let task = Arc::new(Task);
            let waker = Waker::from(task.clone());
            let exchange = Exchange::without_body();
            exchange.poll_wants(&Context::from_waker(&waker));
            drop(waker);
            assert_eq!((Arc::strong_count(&task), exchange.is_disconnected()), (2, false));
            exchange.close(reason);
            assert_eq!((Arc::strong_count(&task), exchange.is_disconnected()), (1, has_left));
        }
    }
}
