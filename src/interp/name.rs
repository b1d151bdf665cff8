//! Constant names, made once a thread.
//!
//! Owns: [`name!`]. Rule (`no_cross_interpreter`): a thread belongs to one interpreter for life, so what is kept by thread
//! is kept by interpreter. PyO3's `intern!` keeps one object for the whole process, which another interpreter must not
//! touch.

use pyo3::prelude::*;
use pyo3::types::PyString;
use std::cell::Cell;
use std::ptr::null_mut;

/// A place for one name, of one thread. Its reference is never given back: interned strings stay, and the last call of a
/// thread may come when nothing can be dropped any more.
#[derive(Debug)]
pub struct ThreadName(Cell<*mut pyo3::ffi::PyObject>);

impl ThreadName {
    /// An empty place.
    pub const fn new() -> Self {
        ThreadName(Cell::new(null_mut()))
    }

    /// The name; made at the first call.
    pub fn get<'py>(&self, py: Python<'py>, text: &'static str) -> Bound<'py, PyString> {
        if self.0.get().is_null() {
            self.0.set(PyString::intern(py, text).into_ptr());
        }
        // SAFETY: `into_ptr` above kept the reference that this place owns for good, and no other thread sees the place.
        let name = unsafe { Bound::from_borrowed_ptr(py, self.0.get()) };
        // SAFETY: `PyString::intern` gives an exact `str`.
        unsafe { name.cast_into_unchecked() }
    }
}

impl Default for ThreadName {
    fn default() -> Self {
        Self::new()
    }
}

/// The `str` object of a constant, as `intern!` gives it, but one for each thread: `name!(py, "close")`.
macro_rules! name {
    ($py:expr, $text:literal) => {{
        std::thread_local! {
            static NAME: $crate::interp::ThreadName = const { $crate::interp::ThreadName::new() };
        }
        NAME.with(|name| name.get($py, $text))
    }};
}
pub(crate) use name;
