//! The native middleware of an application, as `turboapi_rs.plans` describes it.
//!
//! Owns: descriptions to layers; a trial run for tests. Does not own: what layers do (`middleware`), which there are
//! (`plans/middleware.py`). Rule: texts come as Latin-1 `bytes`, as Starlette would encode them.

use crate::http1::{Conn, Event, FieldBlock, Limits, RequestHead, ResponseHead};
use crate::middleware::{
    Answer, Cors, CorsFault, CorsOptions, Gzip, GzipOptions, HttpsRedirect, Layer, Seen, Stack, TrustedHost,
};
use bytes::{Bytes, BytesMut};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Layers from the outside in.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub struct MiddlewareStack {
    stack: Arc<Stack>,
}

impl MiddlewareStack {
    /// To run around routes, on any worker.
    pub fn stack(&self) -> Arc<Stack> {
        self.stack.clone()
    }
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What a trial gives: did the application run, status, fields in order, `content-length`, pieces of the body.
type Tried<'py> =
    (bool, u16, Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>, Option<u64>, Vec<Bound<'py, PyBytes>>);

#[pymethods]
impl MiddlewareStack {
    /// Pairs of `cors`, `gzip`, `trusted_host` or `https_redirect`, and a dict.
    #[new]
    fn new(layers: Vec<(String, Bound<'_, PyAny>)>) -> PyResult<Self> {
        let layers = layers.iter().map(|(name, given)| layer(name, given)).collect::<PyResult<_>>()?;
        Ok(MiddlewareStack { stack: Arc::new(Stack::new(layers)) })
    }

    /// One request and the response that an application would give, through the layers. For tests.
    #[allow(clippy::too_many_arguments, reason = "a request and a response, in parts, for tests alone")]
    #[pyo3(signature = (head, status, fields, pieces, *, is_stream=false, scheme="http", server=None, root_path=""))]
    fn trial<'py>(
        &self,
        py: Python<'py>,
        head: &[u8],
        status: u16,
        fields: Fields,
        pieces: Vec<Vec<u8>>,
        is_stream: bool,
        scheme: &str,
        server: Option<(String, Option<u16>)>,
        root_path: &str,
    ) -> PyResult<Tried<'py>> {
        let head = parse(head)?;
        let server = server.as_ref().map(|(host, port)| (host.as_str(), *port));
        let seen = Seen { head: &head, scheme, server, root_path };
        if let ControlFlow::Break(Answer { head, body }) = self.stack.before(&seen) {
            return Ok(tried(py, false, &head, &[body]));
        }
        let mut response = ResponseHead { status, fields: block(&fields)? };
        if !is_stream {
            let body = self.stack.after(&seen, &mut response, Bytes::from(pieces.concat()));
            return Ok(tried(py, true, &response, &[body]));
        }
        let coder = self.stack.stream(&seen, &mut response);
        let sent = match coder {
            None => pieces.into_iter().map(Bytes::from).collect(),
            Some(mut coder) => {
                let mut sent: Vec<Bytes> = pieces.iter().map(|piece| coder.piece(piece)).collect();
                sent.push(coder.end());
                sent
            }
        };
        Ok(tried(py, true, &response, &sent))
    }
}

fn tried<'py>(py: Python<'py>, has_run: bool, head: &ResponseHead, pieces: &[Bytes]) -> Tried<'py> {
    let bytes = |data: &[u8]| PyBytes::new(py, data);
    let fields = head.fields.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
    let pieces = pieces.iter().map(|piece| bytes(piece)).collect();
    (has_run, head.status, fields, head.fields.content_length(), pieces)
}

fn parse(head: &[u8]) -> PyResult<RequestHead> {
    match Conn::new(Limits::default()).next_event(&mut BytesMut::from(head)) {
        Ok(Event::Head(head)) => Ok(head),
        Ok(_) => Err(PyValueError::new_err("not a whole head")),
        Err(violation) => Err(PyValueError::new_err(violation.reason())),
    }
}

fn block(fields: &Fields) -> PyResult<FieldBlock> {
    let mut block = FieldBlock::new();
    for (name, value) in fields {
        block.push(name, value).map_err(|fault| PyValueError::new_err(fault.reason()))?;
    }
    Ok(block)
}

/// The attributes of a `CORSMiddleware`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct GivenCors {
    simple_headers: Fields,
    preflight_headers: Fields,
    allow_origins: Vec<Vec<u8>>,
    allow_origin_regex: Option<String>,
    allow_methods: Vec<Vec<u8>>,
    allow_headers: Vec<Vec<u8>>,
    allow_all_origins: bool,
    allow_all_headers: bool,
    allow_credentials: bool,
    preflight_explicit_allow_origin: bool,
    allow_private_network: bool,
}

/// Those of a `GZipMiddleware`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct GivenGzip {
    minimum_size: i64,
    level: u32,
    thread_minimum_size: i64,
    exclude_content_types: Vec<Vec<u8>>,
}

/// Those of a `TrustedHostMiddleware`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct GivenTrustedHost {
    allowed_hosts: Vec<String>,
    allow_any: bool,
    www_redirect: bool,
}

fn layer(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Layer> {
    match name {
        "cors" => cors(given.extract()?),
        "gzip" => {
            let given: GivenGzip = given.extract()?;
            Ok(Layer::Gzip(Gzip::new(GzipOptions {
                minimum_size: given.minimum_size,
                level: given.level.min(9),
                thread_minimum_size: given.thread_minimum_size,
                exclude_content_types: given.exclude_content_types,
            })))
        }
        "trusted_host" => {
            let given: GivenTrustedHost = given.extract()?;
            Ok(Layer::TrustedHost(TrustedHost {
                allowed_hosts: given.allowed_hosts,
                allow_any: given.allow_any,
                www_redirect: given.www_redirect,
            }))
        }
        "https_redirect" => Ok(Layer::HttpsRedirect(HttpsRedirect)),
        _ => Err(PyValueError::new_err(format!("no middleware is called {name:?}"))),
    }
}

fn cors(given: GivenCors) -> PyResult<Layer> {
    let made = Cors::new(CorsOptions {
        simple_headers: given.simple_headers,
        preflight_headers: given.preflight_headers,
        allow_origins: given.allow_origins,
        allow_origin_regex: given.allow_origin_regex,
        allow_methods: given.allow_methods,
        allow_headers: given.allow_headers,
        allow_all_origins: given.allow_all_origins,
        allow_all_headers: given.allow_all_headers,
        allow_credentials: given.allow_credentials,
        preflight_explicit_allow_origin: given.preflight_explicit_allow_origin,
        allow_private_network: given.allow_private_network,
    });
    made.map(|cors| Layer::Cors(Box::new(cors))).map_err(|fault| {
        PyValueError::new_err(match fault {
            CorsFault::Field(fault) => fault.reason().to_owned(),
            CorsFault::Pattern(error) => error.to_string(),
        })
    })
}
