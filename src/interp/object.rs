//! Making objects as C extensions make them: instances without `__init__`, attributes past `__setattr__`, dicts of a
//! known size, sets of a dict's keys, strings of ASCII.
//!
//! Owns: the raw calls. Does not own: which class, which attributes.

use super::Held;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet, PyString, PyTuple, PyType};

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

/// A `str` of UTF-8 text; ASCII, which most text is, is copied without being decoded.
pub fn str_from_utf8<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // The shortest are shared objects, which must not be written.
    if text.len() < 2 || !text.is_ascii() {
        return PyString::from_bytes(py, text);
    }
    // SAFETY: attached (`py` proves it); 127 is the largest character, as was just checked.
    let raw = unsafe { ffi::PyUnicode_New(text.len() as ffi::Py_ssize_t, 127) };
    // SAFETY: a new reference, or null with the error set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, raw) }?;
    // SAFETY: a compact ASCII string, which is ready as soon as it is made.
    let data = unsafe { ffi::PyUnicode_DATA(raw) };
    // SAFETY: the object was made for as many bytes, of which there are two at least, so it is new and nobody else's; the
    // two do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), data.cast::<u8>(), text.len()) };
    Ok(object.cast_into::<PyString>()?)
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

/// A place in the instances of a class: a data descriptor, such as a slot or `__dict__`.
#[derive(Debug)]
pub struct Slot(Held<PyAny>);

impl Slot {
    /// The data descriptor of that name in the classes of which `class` is one, in the order of their resolution; `None`
    /// where what stands there is none.
    pub fn find(class: &Bound<'_, PyType>, name: &str) -> PyResult<Option<Slot>> {
        for base in class.mro().iter() {
            let found = base.getattr("__dict__")?.get_item(name).ok();
            if let Some(found) = found {
                return Ok(descriptor_set(&found).map(|_| Slot(Held::new(found.unbind()))));
            }
        }
        Ok(None)
    }

    /// What `object.__setattr__` does once it has found the descriptor.
    pub fn set(&self, instance: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = instance.py();
        let descriptor = self.0.bind(py);
        let Some(set) = descriptor_set(descriptor) else {
            return Err(PyTypeError::new_err("a descriptor that can no longer be set"));
        };
        // SAFETY: attached (`instance` proves it); three live references, all borrowed. Descriptors check the type of the
        // instance themselves.
        let outcome = unsafe { set(descriptor.as_ptr(), instance.as_ptr(), value.as_ptr()) };
        match outcome {
            0 => Ok(()),
            _ => Err(PyErr::fetch(py)),
        }
    }
}

fn descriptor_set(object: &Bound<'_, PyAny>) -> Option<ffi::descrsetfunc> {
    let raw = object.get_type_ptr();
    // SAFETY: the type of a live object is alive, and its slots were set when it was made.
    unsafe { (*raw).tp_descr_set }
}

/// The set of a dict's keys, with the hashes that the dict has of them.
pub fn set_of_keys<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PySet>> {
    // SAFETY: attached (`dict` proves it); any iterable will do.
    let set = unsafe { ffi::PySet_New(dict.as_ptr()) };
    // SAFETY: a new reference, or null with the error set.
    let set = unsafe { Bound::from_owned_ptr_or_err(dict.py(), set) }?;
    Ok(set.cast_into::<PySet>()?)
}
