//! An attribute whose value is known without reading it.
//!
//! Owns: [`Attribute`]; being told by the interpreter that an object's attribute was bound anew. Does not own: what the
//! attribute says (`dispatch::call_plan`).
//! Rule: nothing is counted while the attribute is as it was found. To read one counts a reference of the object and one of
//! the value: two lines of memory that all workers would write at each request. Once told, it is read each time.
//! Not noticed: a data descriptor of that name put into a class later, another `__class__`, and another `__dict__` while
//! somebody keeps the first one.
//! Source: `PyDict_AddWatcher` and `PyDict_Watch` of CPython 3.12 and later. Main interpreter alone.

use super::Held;
use parking_lot::Mutex;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use std::ffi::{c_int, CStr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// An attribute that holds a mapping, most often an empty one.
#[derive(Debug)]
pub struct Attribute {
    object: Held<PyAny>,
    name: Held<PyString>,
    /// The dict that it was found to hold, and whether it may hold another one now. Absent: it has to be read.
    known: Option<(Held<PyDict>, Arc<AtomicBool>)>,
}

impl Attribute {
    /// Looks at the attribute, and begins to watch it. Attached.
    ///
    /// # Errors
    /// What its classes raise when they are looked at.
    pub fn new(object: &Bound<'_, PyAny>, name: &'static CStr) -> PyResult<Self> {
        let text = PyString::intern(object.py(), &name.to_string_lossy());
        let known = plain_value(object, &text, name)?;
        let known = known.map(|(value, is_over)| (Held::new(value.unbind()), is_over));
        Ok(Attribute { object: Held::new(object.clone().unbind()), name: Held::new(text.unbind()), known })
    }

    /// The value is true: the mapping has entries. Attached.
    ///
    /// # Errors
    /// What reading it raises, if it has to be read.
    pub fn is_truthy(&self, py: Python<'_>) -> PyResult<bool> {
        match &self.known {
            // As with every change of another thread's: who asks after it was made sees it.
            Some((dict, is_over)) if !is_over.load(Ordering::Acquire) => Ok(!dict.bind(py).is_empty()),
            _ => self.object.bind(py).getattr(self.name.bind(py))?.is_truthy(),
        }
    }
}

/// A dict that is the attribute as any object has one, in its own `__dict__`, and its mark; `None` for all else.
fn plain_value<'py>(
    object: &Bound<'py, PyAny>,
    text: &Bound<'py, PyString>,
    name: &'static CStr,
) -> PyResult<Option<(Bound<'py, PyDict>, Arc<AtomicBool>)>> {
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
    Ok(value.map(|value| (value, is_over)))
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
