//! Dispatch without a socket, on several threads at once: how many requests are answered in a given time.
//!
//!     in_process shared|interpreters THREADS MODULE:SERVER /PATH
//!
//! Heads are parsed, routed, called and answered as by a worker, each thread with a service of its own; what is missing is
//! the network, and a client that would want a core. Says `ready`, then answers each line of its input, a number of
//! seconds, with the number of requests that all threads answered in it. `shared` has one interpreter and calls the
//! function that `MODULE` names as its path's last segment; `interpreters` has one a thread, made as a worker's is.
//! `benches/scaling.py` starts it.
//!
//! Its stack's place within a page decides on up to a tenth of what a handler costs, and a change of any code moves it: each
//! measurement goes through many places (`docs/decisions/0018`).
#![allow(clippy::unwrap_used, reason = "a bench that cannot begin has nothing to say")]

mod app;

use pyo3::prelude::*;
use std::env::args;
use std::hint::black_box;
use std::io::BufRead;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use turboapi::asgi::TrustedProxies;
use turboapi::bytes_ext::OutBuf;
use turboapi::dispatch::{AppFactory, FormLimits, PyService, Table, Thresholds};
use turboapi::isolated::{IsolatedFactory, Settings, Source};
use turboapi::service::{
    Ends, Offload, Outcome, Reply, Request, RequestBody, Service, ServiceFactory, WorkerContext,
};

/// Places of the stack within a page that a measurement goes through.
const PLACES: usize = 16;

/// What a thread is told, and what it tells.
struct Line {
    seconds: Receiver<f64>,
    answered: Sender<u64>,
}

/// One interpreter for all threads.
fn shared(target: &str, path: &str) -> AppFactory {
    let module = target.split(':').next().unwrap_or_default();
    let live = Python::attach(|py| {
        let handler = py.import(module).unwrap().getattr(path.trim_start_matches('/')).unwrap();
        let mut table = Table::default();
        table.add_route("GET", path, app::direct_route(path, path, handler)).unwrap();
        app::live(py, table)
    });
    AppFactory(live)
}

/// An interpreter a thread.
fn isolated(target: &str, threads: usize) -> IsolatedFactory {
    let path = Python::attach(|py| {
        py.import("sys").unwrap().getattr("path").unwrap().extract::<Vec<String>>().unwrap()
    });
    let source = Source { target: target.to_owned(), app_dir: String::new(), factory: false, path };
    let no_parameters =
        |_: &Bound<'_, PyAny>| Err(pyo3::exceptions::PyValueError::new_err("no route here has one"));
    let settings = Settings {
        root_path: String::new(),
        proxies: TrustedProxies::parse(""),
        lifespan: "off".to_owned(),
        forms: FormLimits::default(),
        thresholds: Thresholds::default(),
    };
    IsolatedFactory::new(source, threads, no_parameters, settings)
}

/// Requests answered until then.
fn answer(service: &PyService, input: &[u8], end: Instant) -> u64 {
    let ends = Arc::new(Ends { client: None, server: None });
    let date = app::date();
    let mut out = OutBuf::default();
    let mut answered = 0;
    while Instant::now() < end {
        out.tail.clear();
        let head = app::parse_head(input);
        let reply = Reply::new(&mut out, head.reply_context(), &date);
        let route = service.route(&head);
        let request = Request { head, body: RequestBody::Empty, ends: ends.clone() };
        assert!(matches!(service.call(route, request, reply), Outcome::Answered(_)));
        assert!(out.tail.starts_with(b"HTTP/1.1 200 "));
        answered += 1;
    }
    answered
}

/// Requests answered until the time is over, an equal part of it in each place of the stack.
fn answer_in_all_places(service: &PyService, input: &[u8], seconds: f64) -> u64 {
    let part = Duration::from_secs_f64(seconds / PLACES as f64);
    let mut end = Instant::now();
    let answer_in = |place| {
        end += part;
        answer_below(place, service, input, end)
    };
    (0..PLACES).map(answer_in).sum()
}

/// Requests answered until then, so many frames further down. Each is a 16th of a page and 16 bytes, so that all places
/// within a cache line are met as well.
#[inline(never)]
fn answer_below(frames: usize, service: &PyService, input: &[u8], end: Instant) -> u64 {
    if frames == 0 {
        return answer(service, input, end);
    }
    let room = black_box([0_u8; 4096 / PLACES - 16]);
    let answered = answer_below(frames - 1, service, input, end);
    black_box(&room);
    answered
}

fn run(factory: Arc<impl ServiceFactory<Service = PyService>>, threads: usize, path: &str) {
    let input: Arc<[u8]> = app::request_bytes(path).into();
    let (tell, told) = channel();
    let mut lines = Vec::new();
    for worker in 0..threads {
        let (ask, seconds) = channel();
        let line = Line { seconds, answered: tell.clone() };
        let (factory, input) = (factory.clone(), input.clone());
        thread::spawn(move || {
            factory.clone().enter_worker(worker, &mut || {
                let offload = Offload::new(Arc::new(app::NoPool));
                let service = factory.make(WorkerContext { worker, workers: threads, offload }).unwrap();
                answer_in_all_places(&service, &input, 0.01);
                line.answered.send(0).unwrap();
                while let Ok(seconds) = line.seconds.recv() {
                    line.answered.send(answer_in_all_places(&service, &input, seconds)).unwrap();
                }
                service.close();
            });
        });
        lines.push(ask);
    }
    let all = || -> u64 { lines.iter().map(|_| told.recv().unwrap()).sum() };
    all();
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let seconds: f64 = line.unwrap().trim().parse().unwrap();
        lines.iter().for_each(|line| line.send(seconds).unwrap());
        println!("{}", all());
    }
}

fn main() {
    // `cargo bench` puts its own flag behind.
    let given: Vec<String> = args().skip(1).filter(|argument| argument != "--bench").collect();
    let [mode, threads, target, path] = &given[..] else {
        return println!("in_process: started by benches/scaling.py");
    };
    let threads = threads.parse().unwrap();
    Python::initialize();
    match mode.as_str() {
        "shared" => run(Arc::new(shared(target, path)), threads, path),
        "interpreters" => run(Arc::new(isolated(target, threads)), threads, path),
        other => panic!("{other} is neither shared nor interpreters"),
    }
}
