//! How the task of a request ends.
//!
//! Owns: the exchange's last word where the application did not say it, and what is logged.
//! Does not own: messages (`call`), starting tasks (the module above).
//! Rule: what was raised is logged before anybody is answered, unless it only says that the peer has left.

use super::call::NOBODY;
use super::underway::Underway;
use crate::interp::{self, name};
use crate::service::{CloseReason, Exchange, ReplyEvent};
use pyo3::exceptions::PyConnectionResetError;
use pyo3::prelude::*;
use std::sync::Arc;

/// Called by asyncio when the task of a request is done.
pub(super) fn task_end<'py>(
    py: Python<'py>,
    exchange: Arc<Exchange>,
    underway: Arc<Underway>,
    head: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    // The request line, for log lines. Not the head: that lies in the buffer that it was read into.
    let line: Box<[u8]> = super::request_line(head).into();
    interp::callback(py, move |task| {
        settle(task.py(), task, &line, &exchange);
        underway.end();
        Ok(task.py().None())
    })
}

/// Gives the exchange its last word, if the application has not. `head` begins with the request line.
pub(super) fn settle(py: Python<'_>, task: &Bound<'_, PyAny>, head: &[u8], exchange: &Exchange) {
    match task.call_method0(name!(py, "result")) {
        Ok(_) => {
            if !exchange.has_ended() {
                // One that was told to end may leave its response where it is.
                if !exchange.is_told_to_end() {
                    let request = super::describe(head);
                    log::error!("{request}: the application returned without completing its response");
                }
                let _ = exchange.push(ReplyEvent::Abort);
            }
        }
        Err(fault) => report_fault(py, head, fault, exchange),
    }
}

/// Logs what an application raised, unless its peer had left, and ends its response.
pub(super) fn report_fault(py: Python<'_>, head: &[u8], fault: PyErr, exchange: &Exchange) {
    // Logged first: whoever gets the 500 finds the line.
    let peer_left = exchange.closed() == Some(CloseReason::Disconnected) || exchange.is_told_to_end();
    if !(peer_left && was_told(py, &fault)) {
        log::error!("{}: the application raised\n{}", super::describe(head), interp::traceback(py, &fault));
    }
    if !exchange.has_ended() || peer_left {
        let let_go = py.import("turboapi_rs.abandoned").and_then(|module| module.getattr("let_go"));
        if let Err(raised) = let_go.and_then(|let_go| let_go.call1((fault.value(py),))) {
            log::error!("{}: the frames of a fault were not cleared: {raised}", super::describe(head));
        }
    }
    // Refused when the response had ended before.
    let _ = exchange.push(ReplyEvent::Abort);
}

/// It only says that the peer has left.
fn was_told(py: Python<'_>, fault: &PyErr) -> bool {
    if fault.is_instance_of::<PyConnectionResetError>(py) {
        return fault.value(py).to_string() == NOBODY;
    }
    // Looked up: what PyO3 remembers of an imported class is the main interpreter's.
    let cancelled = py.import("asyncio").and_then(|asyncio| asyncio.getattr("CancelledError"));
    cancelled.is_ok_and(|cancelled| fault.is_instance(py, &cancelled))
}
