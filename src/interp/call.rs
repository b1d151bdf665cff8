//! Calls and lookups that PyO3 has no safe or no cheap form for.
//!
//! Owns: calling by vector with arguments counted at run time. Does not own: which arguments.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// Positional arguments up to which the vector lives on the stack.
const STACK_ARGUMENTS: usize = 8;

/// Calls `callable` with positional arguments and no keyword, by vectorcall: no tuple is made.
pub fn call_positional<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: &[Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    if arguments.len() > STACK_ARGUMENTS {
        return callable.call1(PyTuple::new(py, arguments)?);
    }
    // One slot is left free in front: a bound method puts its `self` there in place of copying the vector.
    let mut vector = [std::ptr::null_mut::<ffi::PyObject>(); STACK_ARGUMENTS + 1];
    for (slot, argument) in vector[1..].iter_mut().zip(arguments) {
        *slot = argument.as_ptr();
    }
    // SAFETY: the slot behind the free one is in bounds: the array has `STACK_ARGUMENTS + 1` of them.
    let first = unsafe { vector.as_mut_ptr().add(1) };
    let count = arguments.len() | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
    // SAFETY: attached (`callable` proves it); `first` points at `arguments.len()` borrowed, live references, and the
    // slot in front of it may be written, as the offset flag says.
    let result =
        unsafe { ffi::PyObject_Vectorcall(callable.as_ptr(), first.cast(), count, std::ptr::null_mut()) };
    // SAFETY: a new reference, or null with the error set.
    unsafe { Bound::from_owned_ptr_or_err(py, result) }
}

/// Calls `callable(value, NAME=keyword)`, by vectorcall; `names` is `(NAME,)`.
pub fn call_with_keyword<'py>(
    callable: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
    names: &Bound<'py, PyTuple>,
    keyword: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // One slot is left free in front, as above.
    let mut vector = [std::ptr::null_mut(), value.as_ptr(), keyword.as_ptr()];
    // SAFETY: the slot behind the free one is in bounds.
    let first = unsafe { vector.as_mut_ptr().add(1) };
    let count = 1 | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
    // SAFETY: attached (`callable` proves it); `first` points at one positional and one keyword argument, borrowed and
    // alive, `names` holds the one name, and the slot in front may be written.
    let result = unsafe { ffi::PyObject_Vectorcall(callable.as_ptr(), first.cast(), count, names.as_ptr()) };
    // SAFETY: a new reference, or null with the error set.
    unsafe { Bound::from_owned_ptr_or_err(callable.py(), result) }
}

/// True for the object that calling an `async def` function gives.
pub fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: reads the type of a live object.
    unsafe { ffi::PyCoro_CheckExact(object.as_ptr()) != 0 }
}

/// A `str` from bytes that should be ASCII; what is not UTF-8 is replaced.
pub fn ascii_str<'py>(py: Python<'py>, text: &[u8]) -> Bound<'py, PyString> {
    PyString::new(py, &String::from_utf8_lossy(text))
}

/// A `str` from bytes, one character a byte, as the values of fields are read in WSGI and ASGI tools.
pub fn latin1_str<'py>(py: Python<'py>, text: &[u8]) -> Bound<'py, PyString> {
    if text.is_ascii() {
        return ascii_str(py, text);
    }
    let decoded: String = text.iter().map(|&byte| char::from(byte)).collect();
    PyString::new(py, &decoded)
}

/// What resuming a coroutine came to.
pub enum Sent<'py> {
    /// It ended with this result.
    Returned(Bound<'py, PyAny>),
    /// It suspended with this.
    Yielded(Bound<'py, PyAny>),
}

/// Resumes a coroutine with `None`. No `StopIteration` is made for its result.
///
/// # Errors
/// What it raised.
pub fn send_none<'py>(coroutine: &Bound<'py, PyAny>) -> PyResult<Sent<'py>> {
    let py = coroutine.py();
    let mut result: *mut ffi::PyObject = std::ptr::null_mut();
    let none = py.None();
    // SAFETY: attached (`coroutine` proves it); both objects are alive, and `result` may be written.
    let status = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), none.as_ptr(), &mut result) };
    // SAFETY: a new reference, or null with the error set, as the status says.
    let value = unsafe { Bound::from_owned_ptr_or_err(py, result) }?;
    match status {
        ffi::PySendResult::PYGEN_RETURN => Ok(Sent::Returned(value)),
        _ => Ok(Sent::Yielded(value)),
    }
}
