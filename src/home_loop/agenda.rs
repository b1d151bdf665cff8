//! What a loop is to call, and when: asyncio's handles and timers, natively.
//!
//! Owns: [`Agenda`] (`call_soon`, `call_later`, `call_at`, the heap of timers, a round of callbacks), [`Callback`].
//! Does not own: the queue of what is ready (asyncio's own, which others append to as well), debug mode, the selector.
//! Rule: order, contexts, cancellation and what becomes of an exception are asyncio's. No lock is held across a call
//! into Python, nor while a reference is dropped.
//! Threads: the loop's own; the locks make misuse from others harmless, and no more.

use crate::interp::{self, name};
use parking_lot::Mutex;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rounds of callbacks that one step may run. A timer that wakes a task takes two; a few more spare the worker's other
/// tasks nothing that they would notice, and the step its overhead.
const ROUNDS_PER_STEP: usize = 4;

/// Cancelled timers that stay in the heap until they are this many, and half of all. As in asyncio.
const MIN_CANCELLED: usize = 100;

/// What one handle calls.
struct Call {
    function: Py<PyAny>,
    arguments: Py<PyTuple>,
    context: Py<PyAny>,
}

/// A callback that a loop was given: what asyncio calls a handle, or a timer handle.
#[pyclass(frozen, weakref, module = "turboapi_rs._core", name = "LoopCallback")]
pub struct Callback {
    call: Mutex<Option<Call>>,
    /// In the loop's time. None: it is no timer.
    when: Option<f64>,
    is_cancelled: AtomicBool,
    /// It lies in the heap.
    is_scheduled: AtomicBool,
    /// Of the heap: how many in it were cancelled.
    cancelled: Arc<AtomicUsize>,
}

#[pymethods]
impl Callback {
    /// It will not be called.
    fn cancel(&self) {
        if self.is_cancelled.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.is_scheduled.load(Ordering::Relaxed) {
            self.cancelled.fetch_add(1, Ordering::Relaxed);
        }
        let call = self.call.lock().take();
        drop(call);
    }

    /// Was it cancelled?
    fn cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    #[getter]
    fn _cancelled(&self) -> bool {
        self.cancelled()
    }

    /// The time of a timer.
    fn when(&self) -> PyResult<f64> {
        self.when.ok_or_else(|| PyTypeError::new_err("not a timer"))
    }

    /// The context in which it is called.
    fn get_context(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.call.lock().as_ref().map(|call| call.context.clone_ref(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let function = this.call.lock().as_ref().map(|call| call.function.clone_ref(slf.py()));
        Ok(match function {
            _ if this.cancelled() => "<LoopCallback cancelled>".into(),
            Some(function) => format!("<LoopCallback {}>", function.bind(slf.py()).repr()?),
            None => "<LoopCallback called>".into(),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(call) = self.call.try_lock() else { return Ok(()) };
        if let Some(call) = &*call {
            visit.call(&call.function)?;
            visit.call(&call.arguments)?;
            visit.call(&call.context)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let call = self.call.lock().take();
        drop(call);
    }
}

/// A timer of the heap.
struct Entry {
    when: f64,
    /// Keeps timers of one moment in order.
    number: u64,
    /// A [`Callback`], or a handle of asyncio's.
    handle: Py<PyAny>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Order::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The greatest is the one that is due first.
    fn cmp(&self, other: &Self) -> Order {
        other.when.total_cmp(&self.when).then(other.number.cmp(&self.number))
    }
}

#[derive(Default)]
struct Timers {
    heap: BinaryHeap<Entry>,
    next_number: u64,
}

/// The callbacks of one loop.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub struct Agenda {
    timers: Mutex<Timers>,
    /// Timers of the heap that were cancelled.
    cancelled: Arc<AtomicUsize>,
    /// The loop is in debug mode: asyncio's own handles are used, and Python runs them.
    is_debugged: AtomicBool,
    event_loop: Py<PyAny>,
    ready: Py<PyAny>,
    append: Py<PyAny>,
    pop: Py<PyAny>,
    /// Asks the selector.
    look: Py<PyAny>,
    /// Tells the loop's exception handler.
    report: Py<PyAny>,
    /// What `asyncio.sleep` has called: it needs no context.
    set_result: Py<PyAny>,
    /// One moment on two clocks: the loop's and ours.
    epoch: (f64, Instant),
    /// Seconds by which the loop's clock may be behind.
    resolution: f64,
}

impl Agenda {
    /// Of a `GuestLoop`.
    ///
    /// # Errors
    /// Python's own.
    pub fn of<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let py = event_loop.py();
        let guest = py.import("turboapi_rs.guest_loop")?;
        let ready = event_loop.getattr("_ready")?;
        let agenda = Agenda {
            timers: Mutex::default(),
            cancelled: Arc::default(),
            is_debugged: AtomicBool::new(false),
            append: ready.getattr("append")?.unbind(),
            pop: ready.getattr("popleft")?.unbind(),
            ready: ready.unbind(),
            look: event_loop.getattr("look")?.unbind(),
            report: guest.getattr("report")?.unbind(),
            set_result: py.import("asyncio.futures")?.getattr("_set_result_unless_cancelled")?.unbind(),
            epoch: (event_loop.call_method0("time")?.extract()?, Instant::now()),
            resolution: event_loop.getattr("_clock_resolution")?.extract()?,
            event_loop: event_loop.clone().unbind(),
        };
        Bound::new(py, agenda)
    }

    fn now(&self) -> f64 {
        self.epoch.0 + self.epoch.1.elapsed().as_secs_f64()
    }

    /// The moment of a loop's time. Far ones are an hour away.
    pub fn instant(&self, when: f64) -> Instant {
        in_seconds(when - self.now())
    }

    /// Timers that wait.
    pub fn timers(&self) -> usize {
        self.timers.lock().heap.len()
    }

    /// Must Python run the callbacks?
    pub fn is_debugged(&self) -> bool {
        self.is_debugged.load(Ordering::Relaxed)
    }

    fn make<'py>(
        &self,
        py: Python<'py>,
        when: Option<f64>,
        function: Bound<'py, PyAny>,
        arguments: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Callback>> {
        let context = match context {
            Some(context) => context,
            None => interp::current_context(py)?,
        };
        let call =
            Call { function: function.unbind(), arguments: arguments.unbind(), context: context.unbind() };
        let callback = Callback {
            call: Mutex::new(Some(call)),
            when,
            is_cancelled: AtomicBool::new(false),
            is_scheduled: AtomicBool::new(when.is_some()),
            cancelled: self.cancelled.clone(),
        };
        Bound::new(py, callback)
    }

    fn schedule(&self, when: f64, handle: Py<PyAny>) {
        let mut timers = self.timers.lock();
        let number = timers.next_number;
        timers.next_number += 1;
        timers.heap.push(Entry { when, number, handle });
    }

    /// Runs what is ready, without waiting; the selector is asked if `asks`. Gives when the next timer is due, in the
    /// loop's time; 0.0 when there is more to run now; None when there is nothing.
    ///
    /// # Errors
    /// A callback ended the step: `KeyboardInterrupt`, `SystemExit`.
    pub fn step(&self, py: Python<'_>, asks: bool) -> PyResult<Option<f64>> {
        if asks {
            self.look.bind(py).call1((0,))?;
        }
        let ready = self.ready.bind(py);
        for _ in 0..ROUNDS_PER_STEP {
            self.collect(py)?;
            let count = ready.len()?;
            if count == 0 {
                return self.next_due(py);
            }
            self.run_ready(py, count)?;
        }
        if ready.is_empty()? {
            self.next_due(py)
        } else {
            Ok(Some(0.0))
        }
    }

    /// Runs so many callbacks that are ready.
    fn run_ready(&self, py: Python<'_>, count: usize) -> PyResult<()> {
        let pop = self.pop.bind(py);
        for _ in 0..count {
            let handle = pop.call0()?;
            match handle.cast_exact::<Callback>() {
                Ok(callback) => self.run(py, callback)?,
                Err(_) if is_cancelled(&handle)? => {}
                Err(_) => handle.call_method0(name!(py, "_run")).map(drop)?,
            }
        }
        Ok(())
    }

    fn run(&self, py: Python<'_>, callback: &Bound<'_, Callback>) -> PyResult<()> {
        let call = callback.get().call.lock().take();
        let Some(Call { function, arguments, context }) = call else { return Ok(()) };
        let arguments = arguments.bind(py);
        let ran = if function.is(&self.set_result) && arguments.len() == 2 {
            set_result(arguments)
        } else {
            interp::run_in(context.bind(py), || function.bind(py).call1(arguments).map(drop))
        };
        match ran {
            Err(raised)
                if !raised.is_instance_of::<PySystemExit>(py)
                    && !raised.is_instance_of::<PyKeyboardInterrupt>(py) =>
            {
                let told = (&self.event_loop, callback, function, arguments, raised.into_value(py));
                self.report.bind(py).call1(told).map(drop)
            }
            ran => ran,
        }
    }
}

#[pymethods]
impl Agenda {
    /// As a loop's `call_soon`.
    #[pyo3(signature = (callback, *args, context = None))]
    fn call_soon<'py>(
        &self,
        py: Python<'py>,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Callback>> {
        let made = self.make(py, None, callback, args, context)?;
        self.append.bind(py).call1((&made,))?;
        Ok(made)
    }

    /// As a loop's `call_later`.
    #[pyo3(signature = (delay, callback, *args, context = None))]
    fn call_later<'py>(
        &self,
        py: Python<'py>,
        delay: f64,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Callback>> {
        self.call_at(py, self.now() + delay, callback, args, context)
    }

    /// As a loop's `call_at`.
    #[pyo3(signature = (when, callback, *args, context = None))]
    fn call_at<'py>(
        &self,
        py: Python<'py>,
        when: f64,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Callback>> {
        let made = self.make(py, Some(when), callback, args, context)?;
        self.schedule(when, made.clone().into_any().unbind());
        Ok(made)
    }

    /// Takes a timer handle of asyncio's.
    fn add(&self, when: f64, handle: Py<PyAny>) {
        self.schedule(when, handle);
    }

    /// A timer handle of asyncio's that lies here was cancelled.
    fn note_cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes ready what is due.
    fn collect(&self, py: Python<'_>) -> PyResult<()> {
        let end = self.now() + self.resolution;
        loop {
            let due = {
                let mut timers = self.timers.lock();
                match timers.heap.peek() {
                    Some(first) if first.when < end => timers.heap.pop(),
                    _ => None,
                }
            };
            let Some(due) = due else { return Ok(()) };
            if self.unschedule(due.handle.bind(py))? {
                self.append.bind(py).call1((due.handle,))?;
            }
        }
    }

    /// When the next timer is due, in the loop's time. Forgets cancelled ones: those that come first, and all of them once
    /// they are many.
    fn next_due(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let cancelled = self.cancelled.load(Ordering::Relaxed);
        if cancelled > MIN_CANCELLED && 2 * cancelled > self.timers() {
            self.sift(py)?;
        }
        loop {
            let first = {
                let timers = self.timers.lock();
                timers.heap.peek().map(|first| (first.when, first.number, first.handle.clone_ref(py)))
            };
            let Some((when, number, handle)) = first else { return Ok(None) };
            if !is_cancelled(handle.bind(py))? {
                return Ok(Some(when));
            }
            let popped = {
                let mut timers = self.timers.lock();
                let is_first = timers.heap.peek().is_some_and(|first| first.number == number);
                if is_first {
                    timers.heap.pop()
                } else {
                    None
                }
            };
            if let Some(popped) = popped {
                self.unschedule(popped.handle.bind(py))?;
            }
        }
    }

    /// Runs what is ready, once.
    fn run_round(&self, py: Python<'_>) -> PyResult<()> {
        let count = self.ready.bind(py).len()?;
        self.run_ready(py, count)
    }

    /// Runs one callback, for a loop that watches how long it takes.
    fn run_one(&self, callback: &Bound<'_, Callback>) -> PyResult<()> {
        self.run(callback.py(), callback)
    }

    /// Says whether the loop is in debug mode.
    fn debug(&self, enabled: bool) {
        self.is_debugged.store(enabled, Ordering::Relaxed);
    }

    /// Forgets all timers.
    fn clear(&self) {
        let heap = std::mem::take(&mut self.timers.lock().heap);
        drop(heap);
    }
}

impl Agenda {
    /// Notes that a timer has left the heap. Gives whether it is still to be called.
    fn unschedule(&self, handle: &Bound<'_, PyAny>) -> PyResult<bool> {
        let is_cancelled = match handle.cast_exact::<Callback>() {
            Ok(callback) => {
                callback.get().is_scheduled.store(false, Ordering::Relaxed);
                callback.get().cancelled()
            }
            Err(_) => {
                handle.setattr(name!(handle.py(), "_scheduled"), false)?;
                is_cancelled(handle)?
            }
        };
        if is_cancelled {
            let _ = self
                .cancelled
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
        }
        Ok(!is_cancelled)
    }

    /// Takes all cancelled timers out of the heap.
    fn sift(&self, py: Python<'_>) -> PyResult<()> {
        let all = std::mem::take(&mut self.timers.lock().heap);
        let mut kept = Vec::with_capacity(all.len());
        for entry in all {
            if !is_cancelled(entry.handle.bind(py))? || self.unschedule(entry.handle.bind(py))? {
                kept.push(entry);
            }
        }
        self.timers.lock().heap.extend(kept);
        Ok(())
    }
}

/// The moment in so many seconds; an hour at most. A loop may be told of any time, and no clock goes that far.
pub(super) fn in_seconds(seconds: f64) -> Instant {
    const FAR: Duration = Duration::from_secs(3600);
    Instant::now() + Duration::try_from_secs_f64(seconds.max(0.0)).map_or(FAR, |wait| wait.min(FAR))
}

fn is_cancelled(handle: &Bound<'_, PyAny>) -> PyResult<bool> {
    match handle.cast_exact::<Callback>() {
        Ok(callback) => Ok(callback.get().cancelled()),
        Err(_) => handle.getattr(name!(handle.py(), "_cancelled"))?.is_truthy(),
    }
}

/// What `_set_result_unless_cancelled` does.
fn set_result(arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
    let py = arguments.py();
    let future = arguments.get_borrowed_item(0)?;
    if !future.call_method0(name!(py, "cancelled"))?.is_truthy()? {
        future.call_method1(name!(py, "set_result"), (arguments.get_borrowed_item(1)?,))?;
    }
    Ok(())
}
