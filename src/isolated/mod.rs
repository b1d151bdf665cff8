//! Workers with interpreters of their own.
//!
//! Owns: loading the application into each worker's interpreter, the tables that come of it.
//! Does not own: making interpreters (`interp::isolate`), calling handlers: that is `dispatch`, unchanged, so that the
//! same requests get the same bytes (docs/decisions/0010-own-interpreters.md).
//! Rule (`no_cross_interpreter`): a worker's objects are made, used and dropped on its own threads; nothing here outlives
//! its interpreter. Nothing on this path uses what PyO3 keeps once for the process: `intern!`, `#[pyclass]`, imported
//! exceptions, `PyOnceLock`.

use crate::asgi::TrustedProxies;
use crate::dispatch::{
    open_folder, render_static, App, AppFactory, Earned, FileOptions, FormLimits, LiveApp, LoopPlacement,
    Param, Pin, PlainClasses, PyService, RouteSpec, StaticSpec, Table, Thresholds,
};
use crate::interp::{self, BaseContext, Held, OwnInterpreter};
use crate::service::{ServiceFactory, WorkerContext};
use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

/// Where each worker finds the application.
#[derive(Clone, Debug)]
pub struct Source {
    /// `module:attribute`.
    pub target: String,
    /// In front of the import path.
    pub app_dir: String,
    /// Call the attribute to get the application.
    pub factory: bool,
    /// The import path.
    pub path: Vec<String>,
}

/// What of the configuration each worker's application is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Prefix that a proxy took off.
    pub root_path: String,
    /// Proxies whose word on scheme and client is taken.
    pub proxies: TrustedProxies,
    /// `auto`, `on` or `off`.
    pub lifespan: String,
    /// What an uploaded form may be.
    pub forms: FormLimits,
    /// When plain functions of raw routes run on the worker.
    pub thresholds: Thresholds,
}

/// Reads one parameter of a route as `CoreServer.route` is told it.
pub type ReadParam = fn(&Bound<'_, PyAny>) -> PyResult<Param>;

/// Makes each worker's interpreter, and its service in it.
pub struct IsolatedFactory {
    source: Source,
    read_param: ReadParam,
    settings: Settings,
    /// By worker, while its interpreter lives.
    interpreters: Vec<Mutex<Option<OwnInterpreter>>>,
}

/// In front of a message that is one line for the user: the application, or the machine, is not fit for this isolation.
pub const REFUSED: &str = "refused: ";

thread_local! {
    /// Why this worker has no interpreter.
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl IsolatedFactory {
    /// For so many workers.
    pub fn new(source: Source, workers: usize, read_param: ReadParam, settings: Settings) -> Self {
        IsolatedFactory {
            source,
            read_param,
            settings,
            interpreters: (0..workers).map(|_| Mutex::default()).collect(),
        }
    }
}

impl ServiceFactory for IsolatedFactory {
    type Service = PyService;

    fn enter_worker(&self, worker: usize, run: &mut dyn FnMut()) {
        let slot = &self.interpreters[worker];
        interp::in_own_interpreter(&mut |made| {
            match made {
                Ok(own) => *slot.lock() = Some(own),
                Err(reason) => REASON.set(Some(reason)),
            }
            run();
            if slot.lock().take().is_some() {
                leave();
            }
        });
    }

    fn has_own_pools(&self) -> bool {
        true
    }

    fn enter_own_pool(&self, worker: usize, run: &mut dyn FnMut()) {
        let own = *self.interpreters[worker].lock();
        match own {
            Some(own) => interp::in_thread_state_of(own, run),
            None => log::error!("worker {worker}: a thread of its pool came after its end"),
        }
    }

    fn make(&self, worker: WorkerContext) -> Result<PyService, String> {
        if let Some(reason) = REASON.take() {
            return Err(format!(
                "{REFUSED}isolation: no interpreter could be made for worker {}: {reason}",
                worker.worker
            ));
        }
        interp::attach(|py| {
            let app = self.load(py)?;
            // The only worker of its kind.
            AppFactory(LiveApp::new(app)).make(WorkerContext {
                worker: 0,
                workers: 1,
                offload: worker.offload,
            })
        })
    }
}

impl IsolatedFactory {
    /// Imports the application into the interpreter of the calling thread.
    fn load(&self, py: Python<'_>) -> Result<App, String> {
        let source = &self.source;
        let loaded = set_import_path(py, &source.path)
            .and_then(|()| py.import("turboapi_rs.isolated"))
            .and_then(|module| {
                module.getattr("load")?.call1((&source.target, &source.app_dir, source.factory))
            })
            .and_then(|loaded| Ok(loaded.cast_into::<PyTuple>()?))
            .map_err(|raised| interp::traceback(py, &raised))?;
        self.app(py, &loaded).map_err(|raised| {
            // A setting is wrong, or a folder is not there.
            let is_one_line =
                raised.is_instance_of::<PyValueError>(py) || raised.is_instance_of::<PyOSError>(py);
            match is_one_line {
                true => format!("{REFUSED}{}", raised.value(py)),
                false => interp::traceback(py, &raised),
            }
        })
    }

    /// What `turboapi_rs.isolated.load` gives: an error line, routes, static responses, folders, the plain classes,
    /// the ASGI application.
    fn app(&self, py: Python<'_>, loaded: &Bound<'_, PyTuple>) -> PyResult<App> {
        let refusal = loaded.get_item(0)?;
        if !refusal.is_none() {
            return Err(PyValueError::new_err(refusal.extract::<String>()?));
        }
        let mut table = Table::default();
        for route in loaded.get_item(1)?.cast::<PyList>()? {
            self.add_route(&mut table, route.cast::<PyTuple>()?)?;
        }
        for response in loaded.get_item(2)?.cast::<PyList>()? {
            add_static(&mut table, response.cast::<PyTuple>()?)?;
        }
        for folder in loaded.get_item(3)?.cast::<PyList>()? {
            add_folder(&mut table, folder.cast::<PyTuple>()?)?;
        }
        let (classes, asgi) = (loaded.get_item(4)?, loaded.get_item(5)?);
        Ok(App {
            table,
            asgi: (!asgi.is_none()).then(|| Held::new(asgi.unbind())),
            root_path: self.settings.root_path.clone(),
            proxies: self.settings.proxies.clone(),
            lifespan: self.settings.lifespan.clone(),
            placement: LoopPlacement::PerWorker,
            context: BaseContext::capture(py)?,
            home: Arc::default(),
            draining: Arc::default(),
            forms: self.settings.forms,
            plain: Some(PlainClasses {
                request: Held::new(classes.get_item(0)?.unbind()),
                upload: Held::new(classes.get_item(1)?.unbind()),
            }),
            middleware: None,
        })
    }

    fn add_route(&self, table: &mut Table, route: &Bound<'_, PyTuple>) -> PyResult<()> {
        let (method, path): (String, String) = (route.get_item(0)?.extract()?, route.get_item(1)?.extract()?);
        let name: String = route.get_item(3)?.extract()?;
        let mut params = Vec::new();
        for param in route.get_item(4)?.cast::<PyList>()? {
            params.push((self.read_param)(&param)?);
        }
        let handler = Held::new(route.get_item(2)?.unbind());
        let pin: String = route.get_item(6)?.extract()?;
        let pin = Pin::from_name(&pin)
            .ok_or_else(|| PyValueError::new_err(format!("{pin:?} is no pin of {name}")))?;
        let earned = Arc::new(Earned::new(&method, &path, &name, pin, self.settings.thresholds));
        let is_async = route.get_item(5)?.is_truthy()?;
        let spec = RouteSpec { handler, name: name.clone(), params, is_async, earned };
        table
            .add_route(&method, &path, spec)
            .map_err(|fault| PyValueError::new_err(format!("route {method} {path} ({name}): {fault}")))
    }
}

fn add_static(table: &mut Table, response: &Bound<'_, PyTuple>) -> PyResult<()> {
    let (path, spec): (String, StaticSpec) = response.extract()?;
    let rendered = render_static(spec).map_err(|fault| {
        PyValueError::new_err(format!("static response {path}: {}", fault.value(response.py())))
    })?;
    table
        .add_static(&path, rendered)
        .map_err(|fault| PyValueError::new_err(format!("static response {path}: {fault}")))
}

fn add_folder(table: &mut Table, folder: &Bound<'_, PyTuple>) -> PyResult<()> {
    let (prefix, directory, headers, options): (String, PathBuf, Vec<(String, String)>, Bound<'_, PyAny>) =
        folder.extract()?;
    let symlinks: String = options.get_item("symlinks")?.extract()?;
    let options = FileOptions {
        index: options.get_item("index")?.extract()?,
        serves_hidden: options.get_item("hidden")?.is_truthy()?,
        has_codings: options.get_item("precompressed")?.is_truthy()?,
        ..FileOptions::following(&symlinks).map_err(PyValueError::new_err)?
    };
    let route = open_folder(folder.py(), &directory, options, &headers)?;
    table
        .add_files(&prefix, route)
        .map_err(|fault| PyValueError::new_err(format!("static_files {prefix}: {fault}")))
}

/// The last words in an interpreter: threads that the application started are waited for, as at the end of any program.
fn leave() {
    interp::attach(|py| {
        let left =
            py.import("turboapi_rs.isolated").and_then(|module| module.getattr("leave")?.call0().map(drop));
        if let Err(raised) = left {
            log::error!("an interpreter was not left in order: {raised}");
        }
    });
}

fn set_import_path(py: Python<'_>, path: &[String]) -> PyResult<()> {
    py.import("sys")?.setattr("path", PyList::new(py, path)?)
}
