//! Coroutines that do not suspend, run to their end at once, on any thread of the server.
//!
//! Owns: the step, and the loop that such a coroutine finds as the running one. Does not own: deciding that a coroutine
//! cannot suspend (`plans/suspends.py`).
//! Rule: the running loop is the application's home loop: itself on the worker that steps it, elsewhere a stand-in that
//! hands what it is given over to it (`guest_loop.Elsewhere`), so that `asyncio.create_task` works in such a coroutine.

use crate::interp::{self, Held};
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration};
use pyo3::intern;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

/// What coroutines on one thread find as the running loop. Threads end detached, so that the references are `Held`.
struct Running {
    get: Held<PyAny>,
    set: Held<PyAny>,
    event_loop: Held<PyAny>,
}

thread_local! {
    static RUNNING: RefCell<Option<Arc<Running>>> = const { RefCell::new(None) };
}

/// Makes `event_loop` the running loop of coroutines that this thread drives.
///
/// # Errors
/// asyncio could not be imported.
pub(super) fn adopt(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
    let asyncio = py.import("asyncio")?;
    let running = Running {
        get: Held::new(asyncio.getattr("_get_running_loop")?.unbind()),
        set: Held::new(asyncio.getattr("_set_running_loop")?.unbind()),
        event_loop: Held::new(event_loop.clone().unbind()),
    };
    RUNNING.with_borrow_mut(|slot| *slot = Some(Arc::new(running)));
    Ok(())
}

/// Forgets the calling thread's loop.
pub(super) fn forget() {
    let before = RUNNING.with_borrow_mut(Option::take);
    drop(before);
}

/// The stand-in for a home loop, for the threads of its server that have no loop. Written once, by its own worker.
#[derive(Debug, Default)]
pub struct StandIn(OnceLock<Held<PyAny>>);

impl StandIn {
    /// Made from the home loop.
    ///
    /// # Errors
    /// Python's own.
    pub fn announce(&self, py: Python<'_>, home: &Bound<'_, PyAny>) -> PyResult<()> {
        let made = py.import("turboapi_rs.guest_loop")?.getattr("Elsewhere")?.call1((home,))?;
        // Set before only if a server was started twice, which it is not.
        let _ = self.0.set(Held::new(made.unbind()));
        Ok(())
    }

    /// Makes it the running loop of coroutines that the calling thread drives, if that has none.
    pub fn adopt(&self, py: Python<'_>) {
        if RUNNING.with_borrow(Option::is_some) {
            return;
        }
        if let Some(stand_in) = self.0.get() {
            if let Err(raised) = adopt(py, stand_in.bind(py)) {
                log::error!("the running loop of a thread could not be set: {raised}");
            }
        }
    }
}

/// Runs a coroutine to its end and gives its result.
///
/// # Errors
/// What it raised; `RuntimeError` if it suspended, which it then has been closed for.
#[pyfunction]
pub fn drive<'py>(coroutine: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match stepped(coroutine)? {
        interp::Sent::Returned(value) => Ok(value),
        interp::Sent::Yielded(_) => Err(suspended(coroutine)),
    }
}

/// Runs an asynchronous generator to its next `yield` and gives what it yields; at its end, `ended`.
///
/// # Errors
/// What it raised; `RuntimeError` if it suspended elsewhere.
#[pyfunction]
pub fn advance<'py>(generator: &Bound<'py, PyAny>, ended: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = generator.py();
    let step = generator.call_method0(intern!(py, "__anext__"))?;
    match stepped(&step) {
        Ok(interp::Sent::Returned(value)) => Ok(value),
        Ok(interp::Sent::Yielded(_)) => Err(suspended(&step)),
        Err(raised) if raised.is_instance_of::<PyStopAsyncIteration>(py) => Ok(ended.clone()),
        Err(raised) => Err(raised),
    }
}

/// One step, with the thread's loop as the running one. A task that drives another coroutine keeps its own.
fn stepped<'py>(awaitable: &Bound<'py, PyAny>) -> PyResult<interp::Sent<'py>> {
    let py = awaitable.py();
    let Some(running) = RUNNING.with_borrow(Clone::clone) else { return interp::send_none(awaitable) };
    let before = running.get.bind(py).call0()?;
    if before.is(running.event_loop.bind(py)) {
        return interp::send_none(awaitable);
    }
    let set = running.set.bind(py);
    set.call1((running.event_loop.bind(py),))?;
    let sent = interp::send_none(awaitable);
    set.call1((before,))?;
    sent
}

fn suspended(awaitable: &Bound<'_, PyAny>) -> PyErr {
    match awaitable.call_method0(intern!(awaitable.py(), "close")) {
        Err(raised) => raised,
        Ok(_) => {
            PyRuntimeError::new_err("a coroutine without an await has suspended; mark its route @blocking")
        }
    }
}

/// Adds `drive` and `advance` to the extension module.
///
/// # Errors
/// As adding an attribute to a module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(drive, module)?)?;
    module.add_function(wrap_pyfunction!(advance, module)?)?;
    module.add_function(wrap_pyfunction!(super::handoff::note_call_back, module)?)?;
    module.add_function(wrap_pyfunction!(super::step_here, module)?)
}
