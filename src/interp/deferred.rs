//! Counts of references that the threads of several workers would write at each call, deferred where that can be.
//!
//! Owns: asking the interpreter (CPython 3.14, free-threaded) not to count what its frames hold of an object.
//! Does not own: for what, and when (`dispatch::local`).
//! Rule: only for what a route keeps for as long as it is served: such an object is freed by the garbage collector alone.
//! Functions, classes and modules are so by themselves. Elsewhere nothing is done: before 3.14 there is no such call, and
//! with the GIL no need.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// For what is called: itself, and, of a bound method, the object that it is bound to.
///
/// # Errors
/// Out of memory.
pub fn defer_callable(callable: &Bound<'_, PyAny>) -> PyResult<()> {
    if !CAN_DEFER {
        return Ok(());
    }
    defer(callable);
    let method_type = callable.py().import("types")?.getattr("MethodType")?;
    if callable.get_type().is(&method_type) {
        defer(&callable.getattr("__self__")?);
    }
    Ok(())
}

/// For a function with a namespace of its own: itself, and all that it finds there.
///
/// # Errors
/// It is no function; out of memory.
pub fn defer_names(function: &Bound<'_, PyAny>) -> PyResult<()> {
    if !CAN_DEFER {
        return Ok(());
    }
    defer(function);
    let names = function.getattr("__globals__")?.cast_into::<PyDict>()?;
    names.values().iter().try_for_each(|value| defer_callable(&value))
}

const CAN_DEFER: bool = cfg!(all(Py_3_14, Py_GIL_DISABLED));

#[cfg(all(Py_3_14, Py_GIL_DISABLED))]
fn defer(object: &Bound<'_, PyAny>) {
    extern "C" {
        // `Include/cpython/object.h`; PyO3 0.28 does not declare it.
        fn PyUnstable_Object_EnableDeferredRefcount(object: *mut pyo3::ffi::PyObject) -> std::ffi::c_int;
    }
    // SAFETY: attached, and the object is alive (`object` proves both). The call cannot fail, may be made from any thread
    // while others use the object, and does nothing to one that is deferred already or that the collector does not know.
    unsafe { PyUnstable_Object_EnableDeferredRefcount(object.as_ptr()) };
}

#[cfg(not(all(Py_3_14, Py_GIL_DISABLED)))]
fn defer(_: &Bound<'_, PyAny>) {}
