//! A request body as it arrives, for raw handlers.
//!
//! Owns: [`Upload`], what Python sees of it. Does not own: bounds (`service::Exchange`), what it is poured into (`form`).
//! Rule (`bounded_memory`): a piece is taken when it is asked for; what was not taken makes the peer wait. The first time
//! that anything is asked for is when `100 Continue` is said.
//! Threads: async handlers on their loop: what writes to the disk does so on the offload pool, and holds no thread while
//! it waits for the peer. Plain handlers on a thread of the pool, which waits. Several of them take turns (`taking`).

use super::form::{Content, FormLimits, Part, Poured, Saving, Sink, UploadFault};
use super::taking::Taking;
use super::turns::Turns;
use crate::home_loop::HomeLoop;
use crate::interp;
use crate::invariants;
use crate::pyclasses::Request as PyRequest;
use crate::service::{Awaited, Exchange, Inbound, Offload};
use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::{
    PyConnectionResetError, PyOSError, PyRuntimeError, PyStopAsyncIteration, PyStopIteration, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

pyo3::create_exception!(
    turboapi_rs._core,
    FormError,
    PyValueError,
    "A form is broken or passes a limit. `args` are the text, which names the rule, and the status: 400 or 413."
);

/// A request body, piece by piece.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub struct Upload {
    request: Py<PyRequest>,
    content_type: Vec<u8>,
    exchange: Arc<Exchange>,
    offload: Offload,
    limits: FormLimits,
    /// All was taken: the exchange says it once.
    is_drained: Arc<AtomicBool>,
    taking: Taking,
}

impl Upload {
    /// Of a request whose body comes through `exchange`.
    pub fn new(
        request: Py<PyRequest>,
        content_type: Vec<u8>,
        exchange: Arc<Exchange>,
        offload: Offload,
        limits: FormLimits,
    ) -> Self {
        Upload {
            request,
            content_type,
            exchange,
            offload,
            limits,
            is_drained: Arc::default(),
            taking: Taking::default(),
        }
    }

    /// Pours what is left into `sink`. On a loop: an awaitable; elsewhere: waits.
    fn pour<'py>(&self, py: Python<'py>, sink: Result<Sink, UploadFault>) -> PyResult<Bound<'py, PyAny>> {
        let mut sink = sink.map_err(raise)?;
        let home = HomeLoop::current();
        let turn = match &home {
            Some(home) => self.taking.by_task(py, home)?,
            None => self.taking.by_thread(py)?,
        };
        if self.is_drained.swap(true, Ordering::AcqRel) {
            return Err(PyRuntimeError::new_err("the body was taken already"));
        }
        // Nobody else begins to take of it now.
        drop(turn);
        let content_type = self.content_type.clone();
        let Some(home) = home else {
            let exchange = self.exchange.clone();
            let poured = py.detach(move || {
                let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                let mut context = Context::from_waker(&waker);
                loop {
                    match step(&exchange, &mut sink, &mut context) {
                        Poll::Ready(Ok(())) => return sink.finish(),
                        Poll::Ready(Err(fault)) => return Err(fault),
                        Poll::Pending => {
                            invariants::about_to_wait();
                            std::thread::park();
                        }
                    }
                }
            });
            return poured.map_err(raise).and_then(|poured| to_python(py, poured, &content_type));
        };
        let drain = Arc::new(Drain {
            exchange: self.exchange.clone(),
            offload: self.offload.clone(),
            sink: Mutex::new(Some(sink)),
            turns: Turns::default(),
            done: Awaited::default(),
        });
        drain.clone().schedule();
        home.wait(
            py,
            Box::new(move |py, cx| {
                drain.done.poll(cx).map(|poured| {
                    let poured = poured.map_err(raise)?;
                    Ok(to_python(py, poured, &content_type)?.unbind())
                })
            }),
        )
    }

    /// The next piece, on a thread that may wait.
    fn wait_for_piece(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        if HomeLoop::current().is_some() {
            return Err(PyRuntimeError::new_err("on an event loop a body is iterated with `async for`"));
        }
        let _turn = self.taking.by_thread(py)?;
        if self.is_drained.load(Ordering::Acquire) {
            return Ok(None);
        }
        let exchange = self.exchange.clone();
        let found = py.detach(move || {
            let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
            let mut context = Context::from_waker(&waker);
            loop {
                match exchange.poll_inbound(&mut context) {
                    Poll::Ready(found) => return found,
                    Poll::Pending => {
                        invariants::about_to_wait();
                        std::thread::park();
                    }
                }
            }
        });
        piece_of(found, &self.is_drained)
    }
}

/// A piece, the end, or the peer's leaving.
fn piece_of(found: Inbound, is_drained: &AtomicBool) -> PyResult<Option<Bytes>> {
    match found {
        Inbound::Body(piece, more) => {
            if !more {
                is_drained.store(true, Ordering::Release);
            }
            Ok((more || !piece.is_empty()).then_some(piece))
        }
        Inbound::Closed(_) => Err(raise(UploadFault::Disconnected)),
    }
}

#[pymethods]
impl Upload {
    /// The request without its body.
    #[getter]
    fn request(&self, py: Python<'_>) -> Py<PyRequest> {
        self.request.clone_ref(py)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match self.wait_for_piece(py)? {
            Some(piece) => Ok(PyBytes::new(py, &piece)),
            None => Err(PyStopIteration::new_err(())),
        }
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let home = HomeLoop::current()
            .ok_or_else(|| PyRuntimeError::new_err("off an event loop a body is iterated with `for`"))?;
        let turn = self.taking.by_task(py, &home)?;
        if self.is_drained.load(Ordering::Acquire) {
            return Err(PyStopAsyncIteration::new_err(()));
        }
        let (exchange, is_drained) = (self.exchange.clone(), self.is_drained.clone());
        let number = turn.number();
        let future = home.wait(
            py,
            Box::new(move |py, cx| {
                // Until this is dropped: when it is done, or forgotten.
                let _ = &turn;
                exchange.poll_inbound(cx).map(|found| match piece_of(found, &is_drained)? {
                    Some(piece) => Ok(PyBytes::new(py, &piece).into_any().unbind()),
                    None => Err(PyStopAsyncIteration::new_err(())),
                })
            }),
        )?;
        self.taking.awaits(number, home.last_key(), &future);
        Ok(future)
    }

    /// All that is left of the body.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pour(py, Ok(Sink::Memory(Vec::new())))
    }

    /// Writes what is left of the body to a file, which gets its name when it is whole.
    fn save_to<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        self.pour(py, Ok(Sink::Saved(Saving::new(path))))
    }

    /// The fields and files of a `multipart/form-data` body.
    fn form<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pour(py, Sink::form(&self.content_type, self.limits).map_err(UploadFault::Form))
    }
}

/// Takes what has come. Ready when the body is whole.
fn step(exchange: &Exchange, sink: &mut Sink, cx: &mut Context<'_>) -> Poll<Result<(), UploadFault>> {
    loop {
        match exchange.poll_inbound(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Inbound::Closed(_)) => return Poll::Ready(Err(UploadFault::Disconnected)),
            Poll::Ready(Inbound::Body(piece, more)) => {
                if let Err(fault) = sink.take(&piece) {
                    return Poll::Ready(Err(fault));
                }
                if !more {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A body on its way to the disk, a turn on the pool for what has come.
struct Drain {
    exchange: Arc<Exchange>,
    offload: Offload,
    sink: Mutex<Option<Sink>>,
    turns: Turns,
    done: Awaited<Result<Poured, UploadFault>>,
}

impl Drain {
    fn schedule(self: Arc<Self>) {
        if self.turns.ask() {
            self.submit();
        }
    }

    fn submit(self: Arc<Self>) {
        let there = self.clone();
        if self.offload.submit(Box::new(move || there.turn())).is_err() {
            self.done.put(Err(UploadFault::Io(std::io::Error::other("the offload pool takes no more work"))));
        }
    }

    fn turn(self: Arc<Self>) {
        self.turns.begin();
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        let mut slot = self.sink.lock();
        let stepped = match slot.as_mut() {
            Some(sink) => step(&self.exchange, sink, &mut context),
            None => return,
        };
        let ended = match stepped {
            Poll::Pending => None,
            Poll::Ready(result) => slot.take().map(|sink| result.and_then(|()| sink.finish())),
        };
        drop(slot);
        if let Some(ended) = ended {
            self.done.put(ended);
        } else if self.turns.end() {
            self.submit();
        }
    }
}

impl Wake for Drain {
    fn wake(self: Arc<Self>) {
        self.schedule();
    }
}

fn raise(fault: UploadFault) -> PyErr {
    match fault {
        UploadFault::Form(violation) => FormError::new_err((violation.reason(), violation.status())),
        UploadFault::Io(error) => PyOSError::new_err((error.raw_os_error(), error.to_string())),
        UploadFault::Disconnected => {
            PyConnectionResetError::new_err("the client left before its body was whole")
        }
    }
}

fn to_python<'py>(py: Python<'py>, poured: Poured, content_type: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match poured {
        Poured::Saved(bytes) => Ok(bytes.into_pyobject(py)?.into_any()),
        Poured::Memory(all) => Ok(PyBytes::new(py, &all).into_any()),
        Poured::Form(parts) => {
            let list = PyList::empty(py);
            for Part { head, content } in parts {
                let fields = PyList::empty(py);
                for (name, value) in &head.fields {
                    fields.append((PyBytes::new(py, name), PyBytes::new(py, value)))?;
                }
                let filename = head.filename.as_ref().map(|name| PyBytes::new(py, name));
                let (content, size) = match content {
                    Content::Memory(held) => (PyBytes::new(py, &held).into_any(), held.len() as u64),
                    Content::Disk(file, length) => {
                        let file = py.import("io")?.getattr("open")?.call1((file.into_raw_fd(), "w+b"))?;
                        (file, length)
                    }
                };
                list.append((PyBytes::new(py, &head.name), filename, fields, content, size))?;
            }
            py.import("turboapi_rs.uploads")?
                .getattr("make_form")?
                .call1((list, PyBytes::new(py, content_type)))
        }
    }
}

/// The answer to a form that was refused, where its handler did not catch the error: status and text.
pub fn refusal(py: Python<'_>, raised: &PyErr) -> Option<(u16, String)> {
    if !raised.is_instance_of::<FormError>(py) {
        return None;
    }
    let (reason, status): (String, u16) = raised.value(py).getattr("args").ok()?.extract().ok()?;
    (400..=599).contains(&status).then_some((status, reason))
}

/// Adds what the module has of uploads.
///
/// # Errors
/// Python's own.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Upload>()?;
    module.add("FormError", module.py().get_type::<FormError>())?;
    // Parses pieces of a form as an upload does; for tests.
    module.add_function(pyo3::wrap_pyfunction!(parse_form, module)?)
}

/// Parse a form that is given in pieces, as `Upload.form` does.
#[pyfunction]
fn parse_form<'py>(
    py: Python<'py>,
    content_type: &[u8],
    pieces: Vec<Bound<'py, PyBytes>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut sink = Sink::form(content_type, FormLimits::default()).map_err(|fault| raise(fault.into()))?;
    for piece in pieces {
        sink.take(&interp::share_bytes(&piece)).map_err(raise)?;
    }
    sink.finish().map_err(raise).and_then(|poured| to_python(py, poured, content_type))
}
