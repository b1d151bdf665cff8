//! One worker's part of the application, and the service that the runtime asks.
//!
//! Owns: [`PyService`] (one a worker), [`Local`] (what a worker holds of its own), where a request goes.
//! Does not own: what all workers share (`app`), calls of raw handlers (`raw`) and of plans (`call_plan`), replacing routes
//! (`live`). Rule: each worker calls handlers of its own, and shares no object that it counts references on with another
//! worker; a request is called by the table that it was routed by. Threads: `Local` never leaves its worker.

use super::app::{method_not_allowed, App, LoopPlacement};
use super::bind::PathParams;
use super::coroutine;
use super::fault::{self, Fault};
use super::file_route::FileRoute;
use super::live::LiveApp;
use super::offloaded::Away;
use super::plan::{NoRoute, Table, Target};

use super::stream::{self, Origin, SyncStream};
use crate::asgi::{AsgiHost, Lifespan, Progress};
use crate::bytes_ext;
use crate::home_loop::{HomeLoop, Stepper};
use crate::http1::{RequestHead, ResponseHead};
use crate::interp::{self, BaseContext, Held};
use crate::invariants::{self, hold, Invariant, Stamp};
use crate::router::Found;
use crate::service::{
    BodyMode, Exchange, GuestLoop, Offload, Outcome, Reply, Request, RequestBody, Service, ServiceFactory,
    WorkerContext,
};
use crate::static_cache::StaticResponse;
use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
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

/// What one worker holds of its own.
pub struct Local {
    pub(super) worker: usize,
    pub(super) workers: usize,
    pub(super) app: Arc<App>,
    pub(super) handlers: Vec<Py<PyAny>>,
    pub(super) plans: Vec<Py<PyAny>>,
    pub(super) context: BaseContext,
    pub(super) home: Option<Rc<HomeLoop>>,
    pub(super) host: Option<Rc<AsgiHost>>,
    pub(super) lifespan: Option<Rc<Lifespan>>,
    pub(super) offload: Offload,
    pub(super) scratch: RefCell<Vec<u8>>,
    pub(super) streams: Rc<Streams>,
}

/// Pumps of async streams that run on this worker's loop.
#[derive(Default)]
pub(super) struct Streams {
    pumps: RefCell<HashMap<u64, Py<PyAny>>>,
    next_key: Cell<u64>,
}

impl Drop for Local {
    /// The last one of a table that was replaced goes with the last request that it routed, wherever that ends.
    fn drop(&mut self) {
        interp::attach(|_py| {
            self.handlers.clear();
            self.plans.clear();
            (self.host, self.lifespan, self.home) = (None, None, None);
            self.streams = Rc::default();
        });
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
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

/// Where a request goes.
enum Route {
    /// A response rendered beforehand.
    Static(Arc<StaticResponse>),
    /// A raw route and its path parameters.
    Handler(usize, PathParams),
    /// A call plan and its path parameters.
    Plan(usize, PathParams),
    /// A file below a folder, and the rest of the path.
    Files(Arc<FileRoute>, String),
    /// The ASGI application.
    Asgi,
    /// No route has this path.
    NotFound,
    /// Routes have this path, for other methods.
    MethodNotAllowed(Bytes),
}

impl PyService {
    fn make(py: Python<'_>, live: Arc<LiveApp>, worker: WorkerContext) -> PyResult<Self> {
        let app = live.latest();
        let has_home = app.placement == LoopPlacement::PerWorker || worker.worker == 0;
        let context = app.context.copy_for_worker(py)?;
        let home = if has_home {
            let handle = if worker.worker == 0 { app.home.clone() } else { Arc::default() };
            // Of the native classes none is used where the extension was not loaded.
            let offload = app.request_class.is_none().then(|| worker.offload.clone());
            let home = HomeLoop::make(py, handle, app.context.copy_for_worker(py)?, offload)?;
            if worker.worker == 0 && app.request_class.is_none() {
                app.home.stand_in.announce(py, &home.event_loop(py))?;
            }
            Some(home)
        } else {
            None
        };
        let (mut host, mut lifespan) = (None, None);
        if let (Some(application), true) = (&app.asgi, has_home) {
            let application = application.clone_ref(py);
            let mut state: Option<Py<PyDict>> = None;
            if app.lifespan != "off" {
                let protocol = Lifespan::new(py, &application, &app.lifespan)?;
                state = Some(protocol.state.clone_ref(py));
                lifespan = Some(Rc::new(protocol));
            }
            let hosted = AsgiHost::new(py, application, &app.root_path, app.proxies.clone(), state)?;
            host = Some(Rc::new(hosted));
        }
        let (handlers, plans) = own_handlers(py, &app.table, worker.workers)?;
        let local = Rc::new(Local {
            worker: worker.worker,
            workers: worker.workers,
            app,
            handlers,
            plans,
            context,
            home,
            host,
            lifespan,
            offload: worker.offload,
            scratch: RefCell::default(),
            streams: Rc::default(),
        });
        LOCAL.with_borrow_mut(|slot| *slot = Some(local.clone()));
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
                LOCAL.with_borrow_mut(|slot| *slot = Some(next.clone()));
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

type OwnHandlers = (Vec<Py<PyAny>>, Vec<Py<PyAny>>);

/// A worker's own handlers and plans of a table.
pub(super) fn own_handlers(py: Python<'_>, table: &Table, workers: usize) -> PyResult<OwnHandlers> {
    let handlers = table.routes.iter().map(|spec| own_handler(py, &spec.handler, workers));
    let plans = table.plans.iter().map(|spec| own_handler(py, &spec.run, workers));
    let own = (handlers.collect::<PyResult<_>>()?, plans.collect::<PyResult<_>>()?);
    table.routes.iter().for_each(|spec| spec.earned.prepare(workers));
    table.plans.iter().for_each(|spec| spec.earned.prepare(workers));
    Ok(own)
}

/// A worker's own copy of a plain function: calls then count references that no other worker touches.
fn own_handler(py: Python<'_>, handler: &Py<PyAny>, workers: usize) -> PyResult<Py<PyAny>> {
    let function_type = py.import("types")?.getattr("FunctionType")?;
    let handler = handler.bind(py);
    if workers < 2 || !handler.get_type().is(&function_type) {
        return Ok(handler.clone().unbind());
    }
    let copy = function_type.call1((
        handler.getattr("__code__")?,
        handler.getattr("__globals__")?,
        handler.getattr("__name__")?,
        handler.getattr("__defaults__")?,
        handler.getattr("__closure__")?,
    ))?;
    copy.setattr("__kwdefaults__", handler.getattr("__kwdefaults__")?)?;
    copy.setattr("__qualname__", handler.getattr("__qualname__")?)?;
    copy.setattr("__module__", handler.getattr("__module__")?)?;
    Ok(copy.unbind())
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

    fn body_mode(&self, routed: &Routed) -> BodyMode {
        let Some(local) = &routed.local else { return BodyMode::Streamed };
        match routed.route {
            Route::Handler(index, _) if local.app.table.routes[index].streams_body() => BodyMode::Streamed,
            Route::Handler(..) => BodyMode::Buffered,
            Route::Plan(index, _) if local.app.table.plans[index].reads_body => BodyMode::Buffered,
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
        if local.streams.pumps.borrow().is_empty() {
            return;
        }
        interp::attach(|py| {
            let pumps: Vec<Py<PyAny>> =
                local.streams.pumps.borrow().values().map(|pump| pump.clone_ref(py)).collect();
            for pump in pumps {
                if let Err(raised) = pump.call_method0(py, "cancel") {
                    log::error!("a stream could not be told of the drain: {raised}");
                }
            }
            if let Some(home) = &local.home {
                home.nudge();
            }
        });
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
            LOCAL.with_borrow_mut(|slot| *slot = None);
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

impl Local {
    /// The calling worker's own.
    pub fn current() -> Option<Rc<Local>> {
        LOCAL.with_borrow(Clone::clone)
    }

    pub(super) fn current_or_fault() -> Result<Rc<Local>, Fault> {
        Local::current()
            .ok_or_else(|| Fault::Raised(PyRuntimeError::new_err("not on a worker of the server")))
    }

    /// The drain has begun.
    pub(super) fn is_draining(&self) -> bool {
        self.app.draining.load(Ordering::Relaxed)
    }

    pub(super) fn remember_stream(&self, pump: Py<PyAny>) -> u64 {
        let key = self.streams.next_key.get();
        self.streams.next_key.set(key + 1);
        self.streams.pumps.borrow_mut().insert(key, pump);
        key
    }

    pub(super) fn forget_stream(&self, key: u64) {
        let pump = self.streams.pumps.borrow_mut().remove(&key);
        drop(pump);
    }

    fn route(&self, head: &RequestHead) -> Route {
        let table = &self.app.table;
        if table.is_empty() {
            return if self.app.asgi.is_some() { Route::Asgi } else { Route::NotFound };
        }
        let raw = head.path();
        let decoded = bytes_ext::percent_decode(raw);
        let text = String::from_utf8_lossy(&decoded);
        let text = table.route_path(&text);
        if text.is_empty() && self.app.asgi.is_some() {
            return Route::Asgi;
        }
        match table.router.find(head.method_bytes(), text) {
            Found::Route(Target::Static(cell), _) => Route::Static(cell.load()),
            Found::Route(Target::Handler(index), params) => {
                let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                Route::Handler(*index as usize, params)
            }
            Found::Route(Target::Plan(index), params) => {
                let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                Route::Plan(*index as usize, params)
            }
            Found::Route(Target::Files(files), params) => {
                Route::Files(files.clone(), params.value("path").unwrap_or_default().to_owned())
            }
            Found::Route(Target::Asgi, _) => Route::Asgi,
            _ if self.app.asgi.is_some() => match table.no_route(head.method_bytes(), text) {
                NoRoute::NotFound => Route::NotFound,
                NoRoute::MethodNotAllowed(allow) => Route::MethodNotAllowed(allow),
                NoRoute::Asgi => Route::Asgi,
            },
            Found::MethodNotAllowed(allow) => Route::MethodNotAllowed(allow.clone()),
            Found::NotFound => Route::NotFound,
        }
    }

    pub(super) fn call_asgi(self: &Rc<Self>, request: Request) -> Outcome {
        let exchange = match &request.body {
            RequestBody::Streamed(exchange) => exchange.clone(),
            _ => Exchange::without_body(),
        };
        if let (Some(home), Some(host)) = (&self.home, &self.host) {
            interp::attach(|py| host.start(py, home, request, &exchange));
            return Outcome::Pending(exchange);
        }
        let answered = exchange.clone();
        let posted = self.app.home.post(Box::new(move |py, home| match Local::current() {
            Some(local) => match &local.host {
                Some(host) => host.start(py, home, request, &answered),
                None => fault::abort(&answered),
            },
            None => fault::abort(&answered),
        }));
        if posted.is_err() {
            fault::abort(&exchange);
        }
        Outcome::Pending(exchange)
    }

    /// What a call away from this worker may reach.
    pub(super) fn away(&self) -> Away {
        let home = self.home.as_ref().map_or(&self.app.home, |home| home.handle());
        Away { app: self.app.clone(), offload: self.offload.clone(), home: home.clone() }
    }

    pub(super) fn start_stream(
        self: &Rc<Self>,
        py: Python<'_>,
        head: ResponseHead,
        iterator: &Bound<'_, PyAny>,
        exchange: &Arc<Exchange>,
        origin: Origin,
    ) -> Result<(), Fault> {
        coroutine::begin_stream(py, self, head, iterator, exchange, origin)
    }

    pub(super) fn start_async_stream(
        self: &Rc<Self>,
        py: Python<'_>,
        iterator: &Bound<'_, PyAny>,
        exchange: &Arc<Exchange>,
        origin: Origin,
    ) {
        if let Some(home) = &self.home {
            return stream::start_async(py, self, home, iterator, exchange, origin);
        }
        let (held, answered) = (Held::new(iterator.clone().unbind()), exchange.clone());
        let posted = self.app.home.post(Box::new(move |py, home| match Local::current() {
            Some(local) => stream::start_async(py, &local, home, held.bind(py), &answered, origin),
            None => fault::abort(&answered),
        }));
        if posted.is_err() {
            fault::abort(exchange);
        }
    }

    pub(super) fn start_sync_stream(&self, iterator: Py<PyAny>, exchange: &Arc<Exchange>, origin: Origin) {
        let draining = self.app.draining.clone();
        SyncStream::start(Held::new(iterator), exchange.clone(), self.offload.clone(), draining, origin);
    }
}

/// A request by method and path.
pub(super) fn describe(head: &RequestHead) -> String {
    format!("{} {}", String::from_utf8_lossy(head.method_bytes()), String::from_utf8_lossy(head.path()))
}
