//! The service that a worker's runtime asks.
//!
//! Owns: [`PyService`] (one a worker), its start, drain and end; what is done with a request, by where it goes.
//! Does not own: where it goes (`routing`), what a worker holds (`local`), calls of raw handlers (`raw`) and of plans
//! (`call_plan`), replacing routes (`live`).
//! Rule (`swap_is_whole`): a request is called by the table that it was routed by.

use super::app::method_not_allowed;
use super::fault;
use super::live::LiveApp;
use super::local::{describe, Local};
use super::routing::Route;
use crate::asgi::Progress;
use crate::home_loop::Stepper;
use crate::http1::{Framing, RequestHead};
use crate::interp;
use crate::invariants::{self, hold, Invariant, Stamp};
use crate::service::{BodyMode, GuestLoop, Outcome, Reply, Request, Service, ServiceFactory, WorkerContext};
use pyo3::prelude::*;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Makes the service of each worker.
pub struct AppFactory(pub Arc<LiveApp>);

impl ServiceFactory for AppFactory {
    type Service = PyService;

    fn enter_thread(&self, run: &mut dyn FnMut()) {
        interp::hold_thread_state(run);
    }

    fn make(&self, worker: WorkerContext) -> Result<PyService, String> {
        let live = self.0.clone();
        interp::attach(|py| {
            PyService::make(py, live, worker).map_err(|raised| interp::traceback(py, &raised))
        })
    }
}

/// One worker's service.
pub struct PyService {
    live: Arc<LiveApp>,
    local: RefCell<Option<Rc<Local>>>,
    startup: RefCell<Option<Arc<Progress>>>,
    shutdown: RefCell<Option<Arc<Progress>>>,
}

/// Where a request goes, and by whose word.
pub struct Routed {
    local: Option<Rc<Local>>,
    stamp: Option<Stamp>,
    route: Route,
}

impl PyService {
    fn make(py: Python<'_>, live: Arc<LiveApp>, worker: WorkerContext) -> PyResult<Self> {
        let local = Local::make(py, live.latest(), worker)?;
        Local::set_current(Some(local.clone()));
        Ok(PyService {
            live,
            local: RefCell::new(Some(local)),
            startup: RefCell::default(),
            shutdown: RefCell::default(),
        })
    }

    fn local(&self) -> Option<Rc<Local>> {
        self.local.borrow().clone()
    }

    /// As `local`, of the latest application.
    fn latest_local(&self) -> Option<Rc<Local>> {
        let local = self.local()?;
        if self.live.is_latest(&local.app) {
            return Some(local);
        }
        Some(self.take_up(local))
    }

    #[cold]
    fn take_up(&self, local: Rc<Local>) -> Rc<Local> {
        interp::attach(|py| match local.succeed(py, self.live.latest()) {
            Ok(next) => {
                Local::set_current(Some(next.clone()));
                self.local.replace(Some(next.clone()));
                next
            }
            Err(raised) => {
                log::error!("routes that were replaced could not be taken up: {raised}");
                local
            }
        })
    }

    fn answer(&self, routed: Routed, request: Request, reply: Reply<'_>) -> Outcome {
        let Routed { local, stamp, route } = routed;
        let Some(local) = local else { return fault::answer(reply) };
        hold(Invariant::SwapIsWhole, || stamp == Some(local.app.table.stamp));
        if let Some(stack) = &local.app.middleware {
            let is_ours = matches!(route, Route::Plan(..) | Route::NotFound | Route::MethodNotAllowed(_));
            if is_ours && !is_websocket(&request.head) {
                if let ControlFlow::Break(answer) =
                    stack.before(&local.app.seen(&request.head, &request.ends))
                {
                    return reply.full(answer.head.status, &answer.head.fields, answer.body);
                }
            }
        }
        // A route may have been added since.
        let is_nobodys = matches!(route, Route::NotFound | Route::MethodNotAllowed(_));
        if is_nobodys && !local.app.table.is_current() {
            return local.call_asgi(request);
        }
        match route {
            Route::Static(response) => reply.rendered(response.head(), response.body()),
            Route::Handler(index, path) => local.call_handler(index, path, request, reply),
            Route::Asgi | Route::Plan(..) | Route::NotFound | Route::MethodNotAllowed(_)
                if is_websocket(&request.head) =>
            {
                refuse_websocket(reply)
            }
            Route::Plan(index, path) => local.call_plan(index, path, request, reply),
            Route::Files(files, tail) => files.call(tail, request, reply, &local.offload),
            Route::Asgi => local.call_asgi(request),
            Route::NotFound => {
                const BODY: &[u8] = b"{\"detail\":\"Not Found\"}";
                local.app.answer_json(&request, reply, 404, BODY)
            }
            Route::MethodNotAllowed(allow) => method_not_allowed(&local.app, &request, &allow, reply),
        }
    }
}

impl Service for PyService {
    type Route = Routed;

    fn route(&self, head: &RequestHead) -> Routed {
        match self.latest_local() {
            Some(local) => {
                let (stamp, route) = (Some(local.app.table.stamp), local.route(head));
                Routed { local: Some(local), stamp, route }
            }
            None => Routed { local: None, stamp: None, route: Route::NotFound },
        }
    }

    fn body_mode(&self, routed: &Routed, framing: Framing) -> BodyMode {
        let Some(local) = &routed.local else { return BodyMode::Streamed };
        match routed.route {
            Route::Handler(index, _) if local.app.table.routes[index].streams_body() => BodyMode::Streamed,
            Route::Handler(..) => BodyMode::Buffered,
            Route::Plan(index, _) => local.app.table.plans[index].body_mode(framing),
            _ => BodyMode::Streamed,
        }
    }

    fn call(&self, routed: Routed, request: Request, reply: Reply<'_>) -> Outcome {
        let asked = invariants::ARE_CHECKED.then(|| request.head.clone());
        let outcome = self.answer(routed, request, reply);
        if let (Some(head), Outcome::Pending(exchange)) = (asked, &outcome) {
            exchange.claim(|| describe(&head));
        }
        outcome
    }

    fn batch(&self, run: &mut dyn FnMut()) {
        interp::attach(|_py| run());
    }

    fn guest_loop(&self) -> Option<Rc<dyn GuestLoop>> {
        let home = self.local()?.home.clone()?;
        Some(Rc::new(Stepper(home)))
    }

    fn poll_startup(&self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let Some(local) = self.local() else { return Poll::Ready(Ok(())) };
        poll_phase(&local, &self.startup, "startup", cx)
    }

    fn begin_drain(&self) {
        let Some(local) = self.local() else { return };
        local.app.draining.store(true, Ordering::Relaxed);
        if let Some(host) = &local.host {
            host.begin_drain();
        }
        local.cancel_streams();
    }

    fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        let host = self.local().and_then(|local| local.host.clone());
        host.map_or(Poll::Ready(()), |host| host.poll_settled(cx))
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(local) = self.local() else { return Poll::Ready(()) };
        poll_phase(&local, &self.shutdown, "shutdown", cx).map(|result| {
            if let Err(message) = result {
                log::error!("lifespan shutdown failed: {message}");
            }
        })
    }

    fn close(&self) {
        let local = self.local.borrow_mut().take();
        interp::attach(|py| {
            Local::set_current(None);
            if let Some(home) = local.as_ref().and_then(|local| local.home.clone()) {
                home.close(py);
            }
            drop(local);
        });
    }
}

fn poll_phase(
    local: &Rc<Local>,
    slot: &RefCell<Option<Arc<Progress>>>,
    phase: &str,
    cx: &mut Context<'_>,
) -> Poll<Result<(), String>> {
    let (Some(lifespan), Some(home)) = (&local.lifespan, &local.home) else { return Poll::Ready(Ok(())) };
    let progress =
        slot.borrow_mut().get_or_insert_with(|| interp::attach(|py| lifespan.begin(py, home, phase))).clone();
    progress.poll(cx)
}

fn is_websocket(head: &RequestHead) -> bool {
    head.wants_upgrade()
        && head.field(b"upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

/// Until WebSockets are hosted, a handshake is refused: an application would take it for a plain request.
fn refuse_websocket(reply: Reply<'_>) -> Outcome {
    reply.short(501, b"text/plain; charset=utf-8", b"WebSockets are not supported by this server yet")
}
