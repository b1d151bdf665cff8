//! Coroutines of raw handlers, on the home loop.
//!
//! Owns: starting a handler's task, answering from its result. Does not own: the loop (`home_loop`).
//! Rule (`own_reply`): the result goes to the exchange of the request that started the task.

use super::fault::{self, Fault};
use super::local::Local;
use super::onward;
use super::reply::{classify, Classified};
use super::stream::{self, Origin};
use crate::home_loop::{HomeLoop, LoopHandle};
use crate::http1::{FieldBlock, ResponseHead};
use crate::interp::{self, name, Held};
use crate::service::{Exchange, ReplyEvent};
use bytes::Bytes;
use pyo3::prelude::*;
use std::rc::Rc;
use std::sync::Arc;

/// Runs an awaitable in a task of the calling thread's loop; its result answers through `exchange`.
pub fn start<'py>(
    py: Python<'py>,
    home: &Rc<HomeLoop>,
    make: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    exchange: &Arc<Exchange>,
    origin: Origin,
) {
    if let Err(raised) = try_start(py, home, make, exchange, &origin) {
        Fault::Raised(raised).log(py, &origin.handler, &origin.request);
        fault::abort(exchange);
    }
}

/// As [`start`], of an awaitable that is there already, on the thread of another loop.
pub fn start_away(home: &LoopHandle, awaitable: Bound<'_, PyAny>, exchange: &Arc<Exchange>, origin: Origin) {
    let held = Held::new(awaitable.unbind());
    onward::post(home, exchange, move |py, home, exchange| {
        start(py, home, || Ok(held.bind(py).clone()), exchange, origin);
    });
}

fn try_start<'py>(
    py: Python<'py>,
    home: &Rc<HomeLoop>,
    make: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    exchange: &Arc<Exchange>,
    origin: &Origin,
) -> PyResult<()> {
    let task = home.start_task(py, || {
        let made = make()?;
        if interp::is_coroutine(&made) {
            return Ok(made);
        }
        // A task wants a coroutine; other awaitables are wrapped into one.
        py.import(name!(py, "turboapi_rs.guest_loop"))?.getattr(name!(py, "await_it"))?.call1((made,))
    })?;
    let end = HandlerEnd { exchange: exchange.clone(), origin: origin.clone() };
    if task.call_method0(name!(py, "done"))?.is_truthy()? {
        end.settle(py, &task);
    } else {
        task.call_method1(name!(py, "add_done_callback"), (end.into_callback(py)?,))?;
    }
    home.notice_work(py)
}

/// Called by asyncio when a handler's task is done.
struct HandlerEnd {
    exchange: Arc<Exchange>,
    origin: Origin,
}

impl HandlerEnd {
    /// The object that asyncio calls.
    fn into_callback(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        interp::callback(py, move |task| {
            self.settle(task.py(), task);
            Ok(task.py().None())
        })
    }

    fn settle(&self, py: Python<'_>, task: &Bound<'_, PyAny>) {
        let result = task.call_method0(name!(py, "result")).map_err(Fault::Raised);
        if let Err(fault) = result.and_then(|result| answer_later(py, result, &self.exchange, &self.origin)) {
            fault.end(py, &self.exchange, &self.origin.handler, &self.origin.request);
        }
    }
}

/// Answers through an exchange with a result that is already there. On a loop's thread.
///
/// # Errors
/// The handler's fault; nothing was answered.
pub fn answer_later(
    py: Python<'_>,
    result: Bound<'_, PyAny>,
    exchange: &Arc<Exchange>,
    origin: &Origin,
) -> Result<(), Fault> {
    exchange.claim(|| origin.request.clone());
    let mut scratch = Vec::new();
    match classify(result, &mut scratch)? {
        Classified::Stream(head, iterator) => {
            Local::current_or_fault()?.start_stream(py, head, &iterator, exchange, origin.clone())
        }
        whole => {
            // Refused when the peer is gone: nobody is left to tell.
            let _ = exchange.push(whole_event(whole, scratch)?);
            Ok(())
        }
    }
}

/// A response that is there as a whole; a short one's body lies in `scratch`.
pub(super) fn whole_event(classified: Classified<'_>, scratch: Vec<u8>) -> Result<ReplyEvent, Fault> {
    match classified {
        Classified::Short { status, content_type } => {
            let mut fields = FieldBlock::new();
            fields
                .push(b"content-type", content_type)
                .map_err(|fault| Fault::Result(fault.reason().to_owned()))?;
            Ok(ReplyEvent::Full(ResponseHead { status, fields }, Bytes::from(scratch)))
        }
        Classified::Full(head, body) => Ok(ReplyEvent::Full(head, body)),
        Classified::Stream(..) | Classified::Awaitable(_) => {
            Err(Fault::Result("an awaitable, from an awaitable".into()))
        }
    }
}

/// Is a stream's iterator asynchronous? A fault if it is no iterator at all.
pub(super) fn check_iterator(iterator: &Bound<'_, PyAny>) -> Result<bool, Fault> {
    let is_async = stream::is_async_iterable(iterator)?;
    if !is_async && !iterator.hasattr(name!(iterator.py(), "__iter__"))? {
        return Err(Fault::Result("a 5-tuple whose fourth item is no iterator".into()));
    }
    Ok(is_async)
}

/// Sends the head of a stream, then pulls its iterator where such iterators run.
pub(super) fn begin_stream(
    py: Python<'_>,
    local: &Rc<Local>,
    head: ResponseHead,
    iterator: &Bound<'_, PyAny>,
    exchange: &Arc<Exchange>,
    origin: Origin,
) -> Result<(), Fault> {
    let is_async = check_iterator(iterator)?;
    let _ = exchange.push(ReplyEvent::Head(head));
    if is_async {
        local.start_async_stream(py, iterator, exchange, origin);
    } else {
        let iterator = iterator.try_iter()?.into_any().unbind();
        local.start_sync_stream(iterator, exchange, origin);
    }
    Ok(())
}
