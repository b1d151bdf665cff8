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
use std::sync::Arc;

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
                    handle.deliver(outcome);
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
