//! The way of a producer's items to its connection.
//!
//! Owns: [`Outlet`], what an item of each kind of stream is as bytes, [`Puller`]: telling who pulls of the end.
//! Does not own: pulling (`guest_loop.pump`, `plans/streams.py`), the lines of an event (`sse`), framing (`runtime`).
//! Rule (`bounded_memory`): whoever pushes waits for `room` when told to; what cannot be written as an item is the
//! producer's fault, and nothing of it reaches the wire.
//! Threads: the worker whose loop pulls.

use super::local::Local;
use crate::home_loop::HomeLoop;
use crate::interp::{self, name};
use crate::json;
use crate::service::{Exchange, ReplyEvent};
use crate::sse::{self, Event};
use bytes::{Bytes, BytesMut};
use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// What the items of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `bytes` or `str`, sent as they are.
    Raw,
    /// Events: objects with the fields of one, `str`, or values to be written as JSON.
    Events,
    /// Values, each written as the JSON data of an event, as FastAPI writes it.
    JsonEvents,
    /// Values, each written as one line of JSON, as FastAPI writes it.
    JsonLines,
}

/// What one pull of a stream is sent through.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub struct Outlet {
    exchange: Arc<Exchange>,
    form: Form,
    made: Instant,
    /// When something was last sent, in milliseconds since `made`.
    last_ms: AtomicU64,
    puller: Arc<Puller>,
}

impl Outlet {
    /// Of one response whose head was sent.
    pub fn new(exchange: Arc<Exchange>, form: Form) -> Self {
        Outlet { exchange, form, made: Instant::now(), last_ms: AtomicU64::new(0), puller: Arc::default() }
    }

    /// Who pulls what is sent through this.
    pub fn puller(&self) -> &Arc<Puller> {
        &self.puller
    }

    /// Gives whether there is room for more. Raises `CancelledError` when nobody is left to read it: whoever pulls has
    /// been told by the watch, and goes on all the same.
    fn send(&self, data: Bytes) -> PyResult<bool> {
        let now = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
        match self.exchange.push(ReplyEvent::Chunk(data)) {
            Ok(()) => Ok(self.exchange.has_room()),
            Err(_) => Err(CancelledError::new_err("the client has left")),
        }
    }
}

#[pymethods]
impl Outlet {
    /// Queues one item. False when the producer should wait for `room()` before the next.
    fn push(&self, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        let data = match self.form {
            Form::Events => event_bytes(item)?,
            _ => item_bytes(item)?,
        };
        self.send(data)
    }

    /// Queues a plain value as JSON, in the form of this stream. As `push`; `None` for a value that is not plain.
    fn push_json(&self, item: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
        let (before, behind): (&[u8], &[u8]) = match self.form {
            Form::JsonLines => (b"", b"\n"),
            _ => (b"data: ", b"\n\n"),
        };
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(before);
        if !json::encode_jsonable_spaced(item, &mut out)? {
            return Ok(None);
        }
        out.extend_from_slice(behind);
        self.send(Bytes::from(out)).map(Some)
    }

    /// Done when there is room.
    fn room<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let exchange = self.exchange.clone();
        home()?.wait(py, Box::new(move |py, cx| exchange.poll_room(cx).map(|_| Ok(py.None()))))
    }

    /// Seconds since something was sent.
    fn idle(&self) -> f64 {
        let last = std::time::Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        self.made.elapsed().saturating_sub(last).as_secs_f64()
    }

    /// Sends the comment that keeps a silent connection open, unless what was sent before still waits.
    fn ping(&self) {
        if self.exchange.has_room() {
            // Refused when the peer is gone, of which the watch tells.
            let _ = self.send(Bytes::from_static(sse::KEEP_ALIVE));
        }
    }

    /// Has `task` cancelled when the peer leaves, and when the drain begins if it `ends_with_drain`. Before the first item.
    fn watch(&self, py: Python<'_>, task: Py<PyAny>, ends_with_drain: bool) -> PyResult<()> {
        self.puller.watch(py, &*home()?, &self.exchange, task, ends_with_drain)
    }

    /// The response is told no more of. True: the peer has left, or the drain has begun, of which it was told.
    fn leave(&self) -> bool {
        self.puller.leave() || self.exchange.closed().is_some()
    }

    /// The last item was sent.
    fn end(&self) {
        let _ = self.exchange.push(ReplyEvent::End);
    }

    /// The response will not become whole.
    fn abort(&self) {
        let _ = self.exchange.push(ReplyEvent::Abort);
    }
}

fn home() -> PyResult<Rc<HomeLoop>> {
    HomeLoop::current().ok_or_else(|| PyRuntimeError::new_err("not on an event loop of the server"))
}

/// Who pulls a stream, as far as it is told of its end: by a watch when the peer leaves, and by the drain.
///
/// Threads: the worker whose loop pulls.
pub struct Puller {
    /// Under this key the drain finds its task.
    key: AtomicU64,
    /// It is told of nothing more.
    is_over: AtomicBool,
}

/// No task is known to the drain.
const NO_KEY: u64 = u64::MAX;

impl Default for Puller {
    fn default() -> Self {
        Puller { key: AtomicU64::new(NO_KEY), is_over: AtomicBool::new(false) }
    }
}

impl Puller {
    /// Has `task` cancelled when no more of the response will be taken, and when the drain begins if it `ends_with_drain`.
    ///
    /// # Errors
    /// asyncio's own.
    pub fn watch(
        self: &Arc<Self>,
        py: Python<'_>,
        home: &HomeLoop,
        exchange: &Arc<Exchange>,
        task: Py<PyAny>,
        ends_with_drain: bool,
    ) -> PyResult<()> {
        if self.is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(local) = Local::current().filter(|_| ends_with_drain) {
            self.key.store(local.remember_stream(task.clone_ref(py)), Ordering::Relaxed);
        }
        let (watched, puller) = (exchange.clone(), self.clone());
        home.watch(
            py,
            Box::new(move |py, cx| match watched.poll_closed(cx) {
                Poll::Ready(_) if puller.is_over.load(Ordering::Relaxed) => Poll::Ready(Ok(py.None())),
                Poll::Ready(_) => Poll::Ready(task.call_method0(py, name!(py, "cancel")).map(|_| py.None())),
                Poll::Pending => Poll::Pending,
            }),
        )
    }

    /// It is told of nothing more: what it does now is the closing. True: it was told of the drain.
    pub fn leave(&self) -> bool {
        self.is_over.store(true, Ordering::Relaxed);
        let key = self.key.swap(NO_KEY, Ordering::Relaxed);
        match Local::current() {
            Some(local) if key != NO_KEY => {
                local.forget_stream(key);
                local.is_draining()
            }
            _ => false,
        }
    }
}

/// The bytes of one item of a raw stream.
pub(super) fn item_bytes(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(data) = item.cast::<PyBytes>() {
        return Ok(interp::share_bytes(data));
    }
    if let Ok(text) = item.cast::<PyString>() {
        return Ok(Bytes::copy_from_slice(text.to_str()?.as_bytes()));
    }
    Err(PyTypeError::new_err(format!("a stream item must be bytes or str, not {}", item.get_type().name()?)))
}

/// The bytes of one item of a stream of events.
fn event_bytes(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(data) = item.cast::<PyBytes>() {
        return Ok(interp::share_bytes(data));
    }
    let mut out = BytesMut::new();
    if let Ok(text) = item.cast::<PyString>() {
        append(&mut out, &Event { data: Some(text.to_str()?), ..Event::default() })?;
        return Ok(out.freeze());
    }
    let is_value = item.is_exact_instance_of::<PyDict>() || item.is_exact_instance_of::<PyList>();
    if !is_value && item.hasattr(name!(item.py(), "retry"))? && item.hasattr(name!(item.py(), "raw_data"))? {
        append_fields(&mut out, item)?;
        return Ok(out.freeze());
    }
    let data = json_data(item)?;
    append(&mut out, &Event { data: Some(&data), ..Event::default() })?;
    Ok(out.freeze())
}

fn append_fields(out: &mut BytesMut, item: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = item.py();
    let text = |name: Bound<'_, PyString>| item.getattr(name)?.extract::<Option<String>>();
    let data = match text(name!(py, "raw_data"))? {
        Some(raw) => Some(raw),
        None => {
            let value = item.getattr(name!(py, "data"))?;
            if value.is_none() {
                None
            } else {
                Some(json_data(&value)?)
            }
        }
    };
    let (event, id) = (text(name!(py, "event"))?, text(name!(py, "id"))?);
    let comment = text(name!(py, "comment"))?;
    let retry: Option<u64> = item.getattr(name!(py, "retry"))?.extract()?;
    let event = Event {
        comment: comment.as_deref(),
        event: event.as_deref(),
        data: data.as_deref(),
        id: id.as_deref(),
        retry,
    };
    append(out, &event)
}

fn append(out: &mut BytesMut, event: &Event<'_>) -> PyResult<()> {
    sse::encode_event(out, event).map_err(|fault| PyValueError::new_err(fault.reason()))
}

/// JSON of a value: of a Pydantic model by itself, of what else JSON has no form for by FastAPI's `jsonable_encoder`.
fn json_data(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = value.py();
    if let Some(dump) = value.getattr_opt(name!(py, "model_dump_json"))? {
        return dump.call0()?.extract();
    }
    let mut out = Vec::new();
    if !json::encode_jsonable(value, &mut out)? {
        let jsonable = py.import(name!(py, "fastapi.encoders"))?.getattr(name!(py, "jsonable_encoder"))?;
        json::encode(&jsonable.call1((value,))?, &mut out)?;
    }
    String::from_utf8(out).map_err(|_| PyValueError::new_err("JSON that is not UTF-8"))
}

/// One item of a stream of events, as bytes.
#[pyfunction]
fn encode_event_item<'py>(item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(item.py(), &event_bytes(item)?))
}

/// Adds `drive` and `encode_event_item` to the extension module.
///
/// # Errors
/// As adding an attribute to a module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::home_loop::register(module)?;
    module.add_function(wrap_pyfunction!(encode_event_item, module)?)
}
