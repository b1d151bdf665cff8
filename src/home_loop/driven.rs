//! Coroutines that do not suspend, run to their end at once, on any thread of the server.
//!
//! Owns: the step, and the loop that such a coroutine finds as the running one. Does not own: deciding that a coroutine
//! cannot suspend (`plans/suspends.py`).
//! Rule: the running loop is the application's home loop: itself on the worker that steps it, elsewhere a stand-in that
//! hands what it is given over to it (`guest_loop.Elsewhere`), so that `asyncio.create_task` works in such a coroutine.

use crate::interp::{self, Held};
use parking_lot::RwLock;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;

/// What coroutines on one thread find as the running loop.
struct Running {
    set: Py<PyAny>,
    event_loop: Py<PyAny>,
    none: Py<PyAny>,
}

thread_local! {
    static RUNNING: RefCell<Option<Arc<Running>>> = const { RefCell::new(None) };
}

/// The stand-in for threads without a loop. Written at start, by the worker that steps the home loop.
static ELSEWHERE: RwLock<Option<Held<PyAny>>> = RwLock::new(None);

/// Makes `event_loop` the running loop of coroutines that this thread drives.
///
/// # Errors
/// asyncio could not be imported.
pub fn adopt(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
    let set = py.import("asyncio")?.getattr("_set_running_loop")?.unbind();
    let running = Running { set, event_loop: event_loop.clone().unbind(), none: py.None() };
    RUNNING.with_borrow_mut(|slot| *slot = Some(Arc::new(running)));
    Ok(())
}

/// Makes the stand-in for `home` known to all threads that have no loop of their own.
///
/// # Errors
/// Python's own.
pub fn announce(py: Python<'_>, home: &Bound<'_, PyAny>) -> PyResult<()> {
    let made = py.import("turboapi_rs.guest_loop")?.getattr("Elsewhere")?.call1((home,))?;
    let before = ELSEWHERE.write().replace(Held::new(made.unbind()));
    drop(before);
    Ok(())
}

/// Forgets the calling thread's loop.
pub fn forget() {
    let before = RUNNING.with_borrow_mut(Option::take);
    drop(before);
}

fn running(py: Python<'_>) -> PyResult<Option<Arc<Running>>> {
    if let Some(known) = RUNNING.with_borrow(Clone::clone) {
        return Ok(Some(known));
    }
    let stand_in = ELSEWHERE.read().as_ref().map(|held| held.clone_ref(py));
    let Some(stand_in) = stand_in else { return Ok(None) };
    adopt(py, stand_in.bind(py))?;
    Ok(RUNNING.with_borrow(Clone::clone))
}

/// Runs a coroutine to its end and gives its result.
///
/// # Errors
/// What it raised; `RuntimeError` if it suspended, which it then has been closed for.
#[pyfunction]
pub fn drive<'py>(coroutine: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = coroutine.py();
    let running = running(py)?;
    if let Some(running) = &running {
        running.set.bind(py).call1((running.event_loop.bind(py),))?;
    }
    let sent = interp::send_none(coroutine);
    if let Some(running) = &running {
        running.set.bind(py).call1((running.none.bind(py),))?;
    }
    match sent? {
        interp::Sent::Returned(value) => Ok(value),
        interp::Sent::Yielded(_) => {
            coroutine.call_method0("close")?;
            Err(PyRuntimeError::new_err("a coroutine without an await has suspended; mark its route @blocking"))
        }
    }
}

/// Adds `drive` to the extension module.
///
/// # Errors
/// As adding an attribute to a module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(drive, module)?)
}
