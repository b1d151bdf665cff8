//! Functions of a loop's tasks, run on the offload pool.
//!
//! Owns: [`Handoff`], which queues a call, and [`Outcome`], which brings its result to the loop.
//! Does not own: which functions come (`turboapi_rs.handoff`), the pool (`runtime`).
//! Rule: an outcome is told to its future on the loop's thread, once; outcomes that come together cost one wake-up.
//! Threads: `submit` on the loop's thread; the call on a thread of the pool, in the context that it came with.

use super::LoopHandle;
use crate::interp::{self, Held};
use crate::service::Offload;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::cell::Cell;
use std::sync::{Arc, OnceLock};

/// The way from one loop to the pool and back.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub struct Handoff {
    handle: Arc<LoopHandle>,
    offload: Offload,
}

impl Handoff {
    /// From the loop behind `handle` to the pool behind `offload`.
    pub fn new(handle: Arc<LoopHandle>, offload: Offload) -> Self {
        Handoff { handle, offload }
    }
}

/// One call, on its way.
struct Call {
    future: Held<PyAny>,
    context: Held<PyAny>,
    function: Held<PyAny>,
    arguments: Held<PyTuple>,
}

/// What a call came to, and who waits for it.
pub(super) struct Outcome {
    future: Held<PyAny>,
    /// The result, or the exception.
    value: Result<Held<PyAny>, Held<PyAny>>,
}

#[pymethods]
impl Handoff {
    /// Queues `context.run(function, *arguments)`, whose outcome `future` gets. False: the pool takes no more now.
    fn submit(
        &self,
        py: Python<'_>,
        future: Py<PyAny>,
        context: Py<PyAny>,
        function: Py<PyAny>,
        arguments: Py<PyTuple>,
    ) -> bool {
        let call = Call {
            future: Held::new(future),
            context: Held::new(context),
            function: Held::new(function),
            arguments: Held::new(arguments),
        };
        let handle = self.handle.clone();
        // The pool's lock is held by nobody who is attached and waits: it is held for a few steps, and never across a
        // call into Python.
        let submitted = self.offload.submit(Box::new(move || {
            interp::attach(|py| {
                if let Some(outcome) = call.make(py) {
                    handle.mailbox.deliver(outcome);
                }
            });
        }));
        let _ = py;
        submitted.is_ok()
    }
}

impl Call {
    /// Makes the call, unless its waiter has cancelled it.
    fn make(self, py: Python<'_>) -> Option<Outcome> {
        let Call { future, context, function, arguments } = self;
        if is_done(future.bind(py)) {
            return None;
        }
        let made = interp::run_in(context.bind(py), || function.bind(py).call1(arguments.bind(py)));
        let value = match made {
            Ok(result) => Ok(Held::new(result.unbind())),
            Err(raised) => Err(Held::new(raised.into_value(py).into_any())),
        };
        Some(Outcome { future, value })
    }
}

impl Outcome {
    /// Tells the future, unless its waiter has left. On the loop's thread.
    pub(super) fn settle(self, py: Python<'_>) -> PyResult<()> {
        let future = self.future.bind(py);
        if is_done(future) {
            return Ok(());
        }
        match self.value {
            Ok(result) => future.call_method1(intern!(py, "set_result"), (result.bind(py),)),
            Err(raised) => future.call_method1(intern!(py, "set_exception"), (raised.bind(py),)),
        }
        .map(drop)
    }
}

fn is_done(future: &Bound<'_, PyAny>) -> bool {
    let done = future.call_method0(intern!(future.py(), "done"));
    done.and_then(|done| done.is_truthy()).unwrap_or(false)
}

/// What makes a thread of the pool one that may call back into the loop. Written once, by the loop's own worker.
#[derive(Debug, Default)]
pub struct Claim(OnceLock<Held<PyAny>>);

thread_local! {
    static IS_CLAIMED: Cell<bool> = const { Cell::new(false) };
    static HAS_CALLED_BACK: Cell<bool> = const { Cell::new(false) };
}

impl Claim {
    /// For the loop of that name.
    ///
    /// # Errors
    /// Python's own.
    pub(super) fn announce(&self, py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let claim = py.import("turboapi_rs.handoff")?.getattr("claim_of")?.call1((event_loop,))?;
        if !claim.is_none() {
            // Set before only if a server was started twice, which it is not.
            let _ = self.0.set(Held::new(claim.unbind()));
        }
        Ok(())
    }

    /// Notes that the calling thread, which steps a loop of its own, has been claimed for that, or is so no more.
    pub(super) fn note_own(is_own: bool) {
        IS_CLAIMED.set(is_own);
    }

    /// Claims the calling thread, one of the pool or a worker without a loop, once.
    pub fn claim_thread(&self, py: Python<'_>) {
        if IS_CLAIMED.replace(true) {
            return;
        }
        if let Some(Err(raised)) = self.0.get().map(|claim| claim.call0(py)) {
            log::error!("a thread of the pool could not be made one of anyio's: {raised}");
        }
    }
}

/// Notes that the function which this thread runs has called back into the event loop.
#[pyfunction(name = "_note_call_back")]
pub(super) fn note_call_back() {
    HAS_CALLED_BACK.set(true);
}

/// Has a function on this thread called back into the event loop since this was last asked?
pub fn take_call_back() -> bool {
    HAS_CALLED_BACK.replace(false)
}
