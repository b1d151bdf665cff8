//! Routes as they are declared, and the table that finds them.
//!
//! Owns: [`RouteSpec`] (what a handler wants) and [`Table`] (patterns to targets). Does not own: finding (`router`).
//! Rule: a table is built once, before workers see it, and never written again; another one may take its place (`live`).

use super::call_plan::PlanSpec;
use super::earned::Earned;
use super::file_route::FileRoute;
use super::watch::Watch;
use crate::interp::{self, Held};
use crate::invariants::Stamp;
use crate::router::{Found, RouteFault, Router};
use crate::static_cache::{StaticCell, StaticResponse};
use bytes::Bytes;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

/// Type of a scalar parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarType {
    /// Python `int`, of any size.
    Int,
    /// Python `float`.
    Float,
    /// Python `bool`, in Pydantic's lax spellings.
    Bool,
    /// Python `str`.
    Str,
}

/// Where an argument comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The path parameter of that name.
    Path(ScalarType),
    /// The query parameter of that name.
    Query(ScalarType),
    /// The whole raw body, as `bytes`.
    Body,
    /// A `Request`.
    Request,
    /// An `Upload`: the body as it arrives.
    Upload,
}

/// One argument of a handler, in call order.
#[derive(Debug)]
pub struct Param {
    /// Where it comes from.
    pub source: Source,
    /// Its name in the path pattern or the query string.
    pub name: String,
    /// Absent is an error.
    pub required: bool,
    /// Repeated keys make a list; otherwise the last one counts.
    pub is_list: bool,
    /// What an absent one becomes.
    pub default: Held<PyAny>,
}

/// A raw route.
#[derive(Debug)]
pub struct RouteSpec {
    /// The handler as registered. Workers call clones of their own.
    pub handler: Held<PyAny>,
    /// For log lines, such as `app.read_item`.
    pub name: String,
    /// Arguments in call order.
    pub params: Vec<Param>,
    /// Calling it gives a coroutine, which runs on the home loop.
    pub is_async: bool,
    /// Where calls of a plain function run.
    pub earned: Arc<Earned>,
}

impl RouteSpec {
    /// The handler takes the body as it arrives.
    pub fn streams_body(&self) -> bool {
        self.params.iter().any(|param| param.source == Source::Upload)
    }
}

/// What a pattern leads to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A response rendered beforehand.
    Static(Arc<StaticCell>),
    /// The raw route of that index.
    Handler(u32),
    /// The call plan of that index.
    Plan(u32),
    /// A file of a folder; the path parameter `path` says which.
    Files(Arc<FileRoute>),
    /// The ASGI application behind the routes.
    Asgi,
}

/// All routes of an application.
#[derive(Default)]
pub struct Table {
    pub(super) router: Router<Target>,
    pub(super) routes: Vec<RouteSpec>,
    pub(super) plans: Vec<PlanSpec>,
    unmatched: Option<Unmatched>,
    watch: Option<Watch>,
    /// The `root_path` of a framework: paths may, or may not, begin with it.
    root_path: String,
    /// Which table this is.
    pub(super) stamp: Stamp,
    /// Static responses by path.
    cells: HashMap<String, Arc<StaticCell>>,
}

/// What becomes of requests that no route takes, where the routes are a framework's.
struct Unmatched {
    /// The first route of each path, whatever its methods: they are the value of `Allow`. Empty: ASGI decides.
    paths: Router<Bytes>,
    /// A path that has a route with, or without, a slash at its end is redirected.
    redirects_slashes: bool,
    /// Says whether the routes are still those that were read at start. Called attached.
    is_current: Held<PyAny>,
}

/// A request that no route takes.
pub enum NoRoute {
    /// 404.
    NotFound,
    /// 405, with the value of `Allow`.
    MethodNotAllowed(Bytes),
    /// The ASGI application decides.
    Asgi,
}

impl Table {
    /// Answers what no route takes as FastAPI does, without it.
    ///
    /// `paths` are the patterns in order of precedence, each with the value of `Allow`.
    ///
    /// # Errors
    /// As [`Table::add_route`].
    pub fn answer_unmatched(
        &mut self,
        paths: Vec<(String, String)>,
        redirects_slashes: bool,
        is_current: Held<PyAny>,
    ) -> Result<(), RouteFault> {
        let mut router = Router::with_head_apart();
        for (pattern, allow) in paths {
            match router.insert_any(&pattern, Bytes::from(allow)) {
                Ok(()) | Err(RouteFault::Shadowed(..)) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.unmatched = Some(Unmatched { paths: router, redirects_slashes, is_current });
        Ok(())
    }

    /// Takes `root_path` off the paths that begin with it, before they are looked up.
    pub fn set_root_path(&mut self, root_path: String) {
        self.root_path = root_path;
    }

    /// The part of a path that routes are found by: Starlette's `get_route_path`.
    pub(super) fn route_path<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(&self.root_path) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
            _ => path,
        }
    }

    /// Has plans called only as long as the routes are those that they were made of.
    pub fn set_watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// The plans of the table may be called.
    pub(super) fn has_valid_plans(&self) -> bool {
        self.watch.as_ref().is_none_or(Watch::holds)
    }

    /// The routes are still those that were read at start: a request that none of them takes is nobody's.
    pub(super) fn is_current(&self) -> bool {
        let Some(unmatched) = &self.unmatched else { return true };
        interp::attach(|py| match unmatched.is_current.bind(py).call0().and_then(|found| found.is_truthy()) {
            Ok(is_current) => is_current,
            Err(raised) => {
                log::error!("the version of the routes could not be read: {raised}");
                false
            }
        })
    }

    /// What becomes of a path that the router gave no route for.
    pub(super) fn no_route(&self, method: &[u8], path: &str) -> NoRoute {
        let Some(unmatched) = &self.unmatched else { return NoRoute::Asgi };
        let first = |path: &str| match unmatched.paths.find(method, path) {
            Found::Route(allow, _) => Some(allow.clone()),
            _ => None,
        };
        match first(path) {
            Some(allow) if allow.is_empty() => return NoRoute::Asgi,
            Some(allow) => return NoRoute::MethodNotAllowed(allow),
            None => {}
        }
        if unmatched.redirects_slashes && path != "/" {
            let toggled = match path.strip_suffix('/') {
                Some(_) => path.trim_end_matches('/').to_owned(),
                None => format!("{path}/"),
            };
            if first(&toggled).is_some() {
                return NoRoute::Asgi;
            }
        }
        NoRoute::NotFound
    }

    /// Adds a raw route.
    ///
    /// # Errors
    /// The pattern is malformed, or conflicts with one that is there.
    pub fn add_route(&mut self, method: &str, pattern: &str, spec: RouteSpec) -> Result<(), RouteFault> {
        let index = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        self.router.insert(method, pattern, Target::Handler(index))?;
        self.routes.push(spec);
        Ok(())
    }

    /// Adds a static response for GET and HEAD.
    ///
    /// # Errors
    /// As [`Table::add_route`].
    pub fn add_static(&mut self, path: &str, response: StaticResponse) -> Result<(), RouteFault> {
        let cell = Arc::new(StaticCell::new(response));
        self.router.insert("GET", path, Target::Static(cell.clone()))?;
        self.cells.insert(path.to_owned(), cell);
        Ok(())
    }

    /// The place of the static response that was added for a path.
    pub(super) fn cell(&self, path: &str) -> Option<&StaticCell> {
        self.cells.get(path).map(Arc::as_ref)
    }

    /// Its routes are raw ones, none of a framework's, which are watched instead (`watch`).
    pub(super) fn is_raw(&self) -> bool {
        self.plans.is_empty() && self.unmatched.is_none() && self.watch.is_none()
    }

    /// Serves a folder below a prefix, for GET and HEAD.
    ///
    /// # Errors
    /// As [`Table::add_route`].
    pub fn add_files(&mut self, prefix: &str, route: FileRoute) -> Result<(), RouteFault> {
        let pattern = format!("{}/{{path:path}}", prefix.trim_end_matches('/'));
        let route = Arc::new(route);
        self.router.insert("GET", &pattern, Target::Files(route.clone()))?;
        self.router.insert("HEAD", &pattern, Target::Files(route))
    }

    /// Adds a call plan for some methods.
    ///
    /// # Errors
    /// As [`Table::add_route`].
    pub fn add_plan(&mut self, methods: &[String], pattern: &str, spec: PlanSpec) -> Result<(), RouteFault> {
        self.use_framework_rules();
        let index = u32::try_from(self.plans.len()).unwrap_or(u32::MAX);
        for method in methods {
            match self.router.insert(method, pattern, Target::Plan(index)) {
                // An earlier route takes all of its paths, as in FastAPI.
                Ok(()) | Err(RouteFault::Shadowed(..)) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.plans.push(spec);
        Ok(())
    }

    /// Gives what a pattern takes to the ASGI application; without a method, for all of them.
    ///
    /// # Errors
    /// As [`Table::add_route`].
    pub fn add_asgi(&mut self, method: Option<&str>, pattern: &str) -> Result<(), RouteFault> {
        self.use_framework_rules();
        let inserted = match method {
            Some(method) => self.router.insert(method, pattern, Target::Asgi),
            None => self.router.insert_any(pattern, Target::Asgi),
        };
        match inserted {
            Ok(()) | Err(RouteFault::Shadowed(..)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// HEAD is a method like any other where the routes are a framework's.
    fn use_framework_rules(&mut self) {
        if self.router.is_empty() {
            self.router = Router::with_head_apart();
        }
    }

    /// True when no route was added.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.router.is_empty()
    }
}
