//! The application as it is now: its routes may be replaced while requests run.
//!
//! Owns: [`LiveApp`], which holds the latest [`App`], and how a worker comes to serve it.
//! Does not own: what an application is (`app`), what a table is (`plan`).
//! Rule (`swap_is_whole`): a request is found, bound and called by one table, that of the [`Local`] that routed it, however
//! many tables have come since; what was sent to another thread takes its application along.
//! Threads: any thread replaces or publishes; each worker takes the latest up at its next request.

use super::app::App;
use super::latest::Latest;
use super::local::{own_handlers, Local};
use super::plan::Table;
use crate::static_cache::StaticResponse;
use pyo3::prelude::*;
use std::rc::Rc;
use std::sync::Arc;

/// The latest application.
pub struct LiveApp(Latest<App>);

impl LiveApp {
    /// The first one.
    pub fn new(app: App) -> Arc<Self> {
        Arc::new(LiveApp(Latest::new(app)))
    }

    /// The one of now.
    pub fn latest(&self) -> Arc<App> {
        self.0.take_up()
    }

    /// It is still that one.
    pub(super) fn is_latest(&self, app: &Arc<App>) -> bool {
        self.0.is(app)
    }

    /// Serves by another table from now on. A request that was routed before ends as it began. Gives the table back, as
    /// an error, unless both are of raw routes alone.
    ///
    /// # Errors
    /// Says why not.
    pub fn replace(&self, py: Python<'_>, table: Table) -> Result<(), &'static str> {
        let latest = self.latest();
        if !latest.table.is_raw() || !table.is_raw() || latest.asgi.is_some() {
            return Err("the routes of a framework are changed through it");
        }
        let next = latest.with_table(py, table).map_err(|_| "out of memory")?;
        self.0.put(next);
        Ok(())
    }

    /// Puts another static response in the place of the one of that path. False: the path has none.
    pub fn publish(&self, path: &str, response: StaticResponse) -> bool {
        let latest = self.latest();
        let cell = latest.table.cell(path);
        if let Some(cell) = cell {
            cell.publish(response);
        }
        cell.is_some()
    }
}

impl App {
    fn with_table(&self, py: Python<'_>, table: Table) -> PyResult<App> {
        Ok(App {
            table,
            asgi: None,
            root_path: self.root_path.clone(),
            proxies: self.proxies.clone(),
            lifespan: self.lifespan.clone(),
            placement: self.placement,
            context: self.context.copy_for_worker(py)?,
            home: self.home.clone(),
            draining: self.draining.clone(),
            plain: self.plain.as_ref().map(|classes| classes.clone_ref(py)),
            forms: self.forms,
            middleware: self.middleware.clone(),
        })
    }
}

impl Local {
    /// What this worker holds of an application that took the place of its own.
    pub(super) fn succeed(&self, py: Python<'_>, app: Arc<App>) -> PyResult<Rc<Local>> {
        let (handlers, plans) = own_handlers(py, &app.table, self.workers)?;
        Ok(Rc::new(Local {
            worker: self.worker,
            workers: self.workers,
            context: app.context.copy_for_worker(py)?,
            app,
            handlers,
            plans,
            home: self.home.clone(),
            host: self.host.clone(),
            lifespan: self.lifespan.clone(),
            offload: self.offload.clone(),
            scratch: Default::default(),
            streams: self.streams.clone(),
        }))
    }

    /// The calling worker's own, for an application that a request was routed by elsewhere.
    pub(super) fn current_for(py: Python<'_>, app: &Arc<App>) -> Option<Rc<Local>> {
        let local = Local::current()?;
        if Arc::ptr_eq(&local.app, app) {
            return Some(local);
        }
        // It was replaced since, here or there: rare enough to make handlers for one request.
        match local.succeed(py, app.clone()) {
            Ok(local) => Some(local),
            Err(raised) => {
                log::error!("routes that were replaced could not be taken up: {raised}");
                None
            }
        }
    }
}
