//! Python functions that call Rust.
//!
//! Owns: built-in functions around a capsule, the capsule, what is dropped with it. Does not own: what they do.
//! Rule (`no_cross_interpreter`): the types are CPython's own, which all interpreters have. An instance of a `#[pyclass]`
//! would have its type, and that type's reference count, from the interpreter that loaded the extension.

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::null_mut;
use std::sync::Arc;

/// One way to call a value of Rust's from Python. A type without values: which code runs is known when it is compiled.
pub trait Function: 'static {
    /// What it is called on.
    type Of: Send + Sync + 'static;
    /// It takes one argument; otherwise none.
    const TAKES_ARGUMENT: bool;

    /// Does it. `argument` is `None` for a function that takes none.
    ///
    /// # Errors
    /// Raised in Python.
    fn call<'py>(on: &Shared<'py, Self::Of>, argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>;
}

/// A value that Python functions share. It is dropped when the last of them is gone, and all that Rust holds of it.
pub struct Shared<'py, T> {
    capsule: Bound<'py, PyAny>,
    holds: PhantomData<Arc<T>>,
}

/// What the capsules are called, in their `repr`.
const NAME: &CStr = c"turboapi_rs.function";

impl<'py, T: Send + Sync + 'static> Shared<'py, T> {
    /// Shares a value.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(py: Python<'py>, value: Arc<T>) -> PyResult<Self> {
        let value = Arc::into_raw(value).cast_mut();
        // SAFETY: attached (`py` proves it); the pointer is not null, the name lives for ever, and the destructor gets
        // what it expects: a capsule with a reference to a `T` in it.
        let raw = unsafe { ffi::PyCapsule_New(value.cast(), NAME.as_ptr(), Some(let_go::<T>)) };
        if raw.is_null() {
            // SAFETY: no capsule took over the reference that `into_raw` gave.
            drop(unsafe { Arc::from_raw(value) });
        }
        // SAFETY: a new reference, or null with the error set.
        let capsule = unsafe { Bound::from_owned_ptr_or_err(py, raw) }?;
        Ok(Shared { capsule, holds: PhantomData })
    }

    /// The value.
    pub fn value(&self) -> &T {
        // SAFETY: attached; a capsule of that name, made above, whose pointer is never replaced.
        let value = unsafe { ffi::PyCapsule_GetPointer(self.capsule.as_ptr(), NAME.as_ptr()) };
        // SAFETY: the capsule, which `self` keeps alive, has a reference to the value: `Shared<T>` is made around a
        // capsule of a `T` alone.
        unsafe { &*value.cast::<T>() }
    }

    /// A Python function that does `F` with the value.
    ///
    /// # Errors
    /// Out of memory.
    pub fn function<F: Function<Of = T>>(&self) -> PyResult<Bound<'py, PyAny>> {
        let definition: *const ffi::PyMethodDef = Definition::<F>::METHOD;
        let (slf, module) = (self.capsule.as_ptr(), null_mut());
        // SAFETY: attached (the capsule proves it); the definition is a constant, which CPython only reads; `slf` is a
        // capsule of a `T`, as `enter` expects.
        let made = unsafe { ffi::PyCFunction_NewEx(definition.cast_mut(), slf, module) };
        // SAFETY: a new reference, or null with the error set.
        unsafe { Bound::from_owned_ptr_or_err(self.capsule.py(), made) }
    }
}

struct Definition<F>(PhantomData<F>);

impl<F: Function> Definition<F> {
    const METHOD: &'static ffi::PyMethodDef = &ffi::PyMethodDef {
        ml_name: c"native".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: enter::<F> },
        ml_flags: if F::TAKES_ARGUMENT { ffi::METH_O } else { ffi::METH_NOARGS },
        ml_doc: std::ptr::null(),
    };
}

/// What CPython calls. A panic goes on as PyO3's own exception for it, which Rust resumes where it comes out.
unsafe extern "C" fn enter<F: Function>(
    capsule: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let result = Python::try_attach(|py| {
        let called = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: what the function was made with: CPython keeps it alive during the call.
            let capsule = unsafe { Bound::from_borrowed_ptr(py, capsule) };
            // SAFETY: a live argument, or null where the function takes none.
            let argument = unsafe { Bound::from_borrowed_ptr_or_opt(py, argument) };
            let argument = argument.unwrap_or_else(|| py.None().into_bound(py));
            F::call(&Shared { capsule, holds: PhantomData }, &argument)
        }));
        let result = called.unwrap_or_else(|payload| {
            let said = payload.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| payload.downcast_ref::<&str>().copied());
            Err(PanicException::new_err(said.unwrap_or("panic from Rust code").to_owned()))
        });
        match result {
            Ok(value) => value.into_ptr(),
            Err(raised) => {
                raised.restore(py);
                null_mut()
            }
        }
    });
    result.unwrap_or_else(|| {
        // SAFETY: CPython calls on attached threads alone, also at its end, when nobody attaches any more.
        let py = unsafe { Python::assume_attached() };
        PyRuntimeError::new_err("the interpreter is ending").restore(py);
        null_mut()
    })
}

/// The end of a capsule.
unsafe extern "C" fn let_go<T>(capsule: *mut ffi::PyObject) {
    // SAFETY: called by CPython with a capsule of that name.
    let value = unsafe { ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr()) };
    // SAFETY: the reference that the capsule was made with, given back once.
    drop(unsafe { Arc::from_raw(value.cast::<T>()) });
}

/// Calls a closure with its argument.
struct One<W>(PhantomData<W>);

impl<W> Function for One<W>
where
    W: for<'a> Fn(&Bound<'a, PyAny>) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
{
    type Of = W;
    const TAKES_ARGUMENT: bool = true;

    fn call<'py>(on: &Shared<'py, W>, argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        (on.value())(argument).map(|made| made.into_bound(argument.py()))
    }
}

/// Calls a closure.
struct Nothing<W>(PhantomData<W>);

impl<W> Function for Nothing<W>
where
    W: for<'a> Fn(Python<'a>) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
{
    type Of = W;
    const TAKES_ARGUMENT: bool = false;

    fn call<'py>(on: &Shared<'py, W>, argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        (on.value())(argument.py()).map(|made| made.into_bound(argument.py()))
    }
}

/// A Python function that calls `work` with its one argument.
///
/// # Errors
/// Out of memory.
pub fn callback<'py, W>(py: Python<'py>, work: W) -> PyResult<Bound<'py, PyAny>>
where
    W: for<'a> Fn(&Bound<'a, PyAny>) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
{
    Shared::new(py, Arc::new(work))?.function::<One<W>>()
}

/// A Python function that calls `work` without arguments. See [`callback`].
///
/// # Errors
/// Out of memory.
pub fn callback0<'py, W>(py: Python<'py>, work: W) -> PyResult<Bound<'py, PyAny>>
where
    W: for<'a> Fn(Python<'a>) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
{
    Shared::new(py, Arc::new(work))?.function::<Nothing<W>>()
}
