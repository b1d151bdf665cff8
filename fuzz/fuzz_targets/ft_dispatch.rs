//! Any schedule of requests over threads: own_reply, context_is_fresh, refs_return.
#![no_main]

mod service;

use libfuzzer_sys::fuzz_target;
use pyo3::prelude::*;
use pyo3::types::PyModule;
use service::{ask, factory, module, service, RouteLine};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Mutex, OnceLock};
use turboapi::dispatch::Pin;

const HANDLERS: &std::ffi::CStr = cr#"
import contextvars, gc, sys
gc.freeze()
seen = contextvars.ContextVar("seen", default="")
shared = {"shared": [1, "two", 3.0, None, {"four": 4}]}
large = b"x" * 50_000

def plain(n):
    before = seen.get()
    seen.set(f"{before}{n} ")
    return {"n": n, "seen": seen.get()}

def three(n):
    return 200 + n % 300, "text/plain", f"three {n}"

def common(n):
    return shared

def big(n):
    return 200, "text/plain", large, {"x-n": str(n)}

def raises(n):
    raise ValueError(n)

def wrong(n):
    return object()

def counts():
    return [sys.getrefcount(thing) for thing in (shared, large, seen, plain, three, common, big, raises, wrong)]
"#;

const ROUTES: [RouteLine; 8] = [
    ("/plain/{n}", "plain", true, Pin::Direct),
    ("/three/{n}", "three", true, Pin::Direct),
    ("/common/{n}", "common", true, Pin::Direct),
    ("/big/{n}", "big", true, Pin::Direct),
    ("/raises/{n}", "raises", true, Pin::Direct),
    ("/wrong/{n}", "wrong", true, Pin::Direct),
    ("/offloaded/{n}", "plain", true, Pin::Blocking),
    ("/earned/{n}", "three", true, Pin::Earned),
];

const WORKERS: usize = 3;

struct Workers {
    orders: Vec<Sender<Vec<(u8, u8)>>>,
    done: Receiver<()>,
}

static WORKERS_RUN: OnceLock<Mutex<Workers>> = OnceLock::new();
static MODULE: OnceLock<Py<PyModule>> = OnceLock::new();

fn start() {
    let made = module(HANDLERS);
    let app = factory(&made, &ROUTES);
    let _ = MODULE.set(made);
    let (told, done) = channel();
    let orders = (1..=WORKERS)
        .map(|worker| {
            let (order, orders) = channel::<Vec<(u8, u8)>>();
            let (app, told) = (app.clone(), told.clone());
            std::thread::spawn(move || {
                turboapi::interp::hold_thread_state(&mut || {
                    let service = service(&app, worker, WORKERS + 1);
                    while let Ok(jobs) = orders.recv() {
                        for (kind, number) in jobs {
                            check(&service, worker, kind, number);
                        }
                        told.send(()).expect("the target waits");
                    }
                });
            });
            order
        })
        .collect();
    let _ = WORKERS_RUN.set(Mutex::new(Workers { orders, done }));
}

/// One request, and that what came is its own answer.
fn check(service: &turboapi::dispatch::PyService, worker: usize, kind: u8, number: u8) {
    let (path, name, ..) = ROUTES[kind as usize % ROUTES.len()];
    let mine = worker * 1000 + number as usize;
    let (status, body) = ask(service, &path.replace("{n}", &mine.to_string())).unwrap_or((500, b"Internal Server Error".to_vec()));
    let body = String::from_utf8_lossy(&body);
    match name {
        // `context_is_fresh`: one number, its own.
        "plain" => assert_eq!((status, &*body), (200, &*format!("{{\"n\":{mine},\"seen\":\"{mine} \"}}"))),
        "three" if matches!(200 + mine % 300, 204 | 304) => assert_eq!(status as usize, 200 + mine % 300),
        "three" => assert_eq!((status as usize, &*body), (200 + mine % 300, &*format!("three {mine}"))),
        "common" => assert_eq!((status, &*body), (200, r#"{"shared":[1,"two",3.0,null,{"four":4}]}"#)),
        "big" => assert!(status == 200 && body.len() == 50_000),
        _ => assert_eq!((status, &*body), (500, "Internal Server Error")),
    }
}

fn counts() -> Vec<isize> {
    Python::attach(|py| {
        let module = MODULE.get().expect("init").bind(py);
        module.call_method0("counts").and_then(|counts| counts.extract()).expect("counts")
    })
}

fuzz_target!(
    init: { start(); },
    |data: &[u8]| {
        if data.len() < 2 || data.len() > 200 {
            return;
        }
        let workers = WORKERS_RUN.get().expect("init").lock().expect("one input at a time");
        let mut jobs = vec![Vec::new(); WORKERS];
        for pair in data.chunks_exact(2) {
            jobs[pair[0] as usize % WORKERS].push((pair[0] / WORKERS as u8, pair[1]));
        }
        let before = counts();
        let requests = data.len() / 2;
        for (order, jobs) in workers.orders.iter().zip(jobs) {
            order.send(jobs).expect("a worker waits");
        }
        for _ in 0..WORKERS {
            workers.done.recv_timeout(std::time::Duration::from_secs(60)).expect("every worker answers");
        }
        // `refs_return`, but for what an offloaded call may still be letting go.
        for _ in 0..200 {
            let grown = counts().iter().zip(&before).any(|(now, before)| now > before);
            if !grown {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let now = counts();
        assert!(now.iter().zip(&before).all(|(now, before)| *now <= *before), "{requests}: {before:?} {now:?}");
    }
);
