//! The dispatch of a worker without its sockets: requests in as heads, answers out as bytes.
//!
//! Owns: an application of Python handlers, a service a thread, a pool, and reading what was answered.
//! Rule (`own_reply`): an answer is read whole, with nothing before it and nothing behind.

use bytes::BytesMut;
use pyo3::prelude::*;
use pyo3::types::PyModule;
use std::ffi::CStr;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use turboapi::asgi::TrustedProxies;
use turboapi::bytes_ext::OutBuf;
use turboapi::dispatch::{App, AppFactory, Earned, LoopPlacement, Param, Pin, PyService, RouteSpec, ScalarType, Source, Table, Thresholds};
use turboapi::http1::{Conn, Event, HttpDate, Limits};
use turboapi::interp::{BaseContext, Held};
use turboapi::service::{
    BlockingJob, Ends, Exchange, Offload, OffloadLoad, OffloadPool, Outcome, Reply, ReplyEvent, Request, RequestBody, Service,
    ServiceFactory, WorkerContext,
};

/// A thread for each job: the harshest of pools.
pub struct ThreadPool;

impl OffloadPool for ThreadPool {
    fn submit(&self, job: BlockingJob) -> Result<(), BlockingJob> {
        std::thread::spawn(job);
        Ok(())
    }

    fn load(&self) -> OffloadLoad {
        OffloadLoad::default()
    }
}

/// Starts an interpreter with `source` as a module.
pub fn module(source: &CStr) -> Py<PyModule> {
    Python::initialize();
    Python::attach(|py| PyModule::from_code(py, source, c"handlers.py", c"handlers").expect("the handlers").unbind())
}

/// One route: path, handler, whether it takes `/{n}`, where it runs.
pub type RouteLine = (&'static str, &'static str, bool, Pin);

/// The application of a module's handlers.
pub fn factory(module: &Py<PyModule>, routes: &[RouteLine]) -> Arc<AppFactory> {
    let app = Python::attach(|py| {
        let mut table = Table::default();
        for &(path, name, has_number, pin) in routes {
            let param = Param {
                source: Source::Path(ScalarType::Int),
                name: "n".to_owned(),
                required: true,
                is_list: false,
                default: Held::new(py.None()),
            };
            let spec = RouteSpec {
                handler: Held::new(module.getattr(py, name).expect("a handler")),
                name: name.to_owned(),
                params: if has_number { vec![param] } else { Vec::new() },
                is_async: false,
                earned: Arc::new(Earned::new("GET", path, name, pin, Thresholds::default())),
            };
            table.add_route("GET", path, spec).expect("a sound route");
        }
        App {
            table,
            asgi: None,
            root_path: String::new(),
            proxies: TrustedProxies::default(),
            lifespan: "off".to_owned(),
            placement: LoopPlacement::Home,
            context: BaseContext::capture(py).expect("a context"),
            home: Arc::default(),
            draining: Arc::default(),
            request_class: None,
            middleware: Default::default(),
            forms: Default::default(),
        }
    });
    Arc::new(AppFactory(Arc::new(app)))
}

/// The service of the calling thread: one without an event loop, hence not worker 0.
pub fn service(factory: &AppFactory, worker: usize, workers: usize) -> PyService {
    factory
        .make(WorkerContext { worker, workers, offload: Offload::new(Arc::new(ThreadPool)) })
        .expect("a service")
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What a request came to: status and body. `None`: it was aborted, or is a stream.
pub fn ask(service: &PyService, path: &str) -> Option<(u16, Vec<u8>)> {
    let mut input = BytesMut::from(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    let Ok(Event::Head(head)) = Conn::new(Limits::default()).next_event(&mut input) else { panic!("a sound head") };
    let date = HttpDate::from_unix(784_111_777);
    let mut out = OutBuf::default();
    let request =
        Request { head: head.clone(), body: RequestBody::Empty, ends: Arc::new(Ends { client: None, server: None }) };
    let reply = Reply::new(&mut out, head.reply_context(), &date);
    match service.call(service.route(&head), request, reply) {
        Outcome::Answered(_) => Some(read_whole(&bytes_of(&mut out))),
        Outcome::Pending(exchange) => {
            assert!(out.tail.is_empty(), "half an answer beside an exchange");
            let found = follow(&exchange);
            exchange.close(turboapi::service::CloseReason::Complete);
            found
        }
    }
}

fn bytes_of(out: &mut OutBuf) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(piece) = out.take_next() {
        whole.extend_from_slice(&piece);
    }
    whole
}

/// Reads one response that is the whole of `bytes`.
fn read_whole(bytes: &[u8]) -> (u16, Vec<u8>) {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(bytes).expect("a sound head") else { panic!("half a head") };
    let status = response.code.expect("a status");
    let lengths: Vec<usize> = response
        .headers
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("content-length"))
        .map(|field| std::str::from_utf8(field.value).expect("digits").parse().expect("a length"))
        .collect();
    let body = &bytes[head..];
    match lengths[..] {
        [] => assert!(body.is_empty() && (status == 204 || status == 304), "a body without a length"),
        [length] => assert!(length == body.len() || (status == 304 && body.is_empty()), "half a body, or more than one"),
        _ => panic!("two lengths"),
    }
    (status, body.to_vec())
}

/// Takes what comes through an exchange, to its last word.
fn follow(exchange: &Exchange) -> Option<(u16, Vec<u8>)> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let context = Context::from_waker(&waker);
    let mut has_head = false;
    // Time, not words: a `str` is an iterator of as many pieces as it has characters, each with its wake.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while std::time::Instant::now() < until {
        let _ = exchange.poll_wants(&context);
        match exchange.take_event() {
            Some(ReplyEvent::Full(head, body)) => {
                assert!(!has_head, "a second head");
                assert!((200..=599).contains(&head.status));
                return Some((head.status, body.to_vec()));
            }
            Some(ReplyEvent::Head(head)) => {
                assert!(!has_head, "a second head");
                assert!((200..=599).contains(&head.status));
                has_head = true;
            }
            Some(ReplyEvent::Chunk(piece)) => {
                assert!(has_head, "a body without a head");
                exchange.written(piece.len());
            }
            Some(ReplyEvent::End) => {
                assert!(has_head, "an end without a head");
                return None;
            }
            Some(ReplyEvent::Abort) => return None,
            None => std::thread::park_timeout(std::time::Duration::from_millis(10)),
            #[allow(unreachable_patterns, reason = "more words may be added")]
            Some(_) => return None,
        }
    }
    panic!("no last word");
}
