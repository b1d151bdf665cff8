//! The ASGI host: HTTP and lifespan for any ASGI 3 application.
//!
//! Owns: scope, receive, send, the lifespan calls, and how an application's task ends.
//! Does not own: the loop that runs it (`home_loop`), the connection (`runtime`), routes (`dispatch`).
//! Rule: one task a request, on the home loop; whatever it does, its exchange gets exactly one last word.
//! Spec: ASGI HTTP 2.3 (`spec_version`), lifespan 2.0.

mod call;
mod end;
mod feeds;
mod forwarded;
mod lifespan;
mod receivers;
mod scope;
mod underway;
#[cfg(test)]
mod wakes;

pub use call::AsgiCall;
pub use forwarded::TrustedProxies;
pub use lifespan::{Lifespan, Progress};
pub use scope::ScopeMaker;

use crate::home_loop::HomeLoop;
use crate::interp::name;
use crate::service::{Exchange, Request, RequestBody};
use bytes::Bytes;
use feeds::Feeds;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use underway::Underway;

/// One ASGI application on one loop.
pub struct AsgiHost {
    app: Py<PyAny>,
    scopes: ScopeMaker,
    /// Makes the two coroutine functions that an application is given: `guest_loop.channel`.
    channel: Py<PyAny>,
    feeds: Arc<Feeds>,
    underway: Arc<Underway>,
}

/// What the application of a request is called with, and the call that `receive` and `send` belong to.
pub struct AppArguments<'a, 'py> {
    pub scope: &'a Bound<'py, PyDict>,
    pub receive: Bound<'py, PyAny>,
    pub send: Bound<'py, PyAny>,
    pub call: &'a Arc<AsgiCall>,
}

impl AsgiHost {
    /// Hosts `app`; `state` is what lifespan filled.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(
        py: Python<'_>,
        app: Py<PyAny>,
        root_path: &str,
        proxies: TrustedProxies,
        state: Option<Py<PyDict>>,
    ) -> PyResult<Self> {
        let channel = py.import("turboapi_rs.guest_loop")?.getattr("channel")?.unbind();
        let extensions = py.import("turboapi_rs.extensions")?.call_method1("offered", (&app,))?;
        let scopes = ScopeMaker::new(py, root_path, proxies, state, &extensions)?;
        Ok(AsgiHost { app, scopes, channel, feeds: Arc::default(), underway: Arc::default() })
    }

    /// The drain has begun: streams of events are told, by `http.disconnect`, since they have no end of their own.
    pub fn begin_drain(&self) {
        self.feeds.begin_drain();
    }

    /// Ready when no task of a request is left, not even one that goes on after its response.
    pub fn poll_settled(&self, cx: &Context<'_>) -> Poll<()> {
        self.underway.poll_none(cx)
    }

    /// The application.
    pub fn application<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.app.bind(py).clone()
    }

    /// Starts the application's task for a request, on the loop's thread. The response comes through `exchange`.
    pub fn start(&self, py: Python<'_>, home: &Rc<HomeLoop>, request: Request, exchange: &Arc<Exchange>) {
        self.start_with(py, home, request, exchange, |given| {
            self.app.bind(py).call1((given.scope, given.receive, given.send))
        });
    }

    /// As [`AsgiHost::start`], for the coroutine that `make` gives; it runs with the loop as the running one.
    pub fn start_with<'py>(
        &self,
        py: Python<'py>,
        home: &Rc<HomeLoop>,
        request: Request,
        exchange: &Arc<Exchange>,
        make: impl FnOnce(AppArguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>>,
    ) {
        let head = request.head.bytes().clone();
        if let Err(fault) = self.try_start(py, home, request, exchange, make) {
            end::report_fault(py, &head, fault, exchange);
        }
    }

    fn try_start<'py>(
        &self,
        py: Python<'py>,
        home: &Rc<HomeLoop>,
        request: Request,
        exchange: &Arc<Exchange>,
        make: impl FnOnce(AppArguments<'_, 'py>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let scope = self.scopes.make(py, &request)?;
        let head = request.head.bytes().clone();
        let whole: Option<Bytes> = match request.body {
            RequestBody::Empty => Some(Bytes::new()),
            RequestBody::Whole(body) => Some(body),
            RequestBody::Streamed(_) => None,
        };
        let call = Arc::new(AsgiCall::new(exchange.clone(), whole, self.feeds.clone()));
        let (receive, send): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
            self.channel.bind(py).call1(call::channel_of(py, &call)?)?.extract()?;
        let task =
            home.start_task(py, || make(AppArguments { scope: &scope, receive, send, call: &call }))?;
        if task.call_method0(name!(py, "done"))?.is_truthy()? {
            end::settle(py, &task, &head, exchange);
        } else {
            call.end_first_run();
            let end = end::task_end(py, exchange.clone(), self.underway.clone(), &head)?;
            task.call_method1(name!(py, "add_done_callback"), (end,))?;
            self.underway.begin();
        }
        home.notice_work(py)
    }
}

/// The first line of a head, or all of it.
fn request_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b'\r').next().unwrap_or_default()
}

/// Method and target, for log lines: the request line of a head, without its version.
fn describe(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(request_line(head));
    text.rsplit_once(' ').map_or_else(|| text.to_string(), |(line, _)| line.to_owned())
}
