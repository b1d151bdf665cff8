//! The dispatch of a worker without its sockets: requests in as heads, answers out as bytes.
//!
//! Owns: Python handlers as routes, a service a thread, pools, stepping a loop, clients that are given jobs, and reading what was answered.
//! Does not own: what the application is set to, a request's head (`benches/app`).
//! Rule (`own_reply`): an answer is read whole, with nothing before it and nothing behind.
#![allow(dead_code, reason = "each target uses a part")]

#[path = "../../../benches/app/mod.rs"]
mod app;

pub use app::live;

use pyo3::prelude::*;
use pyo3::types::PyModule;
use std::ffi::CStr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use turboapi::bytes_ext::OutBuf;
use turboapi::dispatch::{self, AppFactory, Earned, Param, Pin, PyService, RouteSpec, ScalarType, Source, Table, Thresholds};
use turboapi::http1::RequestHead;
use turboapi::interp::{self, Held};
use turboapi::invariants;
use turboapi::service::{
    BlockingJob, Ends, Exchange, GuestLoop, NextStep, Offload, OffloadLoad, OffloadPool, Outcome, Reply, ReplyEvent, Request, RequestBody, Service,
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

/// A few threads that keep their thread states, and take no job while `refuses` is set.
pub struct FewThreads {
    jobs: Mutex<Sender<BlockingJob>>,
    refuses: Arc<AtomicBool>,
}

impl FewThreads {
    pub fn new(threads: usize, refuses: Arc<AtomicBool>) -> Arc<Self> {
        let (jobs, queue) = channel::<BlockingJob>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = queue.clone();
            std::thread::spawn(move || {
                interp::hold_thread_state(&mut || loop {
                    invariants::about_to_wait();
                    let job = queue.lock().expect("the queue").recv();
                    match job {
                        Ok(job) => job(),
                        Err(_) => return,
                    }
                });
            });
        }
        Arc::new(FewThreads { jobs: Mutex::new(jobs), refuses })
    }
}

impl OffloadPool for FewThreads {
    fn submit(&self, job: BlockingJob) -> Result<(), BlockingJob> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(job);
        }
        self.jobs.lock().expect("the queue").send(job).map_err(|refused| refused.0)
    }

    fn load(&self) -> OffloadLoad {
        OffloadLoad::default()
    }
}

/// Starts an interpreter with `source` as a module. It finds the package, and the native half of it in this program.
pub fn module(source: &CStr) -> Py<PyModule> {
    Python::initialize();
    // Of several threads that panic, one ends the process: a second `abort` would cut short what libFuzzer writes down.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
        while HAS_PANICKED.swap(true, Ordering::AcqRel) {
            std::thread::park();
        }
        hook(panic);
    }));
    Python::attach(|py| {
        let core = PyModule::new(py, "turboapi_rs._core").expect("a module");
        dispatch::register(&core).and_then(|()| dispatch::register_uploads(&core)).expect("the native half");
        let sys = py.import("sys").expect("sys");
        sys.getattr("modules").and_then(|modules| modules.set_item("turboapi_rs._core", core)).expect("modules");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../python");
        sys.getattr("path").and_then(|path| path.call_method1("insert", (0, folder))).expect("the path");
        PyModule::from_code(py, source, c"handlers.py", c"handlers").expect("the handlers").unbind()
    })
}

/// One route: path, handler, whether it takes `/{n}`, where it runs.
pub type RouteLine = (&'static str, &'static str, bool, Pin);

/// What a handler is as a route.
pub fn spec(py: Python<'_>, path: &str, handler: Bound<'_, PyAny>, has_number: bool, pin: Pin) -> RouteSpec {
    let param = Param {
        source: Source::Path(ScalarType::Int),
        name: "n".to_owned(),
        required: true,
        is_list: false,
        default: Held::new(py.None()),
    };
    let inspect = py.import("inspect").expect("inspect");
    let is_async = inspect.call_method1("iscoroutinefunction", (&handler,)).and_then(|is| is.extract()).expect("a bool");
    let name: String = handler.getattr("__name__").and_then(|name| name.extract()).expect("a name");
    RouteSpec {
        handler: Held::new(handler.unbind()),
        params: if has_number { vec![param] } else { Vec::new() },
        is_async,
        earned: Arc::new(Earned::new("GET", path, &name, pin, Thresholds::default())),
        name,
    }
}

/// The application of a module's handlers.
pub fn factory(module: &Py<PyModule>, routes: &[RouteLine]) -> Arc<AppFactory> {
    Python::attach(|py| {
        let mut table = Table::default();
        for &(path, name, has_number, pin) in routes {
            let handler = module.bind(py).getattr(name).expect("a handler");
            table.add_route("GET", path, spec(py, path, handler, has_number, pin)).expect("a sound route");
        }
        Arc::new(AppFactory(live(py, table)))
    })
}

/// The service of the calling thread: one without an event loop, hence not worker 0.
pub fn service(factory: &AppFactory, worker: usize, workers: usize) -> PyService {
    factory
        .make(WorkerContext { worker, workers, offload: Offload::new(Arc::new(ThreadPool)) })
        .expect("a service")
}

/// A worker's thread: its service and, on worker 0, the loop that it steps.
pub struct Worker {
    pub service: PyService,
    guest: Option<Rc<dyn GuestLoop>>,
    waker: Waker,
}

impl Worker {
    /// On the calling thread.
    pub fn new(factory: &AppFactory, worker: usize, workers: usize, pool: Arc<dyn OffloadPool>) -> Self {
        let service =
            factory.make(WorkerContext { worker, workers, offload: Offload::new(pool) }).expect("a service");
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let guest = service.guest_loop();
        if let Some(guest) = &guest {
            guest.set_waker(waker.clone());
        }
        Worker { service, guest, waker }
    }

    /// A turn of the loop, if this worker has one. True: it has more to do.
    pub fn step(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.step(true) == NextStep::Now)
    }

    /// A turn of the loop, then a wait for whatever wakes this thread.
    pub fn wait(&self) {
        if !self.step() {
            invariants::about_to_wait();
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// As [`ask`].
    pub fn ask(&self, path: &str) -> Option<(u16, Vec<u8>)> {
        let head = head(path);
        self.call(self.service.route(&head), head)
    }

    /// Calls what a head was routed to.
    pub fn call(&self, route: <PyService as Service>::Route, head: RequestHead) -> Option<(u16, Vec<u8>)> {
        match call(&self.service, route, head) {
            Begun::Answered(bytes) => Some(read_whole(&bytes)),
            Begun::Pending(exchange) => finish(&exchange, || self.wait()),
        }
    }
}

/// What a worker's thread does with its part of an input.
pub trait Client {
    /// One thing to do.
    type Job: Send + 'static;

    fn worker(&self) -> &Worker;

    fn run(&mut self, jobs: &[Self::Job]);
}

/// Threads of workers, each with its client, for one input after another.
pub struct Clients<Job> {
    orders: Vec<Sender<Vec<Job>>>,
    done: Receiver<()>,
}

impl<Job: Send + 'static> Clients<Job> {
    /// Starts them; `make` makes the client on its worker's thread.
    pub fn start<C: Client<Job = Job>>(
        workers: usize,
        factory: &Arc<AppFactory>,
        pool: &Arc<FewThreads>,
        make: impl Fn(Worker) -> C + Clone + Send + 'static,
    ) -> Self {
        let (told, done) = channel();
        let orders = (0..workers).map(|worker| {
            let (order, orders) = channel::<Vec<Job>>();
            let (factory, pool, make, told) = (factory.clone(), pool.clone(), make.clone(), told.clone());
            std::thread::spawn(move || {
                interp::hold_thread_state(&mut || {
                    let mut client = make(Worker::new(&factory, worker, workers, pool.clone()));
                    let _ = told.send(());
                    loop {
                        match orders.try_recv() {
                            Ok(jobs) => {
                                client.run(&jobs);
                                told.send(()).expect("the target waits");
                            }
                            // Others may wait for this one's loop.
                            Err(_) => client.worker().wait(),
                        }
                    }
                });
            });
            order
        });
        let clients = Clients { orders: orders.collect(), done };
        clients.wait("starts");
        clients
    }

    /// Has each worker do its jobs, and waits until all have.
    pub fn run(&self, jobs: Vec<Vec<Job>>) {
        for (order, jobs) in self.orders.iter().zip(jobs) {
            order.send(jobs).expect("a worker waits");
        }
        self.wait("answers");
    }

    fn wait(&self, what: &str) {
        for _ in &self.orders {
            let told = self.done.recv_timeout(Duration::from_secs(90));
            assert!(told.is_ok(), "not every worker {what}");
        }
    }
}

/// A request's head.
pub fn head(path: &str) -> RequestHead {
    app::parse_head(&app::request_bytes(path))
}

/// What a call came to at once.
pub enum Begun {
    /// The bytes of an answer.
    Answered(Vec<u8>),
    /// It is to come.
    Pending(Arc<Exchange>),
}

/// Calls what a head was routed to.
pub fn call(service: &PyService, route: <PyService as Service>::Route, head: RequestHead) -> Begun {
    let date = app::date();
    let mut out = OutBuf::default();
    let context = head.reply_context();
    let request = Request { head, body: RequestBody::Empty, ends: Arc::new(Ends { client: None, server: None }) };
    match service.call(route, request, Reply::new(&mut out, context, &date)) {
        Outcome::Answered(_) => Begun::Answered(bytes_of(&mut out)),
        Outcome::Pending(exchange) => {
            assert!(out.tail.is_empty(), "half an answer beside an exchange");
            Begun::Pending(exchange)
        }
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What a request came to: status and body. `None`: it was aborted, or is a stream.
pub fn ask(service: &PyService, path: &str) -> Option<(u16, Vec<u8>)> {
    let head = head(path);
    match call(service, service.route(&head), head) {
        Begun::Answered(bytes) => Some(read_whole(&bytes)),
        Begun::Pending(exchange) => finish(&exchange, || std::thread::park_timeout(Duration::from_millis(10))),
    }
}

fn finish(exchange: &Exchange, wait: impl Fn()) -> Option<(u16, Vec<u8>)> {
    let found = follow(exchange, wait);
    exchange.close(turboapi::service::CloseReason::Complete);
    found
}

fn bytes_of(out: &mut OutBuf) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(piece) = out.take_next() {
        whole.extend_from_slice(&piece);
    }
    whole
}

/// Reads one response that is the whole of `bytes`.
pub fn read_whole(bytes: &[u8]) -> (u16, Vec<u8>) {
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
fn follow(exchange: &Exchange, wait: impl Fn()) -> Option<(u16, Vec<u8>)> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let context = Context::from_waker(&waker);
    let mut has_head = false;
    // Time, not words: a `str` is an iterator of as many pieces as it has characters, each with its wake.
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
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
            None => wait(),
            #[allow(unreachable_patterns, reason = "more words may be added")]
            Some(_) => return None,
        }
    }
    panic!("no last word");
}
