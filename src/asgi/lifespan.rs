//! Lifespan, seen from a worker that polls it.
//!
//! Owns: the start-up and shut-down tasks of one application on one loop. Does not own: the protocol itself, which is
//! `lifespan.Lifespan`. Spec: ASGI lifespan 2.0.

use crate::home_loop::HomeLoop;
use crate::interp;
use crate::service::Awaited;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The lifespan of an application.
pub struct Lifespan {
    protocol: Py<PyAny>,
    /// Filled by the application at start-up.
    pub state: Py<PyDict>,
}

impl Lifespan {
    /// For `app`; `mode` is `auto`, `on` or `off`.
    ///
    /// # Errors
    /// Python's own.
    pub fn new(py: Python<'_>, app: &Py<PyAny>, mode: &str) -> PyResult<Self> {
        let state = PyDict::new(py);
        let kind = py.import("turboapi_rs.lifespan")?.getattr("Lifespan")?;
        let protocol = kind.call1((app, mode, &state))?;
        Ok(Lifespan { protocol: protocol.unbind(), state: state.unbind() })
    }

    /// Starts one of its two tasks, `startup` or `shutdown`.
    pub fn begin(&self, py: Python<'_>, home: &Rc<HomeLoop>, phase: &str) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        let watched = progress.clone();
        let begun = home.start_task(py, || self.protocol.bind(py).call_method0(phase)).and_then(|task| {
            // A task that is already done calls back as well, at the next step.
            let end = interp::callback(py, move |task| {
                let result = task.call_method0("result");
                watched.settle(result.map(drop).map_err(|fault| fault.value(task.py()).to_string()));
                Ok(task.py().None())
            })?;
            task.call_method1("add_done_callback", (end,))?;
            home.notice_work(py)
        });
        if let Err(fault) = begun {
            progress.settle(Err(fault.to_string()));
        }
        progress
    }
}

/// How far a phase has come.
#[derive(Debug, Default)]
pub struct Progress(Awaited<Result<(), String>>);

impl Progress {
    /// Ready with the phase's result; the error is the application's message.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.0.poll_copy(cx)
    }

    fn settle(&self, result: Result<(), String>) {
        self.0.put(result);
    }
}
