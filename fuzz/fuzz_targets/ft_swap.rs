//! Routes and static responses replaced by any thread while requests run: swap_is_whole, publish_whole, refs_return.
#![no_main]

mod service;

use libfuzzer_sys::fuzz_target;
use pyo3::prelude::*;
use pyo3::types::PyModule;
use service::{head, live, module, spec, Client, Clients, FewThreads, Worker};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use turboapi::dispatch::{AppFactory, LiveApp, Pin, PyService, Table};
use turboapi::invariants::{alive, Kind};
use turboapi::service::Service;
use turboapi::static_cache::StaticResponse;

const HANDLERS: &std::ffi::CStr = cr#"
import asyncio

def make(version, path, is_async):
    if is_async:
        async def handler(n):
            await asyncio.sleep(0)
            return f"{version} {path} {n}"
    else:
        def handler(n):
            return f"{version} {path} {n}"
    return handler
"#;

/// Path, whether its handler is a coroutine function, where it runs. The last one is there in even versions alone.
const PATHS: [(&str, bool, Pin); 4] =
    [("/a", false, Pin::Direct), ("/b", false, Pin::Blocking), ("/c", true, Pin::Direct), ("/d", false, Pin::Direct)];

const WORKERS: usize = 3;

/// What was begun, and what was done, of a series of numbered changes.
#[derive(Default)]
struct Series {
    begun: AtomicU64,
    done: AtomicU64,
}

impl Series {
    /// Makes the next change. One at a time.
    fn change(&self, make: impl FnOnce(u64)) {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        make(number);
        self.done.store(number, Ordering::SeqCst);
    }

    /// Finds what is found, and the numbers that it may have.
    fn around<R>(&self, find: impl FnOnce() -> R) -> (R, RangeInclusive<u64>) {
        let first = self.done.load(Ordering::SeqCst);
        let found = find();
        (found, first..=self.begun.load(Ordering::SeqCst))
    }
}

struct World {
    live: Arc<LiveApp>,
    module: Py<PyModule>,
    versions: Series,
    serials: Series,
    changing: Mutex<()>,
}

impl World {
    fn table(&self, py: Python<'_>, version: u64, serial: u64) -> Table {
        let mut table = Table::default();
        for at in 0..PATHS.len() {
            // In another order each time: an index into one table means something else in the next.
            let (path, is_async, pin) = PATHS[(at + version as usize) % PATHS.len()];
            if path == "/d" && version % 2 == 1 {
                continue;
            }
            let handler = self.module.bind(py).call_method1("make", (version, path, is_async)).expect("a handler");
            let pattern = format!("{path}/{{n}}");
            table.add_route("GET", &pattern, spec(py, path, handler, true, pin)).expect("a route");
        }
        table.add_static("/static", rendered(serial)).expect("a static response");
        table
    }

    fn replace(&self) {
        let _one = self.changing.lock().expect("one at a time");
        self.versions.change(|version| {
            self.serials.change(|serial| {
                Python::attach(|py| self.live.replace(py, self.table(py, version, serial)).expect("raw routes"));
            });
        });
    }

    fn publish(&self) {
        let _one = self.changing.lock().expect("one at a time");
        self.serials.change(|serial| assert!(self.live.publish("/static", rendered(serial))));
    }
}

fn text(serial: u64) -> String {
    format!("{serial:010}").repeat(1 + serial as usize % 700)
}

fn rendered(serial: u64) -> StaticResponse {
    StaticResponse::render(200, "text/plain", [("x-serial", &*serial.to_string())], text(serial).into()).expect("fields")
}

/// A request that was routed, and not called yet.
struct Routed {
    route: <PyService as Service>::Route,
    path: &'static str,
    number: u64,
    versions: RangeInclusive<u64>,
}

struct Caller {
    world: &'static World,
    worker: Worker,
    kept: VecDeque<Routed>,
    asked: u64,
}

impl Caller {
    fn route(&mut self, path: &'static str) -> Routed {
        self.asked += 1;
        let number = self.asked;
        let head = head(&format!("{path}/{number}"));
        let (route, versions) = self.world.versions.around(|| self.worker.service.route(&head));
        Routed { route, path, number, versions }
    }

    /// (`swap_is_whole`) A request is answered by the handler of its path, of a version that was there when it was routed.
    fn call(&self, routed: Routed) {
        let Routed { route, path, number, versions } = routed;
        let (status, body) = self.worker.call(route, head(&format!("{path}/{number}"))).expect("a whole answer");
        let body = String::from_utf8(body).expect("text");
        if status == 404 {
            assert!(path == "/d" && versions.clone().any(|version| version % 2 == 1), "{path} of {versions:?} is nowhere");
            return;
        }
        assert_eq!(status, 200, "{body}");
        let version = body.split(' ').next().and_then(|word| word.parse().ok()).expect("a version");
        assert!(versions.contains(&version), "{path}: {version} is none of {versions:?}");
        assert_eq!(body, format!("{version} {path} {number}"));
    }

    /// (`publish_whole`) A static response is one of those that were there.
    fn ask_static(&self) {
        let (found, serials) = self.world.serials.around(|| self.worker.ask("/static"));
        let (status, body) = found.expect("a whole answer");
        let body = String::from_utf8(body).expect("text");
        let serial: u64 = body[..10].parse().expect("a serial");
        assert!(status == 200 && serials.contains(&serial), "{serial} is none of {serials:?}");
        assert_eq!(body, text(serial));
    }
}

impl Client for Caller {
    type Job = (u8, u8);

    fn worker(&self) -> &Worker {
        &self.worker
    }

    fn run(&mut self, jobs: &[(u8, u8)]) {
        for &(kind, which) in jobs {
            let path = PATHS[which as usize % PATHS.len()].0;
            match kind % 8 {
                0 | 1 => {
                    let routed = self.route(path);
                    self.call(routed);
                }
                2 | 3 => {
                    let routed = self.route(path);
                    self.kept.push_back(routed);
                }
                4 => {
                    if let Some(routed) = self.kept.pop_front() {
                        self.call(routed);
                    }
                }
                5 => self.world.replace(),
                6 => self.world.publish(),
                _ => self.ask_static(),
            }
            self.worker.step();
        }
        while let Some(routed) = self.kept.pop_front() {
            self.call(routed);
        }
    }
}

static WORLD: OnceLock<World> = OnceLock::new();
static CLIENTS: OnceLock<Mutex<Clients<(u8, u8)>>> = OnceLock::new();
/// References that are held between inputs.
static HELD: Mutex<Option<i64>> = Mutex::new(None);

fn start() {
    let module = module(HANDLERS);
    let live = Python::attach(|py| live(py, Table::default()));
    let factory = Arc::new(AppFactory(live.clone()));
    let world = WORLD.get_or_init(|| World {
        live,
        module,
        versions: Series::default(),
        serials: Series::default(),
        changing: Mutex::default(),
    });
    world.replace();
    let pool = FewThreads::new(2, Arc::default());
    let clients = Clients::start(WORKERS, &factory, &pool, |worker| Caller {
        world,
        worker,
        kept: VecDeque::new(),
        asked: 0,
    });
    let _ = CLIENTS.set(Mutex::new(clients));
}

fuzz_target!(
    init: { start(); },
    |data: &[u8]| {
        if data.len() < 2 || data.len() > 200 {
            return;
        }
        let world = WORLD.get().expect("init");
        let clients = CLIENTS.get().expect("init").lock().expect("one input at a time");
        let mut jobs = vec![Vec::new(); WORKERS];
        for pair in data.chunks_exact(2) {
            jobs[pair[0] as usize % WORKERS].push((pair[0] / WORKERS as u8, pair[1]));
        }
        clients.run(jobs);
        // Every worker takes up one last version, of the same kind each time.
        world.replace();
        if world.versions.done.load(Ordering::SeqCst) % 2 == 1 {
            world.replace();
        }
        clients.run(vec![vec![(0, 0)]; WORKERS]);
        // `refs_return`: nothing is left of the versions before, but for what another thread may still be letting go.
        let mut before = HELD.lock().expect("one input at a time");
        let held = before.unwrap_or(i64::MAX);
        let mut now = alive(Kind::Reference);
        for _ in 0..2000 {
            if now <= held && alive(Kind::Exchange) == 0 {
                break;
            }
            if held == i64::MAX && alive(Kind::Exchange) == 0 {
                std::thread::sleep(Duration::from_millis(100));
                now = alive(Kind::Reference);
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            now = alive(Kind::Reference);
        }
        assert!(now <= held, "{now} references are held, {held} were");
        *before = Some(held.min(now));
    }
);
