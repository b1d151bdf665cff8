//! An application of raw routes and its requests, for the dispatch of a worker without sockets.
//!
//! Owns: what such an application is set to, a plain route, a request's head, a pool that takes nothing.
//! Does not own: handlers, threads, what is done with an answer (the benches; `fuzz/fuzz_targets/service`).
//! Rule: benches and fuzz targets share it, so that both dispatch to the same kind of application.
#![allow(dead_code, reason = "each user takes a part")]

use bytes::BytesMut;
use pyo3::prelude::*;
use std::sync::Arc;
use turboapi::asgi::TrustedProxies;
use turboapi::dispatch::{
    App, Earned, FormLimits, LiveApp, LoopPlacement, Pin, RouteSpec, Table, Thresholds,
};
use turboapi::http1::{Conn, Event, HttpDate, Limits, RequestHead};
use turboapi::interp::{BaseContext, Held};
use turboapi::service::{BlockingJob, OffloadLoad, OffloadPool};

/// A pool that takes nothing: for routes that do not block.
pub struct NoPool;

impl OffloadPool for NoPool {
    fn submit(&self, job: BlockingJob) -> Result<(), BlockingJob> {
        Err(job)
    }

    fn load(&self) -> OffloadLoad {
        OffloadLoad::default()
    }
}

/// A GET route of a plain function without arguments, called on the worker.
pub fn direct_route(path: &str, name: &str, handler: Bound<'_, PyAny>) -> RouteSpec {
    RouteSpec {
        handler: Held::new(handler.unbind()),
        name: name.to_owned(),
        params: Vec::new(),
        is_async: false,
        earned: Arc::new(Earned::new("GET", path, name, Pin::Direct, Thresholds::default())),
    }
}

/// An application of one table, with a home loop and nothing else.
pub fn live(py: Python<'_>, table: Table) -> Arc<LiveApp> {
    LiveApp::new(App {
        table,
        asgi: None,
        root_path: String::new(),
        proxies: TrustedProxies::default(),
        lifespan: "off".to_owned(),
        placement: LoopPlacement::Home,
        context: BaseContext::capture(py).expect("a context"),
        home: Arc::default(),
        draining: Arc::default(),
        plain: None,
        middleware: None,
        forms: FormLimits::default(),
    })
}

/// The bytes of a GET request.
pub fn request_bytes(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n").into_bytes()
}

/// The head that these bytes are.
pub fn parse_head(bytes: &[u8]) -> RequestHead {
    match Conn::new(Limits::default()).next_event(&mut BytesMut::from(bytes)) {
        Ok(Event::Head(head)) => head,
        _ => panic!("a sound head"),
    }
}

/// The `Date` of every answer.
pub fn date() -> HttpDate {
    HttpDate::from_unix(784_111_777)
}
