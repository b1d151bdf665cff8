//! Calls of raw handlers: on this worker, on the home loop's, on the offload pool.
//!
//! Owns: where a handler runs, its arguments, what becomes of its result at once.
//! Does not own: the arguments' conversion (`bind`), coroutines and streams (`coroutine`, `stream`), call plans.
//! Rule: a handler is called by the worker that owns the object; on the pool, the one that was registered is.

use super::app::{App, PlainClasses};
use super::bind::{self, PathParams, Value};
use super::coroutine;
use super::fault::{self, Fault};
use super::intake::Intake;
use super::local::{describe, Local};
use super::onward;
use super::plan::RouteSpec;
use super::reply::{classify, Classified};
use super::request_object::RequestObject;
use super::stream::Origin;
use super::upload::{self, Upload};
use crate::http1::RequestHead;
use crate::interp;
use crate::pyclasses::Request as PyRequest;
use crate::service::{Exchange, Offload, Outcome, Reply, Request, RequestBody};
use bytes::Bytes;
use pyo3::prelude::*;
use std::rc::Rc;
use std::sync::Arc;

impl Local {
    /// Calls the handler of that index, here or wherever it belongs.
    pub(super) fn call_handler(
        self: &Rc<Self>,
        index: usize,
        path: PathParams,
        mut request: Request,
        reply: Reply<'_>,
    ) -> Outcome {
        let spec = &self.app.table.routes[index];
        let exchange = exchange_for(spec, &mut request);
        let values = if spec.params.is_empty() {
            Vec::new()
        } else {
            match bind::convert(spec, &request.head, &path) {
                Ok(values) => values,
                Err(misfit) => return reply.short(422, b"application/json", &misfit.0),
            }
        };
        if spec.is_async && self.home.is_none() {
            return self.post_handler(index, values, path, request, exchange());
        }
        if !spec.is_async && !spec.earned.is_direct() {
            return self.offload_handler(index, values, path, request, reply, exchange());
        }
        interp::attach(|py| {
            if spec.is_async {
                let exchange = exchange();
                self.start_handler(py, index, values, path, request, &exchange);
                return Outcome::Pending(exchange);
            }
            self.run_handler(py, index, values, path, request, reply)
        })
    }

    /// Sends a call to the offload pool, whose threads share the handler as it was registered.
    fn offload_handler(
        &self,
        index: usize,
        values: Vec<Value>,
        path: PathParams,
        request: Request,
        reply: Reply<'_>,
        exchange: Arc<Exchange>,
    ) -> Outcome {
        let from = origin(&self.app.table.routes[index], &request.head);
        let origin = from.clone();
        self.away().submit(reply, exchange, from, move |py, away, exchange| {
            let spec = &away.app.table.routes[index];
            let handler = spec.handler.bind(py);
            let result = away.app.context.run(py, || {
                let (app, offload) = (&away.app, &away.offload);
                let call =
                    Call { app, offload, index, path: &path, request: &request, exchange: Some(exchange) };
                spec.earned.call_offloaded(|| call.make(handler, values, &RequestObject::default()))
            })?;
            away.answer(result, exchange, &origin)
        })
    }

    /// Sends a coroutine's request to the home loop's worker, which makes all of its objects.
    fn post_handler(
        &self,
        index: usize,
        values: Vec<Value>,
        path: PathParams,
        request: Request,
        exchange: Arc<Exchange>,
    ) -> Outcome {
        let app = self.app.clone();
        onward::post(&self.app.home, &exchange, move |py, _home, exchange| {
            match Local::current_for(py, &app) {
                Some(local) => local.start_handler(py, index, values, path, request, exchange),
                None => fault::abort(exchange),
            }
        });
        Outcome::Pending(exchange)
    }

    fn start_handler(
        self: &Rc<Self>,
        py: Python<'_>,
        index: usize,
        values: Vec<Value>,
        path: PathParams,
        request: Request,
        exchange: &Arc<Exchange>,
    ) {
        let spec = &self.app.table.routes[index];
        let origin = origin(spec, &request.head);
        let Some(home) = &self.home else { return fault::abort(exchange) };
        let call = Call { exchange: Some(exchange), ..self.call(index, &path, &request) };
        let make = || call.make(self.handlers[index].bind(py), values, &RequestObject::default());
        coroutine::start(py, home, make, exchange, origin);
    }

    fn run_handler(
        self: &Rc<Self>,
        py: Python<'_>,
        index: usize,
        values: Vec<Value>,
        path: PathParams,
        request: Request,
        reply: Reply<'_>,
    ) -> Outcome {
        let spec = &self.app.table.routes[index];
        let head = &request.head;
        let handler = self.handlers[index].bind(py);
        let (call, shown) = (self.call(index, &path, &request), RequestObject::default());
        let make = || call.make(handler, values, &shown);
        let result = self.context.run(py, || spec.earned.call_direct(self.worker, make));
        // Taken, not borrowed: a fallback of the JSON encoder may run Python, which may come back here.
        let mut scratch = self.scratch.take();
        let outcome = match result.map_err(Fault::Raised).and_then(|result| classify(result, &mut scratch)) {
            Ok(Classified::Short { status, content_type }) => Ok(reply.short(status, content_type, &scratch)),
            Ok(Classified::Full(head, body)) => Ok(reply.full(head.status, &head.fields, body)),
            Ok(Classified::Stream(response, iterator)) => {
                let exchange = Exchange::without_body();
                let started = shown
                    .answered_through(&self.app, &exchange)
                    .and_then(|()| self.start_stream(py, response, &iterator, &exchange, origin(spec, head)));
                match started {
                    Ok(()) => Ok(Outcome::Pending(exchange)),
                    Err(fault) => Err((fault, reply)),
                }
            }
            Ok(Classified::Awaitable(awaitable)) => {
                let exchange = Exchange::without_body();
                match shown.answered_through(&self.app, &exchange) {
                    Ok(()) => Ok(self.await_result(py, awaitable, exchange, origin(spec, head))),
                    Err(fault) => Err((fault, reply)),
                }
            }
            Err(fault) => Err((fault, reply)),
        };
        self.scratch.replace(scratch);
        outcome.unwrap_or_else(|(fault, reply)| {
            let origin = origin(spec, head);
            fault.log(py, &origin.handler, &origin.request);
            fault::answer(reply)
        })
    }

    /// A call on this worker, which has no exchange as yet.
    fn call<'a>(&'a self, index: usize, path: &'a PathParams, request: &'a Request) -> Call<'a> {
        Call { app: &self.app, offload: &self.offload, index, path, request, exchange: None }
    }

    /// Awaits, on the home loop, what a plain handler returned.
    fn await_result(
        self: &Rc<Self>,
        py: Python<'_>,
        awaitable: Bound<'_, PyAny>,
        exchange: Arc<Exchange>,
        origin: Origin,
    ) -> Outcome {
        if let Some(home) = &self.home {
            coroutine::start(py, home, || Ok(awaitable), &exchange, origin);
            return Outcome::Pending(exchange);
        }
        coroutine::start_away(&self.app.home, awaitable, &exchange, origin);
        Outcome::Pending(exchange)
    }
}

/// A call of a raw handler: what its arguments are made of.
struct Call<'a> {
    app: &'a App,
    offload: &'a Offload,
    index: usize,
    path: &'a PathParams,
    request: &'a Request,
    /// What the request is answered through, where that is known before the call.
    exchange: Option<&'a Arc<Exchange>>,
}

impl Call<'_> {
    /// Makes the arguments and calls the handler.
    fn make<'py>(
        &self,
        handler: &Bound<'py, PyAny>,
        values: Vec<Value>,
        shown: &RequestObject<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if values.is_empty() {
            return handler.call0();
        }
        let py = handler.py();
        let (app, request) = (self.app, self.request);
        let body = match &request.body {
            RequestBody::Whole(body) => body.clone(),
            _ => Bytes::new(),
        };
        let mut arguments = Vec::with_capacity(values.len());
        for (value, param) in values.into_iter().zip(&app.table.routes[self.index].params) {
            if let (Value::Upload, RequestBody::Streamed(exchange)) = (&value, &request.body) {
                arguments.push(self.upload(py, exchange)?);
                continue;
            }
            let argument = bind::to_python(py, value, param, &body, || {
                shown.of(py, app, request, &body, self.path, self.exchange)
            })?;
            arguments.push(argument);
        }
        interp::call_positional(handler, &arguments)
    }

    fn upload<'py>(&self, py: Python<'py>, exchange: &Arc<Exchange>) -> PyResult<Bound<'py, PyAny>> {
        let (app, request) = (self.app, self.request);
        let head = PyRequest::new(request, Bytes::new(), self.path, Some(exchange));
        let content_type = request.head.field(b"content-type").unwrap_or_default().to_vec();
        let intake = Intake::new(content_type, exchange.clone(), self.offload.clone(), app.forms);
        if let Some(PlainClasses { request, upload }) = &app.plain {
            return upload::plain(upload.bind(py), head.plain(request.bind(py))?, intake);
        }
        Ok(Bound::new(py, Upload::new(Py::new(py, head)?, intake))?.into_any())
    }
}

/// How a request is answered later: through the exchange that its body comes through, if it comes through one.
fn exchange_for(spec: &RouteSpec, request: &mut Request) -> impl FnOnce() -> Arc<Exchange> {
    let streamed = spec.streams_body().then(|| {
        let exchange = match std::mem::replace(&mut request.body, RequestBody::Empty) {
            RequestBody::Streamed(exchange) => exchange,
            RequestBody::Whole(body) => {
                let exchange = Exchange::with_body();
                exchange.offer_last(body);
                exchange
            }
            RequestBody::Empty => {
                let exchange = Exchange::with_body();
                exchange.end_body();
                exchange
            }
        };
        request.body = RequestBody::Streamed(exchange.clone());
        exchange
    });
    move || streamed.unwrap_or_else(Exchange::without_body)
}

fn origin(spec: &RouteSpec, head: &RequestHead) -> Origin {
    Origin { handler: spec.name.clone(), request: describe(head) }
}
