//! Streams: bytes pulled from an iterator, one item at a time, when there is room.
//!
//! Owns: pulling, item types, closing the iterator exactly once. Does not own: chunk framing (`runtime`, `http1`).
//! Rule (`stream_closed_once`, `bounded_memory`): nothing is pulled while the exchange has no room; the iterator is
//! closed once, on the loop or a thread of the pool that ran it: at its end, on an error, on disconnect, at the drain.
//! Threads: async iterators on the home loop; sync iterators on the offload pool, never on a worker.

use super::fault::{self, Fault};
use super::onward;
use super::outlet::{item_bytes, Form, Outlet, Puller};
use super::turns::Turns;
use crate::home_loop::{HomeLoop, LoopHandle};
use crate::interp::{self, name, Held};
use crate::invariants::{Alive, Invariant, Kind, Times};
use crate::service::{Exchange, Offload, ReplyEvent};
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Items that a sync iterator may give in a row before its pool thread looks at other work.
const ITEMS_PER_TURN: usize = 64;

/// Where a stream came from, for log lines.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The handler.
    pub handler: String,
    /// Method and path.
    pub request: String,
}

/// True for an object that is iterated with `async for`.
pub fn is_async_iterable(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    object.hasattr(name!(object.py(), "__aiter__"))
}

/// Starts an async iterator on the calling thread's loop.
pub fn start_async(
    py: Python<'_>,
    home: &Rc<HomeLoop>,
    iterator: &Bound<'_, PyAny>,
    exchange: &Arc<Exchange>,
    origin: Origin,
) {
    if let Err(raised) = try_start_async(py, home, iterator, exchange, &origin) {
        Fault::Raised(raised).log(py, &origin.handler, &origin.request);
        fault::abort(exchange);
    }
}

/// As [`start_async`], on the thread of another loop.
pub fn start_async_away(
    home: &LoopHandle,
    iterator: Bound<'_, PyAny>,
    exchange: &Arc<Exchange>,
    origin: Origin,
) {
    let held = Held::new(iterator.unbind());
    onward::post_to_local(home, exchange, move |py, _local, home, exchange| {
        start_async(py, home, held.bind(py), exchange, origin);
    });
}

fn try_start_async(
    py: Python<'_>,
    home: &Rc<HomeLoop>,
    iterator: &Bound<'_, PyAny>,
    exchange: &Arc<Exchange>,
    origin: &Origin,
) -> PyResult<()> {
    exchange.claim(|| origin.request.clone());
    let ping: Option<Bound<'_, PyAny>> = iterator.getattr_opt(name!(py, "turboapi_ping"))?;
    let pump = py.import(name!(py, "turboapi_rs.guest_loop"))?.getattr(name!(py, "pump"))?;
    let events = ping.as_ref().map(|_| Outlet::new(exchange.clone(), Form::Events));
    let puller = events.as_ref().map_or_else(Arc::default, |events| events.puller().clone());
    let task = home.start_task(py, || match (events, ping) {
        (Some(events), Some(ping)) => {
            let events = Bound::new(py, events)?;
            let [push, room, leave] =
                [name!(py, "push"), name!(py, "room"), name!(py, "leave")].map(|name| events.getattr(name));
            pump.call1((iterator, push?, room?, leave?, events, ping))
        }
        _ => {
            let [push, room, leave] = raw_outlet(py, exchange, &puller)?;
            pump.call1((iterator, push, room, leave))
        }
    })?;
    let end = StreamEnd {
        exchange: exchange.clone(),
        origin: origin.clone(),
        puller: puller.clone(),
        ends: Times::default(),
    };
    task.call_method1(name!(py, "add_done_callback"), (end.into_callback(py)?,))?;
    // The peer is gone, or the response is whole: a producer that still runs is told at once.
    puller.watch(py, home, exchange, task.unbind(), true)?;
    home.notice_work(py)
}

/// What `guest_loop.pump` sends items through: `push(item)`, false when the producer should await `room()` before the
/// next one, `None` when nobody is left to read; `leave()` before it closes. As an [`Outlet`], for any interpreter.
fn raw_outlet<'py>(
    py: Python<'py>,
    exchange: &Arc<Exchange>,
    puller: &Arc<Puller>,
) -> PyResult<[Bound<'py, PyAny>; 3]> {
    let into = exchange.clone();
    let push = interp::callback(py, move |item| {
        let data = item_bytes(item)?;
        if into.push(ReplyEvent::Chunk(data)).is_err() {
            return Ok(item.py().None());
        }
        Ok(into.has_room().into_pyobject(item.py())?.to_owned().into_any().unbind())
    })?;
    let of = exchange.clone();
    let room = interp::callback0(py, move |py| {
        let home = HomeLoop::current()
            .ok_or_else(|| PyRuntimeError::new_err("not on an event loop of the server"))?;
        let exchange = of.clone();
        let waited = home.wait(py, Box::new(move |py, cx| exchange.poll_room(cx).map(|_| Ok(py.None()))))?;
        Ok(waited.unbind())
    })?;
    let puller = puller.clone();
    let leave = interp::callback0(py, move |py| {
        puller.leave();
        Ok(py.None())
    })?;
    Ok([push, room, leave])
}

/// Called by asyncio when a pump is done.
struct StreamEnd {
    exchange: Arc<Exchange>,
    origin: Origin,
    puller: Arc<Puller>,
    ends: Times,
}

impl StreamEnd {
    /// The object that asyncio calls.
    fn into_callback(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        interp::callback(py, move |task| {
            self.settle(task.py(), task);
            Ok(task.py().None())
        })
    }

    fn settle(&self, py: Python<'_>, task: &Bound<'_, PyAny>) {
        self.ends.note(Invariant::StreamClosedOnce);
        self.puller.leave();
        let result = task.call_method0(name!(py, "result"));
        let is_closed = self.exchange.closed().is_some();
        match result {
            Ok(_) => {
                let _ = self.exchange.push(ReplyEvent::End);
            }
            Err(raised) => {
                let cancelled = task
                    .call_method0(name!(py, "cancelled"))
                    .and_then(|answer| answer.is_truthy())
                    .unwrap_or(false);
                if !cancelled {
                    Fault::Raised(raised).log(py, &self.origin.handler, &self.origin.request);
                } else if !is_closed {
                    log::info!(
                        "{}: stream of {} ended by the drain",
                        self.origin.request,
                        self.origin.handler
                    );
                }
                fault::abort(&self.exchange);
            }
        }
    }
}

/// A sync iterator, pulled on the offload pool.
pub struct SyncStream {
    iterator: Mutex<Option<Held<PyAny>>>,
    exchange: Arc<Exchange>,
    offload: Offload,
    draining: Arc<AtomicBool>,
    origin: Origin,
    turns: Turns,
    closes: Times,
    _alive: Alive,
}

impl SyncStream {
    /// Starts pulling.
    pub fn start(
        iterator: Held<PyAny>,
        exchange: Arc<Exchange>,
        offload: Offload,
        draining: Arc<AtomicBool>,
        origin: Origin,
    ) {
        exchange.claim(|| origin.request.clone());
        let stream = Arc::new(SyncStream {
            iterator: Mutex::new(Some(iterator)),
            exchange,
            offload,
            draining,
            origin,
            turns: Turns::default(),
            closes: Times::default(),
            _alive: Alive::new(Kind::Stream),
        });
        stream.schedule();
    }

    /// Has a turn run: now, or, if one is running, after it.
    fn schedule(self: Arc<Self>) {
        if self.turns.ask() {
            self.submit();
        }
    }

    fn submit(self: Arc<Self>) {
        let stream = self.clone();
        if self.offload.submit(Box::new(move || stream.turn())).is_err() {
            log::warn!("a stream was cut: the offload pool takes no more work");
            // Here, since there is no other thread for it. No turn runs: the lock is free.
            interp::attach(|py| self.close(py, self.iterator.lock().take()));
        }
    }

    /// Pulls until there is no room, then lets the thread go.
    fn turn(self: Arc<Self>) {
        self.turns.begin();
        if interp::attach(|py| self.pull(py)) || self.turns.end() {
            // Other jobs have their turn first.
            self.submit();
        }
    }

    /// Gives whether to go on at once.
    fn pull(self: &Arc<Self>, py: Python<'_>) -> bool {
        let mut slot = self.iterator.lock();
        let Some(iterator) = slot.as_ref() else { return false };
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        for _ in 0..ITEMS_PER_TURN {
            match self.exchange.poll_room(&mut context) {
                Poll::Pending => return false,
                Poll::Ready(Err(_)) => {
                    self.close(py, slot.take());
                    return false;
                }
                Poll::Ready(Ok(())) => {}
            }
            if self.draining.load(Ordering::Relaxed) {
                self.close(py, slot.take());
                return false;
            }
            self.closes.expect_none(Invariant::StreamClosedOnce);
            let item = match next_item(iterator.bind(py)) {
                Ok(Some(item)) => item_bytes(&item),
                Ok(None) => {
                    let _ = self.exchange.push(ReplyEvent::End);
                    self.close(py, slot.take());
                    return false;
                }
                Err(raised) => Err(raised),
            };
            match item {
                Ok(data) => {
                    let _ = self.exchange.push(ReplyEvent::Chunk(data));
                }
                Err(raised) => {
                    Fault::Raised(raised).log(py, &self.origin.handler, &self.origin.request);
                    self.close(py, slot.take());
                    return false;
                }
            }
        }
        true
    }

    /// Closes the iterator, and ends the response if it has not ended.
    fn close(&self, py: Python<'_>, iterator: Option<Held<PyAny>>) {
        let Some(iterator) = iterator else { return };
        self.closes.note(Invariant::StreamClosedOnce);
        fault::abort(&self.exchange);
        let iterator = iterator.bind(py);
        let closed = match iterator.getattr_opt(name!(py, "close")) {
            Ok(Some(close)) => close.call0().map(drop),
            Ok(None) => Ok(()),
            Err(raised) => Err(raised),
        };
        if let Err(raised) = closed {
            Fault::Raised(raised).log(py, &self.origin.handler, &self.origin.request);
        }
    }
}

impl Drop for SyncStream {
    fn drop(&mut self) {
        self.closes.expect_one(Invariant::StreamClosedOnce);
    }
}

impl Wake for SyncStream {
    fn wake(self: Arc<Self>) {
        self.schedule();
    }
}

fn next_item<'py>(iterator: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    // `try_iter` on an iterator gives the iterator itself.
    iterator.try_iter()?.next().transpose()
}
