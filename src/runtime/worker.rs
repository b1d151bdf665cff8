//! One worker thread: its runtime, its service, from start to end.
//!
//! Owns: the order of a worker's life. Does not own: a connection (`connection`), the order given (`control`).
//! Rule: make, start, listen, serve, drain, shut down, close; each step is waited for by all workers where DESIGN
//! section 7 says so. Every task has ended before the runtime is dropped: monoio would leak what waits in it.

use super::accept::Acceptor;
use super::caught::caught;
use super::clock::Clock;
use super::config::{Driver, RuntimeConfig, StartError};
use super::control::{Control, Gate, Order, RequestCount};
use super::guest;
use super::offload::{Pool, END_GRACE};
use super::signal::{Signal, Turns};
use super::slots::Slots;
use super::stream::RawListener;
use crate::http1::FieldBlock;
use crate::service::{Offload, Service, ServiceFactory, WorkerContext};
use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
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
    /// The pool that `offload` leads to, if it is this worker's alone.
    pub own_pool: Option<Arc<Pool>>,
}

/// A worker's state, shared by its tasks.
pub struct Worker<S> {
    /// What it serves.
    pub service: S,
    /// How the server is configured.
    pub config: RuntimeConfig,
    /// Its connections.
    pub slots: Rc<Slots>,
    /// Its time.
    pub clock: Clock,
    /// The way to the end of its queue of tasks.
    pub turns: Rc<Turns>,
    /// The drain has begun: responses say `connection: close`.
    pub draining: Signal,
    /// Requests being answered through an exchange. Others are answered within one call.
    pub in_flight: Cell<usize>,
    /// Requests begun so far.
    pub requests: Arc<RequestCount>,
    /// Connections being served.
    pub connections: Cell<usize>,
    /// Connections beyond the limit, reading their 503.
    pub refused: Cell<usize>,
    /// More connections than this are answered 503. 0 is unlimited.
    pub max_connections: usize,
    /// Fields of that answer.
    pub busy_fields: FieldBlock,
    max_in_flight: usize,
    /// A part of it has panicked: it ends without waiting for what may never come.
    died: Rc<Signal>,
    /// Threads for work that may block.
    pub offload: Offload,
}

impl<S> Worker<S> {
    /// No more requests can be taken on.
    pub fn is_busy(&self) -> bool {
        self.max_in_flight != 0 && self.in_flight.get() >= self.max_in_flight
    }

    /// Ready once the order is `order` or a later one; one that dies obeys them all.
    fn poll_order(&self, control: &Control, index: usize, order: Order, cx: &Context<'_>) -> Poll<()> {
        match self.died.poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => control.poll_order(index, order, cx),
        }
    }
}

/// How long cut connections, and a shut-down that was told to hurry, may take.
const CUT_GRACE: Duration = Duration::from_secs(5);

/// The body of a worker thread. True when it ended as it should.
pub fn run<F: ServiceFactory>(plan: WorkerPlan, factory: &F) -> bool {
    let control = plan.control.clone();
    let index = plan.index;
    let mut plan = Some(plan);
    let died = Rc::new(Signal::default());
    let lived = catch_unwind(AssertUnwindSafe(|| {
        factory.enter_worker(index, &mut || {
            let Some(mut plan) = plan.take() else { return };
            let own_pool = plan.own_pool.take();
            let control = plan.control.clone();
            if let Err(error) = run_inside(plan, factory, &died) {
                control.fail(StartError::Thread(format!("worker {index}: {error}")));
            }
            if let Some(pool) = own_pool {
                pool.end(END_GRACE);
            }
        });
    }));
    if lived.is_err() {
        say_dead(index);
    }
    let has_died = lived.is_err() || died.is_set();
    control.leave(index, has_died);
    !has_died
}

fn say_dead(index: usize) {
    log::error!("worker {index} panicked: the server stops; please report it");
}

fn run_inside<F: ServiceFactory>(plan: WorkerPlan, factory: &F, died: &Rc<Signal>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let plan = match run_on_uring(plan, factory, died)? {
        None => return Ok(()),
        Some(plan) => plan,
    };
    let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build()?;
    runtime.block_on(live(plan, factory, died));
    Ok(())
}

/// Gives the plan back if it is one for epoll.
#[cfg(target_os = "linux")]
fn run_on_uring<F: ServiceFactory>(
    mut plan: WorkerPlan,
    factory: &F,
    died: &Rc<Signal>,
) -> io::Result<Option<WorkerPlan>> {
    use super::config::DriverChoice;
    if plan.driver != Driver::Uring {
        return Ok(Some(plan));
    }
    match super::ring::runtime() {
        Ok(mut runtime) => {
            runtime.block_on(live(plan, factory, died));
            Ok(None)
        }
        // The probe got a ring; there may be none left for every worker (RLIMIT_MEMLOCK, before Linux 5.12).
        Err(error) if plan.config.driver == DriverChoice::Auto => {
            log::warn!("worker {}: io_uring is refused ({error}): running on epoll", plan.index);
            plan.driver = Driver::Epoll;
            Ok(Some(plan))
        }
        Err(error) => Err(error),
    }
}

async fn live<F: ServiceFactory>(plan: WorkerPlan, factory: &F, died: &Rc<Signal>) {
    let WorkerPlan { index, workers, driver, sockets, config, control, offload, own_pool: _ } = plan;
    let service = match factory.make(WorkerContext { worker: index, workers, offload: offload.clone() }) {
        Ok(service) => service,
        Err(message) => return control.fail(StartError::Service(message)),
    };
    let share = |total: usize| total.div_ceil(workers);
    let slots = Slots::new(&config.timeouts);
    let worker = Rc::new(Worker {
        service,
        turns: Turns::new(slots.tick()),
        slots,
        clock: Clock::new(),
        draining: Signal::default(),
        in_flight: Cell::new(0),
        requests: control.count_of(index),
        connections: Cell::new(0),
        refused: Cell::new(0),
        max_connections: share(config.max_connections),
        busy_fields: busy_fields(),
        max_in_flight: share(config.max_in_flight),
        offload,
        config,
        died: died.clone(),
    });
    let mortal = Mortal { index, control: control.clone(), died: died.clone() };
    let closing = Rc::new(Signal::default());
    let turns = monoio::spawn(worker.turns.clone().run(closing.clone()));
    let sweep = sweep(worker.slots.clone(), worker.turns.clone(), closing.clone());
    let sweeper = monoio::spawn(mortal.clone().part(sweep));
    let (guest, is_driven) = match worker.service.guest_loop().map(guest::Watched::new).transpose() {
        Ok(watched) => {
            let drive = |guest| guest::drive(guest, worker.turns.clone(), closing.clone());
            (watched.map(|guest| monoio::spawn(mortal.clone().part(drive(guest)))), true)
        }
        Err(error) => {
            let text = format!("worker {index}: its event loop cannot be watched: {error}");
            control.fail(StartError::Thread(text));
            (None, false)
        }
    };
    if started(&worker, &control, index).await {
        let grace_ends = serve(&worker, &mortal, driver, sockets).await;
        if all_drained(&worker, &control, index).await {
            if let Some(grace_ends) = grace_ends {
                settled(&worker, &control, index, grace_ends).await;
            }
        }
    }
    // Without its loop no application goes on, and none would ever be down.
    if is_driven && !died.is_set() {
        shut_down(&worker, &control, index).await;
    }
    closing.set();
    if let Some(guest) = guest {
        guest.await;
    }
    sweeper.await;
    turns.await;
    worker.service.close();
}

/// What a part of the worker needs to take it with it.
#[derive(Clone)]
struct Mortal {
    index: usize,
    control: Arc<Control>,
    died: Rc<Signal>,
}

impl Mortal {
    /// Runs a part to its end. One that panics ends the worker, in order: a runtime that is unwound leaks its tasks with
    /// their sockets, and clients would wait for as long as the other workers drain.
    async fn part(self, part: impl Future<Output = ()>) {
        let part = pin!(part);
        if caught(part).await.is_err() {
            say_dead(self.index);
            self.died.set();
            self.control.die(self.index);
        }
    }
}

fn busy_fields() -> FieldBlock {
    let mut fields = FieldBlock::new();
    for (name, value) in [("content-type", "text/plain; charset=utf-8"), ("retry-after", "1")] {
        let pushed = fields.push(name.as_bytes(), value.as_bytes());
        debug_assert!(pushed.is_ok(), "constant fields are sound");
    }
    fields
}

/// The application's start-up, here and on all other workers. False: the start has failed.
async fn started<S: Service>(worker: &Rc<Worker<S>>, control: &Control, index: usize) -> bool {
    let started = poll_fn(|cx| match control.poll_failure(index, cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => worker.service.poll_startup(cx).map(Some),
    });
    match started.await {
        None => false,
        Some(Err(message)) => {
            control.fail(StartError::AppFailed(message));
            false
        }
        Some(Ok(())) => {
            control.arrive(index, Gate::Started);
            control.pass(index, Gate::Started).await
        }
    }
}

/// The connections of all workers are gone. False: this worker has died, and the others may be waiting for tasks of its
/// loop, which end when it is closed.
async fn all_drained<S: Service>(worker: &Rc<Worker<S>>, control: &Control, index: usize) -> bool {
    if worker.died.is_set() {
        return false;
    }
    control.arrive(index, Gate::Drained);
    let mut pass = pin!(control.pass(index, Gate::Drained));
    poll_fn(|cx| match worker.died.poll(cx) {
        Poll::Ready(()) => Poll::Ready(false),
        Poll::Pending => pass.as_mut().poll(cx),
    })
    .await
}

/// What answered requests have left running, until the grace ends or a cut.
async fn settled<S: Service>(worker: &Rc<Worker<S>>, control: &Control, index: usize, grace_ends: Instant) {
    let rest = grace_ends.saturating_duration_since(Instant::now());
    let mut late = pin!(monoio::time::sleep(rest));
    poll_fn(|cx| {
        if rest.is_zero() || worker.service.poll_settled(cx).is_ready() {
            return Poll::Ready(());
        }
        match worker.poll_order(control, index, Order::Cut, cx) {
            Poll::Pending => late.as_mut().poll(cx),
            ready => ready,
        }
        .map(|()| log::warn!("worker {index}: what answered requests left running is cancelled"))
    })
    .await;
}

/// The application's shut-down. After a cut it is not waited for long.
async fn shut_down<S: Service>(worker: &Rc<Worker<S>>, control: &Control, index: usize) {
    let mut late = None;
    poll_fn(|cx| {
        if worker.service.poll_shutdown(cx).is_ready() {
            return Poll::Ready(());
        }
        if late.is_none() && worker.poll_order(control, index, Order::Cut, cx).is_ready() {
            late = Some(Box::pin(monoio::time::sleep(CUT_GRACE)));
        }
        match &mut late {
            Some(late) => {
                late.as_mut().poll(cx).map(|()| log::warn!("the application's shut-down was abandoned"))
            }
            None => Poll::Pending,
        }
    })
    .await;
}

async fn sweep(slots: Rc<Slots>, turns: Rc<Turns>, closing: Rc<Signal>) {
    while !closing.is_set() {
        let mut pause = pin!(monoio::time::sleep(slots.tick()));
        poll_fn(|cx| match closing.poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => pause.as_mut().poll(cx),
        })
        .await;
        let now = Instant::now();
        turns.saw_timers(now);
        slots.sweep(now);
    }
}

/// Listens and accepts until the drain, then waits until the connections are gone. Gives the end of the drain's grace;
/// `None`: nothing was ever accepted.
async fn serve<S: Service>(
    worker: &Rc<Worker<S>>,
    mortal: &Mortal,
    driver: Driver,
    sockets: Vec<RawListener>,
) -> Option<Instant> {
    let (control, index) = (&mortal.control, mortal.index);
    let mut acceptors = Vec::new();
    for raw in sockets {
        match Acceptor::listen(raw, driver, worker.config.backlog) {
            Ok(acceptor) => acceptors.push(Rc::new(acceptor)),
            Err(error) => {
                control.fail(error);
                return None;
            }
        }
    }
    control.arrive(index, Gate::Listening);
    if !control.pass(index, Gate::Listening).await {
        return None;
    }
    for acceptor in &acceptors {
        let (acceptor, worker) = (acceptor.clone(), worker.clone());
        // Detached: `Acceptor::stop` waits for its end.
        drop(monoio::spawn(mortal.clone().part(async move { acceptor.run(&worker).await })));
    }
    poll_fn(|cx| worker.poll_order(control, index, Order::Drain, cx)).await;
    worker.draining.set();
    let grace_ends = worker.clock.read() + worker.config.timeouts.drain_grace;
    worker.slots.cut_at(grace_ends);
    for acceptor in acceptors {
        acceptor.stop(worker, worker.config.shares_listener && !control.is_last()).await;
    }
    worker.slots.shut_idle(worker.clock.read(), worker.config.shares_listener);
    worker.service.begin_drain();
    poll_fn(|cx| match emptied(worker, cx) {
        Poll::Pending => worker.poll_order(control, index, Order::Cut, cx),
        ready => ready,
    })
    .await;
    if worker.slots.live() > 0 {
        log::warn!("worker {index}: {} connections are cut", worker.slots.live());
        worker.slots.cut_all();
    }
    let mut late = pin!(monoio::time::sleep(CUT_GRACE));
    poll_fn(|cx| match emptied(worker, cx) {
        Poll::Pending => late.as_mut().poll(cx).map(|()| {
            log::error!("worker {index}: {} connections would not end", worker.slots.live());
        }),
        ready => ready,
    })
    .await;
    Some(grace_ends)
}

fn emptied<S: Service>(worker: &Worker<S>, cx: &std::task::Context<'_>) -> Poll<()> {
    worker.slots.remember_emptied(cx.waker());
    if worker.slots.live() == 0 {
        return Poll::Ready(());
    }
    Poll::Pending
}
