//! What a worker holds of its own, and what goes on from there.
//!
//! Owns: [`Local`]: copies of handlers and plans, the loop and what is hosted on it; starting the ASGI application and
//! streams; what a call away from the worker may reach.
//! Does not own: what all workers share (`app`), where a request goes (`routing`), replacing routes (`live`), calls of raw
//! handlers (`raw`) and of plans (`call_plan`).
//! Rule: each worker calls handlers of its own, and shares no object that it counts references on with another worker.
//! Threads: `Local` never leaves its worker.

use super::app::{App, LoopPlacement};
use super::coroutine;
use super::fault::Fault;
use super::offloaded::Away;
use super::onward;
use super::plan::Table;
use super::stream::{self, Origin, SyncStream};
use crate::asgi::{AsgiHost, Lifespan};
use crate::home_loop::HomeLoop;
use crate::http1::{RequestHead, ResponseHead};
use crate::interp::{self, BaseContext, Held};
use crate::service::{Exchange, Offload, Outcome, Request, RequestBody, WorkerContext};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::Arc;

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

impl Local {
    /// What the calling worker holds of an application, its loop among it.
    pub(super) fn make(py: Python<'_>, app: Arc<App>, worker: WorkerContext) -> PyResult<Rc<Local>> {
        let has_home = app.placement == LoopPlacement::PerWorker || worker.worker == 0;
        let context = app.context.copy_for_worker(py)?;
        let home = if has_home {
            let handle = if worker.worker == 0 { app.home.clone() } else { Arc::default() };
            // Of the native classes none is used where the extension was not loaded.
            let offload = app.plain.is_none().then(|| worker.offload.clone());
            let home = HomeLoop::make(py, handle, app.context.copy_for_worker(py)?, offload)?;
            if worker.worker == 0 && app.plain.is_none() {
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
        Ok(Rc::new(Local {
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
        }))
    }

    /// From now on that one is the calling worker's own.
    pub(super) fn set_current(local: Option<Rc<Local>>) {
        LOCAL.with_borrow_mut(|slot| *slot = local);
    }

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

    /// The drain has begun: async streams are told.
    pub(super) fn cancel_streams(&self) {
        if self.streams.pumps.borrow().is_empty() {
            return;
        }
        interp::attach(|py| {
            let pumps: Vec<Py<PyAny>> =
                self.streams.pumps.borrow().values().map(|pump| pump.clone_ref(py)).collect();
            for pump in pumps {
                if let Err(raised) = pump.call_method0(py, "cancel") {
                    log::error!("a stream could not be told of the drain: {raised}");
                }
            }
            if let Some(home) = &self.home {
                home.nudge();
            }
        });
    }

    /// Gives a request to the ASGI application, here or on the home loop's worker.
    pub(super) fn call_asgi(self: &Rc<Self>, request: Request) -> Outcome {
        let exchange = match &request.body {
            RequestBody::Streamed(exchange) => exchange.clone(),
            _ => Exchange::without_body(),
        };
        if let (Some(home), Some(host)) = (&self.home, &self.host) {
            interp::attach(|py| host.start(py, home, request, &exchange));
            return Outcome::Pending(exchange);
        }
        onward::post_to_host(&self.app.home, &exchange, move |py, host, home, exchange| {
            host.start(py, home, request, exchange);
        });
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
            return stream::start_async(py, home, iterator, exchange, origin);
        }
        stream::start_async_away(&self.app.home, iterator.clone(), exchange, origin);
    }

    pub(super) fn start_sync_stream(&self, iterator: Py<PyAny>, exchange: &Arc<Exchange>, origin: Origin) {
        let draining = self.app.draining.clone();
        SyncStream::start(Held::new(iterator), exchange.clone(), self.offload.clone(), draining, origin);
    }
}

type OwnHandlers = (Vec<Py<PyAny>>, Vec<Py<PyAny>>);

/// A worker's own handlers and plans of a table.
pub(super) fn own_handlers(py: Python<'_>, table: &Table, workers: usize) -> PyResult<OwnHandlers> {
    if workers > 1 {
        // What they share nonetheless: instances that are called, and what a plan's function finds in its names.
        table.routes.iter().try_for_each(|spec| interp::defer_callable(spec.handler.bind(py)))?;
        table.plans.iter().try_for_each(|spec| interp::defer_names(spec.run.bind(py)))?;
    }
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

/// A request by method and path.
pub(super) fn describe(head: &RequestHead) -> String {
    format!("{} {}", String::from_utf8_lossy(head.method_bytes()), String::from_utf8_lossy(head.path()))
}
