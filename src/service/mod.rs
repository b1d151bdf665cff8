//! The two traits by which the layers meet, and the exchange between them.
//!
//! Owns: [`Service`] (request in, reply out), [`GuestLoop`] (an event loop that a worker steps), [`Exchange`]
//! (bytes between a connection and an application that answers later). Does not own: sockets, Python.
//! Rule: `runtime` and `dispatch` know each other only through this module.

mod awaited;
mod exchange;
mod file;
mod offload;

pub use awaited::Awaited;
pub use exchange::{is_same_task, CloseReason, Exchange, Inbound, ReplyEvent, Wants, HIGH_WATER_BYTES};
pub use file::FilePart;
pub use offload::{BlockingJob, Offload, OffloadLoad, OffloadPool};

use crate::bytes_ext::OutBuf;
use crate::http1::{self, BodyLength, FieldBlock, Framing, HttpDate, ReplyContext, RequestHead};
use bytes::Bytes;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Makes one [`Service`] a worker, on the worker's own thread.
pub trait ServiceFactory: Send + Sync + 'static {
    /// The service of one worker. Never leaves its thread.
    type Service: Service;

    /// Runs the whole life of one worker or offload thread. The Python side keeps one thread state for all of `run`.
    fn enter_thread(&self, run: &mut dyn FnMut()) {
        run();
    }

    /// As `enter_thread`, for the thread of that worker. The threads of its own pool have ended when `run` returns.
    fn enter_worker(&self, _worker: usize, run: &mut dyn FnMut()) {
        self.enter_thread(run);
    }

    /// Has each worker an offload pool of its own? Otherwise all share one.
    fn has_own_pools(&self) -> bool {
        false
    }

    /// As `enter_thread`, for a thread of the pool that belongs to that worker.
    fn enter_own_pool(&self, _worker: usize, run: &mut dyn FnMut()) {
        self.enter_thread(run);
    }

    /// Makes the service of a worker, on its thread, before anything is accepted.
    ///
    /// # Errors
    /// One line for the user; the server then stops before it has served anything.
    fn make(&self, worker: WorkerContext) -> Result<Self::Service, String>;
}

/// What a worker is told about itself.
#[derive(Clone, Debug)]
pub struct WorkerContext {
    /// Its number, from 0.
    pub worker: usize,
    /// How many there are.
    pub workers: usize,
    /// Threads for work that may block.
    pub offload: Offload,
}

/// What a worker serves. All calls come from the worker's own thread, detached from Python.
pub trait Service: 'static {
    /// Where a request goes; found once, from the head alone.
    type Route;

    /// Finds the route of a head. Must not enter Python.
    fn route(&self, head: &RequestHead) -> Self::Route;

    /// How the body of this route is wanted. Asked only when the request has a body.
    fn body_mode(&self, route: &Self::Route, framing: Framing) -> BodyMode;

    /// Answers a request: at once through `reply`, or later through an exchange.
    fn call(&self, route: Self::Route, request: Request, reply: Reply<'_>) -> Outcome;

    /// Wraps the handling of a batch of pipelined requests, so that Python is attached once for all.
    fn batch(&self, run: &mut dyn FnMut()) {
        run();
    }

    /// The event loop that this worker must step, if this worker has one.
    fn guest_loop(&self) -> Option<Rc<dyn GuestLoop>> {
        None
    }

    /// Start-up of the application (lifespan). Polled on each worker before any worker accepts.
    ///
    /// # Errors
    /// The application's own message: no worker accepts, all stop, `RunningServer` reports it.
    fn poll_startup(&self, _cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    /// The drain has begun: tell what streams there are. Called once.
    fn begin_drain(&self) {}

    /// What answered requests have left running, as background tasks, is done. Polled when all workers have drained, for as
    /// long as the drain's grace lasts.
    fn poll_settled(&self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// Shut-down of the application (lifespan). Polled when that is over, before `close`.
    fn poll_shutdown(&self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// The last call: drop what needs its thread (Python references, the loop).
    fn close(&self) {}
}

/// How a request body reaches its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// Read to its end first, then `call` with [`RequestBody::Whole`].
    Buffered,
    /// `call` at once. A body that has already arrived whole comes as `Whole`, otherwise as `Streamed`.
    Streamed,
}

/// A request as a service gets it.
#[derive(Debug)]
pub struct Request {
    /// The head.
    pub head: RequestHead,
    /// The body, or the way to it.
    pub body: RequestBody,
    /// The two ends of the connection.
    pub ends: Arc<Ends>,
}

/// A request body.
#[derive(Debug)]
pub enum RequestBody {
    /// The request has none.
    Empty,
    /// All of it.
    Whole(Bytes),
    /// It arrives through this exchange, which is also the one to return in [`Outcome::Pending`].
    Streamed(Arc<Exchange>),
}

/// Addresses of both ends of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client's address. `None` for Unix domain sockets.
    pub client: Option<(String, u16)>,
    /// The server's address: host and port, or the path of a Unix domain socket and `None`.
    pub server: Option<(String, Option<u16>)>,
}

/// What `call` did.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// The whole response was appended. Made only by [`Reply`].
    Answered(Answered),
    /// The response comes through this exchange.
    Pending(Arc<Exchange>),
}

/// Proof that one whole response was appended.
#[derive(Debug)]
pub struct Answered {
    keep_alive: bool,
}

impl Answered {
    /// May the connection be kept, by the response's own head?
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}

/// Room for exactly one response: it is consumed by writing, so a second head does not compile.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut OutBuf,
    context: ReplyContext,
    date: &'a HttpDate,
}

impl<'a> Reply<'a> {
    /// Made by the runtime, one a request.
    pub fn new(out: &'a mut OutBuf, context: ReplyContext, date: &'a HttpDate) -> Self {
        Reply { out, context, date }
    }

    /// What the response must know of its request.
    pub fn context(&self) -> &ReplyContext {
        &self.context
    }

    /// Appends a response with one content type: the hot path. `content_type` must be a checked field value.
    pub fn short(self, status: u16, content_type: &[u8], body: &[u8]) -> Outcome {
        let keep_alive =
            http1::encode_full(&mut self.out.tail, &self.context, status, content_type, body, self.date);
        Outcome::Answered(Answered { keep_alive })
    }

    /// Appends a response with checked fields. Large bodies are kept by reference.
    pub fn full(self, status: u16, fields: &FieldBlock, body: Bytes) -> Outcome {
        let sent = http1::encode_head(
            &mut self.out.tail,
            &self.context,
            status,
            fields,
            BodyLength::Known(body.len() as u64),
            self.date,
        );
        if !matches!(sent.framing, http1::BodyFraming::None) {
            self.out.push(body);
        }
        Outcome::Answered(Answered { keep_alive: sent.keep_alive })
    }

    /// Appends a response that was rendered beforehand: `head` up to and without `date` and the blank line, then `body`.
    /// `head` must say nothing of the connection; `connection: close` is added where it must be.
    pub fn rendered(self, head: &[u8], body: &Bytes) -> Outcome {
        let tail = &mut self.out.tail;
        tail.extend_from_slice(head);
        http1::encode_date(tail, self.date);
        http1::encode_head_end(tail, &self.context);
        if !self.context.head_only {
            self.out.push(body.clone());
        }
        Outcome::Answered(Answered { keep_alive: self.context.keep_alive })
    }
}

/// An event loop that lives on a worker's thread and is stepped by it (asyncio's, behind `dispatch`).
pub trait GuestLoop {
    /// A descriptor that is readable when the loop has I/O events (its epoll or kqueue descriptor).
    fn fd(&self) -> RawFd;

    /// Gives the loop the waker of the task that steps it. Called once, before the first step.
    /// The loop calls it, from any thread, when work was posted to it from outside of a step.
    fn set_waker(&self, waker: Waker);

    /// Runs what is ready, without blocking. Attaches and detaches by itself. `is_readable`: the descriptor is.
    fn step(&self, is_readable: bool) -> NextStep;
}

/// When a guest loop wants its next step, besides its descriptor and its waker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NextStep {
    /// As soon as the worker's other tasks have had their turn.
    Now,
    /// At this time at the latest.
    At(Instant),
    /// Only when woken.
    Idle,
}
