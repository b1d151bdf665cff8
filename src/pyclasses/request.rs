//! The request as a raw handler sees it.
//!
//! Owns: reading, asking whether the peer has left. Rule: nothing is made before it is asked for.
//! Threads: written while it is made, and once more at most, when its handler has said how it answers; read by any.

use crate::bytes_ext;
use crate::http1::RequestHead;
use crate::interp::{self, name};
use crate::service::{self, Ends, Exchange};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PyString, PyTuple};
use std::sync::{Arc, OnceLock};

/// One request, whole: head and body.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub struct Request {
    head: RequestHead,
    body: Bytes,
    path_params: Vec<(String, String)>,
    ends: Arc<Ends>,
    /// What it is answered through. Empty for as long as its handler runs on the worker, and if it answers at once.
    exchange: OnceLock<Arc<Exchange>>,
}

impl Request {
    /// Made by `dispatch`. `exchange` is the one that the request is answered through, where that is known before the call.
    pub fn new(
        request: &service::Request,
        body: Bytes,
        path_params: &[(String, String)],
        exchange: Option<&Arc<Exchange>>,
    ) -> Self {
        Request {
            head: request.head.clone(),
            body,
            path_params: path_params.to_vec(),
            ends: request.ends.clone(),
            exchange: exchange.map_or_else(OnceLock::new, |exchange| OnceLock::from(exchange.clone())),
        }
    }

    /// It is answered through that exchange, as has turned out. The first one stays.
    pub fn answered_through(&self, exchange: &Arc<Exchange>) {
        self.exchange.get_or_init(|| exchange.clone());
    }

    /// The same request as an instance of a plain Python class, `turboapi_rs.isolated.Request`.
    ///
    /// # Errors
    /// The class's own.
    pub fn plain<'py>(&self, class: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let arguments = [
            self.method(py).into_any(),
            self.path(py).into_any(),
            self.raw_path(py).into_any(),
            self.query_string(py).into_any(),
            self.query_params(py)?.into_any(),
            self.path_params(py)?.into_any(),
            self.headers(py)?.into_any(),
            self.body(py).into_any(),
            PyString::new(py, self.http_version()).into_any(),
            self.client().into_pyobject(py)?,
            PyString::new(py, &String::from_utf8_lossy(self.head.target())).into_any(),
            match self.exchange.get() {
                Some(exchange) => asking(py, exchange)?,
                None => py.None().into_bound(py),
            },
        ];
        class.call1(PyTuple::new(py, arguments)?)
    }
}

/// As [`Request::answered_through`], for what [`Request::plain`] made.
///
/// # Errors
/// Out of memory.
pub fn plain_answered_through(plain: &Bound<'_, PyAny>, exchange: &Arc<Exchange>) -> PyResult<()> {
    let py = plain.py();
    plain.setattr(name!(py, "_ask"), asking(py, exchange)?)
}

/// `is_disconnected`, for any interpreter.
fn asking<'py>(py: Python<'py>, exchange: &Arc<Exchange>) -> PyResult<Bound<'py, PyAny>> {
    let exchange = exchange.clone();
    interp::callback0(py, move |py| {
        Ok(PyBool::new(py, exchange.is_disconnected()).to_owned().into_any().unbind())
    })
}

#[pymethods]
impl Request {
    /// The method, such as `"GET"`.
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        interp::ascii_str(py, self.head.method_bytes())
    }

    /// The path, percent-decoded.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, &String::from_utf8_lossy(&bytes_ext::percent_decode(self.head.path())))
    }

    /// The path as sent.
    #[getter]
    fn raw_path<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.head.path())
    }

    /// The query string as sent, without `?`.
    #[getter]
    fn query_string<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.head.query())
    }

    /// Names and values of the query string, in order, repeats kept.
    #[getter]
    fn query_params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pairs: Vec<_> = bytes_ext::parse_query(self.head.query()).collect();
        PyList::new(py, pairs)
    }

    /// Path parameters by name.
    #[getter]
    fn path_params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let params = PyDict::new(py);
        for (name, value) in &self.path_params {
            params.set_item(name, value)?;
        }
        Ok(params)
    }

    /// Names (in lower case) and values of the fields, in order, repeats kept.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (name, value) in self.head.fields() {
            list.append((interp::ascii_str(py, &name.to_ascii_lowercase()), interp::latin1_str(py, value)))?;
        }
        Ok(list)
    }

    /// The first field of that name, in any case, or `default`.
    #[pyo3(signature = (name, default=None))]
    fn header<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> Option<Bound<'py, PyAny>> {
        match self.head.field(name.as_bytes()) {
            Some(value) => Some(interp::latin1_str(py, value).into_any()),
            None => default,
        }
    }

    /// The whole body.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    /// `"1.0"` or `"1.1"`.
    #[getter]
    fn http_version(&self) -> &'static str {
        match self.head.version() {
            crate::http1::Version::Http10 => "1.0",
            crate::http1::Version::Http11 => "1.1",
        }
    }

    /// Host and port of the client. None on a Unix domain socket.
    #[getter]
    fn client(&self) -> Option<(String, u16)> {
        self.ends.client.clone()
    }

    /// True once the client has left, or was cut off, before its response was whole.
    ///
    /// A client that ends its sending side has left, unless the server was told otherwise (`half_close`). False while a
    /// plain function runs on the worker: nothing is noticed meanwhile.
    ///
    /// Threads: any. It neither waits nor raises.
    fn is_disconnected(&self) -> bool {
        self.exchange.get().is_some_and(|exchange| exchange.is_disconnected())
    }

    fn __repr__(&self) -> String {
        format!(
            "<Request {} {}>",
            String::from_utf8_lossy(self.head.method_bytes()),
            String::from_utf8_lossy(self.head.target())
        )
    }
}
