//! Who takes of a body now: one at a time.
//!
//! Owns: [`Taking`]: the turn of whoever asks a body for a piece. Does not own: the body (`service::Exchange`), pieces.
//! Rule: an exchange wakes one taker, so there is never a second one that waits in it: threads wait here for their turn,
//! and a task is refused, as a generator refuses a second `next()`. A task that was cancelled takes nothing any more.
//! Threads: any. No lock is held while Python runs.

use crate::home_loop::HomeLoop;
use crate::interp::{name, Held};
use crate::invariants;
use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::Arc;

/// The turn at one body.
#[derive(Debug, Default)]
pub struct Taking {
    state: Mutex<State>,
    /// A turn has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    turn: Option<Who>,
    /// Turns begun so far: what tells one from another.
    begun: u64,
}

/// Whose turn it is.
#[derive(Debug)]
enum Who {
    Thread,
    Task(Option<Waiting>),
}

/// What a task awaits: its key on the loop, and its future.
#[derive(Debug)]
struct Waiting {
    key: u64,
    future: Held<PyAny>,
}

/// A turn: over when it is dropped.
#[derive(Debug)]
pub struct Turn {
    of: Arc<Taking>,
    number: u64,
}

impl Taking {
    /// The turn of a thread that may wait; waits for that of another.
    ///
    /// # Errors
    /// `RuntimeError`: a task awaits a piece.
    pub fn by_thread(self: &Arc<Self>, py: Python<'_>) -> PyResult<Turn> {
        loop {
            if let Some(turn) = self.begin(|| Who::Thread) {
                return Ok(turn);
            }
            let is_thread = py.detach(|| {
                let mut state = self.state.lock();
                let mut is_thread = false;
                while matches!(state.turn, Some(Who::Thread)) {
                    is_thread = true;
                    invariants::about_to_wait();
                    self.ended.wait(&mut state);
                }
                is_thread || state.turn.is_none()
            });
            if !is_thread && !self.has_left(py, None)? {
                return Err(taken());
            }
        }
    }

    /// The turn of a task of the calling thread's loop.
    ///
    /// # Errors
    /// `RuntimeError`: it is somebody else's.
    pub fn by_task(self: &Arc<Self>, py: Python<'_>, home: &HomeLoop) -> PyResult<Turn> {
        loop {
            if let Some(turn) = self.begin(|| Who::Task(None)) {
                return Ok(turn);
            }
            if !self.has_left(py, Some(home))? {
                return Err(taken());
            }
        }
    }

    /// The turn `number`, of a task, goes on until `future` is done.
    pub fn awaits(&self, number: u64, key: u64, future: &Bound<'_, PyAny>) {
        let waiting = Waiting { key, future: Held::new(future.clone().unbind()) };
        let mut state = self.state.lock();
        if state.begun == number && matches!(state.turn, Some(Who::Task(None))) {
            state.turn = Some(Who::Task(Some(waiting)));
            return;
        }
        // It is over already.
        drop(state);
    }

    fn begin(self: &Arc<Self>, who: impl FnOnce() -> Who) -> Option<Turn> {
        let mut state = self.state.lock();
        if state.turn.is_some() {
            return None;
        }
        state.turn = Some(who());
        state.begun += 1;
        Some(Turn { of: self.clone(), number: state.begun })
    }

    /// Ends the turn of a task that is waited for by nobody any more. False: somebody has the turn.
    fn has_left(&self, py: Python<'_>, home: Option<&HomeLoop>) -> PyResult<bool> {
        let (number, key, future) = {
            let state = self.state.lock();
            match &state.turn {
                None => return Ok(true),
                Some(Who::Task(Some(waiting))) => (state.begun, waiting.key, waiting.future.clone_ref(py)),
                Some(_) => return Ok(false),
            }
        };
        if !future.bind(py).call_method0(name!(py, "done"))?.is_truthy()? {
            return Ok(false);
        }
        self.end(number);
        if let Some(home) = home {
            home.forget(key);
        }
        Ok(true)
    }

    fn end(&self, number: u64) {
        let mut state = self.state.lock();
        // A later turn is not this one's to end.
        let over = if state.begun == number { state.turn.take() } else { None };
        drop(state);
        // Outside of the lock: what a task awaited may have code of Python's run.
        drop(over);
        self.ended.notify_all();
    }
}

impl Turn {
    /// Which one it is.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.of.end(self.number);
    }
}

fn taken() -> PyErr {
    PyRuntimeError::new_err("the body is being taken: another task or thread waits for its next piece")
}
