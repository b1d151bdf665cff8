//! A fresh `contextvars` context for each request.
//!
//! Owns: the base context, copies of it, entering and leaving. Rule (`context_is_fresh`): what a request sets in its
//! copy is never seen by another request.

use super::Held;
use pyo3::ffi;
use pyo3::prelude::*;

/// The context that was current when the server was started; each request runs in a copy of it.
#[derive(Debug)]
pub struct BaseContext {
    base: Held<PyAny>,
    marker: Marker,
}

impl BaseContext {
    /// Copies the caller's current context.
    ///
    /// # Errors
    /// Out of memory.
    pub fn capture(py: Python<'_>) -> PyResult<Self> {
        Ok(BaseContext { base: Held::new(current_context(py)?.unbind()), marker: Marker::new(py)? })
    }

    /// A copy of this base made now, to be the base of one worker (so that workers share no reference count).
    pub fn copy_for_worker(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(BaseContext { base: Held::new(self.fresh(py)?.unbind()), marker: Marker::new(py)? })
    }

    /// A fresh copy, for one request.
    pub fn fresh<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: attached; the base is a live context object; gives a new reference, or null with the error set.
        let made = unsafe { ffi::PyContext_Copy(self.base.as_ptr()) };
        // SAFETY: as just said.
        unsafe { Bound::from_owned_ptr_or_err(py, made) }
    }

    /// Runs `work` inside a fresh copy.
    pub fn run<'py, R>(&self, py: Python<'py>, work: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        run_in(&self.fresh(py)?, || {
            self.marker.leave(py);
            work()
        })
    }
}

/// What each request leaves in its context where invariants are checked: none may find it there.
#[derive(Debug)]
struct Marker(#[cfg(feature = "invariants")] Held<PyAny>);

impl Marker {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let _ = py;
        #[cfg(feature = "invariants")]
        {
            let made = py.import("contextvars")?.getattr("ContextVar")?.call1(("turboapi_rs.invariants",))?;
            Ok(Marker(Held::new(made.unbind())))
        }
        #[cfg(not(feature = "invariants"))]
        Ok(Marker())
    }

    /// In the context of a request that begins.
    fn leave(&self, py: Python<'_>) {
        let _ = py;
        #[cfg(feature = "invariants")]
        crate::invariants::hold(crate::invariants::Invariant::ContextIsFresh, || {
            let marker = self.0.bind(py);
            let found = marker.call_method1("get", (py.None(),)).map(|found| !found.is_none());
            found.is_ok_and(|was_there| !was_there) && marker.call_method1("set", (true,)).is_ok()
        });
    }
}

/// A copy of the caller's current context.
///
/// # Errors
/// Out of memory.
pub fn current_context(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached; gives a new reference, or null with the error set.
    let made = unsafe { ffi::PyContext_CopyCurrent() };
    // SAFETY: as just said.
    unsafe { Bound::from_owned_ptr_or_err(py, made) }
}

/// Runs `work` inside a context.
///
/// # Errors
/// That of `work`; `RuntimeError` when the context is entered already.
pub fn run_in<R>(context: &Bound<'_, PyAny>, work: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    // SAFETY: attached; fails with the error set when the object is no context, or one that is entered already.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let entered = Entered(context);
    let result = work();
    drop(entered);
    result
}

/// Leaves a context when dropped, also when the work inside it panicked.
struct Entered<'a, 'py>(&'a Bound<'py, PyAny>);

impl Drop for Entered<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: attached on the thread that entered the context, which is left once. A handler cannot have left it
        // for us: `Context.run` restores what it entered.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0 {
            log::error!("a request's context could not be left: {}", PyErr::fetch(self.0.py()));
        }
    }
}
