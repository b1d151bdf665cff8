//! Starting and stopping, across workers.
//!
//! Owns: the phase that all workers follow, and the gates at which they wait for each other.
//! Rule (`drain_answers_all`): nobody accepts before all have started; nobody shuts down before all have drained.
//! Threads: any. One mutex, never held across a wake or a call.

use super::config::StartError;
use crate::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use crate::sync::{Condvar, Mutex};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What the workers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Serve.
    Serve = 0,
    /// Finish what was begun.
    Drain = 1,
    /// Cut what is left.
    Cut = 2,
}

/// Points at which all workers wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// Its service is made, its application started.
    Started = 0,
    /// It listens.
    Listening = 1,
    /// Its connections are gone.
    Drained = 2,
}

const GATES: usize = 3;

/// Requests that one worker has begun to answer. Written by that worker alone, read by any thread.
///
/// On a cache line (of 128 bytes: they are fetched in pairs) of its own, so that workers do not slow each other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RequestCount(AtomicU64);

impl RequestCount {
    /// One more. There is one writer, so that no atomic addition is needed.
    pub fn add(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// Shared by all workers and the server's owner.
#[derive(Debug)]
pub struct Control {
    counts: Vec<Arc<RequestCount>>,
    order: AtomicU8,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// One a worker: how many gates it has come to. One that has ended is waited for at none.
    gates: Vec<usize>,
    failure: Option<StartError>,
    /// No other process will take what waits to be accepted.
    is_last: bool,
    /// One a worker: the task that waits for orders or at a gate.
    wakers: Vec<Option<Waker>>,
}

impl State {
    fn have_all_come_to(&self, gate: Gate) -> bool {
        self.gates.iter().all(|&gates| gates > gate as usize)
    }
}

impl Control {
    pub(super) fn new(workers: usize) -> Arc<Self> {
        let state = State { gates: vec![0; workers], wakers: vec![None; workers], ..State::default() };
        Arc::new(Control {
            counts: (0..workers).map(|_| Arc::default()).collect(),
            order: AtomicU8::new(Order::Serve as u8),
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Where `worker` counts its requests.
    pub fn count_of(&self, worker: usize) -> Arc<RequestCount> {
        self.counts[worker].clone()
    }

    /// Requests begun so far, by all workers.
    pub fn requests(&self) -> u64 {
        self.counts.iter().map(|count| count.0.load(Ordering::Relaxed)).sum()
    }

    /// The order in force.
    pub fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Serve,
            1 => Order::Drain,
            _ => Order::Cut,
        }
    }

    fn give(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::AcqRel);
        self.wake_all();
    }

    fn wake_all(&self) {
        let wakers: Vec<Waker> = self.state.lock().wakers.iter_mut().filter_map(Option::take).collect();
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The start has failed: all workers end without having served.
    pub fn fail(&self, error: StartError) {
        self.state.lock().failure.get_or_insert(error);
        self.wake_all();
    }

    /// A worker dies, and takes the others with it. It goes on to `leave` once its connections are closed.
    pub fn die(&self, worker: usize) {
        self.state.lock().failure.get_or_insert_with(|| died(worker));
        self.order.fetch_max(Order::Drain as u8, Ordering::AcqRel);
        self.wake_all();
    }

    /// A worker has ended. One that died takes the others with it: nobody would accept what its socket is sent.
    pub fn leave(&self, worker: usize, has_died: bool) {
        {
            // At once: a worker that is not waited for any more, without its failure, would open the gates of the start.
            let mut state = self.state.lock();
            state.gates[worker] = GATES;
            if has_died {
                state.failure.get_or_insert_with(|| died(worker));
            }
        }
        if has_died {
            self.order.fetch_max(Order::Drain as u8, Ordering::AcqRel);
        }
        self.wake_all();
    }

    /// No other process will take what waits to be accepted.
    pub fn is_last(&self) -> bool {
        self.state.lock().is_last
    }

    /// A worker has come to `gate`.
    pub fn arrive(&self, worker: usize, gate: Gate) {
        self.state.lock().gates[worker] = gate as usize + 1;
        self.wake_all();
    }

    /// Waits until all have come to `gate`; false when the start has failed meanwhile.
    pub async fn pass(&self, worker: usize, gate: Gate) -> bool {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            // Once all have listened a failure is no failed start, and the others drain together.
            if state.failure.is_some() && gate < Gate::Drained {
                return Poll::Ready(false);
            }
            if state.have_all_come_to(gate) {
                return Poll::Ready(true);
            }
            state.wakers[worker] = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Ready once the start has failed, or was cut off.
    pub fn poll_failure(&self, worker: usize, cx: &Context<'_>) -> Poll<()> {
        // Registered first: a cut that comes in between wakes us.
        self.state.lock().wakers[worker] = Some(cx.waker().clone());
        if self.order() == Order::Cut {
            self.fail(StartError::Service("stopped before it had started".to_owned()));
        }
        if self.state.lock().failure.is_some() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Ready once the order is `order` or a later one.
    pub fn poll_order(&self, worker: usize, order: Order, cx: &Context<'_>) -> Poll<()> {
        // Registered first: an order given in between wakes us.
        self.state.lock().wakers[worker] = Some(cx.waker().clone());
        if self.order() >= order {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    pub(super) fn wait_started(&self) -> Result<(), StartError> {
        let mut state = self.state.lock();
        loop {
            if let Some(error) = &state.failure {
                return Err(error.clone());
            }
            if state.have_all_come_to(Gate::Listening) {
                return Ok(());
            }
            self.changed.wait(&mut state);
        }
    }
}

fn died(worker: usize) -> StartError {
    StartError::Thread(format!("worker {worker} died"))
}

/// Stops a server, from any thread.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<Control>);

impl StopHandle {
    pub(super) fn new(control: Arc<Control>) -> Self {
        StopHandle(control)
    }

    /// Begins the drain. A second call cuts what is left.
    pub fn stop(&self) {
        // Asked and answered in one step: of two calls at once one is the second.
        let before = self.0.order.fetch_max(Order::Drain as u8, Ordering::AcqRel);
        if before == Order::Serve as u8 {
            self.0.wake_all();
        } else {
            self.0.give(Order::Cut);
        }
    }

    /// The processes that share the listening socket all end: what waits to be accepted is taken, too, in the drain.
    pub fn note_last(&self) {
        self.0.state.lock().is_last = true;
    }

    /// Requests begun so far, by all workers.
    pub fn requests(&self) -> u64 {
        self.0.requests()
    }

    /// Cuts everything.
    pub fn cut(&self) {
        self.0.give(Order::Cut);
    }
}
