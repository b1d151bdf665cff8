//! Making objects as C extensions make them: instances without `__init__`, attributes past `__setattr__`, dicts of a
//! known size.
//!
//! Owns: the raw calls. Does not own: which class, which attributes.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

extern "C" {
    /// Declared by `cpython/dictobject.h` from 3.8 to 3.14; PyO3 leaves it out.
    fn _PyDict_NewPresized(minused: ffi::Py_ssize_t) -> *mut ffi::PyObject;
}

/// Entries up to which an empty dict needs no second table.
const SMALL_DICT: usize = 5;

/// An empty dict with room for as many entries.
pub fn dict_for(py: Python<'_>, entries: usize) -> PyResult<Bound<'_, PyDict>> {
    if entries <= SMALL_DICT {
        return Ok(PyDict::new(py));
    }
    // SAFETY: attached (`py` proves it); the count is one of entries at hand, far below the largest allowed.
    let raw = unsafe { _PyDict_NewPresized(entries as ffi::Py_ssize_t) };
    // SAFETY: a new reference, or null with the error set.
    let dict = unsafe { Bound::from_owned_ptr_or_err(py, raw) }?;
    Ok(dict.cast_into::<PyDict>()?)
}

/// `cls.__new__(cls)`, by way of the type's slot.
pub fn new_instance<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let raw = class.as_type_ptr();
    // SAFETY: the type object is alive as long as `class`, and its slots were set when it was made.
    let Some(new) = (unsafe { (*raw).tp_new }) else {
        return Err(PyTypeError::new_err("a class without `__new__`"));
    };
    let arguments = PyTuple::empty(py);
    // SAFETY: attached; the slot takes the type, a tuple, and a dict that may be null.
    let instance = unsafe { new(raw, arguments.as_ptr(), std::ptr::null_mut()) };
    // SAFETY: a new reference, or null with the error set.
    unsafe { Bound::from_owned_ptr_or_err(py, instance) }
}

/// `object.__setattr__(object, name, value)`
pub fn set_attribute(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: attached (`object` proves it); three live references, all borrowed.
    let outcome = unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()) };
    match outcome {
        0 => Ok(()),
        _ => Err(PyErr::fetch(object.py())),
    }
}
