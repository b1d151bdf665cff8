//! Interpreters of their own for worker threads (PEP 684: own GIL, nothing shared).
//!
//! Owns: making and ending a sub-interpreter, thread states in it. Does not own: what runs there (`isolated`).
//! Rule (`no_cross_interpreter`): a thread belongs to one interpreter for life. It is made and ended on the worker thread
//! that uses it, one at a time in the process, and ended only when no other thread has a state in it.
//! `Python::attach` on such a thread attaches to its own interpreter: CPython remembers the first state of each thread.

use parking_lot::Mutex;
use pyo3::ffi;
use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Making and ending interpreters is not safe from two threads at once (runtime-wide tables of types and modules).
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Interpreters that could not be ended.
static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);

/// How many interpreters could not be ended. CPython aborts a process that exits in the usual way with one.
pub fn interpreters_left_behind() -> usize {
    LEFT_BEHIND.load(Ordering::Relaxed)
}

/// Names one interpreter, as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterpreterId(usize);

impl InterpreterId {
    /// The one that the calling thread is attached to.
    pub fn current() -> Self {
        // SAFETY: the caller is attached, as everybody is who holds or drops a reference.
        InterpreterId(unsafe { ffi::PyInterpreterState_Get() } as usize)
    }
}

/// A living interpreter of a worker.
#[derive(Clone, Copy, Debug)]
pub struct OwnInterpreter(*mut ffi::PyInterpreterState);

// SAFETY: only passed to `PyThreadState_New`, which takes the interpreter's own lock; `in_thread_state_of` says that the
// interpreter must live.
unsafe impl Send for OwnInterpreter {}

const CONFIG: ffi::PyInterpreterConfig = ffi::PyInterpreterConfig {
    use_main_obmalloc: 0,
    allow_fork: 0,
    allow_exec: 0,
    allow_threads: 1,
    allow_daemon_threads: 0,
    check_multi_interp_extensions: 1,
    gil: ffi::PyInterpreterConfig_OWN_GIL,
};

/// Makes an interpreter on the calling thread, calls `run` detached, and ends it.
///
/// `run` is called in any case; with the reason, on a thread without interpreter, if none could be made. The calling
/// thread must have had no thread state before.
pub fn in_own_interpreter(run: &mut dyn FnMut(Result<OwnInterpreter, String>)) {
    let mut state = null_mut();
    let status = {
        let _alone = ONE_AT_A_TIME.lock();
        // SAFETY: Python is initialised (the server is a Python object); this thread has no state, which is allowed: the
        // configuration is then copied from the main interpreter's. On success the new state is current.
        let status = unsafe { ffi::Py_NewInterpreterFromConfig(&mut state, &CONFIG) };
        if !state.is_null() {
            // SAFETY: the new state is current. Detached before the lock is given back, so nobody waits attached.
            unsafe { ffi::PyEval_SaveThread() };
        }
        status
    };
    // SAFETY: reads the value that was just returned.
    if unsafe { ffi::PyStatus_Exception(status) } != 0 || state.is_null() {
        let reason = if status.err_msg.is_null() {
            "no reason given".to_owned()
        } else {
            // SAFETY: a message of CPython's is a constant, zero-terminated string.
            unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy().into_owned()
        };
        return run(Err(reason));
    }
    let unwinding = LeftInUnwinding;
    // SAFETY: the state lives until `end`.
    run(Ok(OwnInterpreter(unsafe { ffi::PyThreadState_GetInterpreter(state) })));
    std::mem::forget(unwinding);
    end(state);
}

/// Dropped when a worker panics: nobody knows what its interpreter still holds, so that it is not ended.
struct LeftInUnwinding;

impl Drop for LeftInUnwinding {
    fn drop(&mut self) {
        LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ends the interpreter of `state`, which belongs to this thread and is not current.
fn end(state: *mut ffi::PyThreadState) {
    let _alone = ONE_AT_A_TIME.lock();
    // SAFETY: `state` belongs to this thread, and is not current: everything that ran here has detached.
    unsafe { ffi::PyEval_RestoreThread(state) };
    // SAFETY: `state` lives.
    let interpreter = unsafe { ffi::PyThreadState_GetInterpreter(state) };
    // SAFETY: the interpreter lives while its state does.
    let first = unsafe { ffi::PyInterpreterState_ThreadHead(interpreter) };
    // SAFETY: `first` is a state of this interpreter: ours is one.
    let second = unsafe { ffi::PyThreadState_Next(first) };
    if first != state || !second.is_null() {
        // A job that blocks for ever. CPython would abort the process; the interpreter goes with the process instead.
        log::warn!("an interpreter is left behind: a thread of it does not end");
        LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `state` is current.
        unsafe { ffi::PyEval_SaveThread() };
        return;
    }
    // SAFETY: `state` is current, and the only one of its interpreter, as was just seen; nobody makes another one, since
    // its worker, which is this thread, has ended.
    unsafe { ffi::Py_EndInterpreter(state) };
}

/// Calls `run` on a thread that has a thread state of a worker's interpreter, detached. Of a thread that has none yet.
///
/// The interpreter must live until this returns: its worker waits for its threads.
pub fn in_thread_state_of(interpreter: OwnInterpreter, run: &mut dyn FnMut()) {
    // SAFETY: the interpreter lives (see above). The state is bound to this thread and is not current.
    let state = unsafe { ffi::PyThreadState_New(interpreter.0) };
    if state.is_null() {
        log::error!("no memory for a thread state");
        return;
    }
    run();
    // SAFETY: the state belongs to this thread, which is detached.
    unsafe { ffi::PyEval_RestoreThread(state) };
    // SAFETY: the state is current.
    unsafe { ffi::PyThreadState_Clear(state) };
    // SAFETY: the state is current and was cleared.
    unsafe { ffi::PyThreadState_DeleteCurrent() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{catch_unwind, AssertUnwindSafe};

    /// CPython aborts a process that ends with an interpreter that it thinks is in use: it has to be known of.
    #[test]
    fn interpreter_of_a_worker_that_panicked_is_left_behind_and_counted() {
        pyo3::Python::initialize();
        let before = interpreters_left_behind();
        let worker = std::thread::spawn(|| {
            let lived = catch_unwind(AssertUnwindSafe(|| {
                in_own_interpreter(&mut |own| {
                    own.expect("one can be made");
                    panic!("a worker that dies");
                });
            }));
            assert!(lived.is_err());
        });
        worker.join().expect("the panic was caught");
        assert_eq!(interpreters_left_behind(), before + 1);
        let another = std::thread::spawn(|| in_own_interpreter(&mut |own| assert!(own.is_ok())));
        another.join().expect("another worker is not held up");
        assert_eq!(interpreters_left_behind(), before + 1);
    }
}
