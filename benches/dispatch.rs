//! JSON writing, the dispatch of a handler without arguments (the whole boundary, without a socket), and the policy of
//! its route.
//!
//! Each asserts the answer, then times it. Needs an interpreter: `make bench` sets what an embedded one asks for.
#![allow(clippy::unwrap_used, reason = "a bench that cannot begin has nothing to say")]

mod app;

use criterion::{criterion_group, criterion_main, Criterion};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use turboapi::bytes_ext::OutBuf;
use turboapi::dispatch::{AppFactory, Earned, Pin, Table, Thresholds};
use turboapi::service::{
    Ends, Offload, Outcome, Reply, Request, RequestBody, Service, ServiceFactory, WorkerContext,
};

fn json(c: &mut Criterion) {
    Python::initialize();
    Python::attach(|py| {
        let value = py
            .eval(
                c"{'items': [{'id': n, 'name': f'name {n}', 'price': n * 1.5, 'tags': ['a', 'b'], 'ok': True} for n in range(100)]}",
                None,
                None,
            )
            .unwrap();
        let options = PyDict::new(py);
        options.set_item("separators", (",", ":")).unwrap();
        options.set_item("ensure_ascii", false).unwrap();
        let expected: String = py
            .import("json")
            .unwrap()
            .call_method("dumps", (&value,), Some(&options))
            .unwrap()
            .extract()
            .unwrap();
        let mut out = Vec::new();
        turboapi::json::encode(&value, &mut out).unwrap();
        assert_eq!(out, expected.as_bytes());
        c.bench_function("json: 100 items, 7 KB", |b| {
            b.iter(|| {
                out.clear();
                turboapi::json::encode(black_box(&value), &mut out).unwrap();
                out.len()
            });
        });
    });
}

fn dispatch(c: &mut Criterion) {
    Python::initialize();
    let live = Python::attach(|py| {
        let locals = PyDict::new(py);
        py.run(c"def hello():\n    return {'message': 'Hello World'}\n", Some(&locals), None).unwrap();
        let handler = locals.get_item("hello").unwrap().unwrap();
        let mut table = Table::default();
        table.add_route("GET", "/", app::direct_route("/", "bench.hello", handler)).unwrap();
        app::live(py, table)
    });
    let factory = AppFactory(live);
    // Worker 1 of 2: one without the event loop, which this route does not need.
    let service = factory
        .make(WorkerContext { worker: 1, workers: 2, offload: Offload::new(Arc::new(app::NoPool)) })
        .unwrap();
    let head = app::parse_head(&app::request_bytes("/"));
    let ends = Arc::new(Ends { client: None, server: None });
    let date = app::date();
    let mut out = OutBuf::default();
    let mut once = || {
        out.tail.clear();
        let request = Request { head: head.clone(), body: RequestBody::Empty, ends: ends.clone() };
        let reply = Reply::new(&mut out, head.reply_context(), &date);
        let outcome = service.call(service.route(&head), request, reply);
        assert!(matches!(outcome, Outcome::Answered(_)));
        out.tail.len()
    };
    once();
    c.bench_function("dispatch: no arguments, a dict back", |b| b.iter(&mut once));
    assert!(out.tail.ends_with(b"\r\n\r\n{\"message\":\"Hello World\"}"));
    service.close();
}

/// What a route pays for being watched: where to run, counting, and for an earned one two looks at the clock.
fn earned(c: &mut Criterion) {
    for (name, pin) in [("pinned", Pin::Direct), ("earned", Pin::Earned)] {
        // A pause of this process is no reason to measure the other way.
        let thresholds = Thresholds { after: 0, over: Duration::from_secs(3600), ..Thresholds::default() };
        let route = Earned::new("GET", "/", "bench.hello", pin, thresholds);
        route.prepare(2);
        assert!(route.is_direct());
        c.bench_function(&format!("a direct call, {name}"), |b| {
            b.iter(|| black_box(&route).is_direct() && route.call_direct(1, || black_box(true)));
        });
        assert!(route.is_direct());
    }
}

criterion_group!(benches, json, dispatch, earned);
criterion_main!(benches);
