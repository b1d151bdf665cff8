//! Something that happens once on a worker, and the tasks that wait for it.
//!
//! Owns: [`Signal`], [`Turns`]. Does not own: what is waited for.
//! Rule: a waker is called outside of the borrow. Threads: one worker's.

use crate::service::is_same_task;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// An event that happens once.
#[derive(Debug, Default)]
pub struct Signal {
    is_set: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// It has happened. Wakes all who wait.
    pub fn set(&self) {
        self.is_set.set(true);
        wake_all(&self.waiting);
    }

    /// Has it happened?
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Ready once it has happened.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_set.get() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|known| is_same_task(known, cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// How long tasks are held back so that timers are looked at: what monoio's timers resolve.
const REST: Duration = Duration::from_millis(1);

/// Lets a task step behind all tasks that are ready.
///
/// A task that wakes itself is put in front of monoio's queue, one that another task wakes goes to its end. So a task
/// that wants to stand behind asks the usher's task, which is woken to the end of the queue, to wake it there.
///
/// monoio looks at its timers only when no task is ready. Tasks that pass turns without end would keep it from that, so
/// they are held back together for a moment when no timer has fired for long.
#[derive(Debug)]
pub struct Turns {
    usher: RefCell<Option<Waker>>,
    waiting: RefCell<Vec<Waker>>,
    /// How often the usher has let everybody pass.
    passed: Cell<u64>,
    timers_seen: Cell<Instant>,
    patience: Duration,
}

impl Turns {
    /// `tick`: how often a timer of this worker fires when all is well, at least.
    pub fn new(tick: Duration) -> Rc<Self> {
        Rc::new(Turns {
            usher: RefCell::default(),
            waiting: RefCell::default(),
            passed: Cell::new(0),
            timers_seen: Cell::new(Instant::now()),
            patience: tick + tick / 4,
        })
    }

    /// A timer has fired.
    pub fn saw_timers(&self, now: Instant) {
        self.timers_seen.set(now);
    }

    /// The usher's task. Ends when `closing` is set.
    pub async fn run(self: Rc<Self>, closing: Rc<Signal>) {
        while !closing.is_set() {
            poll_fn(|cx| {
                let mut usher = self.usher.borrow_mut();
                if !usher.as_ref().is_some_and(|known| is_same_task(known, cx.waker())) {
                    *usher = Some(cx.waker().clone());
                }
                if self.waiting.borrow().is_empty() {
                    closing.poll(cx)
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            self.rest().await;
            self.let_pass();
        }
        *self.usher.borrow_mut() = None;
        self.let_pass();
    }

    /// Waits for a moment, in which monoio looks at its timers, if none has fired for long.
    ///
    /// For tasks that wake each other without end, as an application's that sends and a connection's that always finds room.
    pub async fn rest(&self) {
        let now = Instant::now();
        if now.duration_since(self.timers_seen.get()) > self.patience {
            monoio::time::sleep(REST).await;
            self.saw_timers(now);
        }
    }

    fn let_pass(&self) {
        self.passed.set(self.passed.get() + 1);
        wake_all(&self.waiting);
    }

    /// Lets every ready task run, and the driver look at its completions.
    ///
    /// A task that is woken meanwhile by something else, such as what it did itself before, goes on waiting: it would be in
    /// front of all others.
    pub async fn pass(&self) {
        let Some(usher) = self.usher.borrow().clone() else { return };
        let before = self.passed.get();
        let mut is_waiting = false;
        poll_fn(|cx| {
            if self.passed.get() != before {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut is_waiting, true) {
                self.waiting.borrow_mut().push(cx.waker().clone());
                usher.wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }
}

fn wake_all(waiting: &RefCell<Vec<Waker>>) {
    let all = std::mem::take(&mut *waiting.borrow_mut());
    all.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::{Signal, Turns};
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, RawWaker, RawWakerVTable, Waker};
    use std::time::Duration;

    /// A waker of a task, as different parts of one program make it.
    fn waker(wakes: &Cell<usize>, vtable: &'static RawWakerVTable) -> Waker {
        // SAFETY: the vtables below read the counter only, which outlives the wakers of this module's tests.
        unsafe { Waker::from_raw(RawWaker::new(std::ptr::from_ref(wakes).cast(), vtable)) }
    }

    fn count(data: *const ()) {
        // SAFETY: made by `waker` from a reference that is alive.
        let wakes = unsafe { &*data.cast::<Cell<usize>>() };
        wakes.set(wakes.get() + 1);
    }

    fn nothing(_: *const ()) {}

    static ONE: RawWakerVTable =
        RawWakerVTable::new(|data| RawWaker::new(data, &OTHER), count, count, nothing);
    static OTHER: RawWakerVTable =
        RawWakerVTable::new(|data| RawWaker::new(data, &ONE), count, count, nothing);

    #[test]
    fn task_that_asks_often_is_remembered_once() {
        let (wakes, signal) = (Cell::new(0), Signal::default());
        for _ in 0..1000 {
            assert!(signal.poll(&Context::from_waker(&waker(&wakes, &ONE))).is_pending());
        }
        assert_eq!(signal.waiting.borrow().len(), 1);
        signal.set();
        assert_eq!(wakes.get(), 1);
        assert!(signal.poll(&Context::from_waker(&waker(&wakes, &ONE))).is_ready());
    }

    #[test]
    fn task_that_is_woken_by_itself_goes_on_standing_behind_all_others() {
        let (usher, stepping, turns) = (Cell::new(0), Cell::new(0), Turns::new(Duration::from_secs(1)));
        *turns.usher.borrow_mut() = Some(waker(&usher, &ONE));
        let task = waker(&stepping, &ONE);
        let mut cx = Context::from_waker(&task);
        let mut passing = pin!(turns.pass());
        for _ in 0..3 {
            assert!(passing.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!((usher.get(), stepping.get()), (1, 0));
        turns.let_pass();
        assert_eq!(stepping.get(), 1);
        assert!(passing.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn every_task_is_woken() {
        let (one, other, signal) = (Cell::new(0), Cell::new(0), Signal::default());
        for wakes in [&one, &other] {
            assert!(signal.poll(&Context::from_waker(&waker(wakes, &ONE))).is_pending());
        }
        signal.set();
        assert_eq!((one.get(), other.get()), (1, 1));
    }
}
