//! An attribute whose value is known without reading it.
//!
//! Owns: [`Attribute`]; being told by the interpreter that an object's attribute was bound anew. Does not own: what the
//! attribute says (`dispatch::call_plan`).
//! Rule: nothing is counted while the attribute is as it was found. To read one counts a reference of the object and one of
//! the value: two lines of memory that all workers would write at each request. Once told, it is read each time.
//! Not noticed: a data descriptor of that name that is put into a class later.
//! Source: `PyDict_AddWatcher` and `PyDict_Watch` of CPython 3.12 and later. Main interpreter alone.

use super::Held;
use parking_lot::Mutex;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use std::ffi::{c_int, CStr};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Weak};

/// An attribute that holds a mapping, most often an empty one.
#[derive(Debug)]
pub struct Attribute {
    object: Held<PyAny>,
    name: Held<PyString>,
    /// Absent: it has to be read.
    known: Option<Known>,
}

/// What an attribute was found to be.
#[derive(Debug)]
struct Known {
    /// The dict that it held.
    value: Held<PyDict>,
    /// It may hold another one now.
    is_over: Arc<AtomicBool>,
    /// The addresses of the object's class and of its own `__dict__`, which are looked at, and not followed.
    class: usize,
    own: usize,
}

impl Known {
    fn holds(&self, object: &Bound<'_, PyAny>) -> bool {
        // As with every change of another thread's: who asks after it was made sees it.
        !self.is_over.load(Ordering::Acquire)
            && object.get_type_ptr() as usize == self.class
            && own_dict(object) == self.own
    }
}

impl Attribute {
    /// Looks at the attribute, and begins to watch it. Attached.
    ///
    /// # Errors
    /// What its classes raise when they are looked at.
    pub fn new(object: &Bound<'_, PyAny>, name: &'static CStr) -> PyResult<Self> {
        let text = PyString::intern(object.py(), &name.to_string_lossy());
        let known = plain_value(object, &text, name)?;
        Ok(Attribute { object: Held::new(object.clone().unbind()), name: Held::new(text.unbind()), known })
    }

    /// The value is true: the mapping has entries. Attached.
    ///
    /// # Errors
    /// What reading it raises, if it has to be read.
    pub fn is_truthy(&self, py: Python<'_>) -> PyResult<bool> {
        let object = self.object.bind(py);
        match &self.known {
            Some(known) if known.holds(object) => Ok(!known.value.bind(py).is_empty()),
            _ => object.getattr(self.name.bind(py))?.is_truthy(),
        }
    }
}

/// The address of an object's own `__dict__`; 0 for one that has none.
fn own_dict(object: &Bound<'_, PyAny>) -> usize {
    // SAFETY: attached, a live object. Where it keeps its dict, or null.
    let place = unsafe { _PyObject_GetDictPtr(object.as_ptr()) };
    if place.is_null() {
        return 0;
    }
    // SAFETY: the place is a part of the object, aligned, and is written as a whole.
    let place = unsafe { AtomicPtr::from_ptr(place) };
    place.load(Ordering::Acquire) as usize
}

/// The attribute, if it is a dict and any object's: in its own `__dict__`, and not a matter of its class.
fn plain_value<'py>(
    object: &Bound<'py, PyAny>,
    text: &Bound<'py, PyString>,
    name: &'static CStr,
) -> PyResult<Option<Known>> {
    let py = object.py();
    let class = object.get_type();
    let reads = |class: &Bound<'py, PyAny>| class.getattr(pyo3::intern!(py, "__getattribute__"));
    if !reads(&class)?.is(&reads(&py.get_type::<PyAny>())?) {
        return Ok(None);
    }
    for base in class.mro() {
        if base.getattr(pyo3::intern!(py, "__dict__"))?.contains(text)? {
            return Ok(None);
        }
    }
    // SAFETY: attached, a live object; the second argument is not used.
    let own = unsafe { ffi::PyObject_GenericGetDict(object.as_ptr(), std::ptr::null_mut()) };
    // SAFETY: a new reference, or null with the error set.
    let own = unsafe { Bound::from_owned_ptr_or_err(py, own) };
    let Ok(own) = own.and_then(|own| Ok(own.cast_into_exact::<PyDict>()?)) else { return Ok(None) };
    let Some(is_over) = watch(&own, name) else { return Ok(None) };
    // Read when it is watched: what comes between is told.
    let value = own.get_item(text)?.and_then(|value| value.cast_into_exact::<PyDict>().ok());
    let address = own.as_ptr() as usize;
    let known = value.map(|value| Known {
        value: Held::new(value.unbind()),
        is_over,
        class: class.as_ptr() as usize,
        own: address,
    });
    Ok(known.filter(|known| known.holds(object)))
}

/// A key of a dict that is watched, by the dict's address, which it has until the interpreter says that it is gone.
struct Mark {
    dict: usize,
    name: &'static CStr,
    is_over: Weak<AtomicBool>,
}

/// Nothing of Python's is done while it is held.
static MARKS: Mutex<Vec<Mark>> = Mutex::new(Vec::new());

/// The number of our watcher; `None` when the interpreter has no more of them.
static WATCHER: PyOnceLock<Option<c_int>> = PyOnceLock::new();

type Callback =
    unsafe extern "C" fn(c_int, *mut ffi::PyObject, *mut ffi::PyObject, *mut ffi::PyObject) -> c_int;

extern "C" {
    // `Include/cpython/dictobject.h`; PyO3 0.28 does not declare them.
    fn PyDict_AddWatcher(callback: Callback) -> c_int;
    fn PyDict_Watch(watcher: c_int, dict: *mut ffi::PyObject) -> c_int;
    // `Include/cpython/object.h`; what Cython and pybind11 use.
    fn _PyObject_GetDictPtr(object: *mut ffi::PyObject) -> *mut *mut ffi::PyObject;
}

/// Values of `PyDict_WatchEvent`.
const DELETED: c_int = 2;
const DEALLOCATED: c_int = 5;

fn watch(dict: &Bound<'_, PyDict>, name: &'static CStr) -> Option<Arc<AtomicBool>> {
    let py = dict.py();
    let added = WATCHER.get_or_init(py, || {
        // SAFETY: attached; a callback that keeps to what is asked of one. It is below 0, with the error set, when all
        // watchers are taken.
        told(py, unsafe { PyDict_AddWatcher(noticed) })
    });
    let number = (*added)?;
    let is_over = mark(dict.as_ptr() as usize, name);
    // SAFETY: attached, a live dict, a watcher of this interpreter. Its bit is written beside a number that each change of
    // the dict writes, under the dict's lock, which is held.
    let watched = with_critical_section(dict, || unsafe { PyDict_Watch(number, dict.as_ptr()) });
    told(py, watched).map(|_| is_over)
}

/// What a call gave; `None` for a number below 0, whose error is taken.
fn told(py: Python<'_>, given: c_int) -> Option<c_int> {
    if given >= 0 {
        return Some(given);
    }
    let raised = PyErr::fetch(py);
    log::debug!("an attribute is read at each request: {raised}");
    None
}

/// The mark of a key, which all that watch it share as long as it holds.
fn mark(dict: usize, name: &'static CStr) -> Arc<AtomicBool> {
    let mut marks = MARKS.lock();
    marks.retain(|mark| mark.is_over.strong_count() > 0);
    let mut known = marks.iter().filter(|mark| mark.dict == dict && mark.name == name);
    let holds = |mark: &Mark| mark.is_over.upgrade().filter(|is_over| !is_over.load(Ordering::Acquire));
    if let Some(is_over) = known.find_map(holds) {
        return is_over;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    marks.push(Mark { dict, name, is_over: Arc::downgrade(&is_over) });
    is_over
}

/// What the interpreter calls before it changes a dict that is watched, under its lock. Calls nothing that runs Python.
unsafe extern "C" fn noticed(
    event: c_int,
    dict: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> c_int {
    let is_of = |name: &CStr| {
        if event > DELETED {
            return true;
        }
        // SAFETY: attached; these events bring a live key.
        let is_str = unsafe { ffi::PyUnicode_CheckExact(key) } != 0;
        // A key of another type may be equal to a `str`.
        // SAFETY: as before, and a name that ends with a zero.
        !is_str || unsafe { ffi::PyUnicode_CompareWithASCIIString(key, name.as_ptr()) } == 0
    };
    MARKS.lock().retain(|mark| {
        if mark.dict != dict as usize || !is_of(mark.name) {
            return true;
        }
        if let Some(is_over) = mark.is_over.upgrade() {
            is_over.store(true, Ordering::Release);
        }
        event != DEALLOCATED
    });
    0
}
