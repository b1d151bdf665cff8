//! What a plan's coroutine, and the application that a plan resumes as, are given besides `send`.
//!
//! Owns: answers that are whole, without a message; the way of a stream's items; starting the rest of a request.
//! Does not own: reading what a plan made (`call_plan`), items (`outlet`).
//! Rule: one answer to a request; after a head that was sent, only its body.

use super::app::App;
use super::bind::PathParams;
use super::call_plan::{json_event, read_whole, Final};
use super::local::Local;
use super::onward;
use super::outlet::{Form, Outlet};
use crate::asgi::{AsgiCall, AsgiHost};
use crate::home_loop::HomeLoop;
use crate::interp::Held;
use crate::service::{Exchange, ReplyEvent, Request};
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::rc::Rc;
use std::sync::Arc;

/// How a plan's coroutine answers with what is whole already, without a message.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub(super) struct PlanReply {
    call: Arc<AsgiCall>,
    index: usize,
    /// The request, until a stream of it was begun: that may take hours, and the head lies in a large buffer.
    seen: Mutex<Option<Arc<(Request, PathParams)>>>,
}

#[pymethods]
impl PlanReply {
    /// Takes the final answer: `bytes`, or `(status, body, raw_headers)`.
    fn __call__(&self, made: &Bound<'_, PyAny>) -> PyResult<()> {
        let local = Local::current()
            .ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("not on a worker of the server"))?;
        let spec = &local.app.table.plans[self.index];
        let mut scratch = Vec::new();
        let event = match spec.read(made, &mut scratch)? {
            Final::Encoded => spec.event(scratch)?,
            Final::Full(head, body) => ReplyEvent::Full(head, body),
            Final::Resumed(_) | Final::Undecided => {
                return Err(PyTypeError::new_err("a plan's reply is bytes or (status, body, headers)"))
            }
        };
        self.answer(&local, event)
    }

    /// Answers 422 if that is what FastAPI would do; otherwise it is to decide.
    pub(super) fn refuse(&self) -> PyResult<bool> {
        let Some(local) = Local::current() else { return Ok(false) };
        let Some(seen) = self.seen() else { return Ok(false) };
        let (request, path) = &*seen;
        match local.app.table.plans[self.index].refusal(request, path) {
            Some(answer) => self.answer(&local, json_event(422, answer)?).map(|()| true),
            None => Ok(false),
        }
    }

    /// Begins a stream whose items are JSON values or bytes: events, or lines.
    fn stream(
        &self,
        py: Python<'_>,
        status: u16,
        headers: Bound<'_, PyList>,
        form: &str,
    ) -> PyResult<Outlet> {
        let none = PyBytes::new(py, b"");
        let (mut head, _) = read_whole(&(status, none, headers).into_pyobject(py)?)?;
        if let Some(local) = Local::current() {
            if let Some(seen) = self.seen.lock().take() {
                let (request, _) = &*seen;
                local.app.begin_stream(&request.head, &request.ends, &mut head);
            }
        }
        Ok(Outlet::new(self.call.begin(head)?, form_of(form)))
    }

    /// The way of the pieces of a response whose head was sent as a message.
    fn pieces(&self, form: &str) -> PyResult<Outlet> {
        *self.seen.lock() = None;
        Ok(Outlet::new(self.call.take_body()?, form_of(form)))
    }

    /// True once something of the response was sent.
    fn is_begun(&self) -> bool {
        self.call.is_begun()
    }
}

impl PlanReply {
    pub(super) fn new(call: Arc<AsgiCall>, index: usize, seen: Arc<(Request, PathParams)>) -> Self {
        PlanReply { call, index, seen: Mutex::new(Some(seen)) }
    }

    fn seen(&self) -> Option<Arc<(Request, PathParams)>> {
        self.seen.lock().clone()
    }

    fn answer(&self, local: &Local, event: ReplyEvent) -> PyResult<()> {
        let event = match self.seen() {
            Some(seen) => local.app.through_middleware(&seen.0.head, &seen.0.ends, event),
            None => event,
        };
        self.call.answer(event)
    }
}

/// Runs the rest of a request, an application of the plans', on the home loop.
pub(super) fn resume(
    app: &Arc<App>,
    py: Python<'_>,
    rest: Py<PyAny>,
    request: Request,
    exchange: &Arc<Exchange>,
) {
    if let Some(local) = Local::current() {
        if let (Some(home), Some(host)) = (&local.home, &local.host) {
            return start_rest(py, host, home, rest.bind(py), request, exchange);
        }
    }
    let rest = Held::new(rest);
    onward::post_to_host(&app.home, exchange, move |py, host, home, exchange| {
        start_rest(py, host, home, rest.bind(py), request, exchange);
    });
}

/// Starts the rest of a request: an ASGI application that is told the way of a response's pieces besides.
fn start_rest(
    py: Python<'_>,
    host: &AsgiHost,
    home: &Rc<HomeLoop>,
    rest: &Bound<'_, PyAny>,
    request: Request,
    exchange: &Arc<Exchange>,
) {
    host.start_with(py, home, request, exchange, |given| {
        let way = Bound::new(py, PiecesWay { call: given.call.clone() })?;
        rest.call1((given.scope, given.receive, given.send, way))
    });
}

/// How an application that sent a head as a message sends the pieces of its body without any.
#[pyclass(frozen, module = "turboapi_rs._core")]
struct PiecesWay {
    call: Arc<AsgiCall>,
}

#[pymethods]
impl PiecesWay {
    /// The way of the pieces, after the head.
    fn pieces(&self, form: &str) -> PyResult<Outlet> {
        Ok(Outlet::new(self.call.take_body()?, form_of(form)))
    }
}

fn form_of(name: &str) -> Form {
    match name {
        "json-events" => Form::JsonEvents,
        "json-lines" => Form::JsonLines,
        "events" => Form::Events,
        _ => Form::Raw,
    }
}
