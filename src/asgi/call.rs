//! `receive` and `send` of one request.
//!
//! Owns: messages to bytes and back, the order of messages. Does not own: queues and bounds (`service::Exchange`), how
//! the task ends (`end`).
//! Rule: a message out of order is a `RuntimeError` in the application, and nothing of it reaches the wire.
//! Spec: ASGI HTTP, events. Sending to a peer that left does nothing, as the specification (2.3) asks, but lets the loop go
//! round; whoever goes on with it gets the `OSError` of version 2.4 in the end.

use super::feeds::Feeds;
use super::receivers::{Receiver, Receivers};
use crate::home_loop::HomeLoop;
use crate::http1::{FieldBlock, ResponseHead};
use crate::interp::{self, name, Function, Shared};
use crate::service::{CloseReason, Exchange, FilePart, Inbound, ReplyEvent};
use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::{PyConnectionResetError, PyKeyError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyString, PyTuple};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// What an application may send next.
#[derive(Debug)]
enum Order {
    /// `http.response.start`.
    ExpectStart,
    /// The first `http.response.body`; the head is held back until then, so that a body that comes whole gets a length.
    ExpectFirstBody(ResponseHead),
    /// Further `http.response.body`.
    ExpectBody,
    /// Nothing: the response is whole.
    Complete,
}

/// One request's `receive` and `send`. No class of Python's: see [`interp::Function`].
pub struct AsgiCall {
    exchange: Arc<Exchange>,
    /// The body, when it had come whole and was not yet received.
    whole: Mutex<Option<Bytes>>,
    order: Mutex<Order>,
    /// The waiting futures of `receive`. Those that were cancelled are dropped at the next call: polling it with a
    /// cancellation each time, as `Request.is_disconnected` does, leaves nothing behind.
    receiving: Mutex<Vec<u64>>,
    receivers: OnceLock<Arc<Receivers>>,
    /// The task runs for the first time: who started it releases a head that is still held when it suspends.
    is_first_run: AtomicBool,
    /// Pieces of the body that nobody takes any more.
    unheard: AtomicU32,
    feeds: Arc<Feeds>,
}

/// What became of a piece of the body.
enum Sent {
    /// It was the last one.
    Last,
    /// It was taken; another is to come.
    Taken,
    /// Nobody takes it; another is to come.
    Unheard(CloseReason),
}

/// Pieces that an application may send to a peer that left: enough for one that is about to end.
const UNHEARD: u32 = 64;

/// What the one that sends more is told.
pub(super) const NOBODY: &str = "nobody takes the body of this response any more";

/// Pieces of a body that is not sent, as to `HEAD`: such a response is let come to its end.
const UNSENT: u32 = 8192;

/// What the media type of a stream of events begins with.
const EVENTS: &[u8] = b"text/event-stream";

impl AsgiCall {
    pub(super) fn new(exchange: Arc<Exchange>, whole: Option<Bytes>, feeds: Arc<Feeds>) -> Self {
        AsgiCall {
            exchange,
            feeds,
            whole: Mutex::new(whole),
            order: Mutex::new(Order::ExpectStart),
            receiving: Mutex::default(),
            receivers: OnceLock::new(),
            is_first_run: AtomicBool::new(true),
            unheard: AtomicU32::new(0),
        }
    }

    /// What `send` gives for a piece that nobody takes: done, or an `OSError`, in the loop's next turn. At once would do for
    /// an application that looks; one that only sends would never let the loop go.
    fn unheard<'py>(
        &self,
        home: &HomeLoop,
        py: Python<'py>,
        why: CloseReason,
    ) -> PyResult<Bound<'py, PyAny>> {
        let allowed = if why == CloseReason::Disconnected { UNHEARD } else { UNSENT };
        let is_over = self.unheard.fetch_add(1, Ordering::Relaxed) >= allowed;
        let mut is_next_turn = false;
        let poll = move |py: Python<'_>, cx: &mut Context<'_>| {
            if !std::mem::replace(&mut is_next_turn, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(if is_over { Err(PyConnectionResetError::new_err(NOBODY)) } else { Ok(py.None()) })
        };
        home.wait(py, Box::new(poll))
    }
}

impl AsgiCall {
    /// The next `http.request` message, or `http.disconnect`.
    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let home = home()?;
        if let Some(body) = self.whole.lock().take() {
            let message = if self.exchange.closed() == Some(CloseReason::Disconnected) {
                disconnect_message(py)?
            } else {
                request_message(py, &body, false)?
            };
            return home.ready_with(py, &message);
        }
        // Taken out: no lock is held while Python runs.
        let before = std::mem::take(&mut *self.receiving.lock());
        let mut receiving = Vec::with_capacity(1);
        for key in before {
            if home.forget_done(py, key)? {
                receiving.push(key);
            }
        }
        let exchange = self.exchange.clone();
        let mut receiver = Receiver::new(self.receivers.get_or_init(Arc::default).clone());
        let future = home.wait(
            py,
            Box::new(move |py, cx| {
                receiver.poll(cx, |cx| exchange.poll_inbound(cx)).map(|found| {
                    let message = match found {
                        Inbound::Body(piece, more) => request_message(py, &piece, more)?,
                        Inbound::Closed(_) => disconnect_message(py)?,
                    };
                    Ok(message.unbind())
                })
            }),
        )?;
        receiving.push(home.last_key());
        *self.receiving.lock() = receiving;
        Ok(future)
    }

    /// Takes a message of the response. Done when there is room for more.
    fn send<'py>(on: &Shared<'py, Self>, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, call) = (message.py(), on.value());
        let home = home()?;
        let kind = required(message, &name!(py, "type"))?;
        let kind =
            kind.cast::<PyString>().map_err(|_| PyTypeError::new_err("message 'type' must be a str"))?;
        match kind.to_str()? {
            "http.response.start" => {
                call.start(message)?;
                // Runs when the application has suspended: by then a body that is there already has left with the head.
                if !call.is_first_run.load(Ordering::Relaxed) {
                    home.call_soon(py, on.function::<ReleaseHead>()?)?;
                }
                Ok(home.ready_none(py))
            }
            "http.response.body" => {
                let exchange = match call.body(message)? {
                    Sent::Last => return Ok(home.ready_none(py)),
                    Sent::Unheard(why) => return call.unheard(&home, py, why),
                    Sent::Taken => call.exchange.clone(),
                };
                home.wait(py, Box::new(move |py, cx| exchange.poll_room(cx).map(|_| Ok(py.None()))))
            }
            "http.response.pathsend" => {
                call.send_path(message)?;
                // As a server that writes each piece: done when the file is sent, or nobody is left to take it.
                let exchange = call.exchange.clone();
                home.wait(py, Box::new(move |py, cx| exchange.poll_flushed(cx).map(|_| Ok(py.None()))))
            }
            other => {
                Err(PyRuntimeError::new_err(format!("unexpected ASGI message '{other}' in an HTTP response")))
            }
        }
    }

    /// Sends a head whose body is still to come.
    fn release_head(&self) {
        let mut order = self.order.lock();
        match std::mem::replace(&mut *order, Order::ExpectBody) {
            Order::ExpectFirstBody(head) => {
                let _ = self.exchange.push(ReplyEvent::Head(head));
            }
            other => *order = other,
        }
    }
}

impl AsgiCall {
    /// Answers with a whole response, in place of messages.
    ///
    /// # Errors
    /// `RuntimeError`: the response was begun.
    pub fn answer(&self, event: ReplyEvent) -> PyResult<()> {
        let mut order = self.order.lock();
        if !matches!(*order, Order::ExpectStart) {
            return Err(PyRuntimeError::new_err("a second response to one request"));
        }
        *order = Order::Complete;
        // Refused when the peer is gone: nobody is left to tell.
        let _ = self.exchange.push(event);
        Ok(())
    }

    /// Begins a response whose body comes otherwise than by messages. Gives the way there.
    ///
    /// # Errors
    /// `RuntimeError`: the response was begun.
    pub fn begin(&self, head: ResponseHead) -> PyResult<Arc<Exchange>> {
        self.answer(ReplyEvent::Head(head))?;
        Ok(self.exchange.clone())
    }

    /// Takes over the body of a response whose head was sent as a message. Gives the way there.
    ///
    /// # Errors
    /// `RuntimeError`: the head was not sent, or a piece of the body was.
    pub fn take_body(&self) -> PyResult<Arc<Exchange>> {
        let mut order = self.order.lock();
        match std::mem::replace(&mut *order, Order::Complete) {
            // Refused when the peer is gone, of which the exchange tells.
            Order::ExpectFirstBody(head) => drop(self.exchange.push(ReplyEvent::Head(head))),
            Order::ExpectBody => {}
            other => {
                *order = other;
                return Err(PyRuntimeError::new_err("a body without a head, or after its end"));
            }
        }
        Ok(self.exchange.clone())
    }

    /// True once the response was begun.
    pub fn is_begun(&self) -> bool {
        !matches!(*self.order.lock(), Order::ExpectStart)
    }

    /// The task has suspended for the first time, or ended.
    pub(super) fn end_first_run(&self) {
        self.is_first_run.store(false, Ordering::Relaxed);
        self.release_head();
    }

    fn start(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = message.py();
        let begun =
            || PyRuntimeError::new_err("unexpected ASGI message 'http.response.start': already started");
        if self.is_begun() {
            return Err(begun());
        }
        let status: u16 = required(message, &name!(py, "status"))?.extract()?;
        if !(200..=599).contains(&status) {
            return Err(PyValueError::new_err(format!("status {status} is outside 200..=599")));
        }
        let mut fields = FieldBlock::new();
        if let Some(headers) = optional(message, &name!(py, "headers"))? {
            for pair in headers.try_iter()? {
                push_field(&mut fields, &pair?)?;
            }
        }
        // No lock was held while Python ran, which may have sent as well.
        let mut order = self.order.lock();
        if !matches!(*order, Order::ExpectStart) {
            return Err(begun());
        }
        if fields.first(b"content-type").is_some_and(|kind| kind.starts_with(EVENTS)) {
            self.feeds.add(&self.exchange);
        }
        *order = Order::ExpectFirstBody(ResponseHead { status, fields });
        Ok(())
    }

    fn body(&self, message: &Bound<'_, PyAny>) -> PyResult<Sent> {
        let py = message.py();
        let more = match optional(message, &name!(py, "more_body"))? {
            Some(more) => more.is_truthy()?,
            None => false,
        };
        let body = match optional(message, &name!(py, "body"))? {
            Some(body) => body_bytes(&body)?,
            None => Bytes::new(),
        };
        let mut order = self.order.lock();
        let next = if more { Order::ExpectBody } else { Order::Complete };
        // A refused push means that the peer is gone or the connection cut: the application is not told (ASGI 2.3).
        match std::mem::replace(&mut *order, next) {
            Order::ExpectStart => {
                *order = Order::ExpectStart;
                return Err(PyRuntimeError::new_err(
                    "ASGI message 'http.response.body' before 'http.response.start'",
                ));
            }
            Order::Complete => {
                *order = Order::Complete;
                return Err(PyRuntimeError::new_err(
                    "ASGI message 'http.response.body' after the response was complete",
                ));
            }
            Order::ExpectFirstBody(head) if !more => {
                let _ = self.exchange.push(ReplyEvent::Full(head, body));
            }
            Order::ExpectFirstBody(head) => {
                let _ = self.exchange.push(ReplyEvent::Head(head));
                if let Err(why) = self.exchange.push(ReplyEvent::Chunk(body)) {
                    return Ok(Sent::Unheard(why));
                }
            }
            Order::ExpectBody => {
                let pushed = self.exchange.push(ReplyEvent::Chunk(body));
                if !more {
                    let _ = self.exchange.push(ReplyEvent::End);
                } else if let Err(why) = pushed {
                    return Ok(Sent::Unheard(why));
                }
            }
        }
        Ok(if more { Sent::Taken } else { Sent::Last })
    }
}

impl AsgiCall {
    /// Answers with a file, as the extension `http.response.pathsend` asks: its body is the whole file.
    fn send_path(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = message.py();
        let path: std::path::PathBuf = required(message, &name!(py, "path"))?.extract()?;
        if !path.is_absolute() {
            return Err(PyValueError::new_err(format!(
                "ASGI message 'http.response.pathsend': the path {} is not absolute",
                path.display()
            )));
        }
        if !matches!(*self.order.lock(), Order::ExpectFirstBody(_)) {
            return Err(PyRuntimeError::new_err(
                "ASGI message 'http.response.pathsend' must follow 'http.response.start' at once",
            ));
        }
        let (file, length) = py.detach(|| -> std::io::Result<_> {
            let file = std::fs::File::open(&path)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(std::io::Error::other("not a regular file"));
            }
            Ok((file, metadata.len()))
        })?;
        let mut order = self.order.lock();
        let Order::ExpectFirstBody(mut head) = std::mem::replace(&mut *order, Order::Complete) else {
            return Err(PyRuntimeError::new_err("two ASGI messages at once"));
        };
        let length = match head.fields.content_length() {
            // A file that grew since it was looked at is sent as far as was announced.
            Some(told) if told <= length => told,
            Some(told) => {
                *order = Order::ExpectFirstBody(head);
                return Err(PyRuntimeError::new_err(format!(
                    "content-length is {told}, and the file {} has {length} bytes",
                    path.display()
                )));
            }
            None => {
                if crate::http1::status_allows_body(head.status) {
                    let pushed = head.fields.push(b"content-length", length.to_string().as_bytes());
                    pushed.map_err(|fault| PyValueError::new_err(fault.reason()))?;
                }
                length
            }
        };
        let part = FilePart { file: Arc::new(file), offset: 0, length };
        // Refused when the peer is gone: the application is not told (ASGI 2.3).
        let _ = self.exchange.push(ReplyEvent::Head(head));
        let _ = self.exchange.push(ReplyEvent::File(part));
        let _ = self.exchange.push(ReplyEvent::End);
        Ok(())
    }
}

/// The two functions that `guest_loop.channel` makes `receive` and `send` of. Nothing of Python's leads back to them.
pub(super) fn channel_of<'py>(
    py: Python<'py>,
    call: &Arc<AsgiCall>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let shared = Shared::new(py, call.clone())?;
    Ok((shared.function::<Receive>()?, shared.function::<SendMessage>()?))
}

struct Receive;

impl Function for Receive {
    type Of = AsgiCall;
    const TAKES_ARGUMENT: bool = false;

    fn call<'py>(on: &Shared<'py, AsgiCall>, none: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        on.value().receive(none.py())
    }
}

struct SendMessage;

impl Function for SendMessage {
    type Of = AsgiCall;
    const TAKES_ARGUMENT: bool = true;

    fn call<'py>(on: &Shared<'py, AsgiCall>, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        AsgiCall::send(on, message)
    }
}

struct ReleaseHead;

impl Function for ReleaseHead {
    type Of = AsgiCall;
    const TAKES_ARGUMENT: bool = false;

    fn call<'py>(on: &Shared<'py, AsgiCall>, none: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        on.value().release_head();
        Ok(none.clone())
    }
}

fn home() -> PyResult<std::rc::Rc<HomeLoop>> {
    HomeLoop::current().ok_or_else(|| {
        PyRuntimeError::new_err("receive and send may only be called on the application's event loop")
    })
}

fn required<'py>(message: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    optional(message, key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
}

fn optional<'py>(
    message: &Bound<'py, PyAny>,
    key: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match message.cast::<PyDict>() {
        Ok(dict) => dict.get_item(key),
        Err(_) => match message.get_item(key) {
            Ok(value) => Ok(Some(value)),
            Err(fault) if fault.is_instance_of::<PyKeyError>(message.py()) => Ok(None),
            Err(fault) => Err(fault),
        },
    }
}

fn push_field(fields: &mut FieldBlock, pair: &Bound<'_, PyAny>) -> PyResult<()> {
    let (name, value) = if let Ok(pair) = pair.cast::<PyTuple>() {
        (pair.get_item(0)?, pair.get_item(1)?)
    } else {
        (pair.get_item(0)?, pair.get_item(1)?)
    };
    let (name, value) = (body_bytes(&name)?, body_bytes(&value)?);
    fields.push(&name, &value).map_err(|fault| {
        PyValueError::new_err(format!(
            "response header {:?}: {}",
            String::from_utf8_lossy(&name),
            fault.reason()
        ))
    })
}

/// The bytes of a bytes-like object.
fn body_bytes(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(interp::share_bytes(bytes));
    }
    if object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>() {
        let copy = object.py().get_type::<PyBytes>().call1((object,))?;
        return Ok(interp::share_bytes(copy.cast::<PyBytes>()?));
    }
    Err(PyTypeError::new_err(format!("expected bytes, got {}", object.get_type().name()?)))
}

fn request_message<'py>(py: Python<'py>, body: &[u8], more: bool) -> PyResult<Bound<'py, PyAny>> {
    let message = PyDict::new(py);
    message.set_item(name!(py, "type"), name!(py, "http.request"))?;
    message.set_item(name!(py, "body"), PyBytes::new(py, body))?;
    message.set_item(name!(py, "more_body"), more)?;
    Ok(message.into_any())
}

fn disconnect_message(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let message = PyDict::new(py);
    message.set_item(name!(py, "type"), name!(py, "http.disconnect"))?;
    Ok(message.into_any())
}
