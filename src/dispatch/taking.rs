//! Who takes of a body now: one at a time.
//!
//! Owns: [`Taking`]: the turn of whoever asks a body for a piece. Does not own: the body (`service::Exchange`), pieces,
//! whose turn it is (`takers`).
//! Rule: an exchange wakes one taker, so there is never a second one that waits in it: threads wait here for their turn,
//! and a task is refused, as a generator refuses a second `next()`. A task that was cancelled takes nothing any more.
//! Threads: any. No lock is held while Python runs.

use super::takers::{self, Takers};
use crate::home_loop::HomeLoop;
use crate::interp::{name, Held};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::Arc;
use std::thread::{self, ThreadId};

/// The turn at one body.
#[derive(Debug, Default)]
pub struct Taking(Arc<Takers<Arc<Waiting>>>);

/// What a task awaits: its key on the loop of a thread, and its future.
#[derive(Debug)]
pub struct Waiting {
    thread: ThreadId,
    key: u64,
    future: Held<PyAny>,
}

/// A turn: over when it is dropped.
pub type Turn = takers::Turn<Arc<Waiting>>;

impl Taking {
    /// The turn of a thread that may wait; waits for that of another.
    ///
    /// # Errors
    /// `RuntimeError`: a task awaits a piece.
    pub fn by_thread(&self, py: Python<'_>) -> PyResult<Turn> {
        let turn = self.0.by_thread(|takers| py.detach(|| takers.wait()), |waiting| waiting.has_left(py))?;
        turn.ok_or_else(taken)
    }

    /// The turn of a task of the calling thread's loop.
    ///
    /// # Errors
    /// `RuntimeError`: it is somebody else's.
    pub fn by_task(&self, py: Python<'_>, home: &HomeLoop) -> PyResult<Turn> {
        let turn = self.0.by_task(|waiting| {
            let has_left = waiting.has_left(py)?;
            // On another loop the key is another future's.
            if has_left && waiting.thread == thread::current().id() {
                home.forget(waiting.key);
            }
            Ok::<_, PyErr>(has_left)
        })?;
        turn.ok_or_else(taken)
    }

    /// The turn `number`, of a task of the calling thread's loop, goes on until `future` is done.
    pub fn awaits(&self, number: u64, key: u64, future: &Bound<'_, PyAny>) {
        let future = Held::new(future.clone().unbind());
        self.0.awaits(number, Arc::new(Waiting { thread: thread::current().id(), key, future }));
    }
}

impl Waiting {
    /// It is awaited no more, or was done.
    fn has_left(&self, py: Python<'_>) -> PyResult<bool> {
        self.future.bind(py).call_method0(name!(py, "done"))?.is_truthy()
    }
}

fn taken() -> PyErr {
    PyRuntimeError::new_err("the body is being taken: another task or thread waits for its next piece")
}
