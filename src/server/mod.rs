//! `CoreServer`: configuration in, workers started, stopped, joined.
//!
//! Owns: building the application that workers share, the life of one server, what the extension module has.
//! Does not own: reading settings (`settings`) and routes (`routes`), signals and messages for people
//! (`turboapi_rs.serving`), what a worker does (`runtime`, `dispatch`).
//! Rule: routes are added before `start`; whatever can be wrong is raised by `start`, by name.
//! Threads: `stop`, `cut` and `is_running` from any thread; `start` and `join` detach while they wait.

mod process;
mod routes;
mod settings;

use crate::asgi::TrustedProxies;
use crate::dispatch::{
    open_folder, render_static, spec_from, App, AppFactory, Earned, FileOptions, FormLimits, LiveApp,
    LoopPlacement, Pin, RouteSpec, StaticSpec, Table, Thresholds, Watch,
};
use crate::interp::{BaseContext, Held};
use crate::isolated::{IsolatedFactory, Settings as AppSettings, Source as AppSource, REFUSED};
use crate::middleware::Stack;
use crate::pyclasses::MiddlewareStack;
use crate::router::RouteFault;
use crate::runtime::{self, Brake, RunningServer, RuntimeConfig, StartError};
use crate::service::{Offload, ServiceFactory};
use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use routes::{param, read_param, route_state, ParamSpec};
use settings::Settings;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

pyo3::create_exception!(
    turboapi_rs._core,
    ConfigError,
    PyValueError,
    "A setting is wrong; the text says which."
);
pyo3::create_exception!(turboapi_rs._core, StartupError, PyRuntimeError, "The application refused to start.");

/// One server.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub struct CoreServer {
    config: RuntimeConfig,
    placement: LoopPlacement,
    root_path: String,
    forwarded_allow_ips: String,
    lifespan: String,
    forms: FormLimits,
    thresholds: Thresholds,
    /// The policy of each route, for `routes_state`.
    earned: Mutex<Vec<Arc<Earned>>>,
    /// The pool, while the server runs.
    offload: Mutex<Option<Offload>>,
    state: Mutex<State>,
    middleware: Mutex<Option<Arc<Stack>>>,
    brake: Brake,
    /// The application, while it is served from the main interpreter.
    live: Mutex<Option<Arc<LiveApp>>>,
    is_running: AtomicBool,
}

enum State {
    /// Routes may be added.
    Open {
        table: Box<Table>,
        asgi: Option<Held<PyAny>>,
        /// What each worker loads into an interpreter of its own, in place of all the rest.
        isolated: Option<AppSource>,
    },
    /// It was started.
    Running(RunningServer),
    /// It has ended, or is being started or joined.
    Closed,
}

#[pymethods]
impl CoreServer {
    #[new]
    fn new(settings: &Bound<'_, PyDict>) -> PyResult<Self> {
        let settings = Settings(settings);
        Ok(CoreServer {
            config: settings.runtime()?,
            placement: settings.placement()?,
            root_path: settings.text("root_path")?.unwrap_or_default(),
            forwarded_allow_ips: settings
                .text("forwarded_allow_ips")?
                .unwrap_or_else(|| "127.0.0.1".to_owned()),
            lifespan: settings.text("lifespan")?.unwrap_or_else(|| "auto".to_owned()),
            forms: settings.forms()?,
            thresholds: settings.thresholds()?,
            earned: Mutex::default(),
            offload: Mutex::default(),
            middleware: Mutex::default(),
            state: Mutex::new(State::Open { table: Box::default(), asgi: None, isolated: None }),
            brake: Brake::default(),
            live: Mutex::default(),
            is_running: AtomicBool::new(false),
        })
    }

    /// Adds a raw route.
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    #[pyo3(signature = (method, path, handler, *, name, params, is_async, pin = "direct"))]
    fn route(
        &self,
        method: &str,
        path: &str,
        handler: Py<PyAny>,
        name: String,
        params: Vec<ParamSpec<'_>>,
        is_async: bool,
        pin: &str,
    ) -> PyResult<()> {
        let params = params.into_iter().map(param).collect::<PyResult<_>>()?;
        let earned = self.policy(method, path, &name, pin)?;
        let spec = RouteSpec { handler: Held::new(handler), name, params, is_async, earned: earned.clone() };
        self.with_table(|table| table.add_route(method, path, spec))?;
        if !is_async {
            self.earned.lock().push(earned);
        }
        Ok(())
    }

    /// Where the calls of each plain function run, and what was counted: one dict a route.
    fn routes_state<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let routes = self.earned.lock().clone();
        routes.iter().map(|earned| route_state(py, earned)).collect()
    }

    /// What the offload pool does, and what it has done. Empty before `start` and after `join`.
    fn offload_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = PyDict::new(py);
        let offload = self.offload.lock().clone();
        if let Some(load) = offload.map(|offload| offload.load()) {
            for (name, count) in [
                ("queued", load.queued as u64),
                ("running", load.busy as u64),
                ("threads", load.threads as u64),
                ("max_threads", load.max_threads as u64),
                ("max_queued", load.max_queued as u64),
                ("completed", load.completed),
                ("refused", load.refused),
            ] {
                state.set_item(name, count)?;
            }
        }
        Ok(state)
    }

    /// Adds a call plan, as `turboapi_rs.plans` compiled it.
    #[pyo3(signature = (methods, path, run, **options))]
    fn plan_route(
        &self,
        methods: Vec<String>,
        path: &str,
        run: Py<PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let options = options.ok_or_else(|| PyValueError::new_err("plan_route: no options"))?;
        let told = |name: &str| -> PyResult<Bound<'_, PyAny>> {
            options.get_item(name)?.ok_or_else(|| PyValueError::new_err(format!("plan_route: no {name}")))
        };
        let (name, pin): (String, String) = (told("name")?.extract()?, told("pin")?.extract()?);
        let is_blocking: bool = told("is_blocking")?.is_truthy()?;
        let pin = match (is_blocking, pin.as_str()) {
            (false, _) => "direct",
            (true, "") => "earned",
            (true, pin) => pin,
        };
        let earned = self.policy(&methods.join(","), path, &name, pin)?;
        let spec = spec_from(run, options, earned.clone())?;
        self.with_table(|table| table.add_plan(&methods, path, spec))?;
        if is_blocking {
            self.earned.lock().push(earned);
        }
        Ok(())
    }

    /// Runs native middleware around the compiled routes.
    fn set_middleware(&self, stack: &MiddlewareStack) {
        *self.middleware.lock() = Some(stack.stack());
    }

    /// Answers what no route takes as FastAPI does: the patterns in order, each with its value of `Allow`.
    fn answer_unmatched(
        &self,
        paths: Vec<(String, String)>,
        redirect_slashes: bool,
        is_current: Py<PyAny>,
    ) -> PyResult<()> {
        self.with_table(|table| table.answer_unmatched(paths, redirect_slashes, Held::new(is_current)))
    }

    /// Has routes found by what is behind `root_path`, of paths that begin with it.
    fn set_root_path(&self, root_path: String) -> PyResult<()> {
        self.with_table(|table| {
            table.set_root_path(root_path);
            Ok(())
        })
    }

    /// Has plans called only as long as `lists` have their sizes, or `do_hold()` says that it does not matter.
    fn watch_routes(&self, lists: Vec<Bound<'_, PyList>>, do_hold: Py<PyAny>) -> PyResult<()> {
        let watch = Watch::new(&lists, Held::new(do_hold));
        self.with_table(|table| {
            table.set_watch(watch);
            Ok(())
        })
    }

    /// Gives what a pattern takes to the ASGI application; with no method, for every method.
    fn asgi_route(&self, method: Option<&str>, path: &str) -> PyResult<()> {
        self.with_table(|table| table.add_asgi(method, path))
    }

    /// Adds a response that is rendered now.
    fn static_response(&self, path: &str, response: StaticSpec) -> PyResult<()> {
        let response = render_static(response)?;
        self.with_table(|table| table.add_static(path, response))
    }

    /// Puts another response, rendered now, in the place of the one that was added for that path, while it is served.
    fn publish_static(&self, path: &str, response: StaticSpec) -> PyResult<()> {
        let response = render_static(response)?;
        match self.live()?.publish(path, response) {
            true => Ok(()),
            false => Err(PyValueError::new_err(format!("{path} has no static response"))),
        }
    }

    /// Serves by the routes of another server, which was not started, from now on. That one can then not be started.
    fn take_routes(&self, py: Python<'_>, other: &CoreServer) -> PyResult<()> {
        let live = self.live()?;
        let table = match std::mem::replace(&mut *other.state.lock(), State::Closed) {
            State::Open { table, asgi: None, isolated: None } => *table,
            unfit => {
                *other.state.lock() = unfit;
                return Err(PyRuntimeError::new_err(
                    "the routes are not those of a Server that was not started",
                ));
            }
        };
        live.replace(py, table).map_err(PyRuntimeError::new_err)?;
        let earned = std::mem::take(&mut *other.earned.lock());
        *self.earned.lock() = earned;
        Ok(())
    }

    /// Serves the files of a folder below a prefix.
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    #[pyo3(signature = (prefix, directory, headers, *, index, precompressed, hidden, symlinks))]
    fn static_files(
        &self,
        py: Python<'_>,
        prefix: &str,
        directory: std::path::PathBuf,
        headers: Vec<(String, String)>,
        index: Option<String>,
        precompressed: bool,
        hidden: bool,
        symlinks: &str,
    ) -> PyResult<()> {
        let options = FileOptions {
            index,
            serves_hidden: hidden,
            has_codings: precompressed,
            ..FileOptions::following(symlinks).map_err(PyValueError::new_err)?
        };
        let route = open_folder(py, &directory, options, &headers)?;
        self.with_table(|table| table.add_files(prefix, route))
    }

    /// Hosts an ASGI application behind the routes.
    fn host_asgi(&self, app: Py<PyAny>) -> PyResult<()> {
        match &mut *self.state.lock() {
            State::Open { asgi, .. } => {
                *asgi = Some(Held::new(app));
                Ok(())
            }
            _ => Err(PyRuntimeError::new_err("the server was started already")),
        }
    }

    /// Has each worker import the application into an interpreter of its own.
    fn host_isolated(
        &self,
        target: String,
        app_dir: String,
        factory: bool,
        path: Vec<String>,
    ) -> PyResult<()> {
        match &mut *self.state.lock() {
            State::Open { isolated, .. } => {
                *isolated = Some(AppSource { target, app_dir, factory, path });
                Ok(())
            }
            _ => Err(PyRuntimeError::new_err("the server was started already")),
        }
    }

    /// Binds, starts the workers and the application, listens. Returns when it serves.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let (table, asgi, isolated) = match std::mem::replace(&mut *self.state.lock(), State::Closed) {
            State::Open { table, asgi, isolated } => (table, asgi, isolated),
            other => {
                *self.state.lock() = other;
                return Err(PyRuntimeError::new_err("the server was started already"));
            }
        };
        let app = App {
            table: *table,
            asgi,
            root_path: self.root_path.clone(),
            proxies: TrustedProxies::parse(&self.forwarded_allow_ips),
            lifespan: self.lifespan.clone(),
            placement: self.placement,
            context: BaseContext::capture(py)?,
            home: Arc::default(),
            draining: Arc::default(),
            plain: None,
            forms: self.forms,
            middleware: self.middleware.lock().clone(),
        };
        let mut config = self.config.clone();
        let started = match isolated {
            None => {
                let live = LiveApp::new(app);
                *self.live.lock() = Some(live.clone());
                py.detach(|| self.launch(config, AppFactory(live)))
            }
            Some(source) => {
                let told = AppSettings {
                    root_path: app.root_path,
                    proxies: app.proxies,
                    lifespan: app.lifespan,
                    forms: app.forms,
                    thresholds: self.thresholds,
                };
                // What PyO3 makes when it first looks at an exception is made here, in the main interpreter.
                let _ = py.get_type::<pyo3::panic::PanicException>();
                if config.workers == 0 {
                    config.workers = runtime::available_cores();
                }
                let factory = IsolatedFactory::new(source, config.workers, read_param, told);
                py.detach(|| self.launch(config, factory))
            }
        };
        let server = started.map_err(raise)?;
        *self.offload.lock() = Some(server.offload());
        self.is_running.store(true, Ordering::Release);
        *self.state.lock() = State::Running(server);
        Ok(())
    }

    /// The processes that share the listening socket all end: the drain takes what waits to be accepted. Before `stop`.
    fn note_last(&self) {
        self.brake.note_last();
    }

    /// Begins the drain; a second call cuts what is left.
    fn stop(&self) {
        self.brake.stop();
    }

    /// Cuts everything. A start that is still under way fails.
    fn cut(&self) {
        self.brake.cut();
    }

    /// Waits until every worker has ended.
    fn join(&self, py: Python<'_>) -> PyResult<()> {
        let state = std::mem::replace(&mut *self.state.lock(), State::Closed);
        let State::Running(server) = state else { return Ok(()) };
        let ended = py.detach(move || server.join());
        *self.offload.lock() = None;
        *self.live.lock() = None;
        self.is_running.store(false, Ordering::Release);
        ended.map_err(PyRuntimeError::new_err)
    }

    /// True from `start` to the end of `join`.
    fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    /// Where it listens.
    fn addresses(&self) -> Vec<String> {
        self.running(|server| server.addresses().to_vec()).unwrap_or_default()
    }

    /// The I/O driver in use.
    fn driver(&self) -> &'static str {
        self.running(|server| server.driver().name()).unwrap_or("none")
    }

    /// Requests begun since the start.
    fn requests(&self) -> u64 {
        self.brake.requests()
    }

    /// How many workers there are.
    fn workers(&self) -> usize {
        self.running(RunningServer::workers).unwrap_or(0)
    }
}

impl CoreServer {
    /// Starts the workers, and waits until they serve.
    fn launch<F: ServiceFactory>(
        &self,
        config: RuntimeConfig,
        factory: F,
    ) -> Result<RunningServer, StartError> {
        let server = runtime::start(config, Arc::new(factory))?;
        // Known before the application has started: its start can be cut short.
        self.brake.fit(server.stop_handle());
        match server.wait_started() {
            Ok(()) => Ok(server),
            Err(error) => {
                if let Err(fault) = server.join() {
                    log::error!("{fault}");
                }
                Err(error)
            }
        }
    }

    fn running<R>(&self, look: impl FnOnce(&RunningServer) -> R) -> Option<R> {
        match &*self.state.lock() {
            State::Running(server) => Some(look(server)),
            _ => None,
        }
    }

    /// The policy of a route that is being added.
    fn policy(&self, method: &str, path: &str, handler: &str, pin: &str) -> PyResult<Arc<Earned>> {
        let pin = Pin::from_name(pin).ok_or_else(|| {
            PyValueError::new_err(format!("{pin:?} is none of direct, blocking and earned"))
        })?;
        Ok(Arc::new(Earned::new(method, path, handler, pin, self.thresholds)))
    }

    fn live(&self) -> PyResult<Arc<LiveApp>> {
        self.live.lock().clone().ok_or_else(|| {
            PyRuntimeError::new_err("the server does not run, or each of its workers has its own application")
        })
    }

    fn with_table(&self, add: impl FnOnce(&mut Table) -> Result<(), RouteFault>) -> PyResult<()> {
        match &mut *self.state.lock() {
            State::Open { table, .. } => add(table).map_err(|fault| PyValueError::new_err(fault.to_string())),
            _ => Err(PyRuntimeError::new_err("the server was started already")),
        }
    }
}

fn raise(error: StartError) -> PyErr {
    match &error {
        // OSError picks its own subclass by the code.
        StartError::Bind(address, Some(code), text) => {
            let text = text.split(" (os error").next().unwrap_or(text);
            PyOSError::new_err((*code, format!("{text}: {address}")))
        }
        StartError::Bind(..) | StartError::Address(_) | StartError::DriverRefused(_) => {
            ConfigError::new_err(error.to_string())
        }
        StartError::Service(text) if text.starts_with(REFUSED) => {
            ConfigError::new_err(text[REFUSED.len()..].to_owned())
        }
        StartError::Thread(_) | StartError::Service(_) => PyRuntimeError::new_err(error.to_string()),
        StartError::AppFailed(_) => StartupError::new_err(error.to_string()),
    }
}

/// Fills the extension module.
///
/// # Errors
/// Python's own.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    process::set_log_level("warning")?;
    module.add_class::<CoreServer>()?;
    module.add_class::<crate::pyclasses::Request>()?;
    module.add_class::<MiddlewareStack>()?;
    module.add("ConfigError", py.get_type::<ConfigError>())?;
    module.add("StartupError", py.get_type::<StartupError>())?;
    crate::json::register(module)?;
    crate::validate::register(module)?;
    crate::dispatch::register(module)?;
    crate::dispatch::register_uploads(module)?;
    module.add_function(wrap_pyfunction!(process::build_info, module)?)?;
    module.add_function(wrap_pyfunction!(process::interpreters_left_behind, module)?)?;
    module.add_function(wrap_pyfunction!(process::set_log_level, module)?)
}
