//! Streams opened, pulled, failing, left and drained in any order: stream_closed_once, attached_iff_running, refs_return.
#![no_main]

mod service;

use libfuzzer_sys::fuzz_target;
use pyo3::prelude::*;
use pyo3::types::PyModule;
use service::{call, factory, head, module, read_whole, Begun, Client, Clients, FewThreads, RouteLine, Worker};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Context;
use std::time::{Duration, Instant};
use turboapi::dispatch::{AppFactory, Pin};
use turboapi::invariants::{alive, Kind};
use turboapi::service::{CloseReason, Exchange, ReplyEvent, Service};

const HANDLERS: &std::ffi::CStr = cr#"
import asyncio, threading

SIZES = (1, 1000, 40_000, 70_000)
streams, faults = {}, []

class Stream:
    """What became of one stream; `n` says what it gives."""

    def __init__(self, n, has_begun=True):
        self.n, self.count, self.size, self.fault = n, n & 15, SIZES[n >> 4 & 3], n >> 6 & 3
        self.at, self.closes, self.has_begun, self.is_pulled = 0, 0, has_begun, False
        streams[n] = self

    def item(self):
        """The next item; None at the end."""
        if self.closes:
            faults.append(f"{self.n}: pulled after its close")
        if self.is_pulled:
            faults.append(f"{self.n}: pulled by two at once")
        self.is_pulled = True
        try:
            if self.at == self.count:
                return None
            self.at += 1
            if self.at * 2 > self.count:
                if self.fault == 1:
                    raise ValueError(self.n)
                if self.fault == 2:
                    return self.n
            return bytes([97 + (self.n >> 8) % 26]) * self.size
        finally:
            self.is_pulled = False

    def end(self):
        self.closes += 1
        if self.closes > 1:
            faults.append(f"{self.n}: closed twice")
        if self.fault == 3:
            raise RuntimeError("close")

class Items(Stream):
    def __iter__(self):
        return self

    def __next__(self):
        item = self.item()
        if item is None:
            raise StopIteration
        return item

    def close(self):
        self.end()

class LaterItems(Stream):
    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.at & 1:
            await asyncio.sleep(0)
        item = self.item()
        if item is None:
            raise StopAsyncIteration
        return item

    async def aclose(self):
        self.end()
        if self.n & 1:
            await asyncio.sleep(0)

def generator(stream):
    stream.has_begun = True
    try:
        while (item := stream.item()) is not None:
            yield item
    finally:
        stream.end()

async def later_generator(stream):
    stream.has_begun = True
    try:
        while (item := stream.item()) is not None:
            await asyncio.sleep(0)
            yield item
    finally:
        stream.end()

def answer(iterator):
    return 200, "text/plain", b"", iterator, {}

def items(n):
    return answer(Items(n))

def generated(n):
    return answer(generator(Stream(n, False)))

def later_items(n):
    return answer(LaterItems(n))

def later_generated(n):
    return answer(later_generator(Stream(n, False)))

async def awaited(n):
    await asyncio.sleep(0)
    return answer(Items(n) if n & 1 else LaterItems(n))

def away(n):
    return answer(Items(n) if n & 1 else LaterItems(n))

def unsettled():
    """Streams that were begun, and not closed once."""
    return [(each.n, each.closes) for each in list(streams.values()) if each.closes != each.has_begun]

def forget():
    streams.clear()
    return faults
"#;

const ROUTES: [RouteLine; 6] = [
    ("/items/{n}", "items", true, Pin::Direct),
    ("/generated/{n}", "generated", true, Pin::Direct),
    ("/later_items/{n}", "later_items", true, Pin::Direct),
    ("/later_generated/{n}", "later_generated", true, Pin::Direct),
    ("/awaited/{n}", "awaited", true, Pin::Direct),
    ("/away/{n}", "away", true, Pin::Blocking),
];

const SIZES: [usize; 4] = [1, 1000, 40_000, 70_000];
const WORKERS: usize = 3;

/// A stream whose client has not left.
struct Open {
    exchange: Arc<Exchange>,
    spec: u64,
    has_head: bool,
    bytes: usize,
    unwritten: usize,
    is_over: bool,
}

impl Open {
    /// Takes a word of the response, and checks that it may come now. False: there is none.
    fn take(&mut self, is_cut: bool) -> bool {
        let Some(event) = self.exchange.take_event() else { return false };
        assert!(!self.is_over, "{:x}: {event:?} after the last word", self.spec);
        let (count, size) = ((self.spec & 15) as usize, SIZES[(self.spec >> 4 & 3) as usize]);
        let fault = self.spec >> 6 & 3;
        match event {
            ReplyEvent::Head(head) => {
                assert!(!self.has_head && head.status == 200, "{:x}", self.spec);
                self.has_head = true;
            }
            ReplyEvent::Chunk(piece) => {
                assert!(self.has_head, "{:x}: a body without a head", self.spec);
                let letter = 97 + (self.spec >> 8) % 26;
                assert!(piece.iter().all(|&byte| u64::from(byte) == letter), "{:x}: bytes of another", self.spec);
                self.bytes += piece.len();
                self.unwritten += piece.len();
            }
            ReplyEvent::End => {
                self.is_over = true;
                assert!(self.has_head && self.bytes == count * size, "{:x}: {} bytes", self.spec, self.bytes);
                assert!(count == 0 || !matches!(fault, 1 | 2), "{:x}: an end after a fault", self.spec);
            }
            ReplyEvent::Abort => {
                self.is_over = true;
                let is_due = matches!(fault, 1 | 2) && count > 0;
                // What an `aclose` raises tears the response; what a `close` does, comes after its end.
                assert!(is_due || fault == 3 || is_cut, "{:x}: torn for no reason, {} bytes", self.spec, self.bytes);
            }
            other => panic!("{:x}: {other:?}", self.spec),
        }
        true
    }

    fn write(&mut self) {
        self.exchange.written(std::mem::take(&mut self.unwritten));
    }
}

/// What all workers look at.
#[derive(Default)]
struct World {
    /// The pool takes no jobs, just now.
    refuses: Arc<AtomicBool>,
    /// Streams may be torn: the pool has refused, or the drain has begun.
    is_cut: AtomicBool,
    opened: AtomicU64,
}

struct Reader {
    world: &'static World,
    worker: Worker,
    open: Vec<Open>,
}

impl Client for Reader {
    type Job = [u8; 3];

    fn worker(&self) -> &Worker {
        &self.worker
    }

    fn run(&mut self, jobs: &[[u8; 3]]) {
        for &[kind, which, spec] in jobs {
            let at = which as usize % self.open.len().max(1);
            let is_cut = self.world.is_cut.load(Ordering::SeqCst);
            match (kind % 8, self.open.get_mut(at)) {
                (0 | 1, _) => self.open_stream(which, spec),
                (2, Some(open)) => {
                    for _ in 0..=spec % 8 {
                        open.take(is_cut || self.world.is_cut.load(Ordering::SeqCst));
                        open.write();
                    }
                }
                (3, Some(open)) => {
                    open.take(is_cut || self.world.is_cut.load(Ordering::SeqCst));
                }
                (4, Some(open)) => open.write(),
                (5, Some(_)) => self.open.swap_remove(at).exchange.close(CloseReason::Disconnected),
                (6, _) if which < 64 => {
                    self.world.is_cut.store(true, Ordering::SeqCst);
                    self.worker.service.begin_drain();
                }
                (7, _) if which < 64 => {
                    self.world.is_cut.store(true, Ordering::SeqCst);
                    self.world.refuses.store(spec % 2 == 0, Ordering::SeqCst);
                }
                _ => std::thread::yield_now(),
            }
            self.worker.step();
        }
        // Who is still there reads on to the end.
        let until = Instant::now() + Duration::from_secs(60);
        while let Some(mut open) = self.open.pop() {
            let waker = self.worker.waker().clone();
            while !open.is_over {
                assert!(Instant::now() < until, "{:x}: no last word", open.spec);
                let _ = open.exchange.poll_wants(&Context::from_waker(&waker));
                open.write();
                if !open.take(self.world.is_cut.load(Ordering::SeqCst)) {
                    self.worker.wait();
                }
            }
            open.exchange.close(CloseReason::Complete);
        }
    }
}

impl Reader {
    fn open_stream(&mut self, which: u8, spec: u8) {
        let spec = self.world.opened.fetch_add(1, Ordering::SeqCst) << 8 | u64::from(spec);
        let head = head(&ROUTES[which as usize % ROUTES.len()].0.replace("{n}", &spec.to_string()));
        match call(&self.worker.service, self.worker.service.route(&head), head) {
            Begun::Answered(bytes) => {
                assert!(self.world.is_cut.load(Ordering::SeqCst), "an answer that is no stream");
                assert_eq!(read_whole(&bytes).0, 503);
            }
            Begun::Pending(exchange) => {
                self.open.push(Open { exchange, spec, has_head: false, bytes: 0, unwritten: 0, is_over: false });
            }
        }
    }
}

static WORLD: OnceLock<World> = OnceLock::new();
static CLIENTS: OnceLock<Mutex<Clients<[u8; 3]>>> = OnceLock::new();
static FACTORY: OnceLock<Arc<AppFactory>> = OnceLock::new();
static MODULE: OnceLock<Py<PyModule>> = OnceLock::new();

fn start() {
    let made = module(HANDLERS);
    let factory = FACTORY.get_or_init(|| factory(&made, &ROUTES));
    let _ = MODULE.set(made);
    let world = WORLD.get_or_init(World::default);
    let pool = FewThreads::new(2, world.refuses.clone());
    let clients = Clients::start(WORKERS, factory, &pool, |worker| Reader { world, worker, open: Vec::new() });
    let _ = CLIENTS.set(Mutex::new(clients));
}

fn unsettled() -> Vec<(u64, u64)> {
    Python::attach(|py| {
        let module = MODULE.get().expect("init").bind(py);
        module.call_method0("unsettled").and_then(|found| found.extract()).expect("a list")
    })
}

fuzz_target!(
    init: { start(); },
    |data: &[u8]| {
        if data.len() < 3 || data.len() > 240 {
            return;
        }
        let world = WORLD.get().expect("init");
        let clients = CLIENTS.get().expect("init").lock().expect("one input at a time");
        let mut jobs = vec![Vec::new(); WORKERS];
        for three in data.chunks_exact(3) {
            jobs[three[0] as usize % WORKERS].push([three[0] / WORKERS as u8, three[1], three[2]]);
        }
        clients.run(jobs);
        world.refuses.store(false, Ordering::SeqCst);
        // `stream_closed_once`: soon after its client has left. `refs_return`: then nothing is left of it.
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let left = unsettled();
            if left.is_empty() && alive(Kind::Exchange) == 0 && alive(Kind::Stream) == 0 {
                break;
            }
            assert!(
                Instant::now() < until,
                "(stream, closes): {left:x?}; {} exchanges, {} streams",
                alive(Kind::Exchange),
                alive(Kind::Stream)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let faults: Vec<String> = Python::attach(|py| {
            let module = MODULE.get().expect("init").bind(py);
            module.call_method0("forget").and_then(|faults| faults.extract()).expect("a list")
        });
        assert!(faults.is_empty(), "{faults:?}");
        FACTORY.get().expect("init").0.latest().draining.store(false, Ordering::SeqCst);
        world.is_cut.store(false, Ordering::SeqCst);
    }
);
