//! A request body as a raw handler takes it: by piece, whole, into a file, as a form.
//!
//! Owns: [`Intake`], what it does on a loop and off it, what it raises. Does not own: bounds (`service::Exchange`), what a
//! body is poured into (`form`), the classes that Python sees (`upload`).
//! Rule (`bounded_memory`): a piece is taken when it is asked for; what was not taken makes the peer wait. The first time
//! that anything is asked for is when `100 Continue` is said.
//! Rule (`no_cross_interpreter`): `FormError` is looked up in the interpreter at hand.
//! Threads: async handlers on their loop: what writes to the disk does so on the offload pool, and holds no thread while
//! it waits for the peer. Plain handlers on a thread of the pool, which waits. Several of them take turns (`taking`).

use super::form::{Content, FormLimits, Part, Poured, Saving, Sink, UploadFault};
use super::taking::Taking;
use super::turns::Turns;
use crate::home_loop::HomeLoop;
use crate::invariants;
use crate::service::{Awaited, Exchange, Inbound, Offload};
use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::{
    PyConnectionResetError, PyOSError, PyRuntimeError, PyStopAsyncIteration, PyStopIteration,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// A request body, and how far it was taken.
#[derive(Debug)]
pub struct Intake {
    content_type: Vec<u8>,
    exchange: Arc<Exchange>,
    offload: Offload,
    limits: FormLimits,
    /// The last piece was taken: the exchange says it once.
    is_ended: Arc<AtomicBool>,
    /// Somebody takes all that is left, or has.
    is_poured: AtomicBool,
    taking: Taking,
}

impl Intake {
    /// Of a body that comes through `exchange`.
    pub fn new(content_type: Vec<u8>, exchange: Arc<Exchange>, offload: Offload, limits: FormLimits) -> Self {
        Intake {
            content_type,
            exchange,
            offload,
            limits,
            is_ended: Arc::default(),
            is_poured: AtomicBool::new(false),
            taking: Taking::default(),
        }
    }

    /// The next piece, for a thread that may wait.
    ///
    /// # Errors
    /// `StopIteration` at the end; `ConnectionResetError`: the peer left; `RuntimeError` on an event loop.
    pub fn next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.wait_for_piece(py)? {
            Some(piece) => Ok(PyBytes::new(py, &piece).into_any()),
            None => Err(PyStopIteration::new_err(())),
        }
    }

    /// An awaitable of the next piece, which raises as [`Intake::next`], `StopAsyncIteration` at the end.
    ///
    /// # Errors
    /// `RuntimeError`: off an event loop, or another task or thread waits for a piece.
    pub fn anext<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let home = HomeLoop::current()
            .ok_or_else(|| PyRuntimeError::new_err("off an event loop a body is iterated with `for`"))?;
        let turn = self.taking.by_task(py, &home)?;
        // Raised when it is awaited, not here: `anext(upload, default)` looks there alone.
        let ended = || PyStopAsyncIteration::new_err(());
        if self.is_all_taken() {
            return home.failed_with(py, ended());
        }
        let (exchange, is_ended) = (self.exchange.clone(), self.is_ended.clone());
        let number = turn.number();
        let waiting = home.wait(
            py,
            Box::new(move |py, cx| {
                // Until this is dropped: when it is done, or forgotten.
                let _ = &turn;
                exchange.poll_inbound(cx).map(|found| match piece_of(py, found, &is_ended)? {
                    Some(piece) => Ok(PyBytes::new(py, &piece).into_any().unbind()),
                    None => Err(ended()),
                })
            }),
        );
        let future = match waiting {
            Err(raised) if raised.is_instance_of::<PyStopAsyncIteration>(py) => {
                return home.failed_with(py, raised)
            }
            waiting => waiting?,
        };
        self.taking.awaits(number, home.last_key(), &future);
        Ok(future)
    }

    /// All that is left of the body: on a loop an awaitable, elsewhere the bytes.
    ///
    /// # Errors
    /// As [`Intake::next`]; `RuntimeError`: it was taken already.
    pub fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pour(py, Ok(Sink::Memory(Vec::new())))
    }

    /// Writes what is left of the body to a file, which gets its name when it is whole. Gives its bytes.
    ///
    /// # Errors
    /// As [`Intake::read`]; `OSError`: the disk's.
    pub fn save_to<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        self.pour(py, Ok(Sink::Saved(Saving::new(path))))
    }

    /// The fields and files of a `multipart/form-data` body.
    ///
    /// # Errors
    /// As [`Intake::read`]; `FormError`.
    pub fn form<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pour(py, Sink::form(&self.content_type, self.limits).map_err(UploadFault::Form))
    }

    /// Pours what is left into `sink`. On a loop: an awaitable; elsewhere: waits.
    fn pour<'py>(&self, py: Python<'py>, sink: Result<Sink, UploadFault>) -> PyResult<Bound<'py, PyAny>> {
        let mut sink = sink.map_err(|fault| raise(py, fault))?;
        let home = HomeLoop::current();
        let turn = match &home {
            Some(home) => self.taking.by_task(py, home)?,
            None => self.taking.by_thread(py)?,
        };
        if self.is_poured.swap(true, Ordering::AcqRel) {
            return Err(PyRuntimeError::new_err("the body was taken already"));
        }
        let is_ended = self.is_ended.load(Ordering::Acquire);
        // Nobody else begins to take of it now.
        drop(turn);
        let content_type = self.content_type.clone();
        let Some(home) = home else {
            let exchange = self.exchange.clone();
            let poured = py.detach(move || {
                wait_for(|context| step(&exchange, is_ended, &mut sink, context))?;
                sink.finish()
            });
            return poured
                .map_err(|fault| raise(py, fault))
                .and_then(|poured| to_python(py, poured, &content_type));
        };
        let drain = Arc::new(Drain {
            exchange: self.exchange.clone(),
            offload: self.offload.clone(),
            is_ended,
            sink: Mutex::new(Some(sink)),
            turns: Turns::default(),
            done: Awaited::default(),
        });
        drain.clone().schedule();
        home.wait(
            py,
            Box::new(move |py, cx| {
                drain.done.poll(cx).map(|poured| {
                    let poured = poured.map_err(|fault| raise(py, fault))?;
                    Ok(to_python(py, poured, &content_type)?.unbind())
                })
            }),
        )
    }

    /// No piece is left for who asks now.
    fn is_all_taken(&self) -> bool {
        self.is_ended.load(Ordering::Acquire) || self.is_poured.load(Ordering::Acquire)
    }

    /// The next piece, on a thread that may wait.
    fn wait_for_piece(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        if HomeLoop::current().is_some() {
            return Err(PyRuntimeError::new_err("on an event loop a body is iterated with `async for`"));
        }
        let _turn = self.taking.by_thread(py)?;
        if self.is_all_taken() {
            return Ok(None);
        }
        let exchange = self.exchange.clone();
        let found = py.detach(move || wait_for(|context| exchange.poll_inbound(context)));
        piece_of(py, found, &self.is_ended)
    }
}

/// A piece, the end, or the peer's leaving.
fn piece_of(py: Python<'_>, found: Inbound, is_ended: &AtomicBool) -> PyResult<Option<Bytes>> {
    match found {
        Inbound::Body(piece, more) => {
            if !more {
                is_ended.store(true, Ordering::Release);
            }
            Ok((more || !piece.is_empty()).then_some(piece))
        }
        Inbound::Closed(_) => Err(raise(py, UploadFault::Disconnected)),
    }
}

/// Takes what has come. Ready when the body is whole, as it is when its end was told already.
fn step(
    exchange: &Exchange,
    is_ended: bool,
    sink: &mut Sink,
    cx: &mut Context<'_>,
) -> Poll<Result<(), UploadFault>> {
    if is_ended {
        return Poll::Ready(Ok(()));
    }
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

/// Polls on this thread, which waits, until it is ready.
fn wait_for<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match poll(&mut context) {
            Poll::Ready(found) => return found,
            Poll::Pending => {
                invariants::about_to_wait();
                std::thread::park();
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
    /// Nothing was left.
    is_ended: bool,
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
            Some(sink) => step(&self.exchange, self.is_ended, sink, &mut context),
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

/// The exception that a fault is.
pub(super) fn raise(py: Python<'_>, fault: UploadFault) -> PyErr {
    match fault {
        UploadFault::Form(violation) => {
            let made = form_error(py).and_then(|class| class.call1((violation.reason(), violation.status())));
            made.map_or_else(|error| error, PyErr::from_value)
        }
        UploadFault::Io(error) => PyOSError::new_err((error.raw_os_error(), error.to_string())),
        UploadFault::Disconnected => {
            PyConnectionResetError::new_err("the client left before its body was whole")
        }
    }
}

/// `FormError`, of the interpreter at hand.
fn form_error(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("turboapi_rs._core")?.getattr("FormError")
}

pub(super) fn to_python<'py>(
    py: Python<'py>,
    poured: Poured,
    content_type: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
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
    let class = form_error(py).ok()?;
    if !raised.value(py).is_instance(&class).ok()? {
        return None;
    }
    let (reason, status): (String, u16) = raised.value(py).getattr("args").ok()?.extract().ok()?;
    (400..=599).contains(&status).then_some((status, reason))
}
