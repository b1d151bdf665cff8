//! The scope dict of an HTTP request.
//!
//! Owns: its keys and values. Rule: header names are lower-cased, order and repeats kept; `path` is decoded,
//! `raw_path` is as sent. Spec: ASGI HTTP connection scope.

use super::TrustedProxies;
use crate::bytes_ext;
use crate::http1::Version;
use crate::interp::name;
use crate::service::{Ends, Request};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use std::collections::HashMap;
use std::sync::Arc;

/// Makes scopes. One a loop, so that no object is shared between workers.
pub struct ScopeMaker {
    /// What is the same for every request of this application: copied, then completed.
    template: Py<PyDict>,
    root_path: String,
    proxies: TrustedProxies,
    root_path_object: Py<PyString>,
    state: Option<Py<PyDict>>,
    versions: [Py<PyString>; 2],
    /// Names of fields as `bytes`, made once. Bounded: names are chosen by clients.
    names: Mutex<HashMap<Box<[u8]>, Py<PyBytes>>>,
    methods: Mutex<HashMap<Box<[u8]>, Py<PyString>>>,
    last_ends: Mutex<Option<EndObjects>>,
}

/// `client` and `server` of one connection.
struct EndObjects {
    of: Arc<Ends>,
    client: Py<PyAny>,
    server: Py<PyAny>,
}

/// Names and methods kept as Python objects. Above it they are made anew for each request.
const MAX_CACHED: usize = 256;

impl ScopeMaker {
    /// For one application on one loop, which is offered `extensions`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(
        py: Python<'_>,
        root_path: &str,
        proxies: TrustedProxies,
        state: Option<Py<PyDict>>,
        extensions: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let asgi = PyDict::new(py);
        asgi.set_item("version", "3.0")?;
        asgi.set_item("spec_version", "2.3")?;
        let template = PyDict::new(py);
        template.set_item("type", "http")?;
        template.set_item("asgi", asgi)?;
        template.set_item("scheme", "http")?;
        template.set_item("extensions", extensions)?;
        Ok(ScopeMaker {
            template: template.unbind(),
            root_path_object: PyString::new(py, root_path).unbind(),
            root_path: root_path.to_owned(),
            proxies,
            state,
            versions: [PyString::new(py, "1.0").unbind(), PyString::new(py, "1.1").unbind()],
            names: Mutex::default(),
            methods: Mutex::default(),
            last_ends: Mutex::default(),
        })
    }

    /// The scope of `request`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn make<'py>(&self, py: Python<'py>, request: &Request) -> PyResult<Bound<'py, PyDict>> {
        let head = &request.head;
        let scope = self.template.bind(py).copy()?;
        let version = &self.versions[usize::from(head.version() == Version::Http11)];
        scope.set_item(name!(py, "http_version"), version)?;
        scope.set_item(name!(py, "method"), self.method(py, head.method_bytes()))?;
        let raw_path = head.path();
        let decoded = bytes_ext::percent_decode(raw_path);
        let path = String::from_utf8_lossy(&decoded);
        // As uvicorn: an app mounted below a root path sees both, joined.
        if self.root_path.is_empty() {
            scope.set_item(name!(py, "path"), &*path)?;
            scope.set_item(name!(py, "raw_path"), PyBytes::new(py, raw_path))?;
        } else {
            scope.set_item(name!(py, "path"), format!("{}{}", self.root_path, path))?;
            let joined = [self.root_path.as_bytes(), raw_path].concat();
            scope.set_item(name!(py, "raw_path"), PyBytes::new(py, &joined))?;
        }
        scope.set_item(name!(py, "query_string"), PyBytes::new(py, head.query()))?;
        scope.set_item(name!(py, "root_path"), &self.root_path_object)?;
        scope.set_item(name!(py, "headers"), self.headers(py, request)?)?;
        let (client, server) = self.ends(py, &request.ends)?;
        scope.set_item(name!(py, "client"), client)?;
        scope.set_item(name!(py, "server"), server)?;
        let peer = request.ends.client.as_ref().map(|(host, _)| host.as_str());
        if let Some(scheme) = self.proxies.scheme(peer, head) {
            scope.set_item(name!(py, "scheme"), scheme)?;
        }
        if let Some(client) = self.proxies.client(peer, head) {
            scope.set_item(name!(py, "client"), client)?;
        }
        if let Some(state) = &self.state {
            scope.set_item(name!(py, "state"), state.bind(py).copy()?)?;
        }
        Ok(scope)
    }

    fn headers<'py>(&self, py: Python<'py>, request: &Request) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let mut names = self.names.lock();
        for (name, value) in request.head.fields() {
            let name = match names.get(name) {
                Some(known) => known.bind(py).clone(),
                None => {
                    let lower = PyBytes::new(py, &name.to_ascii_lowercase());
                    if names.len() < MAX_CACHED {
                        names.insert(name.into(), lower.clone().unbind());
                    }
                    lower
                }
            };
            list.append(PyTuple::new(py, [name, PyBytes::new(py, value)])?)?;
        }
        Ok(list)
    }

    fn method<'py>(&self, py: Python<'py>, method: &[u8]) -> Bound<'py, PyString> {
        let mut methods = self.methods.lock();
        if let Some(known) = methods.get(method) {
            return known.bind(py).clone();
        }
        let made = PyString::new(py, &String::from_utf8_lossy(method));
        if methods.len() < MAX_CACHED {
            methods.insert(method.into(), made.clone().unbind());
        }
        made
    }

    /// Client and server, kept for the next request of the same connection.
    fn ends<'py>(
        &self,
        py: Python<'py>,
        ends: &Arc<Ends>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let mut last = self.last_ends.lock();
        if let Some(known) = &*last {
            if Arc::ptr_eq(&known.of, ends) {
                return Ok((known.client.bind(py).clone(), known.server.bind(py).clone()));
            }
        }
        let client = match &ends.client {
            Some((host, port)) => (host, port).into_pyobject(py)?.into_any(),
            None => py.None().into_bound(py),
        };
        let server = match &ends.server {
            Some((host, port)) => (host, port).into_pyobject(py)?.into_any(),
            None => py.None().into_bound(py),
        };
        *last = Some(EndObjects {
            of: ends.clone(),
            client: client.clone().unbind(),
            server: server.clone().unbind(),
        });
        Ok((client, server))
    }
}
