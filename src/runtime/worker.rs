//! One worker thread: its runtime, its listener, its service, from start to end.
//!
//! Owns: the order of a worker's life. Does not own: a connection (`connection`), the order given (`control`).
//! Rule: make, start, listen, serve, drain, shut down, close; each step is waited for by all workers where DESIGN
//! section 7 says so.

use super::clock::DateCache;
use super::config::{Driver, RuntimeConfig, StartError, RING_ENTRIES};
use super::connection;
use super::control::{Control, Gate, Order};
use super::guest;
use super::slots::{self, Slots};
use super::stream::{Accepted, Listener, RawListener};
use crate::http1::{self, ReplyContext, Version};
use crate::service::{Offload, Service, ServiceFactory, WorkerContext};
use bytes::BytesMut;
use monoio::io::Canceller;
use std::cell::{Cell, RefCell};
use std::future::{poll_fn, Future};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// What a worker starts with.
pub struct WorkerPlan {
    pub index: usize,
    pub workers: usize,
    pub driver: Driver,
    pub sockets: Vec<RawListener>,
    pub config: RuntimeConfig,
    pub control: Arc<Control>,
    pub offload: Offload,
}

/// A worker's state, shared by its tasks.
pub struct Worker<S> {
    /// What it serves.
    pub service: S,
    /// How the server is configured.
    pub config: RuntimeConfig,
    /// Its connections.
    pub slots: Rc<Slots>,
    /// Its `Date`.
    pub date: DateCache,
    /// Requests being answered.
    pub in_flight: Cell<usize>,
    /// More than this many are answered 503. 0 is unlimited.
    pub max_in_flight: usize,
    /// The drain has begun: responses say `connection: close`.
    pub is_draining: Cell<bool>,
    max_connections: usize,
}

/// Pause after the process ran out of descriptors. nginx 500 ms.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Connections taken from the kernel's queue when the drain begins, at most.
const MAX_LAST_ACCEPTS: usize = 4096;

/// How long cut connections may take to end.
const CUT_GRACE: Duration = Duration::from_secs(5);

/// The body of a worker thread.
pub fn run<F: ServiceFactory>(plan: WorkerPlan, factory: &F) {
    block_signals();
    let mut plan = Some(plan);
    factory.enter_thread(&mut || {
        let Some(plan) = plan.take() else { return };
        let control = plan.control.clone();
        if let Err(error) = run_inside(plan, factory) {
            control.fail(StartError::Thread(error.to_string()));
        }
    });
}

/// Signals are for the main thread, where the language's own handlers run.
fn block_signals() {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: fills the set it is given.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: the set was filled above; the old mask is not asked for; only the calling thread's mask changes.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
}

fn run_inside<F: ServiceFactory>(plan: WorkerPlan, factory: &F) -> io::Result<()> {
    match plan.driver {
        #[cfg(target_os = "linux")]
        Driver::Uring => monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
            .with_entries(RING_ENTRIES)
            .enable_timer()
            .build()?
            .block_on(live(plan, factory)),
        _ => monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
            .enable_timer()
            .build()?
            .block_on(live(plan, factory)),
    }
    Ok(())
}

async fn live<F: ServiceFactory>(plan: WorkerPlan, factory: &F) {
    let WorkerPlan { index, workers, driver, sockets, config, control, offload } = plan;
    let service = match factory.make(WorkerContext { worker: index, workers, offload }) {
        Ok(service) => service,
        Err(message) => return control.fail(StartError::Service(message)),
    };
    let share = |total: usize| total.div_ceil(workers);
    let worker = Rc::new(Worker {
        service,
        slots: Rc::new(Slots::default()),
        date: DateCache::new(),
        in_flight: Cell::new(0),
        max_in_flight: share(config.max_in_flight),
        max_connections: share(config.max_connections),
        is_draining: Cell::new(false),
        config,
    });
    let is_open = Rc::new(Cell::new(true));
    if let Some(guest) = worker.service.guest_loop() {
        let is_open = is_open.clone();
        monoio::spawn(async move {
            if let Err(error) = guest::drive(guest, is_open).await {
                log::error!("the event loop cannot be watched: {error}");
            }
        });
    }
    sweep(&worker, is_open.clone());
    if started(&worker, &control, index).await {
        serve(&worker, &control, index, driver, sockets).await;
        control.arrive(Gate::Drained);
        control.pass(index, Gate::Drained).await;
    }
    poll_fn(|cx| worker.service.poll_shutdown(cx)).await;
    is_open.set(false);
    worker.service.close();
}

/// The application's start-up, here and on all other workers.
async fn started<S: Service>(worker: &Rc<Worker<S>>, control: &Control, index: usize) -> bool {
    if let Err(message) = poll_fn(|cx| worker.service.poll_startup(cx)).await {
        control.fail(StartError::AppFailed(message));
        return false;
    }
    control.arrive(Gate::Started);
    control.pass(index, Gate::Started).await
}

fn sweep<S: Service>(worker: &Rc<Worker<S>>, is_open: Rc<Cell<bool>>) {
    let tick = slots::tick(&worker.config.timeouts);
    let slots = worker.slots.clone();
    monoio::spawn(async move {
        while is_open.get() {
            monoio::time::sleep(tick).await;
            slots.sweep(Instant::now());
        }
    });
}

/// Listens and accepts until the drain, then waits until the connections are gone.
async fn serve<S: Service>(
    worker: &Rc<Worker<S>>,
    control: &Arc<Control>,
    index: usize,
    driver: Driver,
    sockets: Vec<RawListener>,
) {
    let mut acceptors = Vec::new();
    for raw in sockets {
        match Acceptor::listen(raw, driver, worker.config.backlog) {
            Ok(acceptor) => acceptors.push(Rc::new(acceptor)),
            Err((address, error)) => return control.fail(StartError::bind(address, &error)),
        }
    }
    for acceptor in &acceptors {
        let (acceptor, worker) = (acceptor.clone(), worker.clone());
        monoio::spawn(async move { acceptor.accept_all(&worker).await });
    }
    control.arrive(Gate::Listening);
    if !control.pass(index, Gate::Listening).await {
        return;
    }
    poll_fn(|cx| control.poll_order(index, Order::Drain, cx)).await;
    worker.is_draining.set(true);
    for acceptor in acceptors {
        acceptor.stop(worker).await;
    }
    worker.slots.shut_idle();
    worker.service.begin_drain();
    if gone(worker, control, index, Order::Cut, worker.config.timeouts.drain_grace).await {
        return;
    }
    log::warn!("worker {index}: {} connections cut at the end of the drain", worker.slots.live());
    worker.slots.cut_all();
    // `Order::Cut` may be in force already: nothing but the connections and the clock is waited for.
    let slots = &worker.slots;
    let mut late = Box::pin(monoio::time::sleep(CUT_GRACE));
    poll_fn(|cx| {
        slots.remember_emptied(cx.waker());
        if slots.live() == 0 {
            return Poll::Ready(());
        }
        late.as_mut().poll(cx)
    })
    .await;
}

/// Waits until all connections are gone (true), or `order` is given or the time is over (false).
async fn gone<S: Service>(
    worker: &Rc<Worker<S>>,
    control: &Control,
    index: usize,
    order: Order,
    within: Duration,
) -> bool {
    let mut late = Box::pin(monoio::time::sleep(within));
    poll_fn(|cx| {
        worker.slots.remember_emptied(cx.waker());
        if worker.slots.live() == 0 {
            return Poll::Ready(true);
        }
        if control.poll_order(index, order, cx).is_ready() || late.as_mut().poll(cx).is_ready() {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await
}

/// Accepts from one listening socket.
struct Acceptor {
    listener: RefCell<Option<Rc<Listener>>>,
    /// The same socket, for what the kernel has queued when the drain begins.
    raw: socket2::Socket,
    canceller: RefCell<Option<Canceller>>,
    has_ended: Cell<bool>,
}

impl Acceptor {
    fn listen(raw: RawListener, driver: Driver, backlog: u32) -> Result<Self, (String, io::Error)> {
        let address = format!("{:?}", raw.place);
        let inner = || -> io::Result<Self> {
            raw.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
            // io_uring gives EAGAIN for sockets that do not block, epoll needs them not to.
            raw.socket.set_nonblocking(driver == Driver::Epoll)?;
            let clone = raw.socket.try_clone()?;
            let listener = Listener::adopt(raw)?;
            Ok(Acceptor {
                listener: RefCell::new(Some(Rc::new(listener))),
                raw: clone,
                canceller: RefCell::new(Some(Canceller::new())),
                has_ended: Cell::new(false),
            })
        };
        inner().map_err(|error| (address, error))
    }

    async fn accept_all<S: Service>(&self, worker: &Rc<Worker<S>>) {
        let mut is_starved = false;
        loop {
            let listener = self.listener.borrow().clone();
            let cancel = self.canceller.borrow().as_ref().map(Canceller::handle);
            let (Some(listener), Some(cancel)) = (listener, cancel) else { break };
            match listener.accept(cancel).await {
                Ok(accepted) => {
                    is_starved = false;
                    open(worker, accepted);
                }
                Err(_) if worker.is_draining.get() => break,
                Err(error) if is_starvation(&error) => {
                    if !is_starved {
                        is_starved = true;
                        log::error!("no connection can be accepted: {error}; trying on");
                    }
                    monoio::time::sleep(ACCEPT_BACK_OFF).await;
                }
                // The peer left between the kernel's queue and us.
                Err(error) => log::debug!("accept: {error}"),
            }
        }
        self.has_ended.set(true);
    }

    /// Takes what the kernel has queued, then closes.
    async fn stop<S: Service>(&self, worker: &Rc<Worker<S>>) {
        let canceller = self.canceller.borrow_mut().take();
        let cancelled = canceller.map(Canceller::cancel);
        while !self.has_ended.get() {
            guest::yield_now().await;
            if !self.has_ended.get() {
                monoio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        drop(cancelled);
        let listener = self.listener.borrow_mut().take();
        let Some(listener) = listener else { return };
        if self.raw.set_nonblocking(true).is_err() {
            return;
        }
        for _ in 0..MAX_LAST_ACCEPTS {
            let Ok((socket, peer)) = self.raw.accept() else { break };
            match listener.adopt_accepted(socket, &peer) {
                Ok(accepted) => open(worker, accepted),
                Err(error) => log::debug!("accept: {error}"),
            }
        }
        // Not shut down: other workers may accept from the same socket. It closes with the last of its owners.
    }
}

fn is_starvation(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

fn open<S: Service>(worker: &Rc<Worker<S>>, accepted: Accepted) {
    let is_full = worker.max_connections != 0 && worker.slots.live() >= worker.max_connections;
    match accepted {
        Accepted::Tcp(stream, ends) if !is_full => {
            drop(monoio::spawn(connection::serve(worker.clone(), stream, ends)))
        }
        Accepted::Unix(stream, ends) if !is_full => {
            drop(monoio::spawn(connection::serve(worker.clone(), stream, ends)));
        }
        Accepted::Tcp(stream, _) => refuse(worker, stream),
        Accepted::Unix(stream, _) => refuse(worker, stream),
    }
}

/// Answers 503 and closes, without reading.
fn refuse<S: Service>(worker: &Rc<Worker<S>>, mut stream: impl super::stream::Transport) {
    let mut out = BytesMut::new();
    let context = ReplyContext { version: Version::Http11, head_only: false, keep_alive: false };
    busy(&mut out, &context, worker);
    drop(monoio::spawn(async move {
        // Best effort: a peer that does not take it is closed as well.
        let (_, _) = stream.write(out).await;
        let _ = stream.shutdown().await;
    }));
}

/// Appends the answer of a server that is full.
pub fn busy<S: Service>(out: &mut BytesMut, context: &ReplyContext, worker: &Worker<S>) {
    let mut fields = http1::FieldBlock::new();
    // Constant fields are sound.
    let _ = fields.push(b"content-type", b"text/plain; charset=utf-8");
    let _ = fields.push(b"retry-after", b"1");
    let body = b"Service Unavailable";
    let length = http1::BodyLength::Known(body.len() as u64);
    let sent = http1::encode_head(out, context, 503, &fields, length, &worker.date.now());
    if sent.framing != http1::BodyFraming::None {
        out.extend_from_slice(body);
    }
}
