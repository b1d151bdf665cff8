//! The only place where thread states are made and raw CPython calls are written.
//!
//! Owns: attaching and detaching, thread states for life, fresh contexts, calls by vector, objects made past their
//! `__init__`, references that may be dropped on any thread, counts that are
//! deferred, attributes that are watched, bytes shared with Python. Does not
//! own: what is called.
//! Rule: every `unsafe` block is argued here; nothing above this module names the C API.

mod attribute;
mod bytes;
mod call;
mod context;
mod deferred;
mod function;
mod held;
mod isolate;
mod name;
mod object;

pub use attribute::Attribute;
pub use bytes::share_bytes;
pub use call::{ascii_str, call_positional, call_with_keyword, is_coroutine, latin1_str, send_none, Sent};
pub use context::{current_context, run_in, BaseContext};
pub use deferred::{defer_callable, defer_names};
pub use function::{callback, callback0, Function, Shared};
pub use held::Held;
pub use isolate::{in_own_interpreter, in_thread_state_of, interpreters_left_behind, OwnInterpreter};
pub(crate) use name::name;
pub use name::ThreadName;
pub use object::{dict_for, new_instance, set_of_keys, str_from_utf8, Slot};

use crate::invariants;
use pyo3::prelude::*;

/// Runs `work` attached to the interpreter. Cheap (about 45 ns, 10 when nested) on a thread that holds a thread state.
pub fn attach<R>(work: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    Python::attach(work)
}

/// Keeps one thread state for all of `run`, which itself starts detached.
///
/// Without it every attach makes and destroys a thread state (measured: 123 microseconds in place of 45 ns).
pub fn hold_thread_state(run: &mut dyn FnMut()) {
    invariants::set_attachment_probe(is_attached);
    // The closure leaves the thread detached for its whole run: it is only called from threads that Rust made.
    Python::attach(|py| {
        let run = Unmoved(run);
        py.detach(move || run.call());
    });
}

/// Lets a closure be called inside `detach` on the very thread that brought it.
struct Unmoved<'a>(&'a mut dyn FnMut());

// SAFETY: `Python::detach` asks for `Send` because its closure must not hold `Bound` references while detached. The
// closure runs on the calling thread, before `hold_thread_state` returns, so nothing changes threads; and no caller can
// pass a closure with a `Python` token of an outer attach, since worker and offload threads enter through here.
unsafe impl Send for Unmoved<'_> {}

impl Unmoved<'_> {
    fn call(self) {
        (self.0)();
    }
}

/// Is the calling thread attached to an interpreter?
pub fn is_attached() -> bool {
    // SAFETY: may be called on any thread; gives null on one that is not attached.
    !unsafe { pyo3::ffi::PyThreadState_GetUnchecked() }.is_null()
}

/// True when the GIL is off at this moment.
pub fn is_gil_disabled(py: Python<'_>) -> bool {
    py.import("sys")
        .and_then(|sys| sys.getattr("_is_gil_enabled"))
        .and_then(|probe| probe.call0())
        .and_then(|enabled| enabled.is_truthy())
        .is_ok_and(|enabled| !enabled)
}

/// True when this extension was built for a free-threaded interpreter.
pub const IS_FREE_THREADED_BUILD: bool = cfg!(Py_GIL_DISABLED);

/// A traceback as Python prints it, in one string.
pub fn traceback(py: Python<'_>, fault: &PyErr) -> String {
    let formatted = py
        .import("traceback")
        .and_then(|module| module.call_method1("format_exception", (fault.value(py),)))
        .and_then(|lines| lines.extract::<Vec<String>>());
    match formatted {
        Ok(lines) => lines.concat().trim_end().to_owned(),
        Err(_) => fault.to_string(),
    }
}
