//! asyncio on a worker's thread: the Rust half of `guest_loop.py`.
//!
//! Owns: the loop object, its inbox (jobs and wakes from other threads), tasks started on it, Python futures that wait
//! for something of Rust's. Does not own: when it is stepped (`runtime`), what the tasks do (`asgi`, `dispatch`).
//! Rule: the running loop is set only while a coroutine or a callback of the loop runs. A job posted is run once.
//! Threads: [`LoopHandle`] is for any thread; [`HomeLoop`] never leaves its worker.

mod agenda;
mod driven;
mod handoff;
mod mailbox;

use crate::interp::name;
use crate::interp::{self, BaseContext};
use crate::service::{GuestLoop, NextStep, Offload};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use agenda::Agenda;
use handoff::{Handoff, Outcome};
use mailbox::{Mail, Mailbox};

pub use driven::{drive, register, StandIn};
pub use handoff::{take_call_back, Claim};

/// Of so many steps one asks the selector, even if nothing said that its descriptor is readable.
const STEPS_PER_LOOK: u32 = 16;

/// Work for a loop's thread.
pub type Job = Box<dyn for<'py> FnOnce(Python<'py>, &Rc<HomeLoop>) + Send>;

/// The way to a loop from any thread.
#[derive(Default)]
pub struct LoopHandle {
    mailbox: Mailbox<Job, Outcome>,
    /// What threads without a loop take for the running one.
    pub stand_in: StandIn,
    /// What makes threads of the pool ones that may call back into this loop.
    pub claim: Claim,
}

impl std::fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoopHandle").finish_non_exhaustive()
    }
}

impl LoopHandle {
    /// Runs `job` on the loop's thread, at its next step. Gives it back when the loop has been closed.
    ///
    /// # Errors
    /// The job, unrun.
    pub fn post(&self, job: Job) -> Result<(), Job> {
        self.mailbox.post(job)
    }
}

/// Wakes one future that waits on the loop.
struct WaitingWaker {
    handle: Arc<LoopHandle>,
    key: u64,
}

impl Wake for WaitingWaker {
    fn wake(self: Arc<Self>) {
        self.handle.mailbox.wake_waiting(self.key);
    }
}

/// Polled on the loop's thread, attached, until it is ready with what the future gives.
pub type PollFn = Box<dyn for<'py> FnMut(Python<'py>, &mut Context<'_>) -> Poll<PyResult<Py<PyAny>>>>;

struct Waiting {
    future: Py<PyAny>,
    poll: PollFn,
    waker: Waker,
}

/// One asyncio loop, on the worker that steps it.
pub struct HomeLoop {
    handle: Arc<LoopHandle>,
    event_loop: Py<PyAny>,
    step: Py<PyAny>,
    ready: Py<PyAny>,
    /// Its callbacks and timers, natively. An own interpreter has none: its loop keeps them itself.
    agenda: Option<Py<Agenda>>,
    /// The heap of timers of a loop without an agenda, which is never bound anew.
    timers: Py<PyList>,
    set_running_loop: Py<PyAny>,
    task_type: Py<PyAny>,
    task_arguments: Py<PyDict>,
    /// A future that is done with `None`: awaiting it does not suspend, and it may be awaited any number of times.
    done: Py<PyAny>,
    context: BaseContext,
    fd: RawFd,
    waiting: RefCell<HashMap<u64, Waiting>>,
    next_key: Cell<u64>,
    /// Timers known when the next step was last planned.
    planned_timers: Cell<usize>,
    /// It is the thread's running loop.
    is_running: Cell<bool>,
    steps: Cell<u32>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<HomeLoop>>> = const { RefCell::new(None) };
}

impl HomeLoop {
    /// Makes the loop of the calling worker, and makes it the thread's current one. With a way to the offload pool, unless
    /// that is left out.
    ///
    /// # Errors
    /// asyncio's own, such as too few descriptors.
    pub fn make(
        py: Python<'_>,
        handle: Arc<LoopHandle>,
        context: BaseContext,
        offload: Option<Offload>,
    ) -> PyResult<Rc<Self>> {
        let guest = py.import("turboapi_rs.guest_loop")?;
        let asyncio = py.import("asyncio")?;
        let has_offload = offload.is_some();
        let handoff = match offload {
            Some(offload) => Some(Bound::new(py, Handoff::new(handle.clone(), offload))?),
            None => None,
        };
        let event_loop = guest.getattr("make_loop")?.call1((&handoff,))?;
        let agenda = match handoff {
            Some(_) => Some(Agenda::of(&event_loop)?),
            None => None,
        };
        if let Some(agenda) = &agenda {
            event_loop.call_method1("take_agenda", (agenda,))?;
        }
        let fd: RawFd = event_loop.getattr("_selector")?.call_method0("fileno")?.extract()?;
        let task_arguments = PyDict::new(py);
        task_arguments.set_item("loop", &event_loop)?;
        task_arguments.set_item("eager_start", true)?;
        let done = event_loop.call_method0("create_future")?;
        done.call_method1("set_result", (py.None(),))?;
        let home = Rc::new(HomeLoop {
            handle,
            step: event_loop.getattr("step")?.unbind(),
            ready: event_loop.getattr("_ready")?.unbind(),
            agenda: agenda.map(Bound::unbind),
            timers: event_loop.getattr("_timers")?.cast_into::<PyList>()?.unbind(),
            set_running_loop: asyncio.getattr("_set_running_loop")?.unbind(),
            task_type: asyncio.getattr("Task")?.unbind(),
            task_arguments: task_arguments.unbind(),
            done: done.unbind(),
            event_loop: event_loop.unbind(),
            context,
            fd,
            waiting: RefCell::default(),
            next_key: Cell::new(0),
            planned_timers: Cell::new(0),
            is_running: Cell::new(false),
            steps: Cell::new(0),
        });
        driven::adopt(py, home.event_loop.bind(py))?;
        home.handle.claim.announce(py, home.event_loop.bind(py))?;
        if has_offload {
            py.import("turboapi_rs.handoff")?.getattr("claim_own")?.call1((home.event_loop.bind(py),))?;
            Claim::note_own(true);
        }
        CURRENT.with_borrow_mut(|current| *current = Some(home.clone()));
        Ok(home)
    }

    /// The loop of the calling thread, if it steps one.
    pub fn current() -> Option<Rc<HomeLoop>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// The loop object.
    pub fn event_loop<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.event_loop.bind(py).clone()
    }

    /// The handle by which other threads reach this loop.
    pub fn handle(&self) -> &Arc<LoopHandle> {
        &self.handle
    }

    /// Starts a task at once, in a fresh context, and runs it up to its first suspension.
    ///
    /// `make` makes the coroutine; it runs with the loop as the running one, as everything inside a task does.
    ///
    /// # Errors
    /// What `make` raised, or what making the task raised. An exception of the coroutine itself stays in the task.
    pub fn start_task<'py>(
        &self,
        py: Python<'py>,
        make: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let arguments = self.task_arguments.bind(py).copy()?;
        let context = self.context.fresh(py)?;
        arguments.set_item(name!(py, "context"), context)?;
        self.with_running(py, || {
            let coroutine = make()?;
            self.task_type.bind(py).call((coroutine,), Some(&arguments))
        })
    }

    /// Has the loop call `callback` at its next step.
    ///
    /// # Errors
    /// asyncio's own.
    pub fn call_soon<'py>(&self, py: Python<'py>, callback: Bound<'py, PyAny>) -> PyResult<()> {
        self.event_loop.bind(py).call_method1(name!(py, "call_soon"), (callback,)).map(drop)
    }

    /// Asks for a step.
    pub fn nudge(&self) {
        self.handle.mailbox.nudge();
    }

    /// Asks for a step if what just ran left something for the loop to do.
    pub fn notice_work(&self, py: Python<'_>) -> PyResult<()> {
        if !self.ready.bind(py).is_empty()? || self.count_timers(py) != self.planned_timers.get() {
            self.handle.mailbox.nudge();
        }
        Ok(())
    }

    fn count_timers(&self, py: Python<'_>) -> usize {
        match &self.agenda {
            Some(agenda) => agenda.get().timers(),
            None => self.timers.bind(py).len(),
        }
    }

    /// Runs `work` with this loop as the thread's running loop, which it stays if it was.
    fn with_running<R>(&self, py: Python<'_>, work: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        if self.is_running.get() {
            // A callback of a step starts a task. What comes after it in that step needs the loop, too.
            return work();
        }
        let set = self.set_running_loop.bind(py);
        set.call1((self.event_loop.bind(py),))?;
        self.is_running.set(true);
        let result = work();
        self.is_running.set(false);
        set.call1((py.None(),))?;
        result
    }

    /// An awaitable that is already done, with `None`.
    pub fn ready_none<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.done.bind(py).clone()
    }

    /// A new future of this loop.
    fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.event_loop.bind(py).call_method0(name!(py, "create_future"))
    }

    /// An awaitable that is already done, with `value`.
    ///
    /// # Errors
    /// asyncio's own.
    pub fn ready_with<'py>(&self, py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let future = self.future(py)?;
        future.call_method1(name!(py, "set_result"), (value,))?;
        Ok(future)
    }

    /// An awaitable that raises `error`.
    ///
    /// # Errors
    /// asyncio's own.
    pub fn failed_with<'py>(&self, py: Python<'py>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
        let future = self.future(py)?;
        future.call_method1(name!(py, "set_exception"), (error.into_value(py),))?;
        Ok(future)
    }

    /// An awaitable that is done when `poll` is ready. Polled at once, then after each wake.
    ///
    /// # Errors
    /// What `poll` gave, if it was ready at once with an error; else asyncio's own.
    pub fn wait<'py>(&self, py: Python<'py>, mut poll: PollFn) -> PyResult<Bound<'py, PyAny>> {
        let key = self.next_key.get();
        self.next_key.set(key + 1);
        let waker = Waker::from(Arc::new(WaitingWaker { handle: self.handle.clone(), key }));
        match poll(py, &mut Context::from_waker(&waker)) {
            Poll::Ready(value) => self.ready_with(py, value?.bind(py)),
            Poll::Pending => {
                let future = self.future(py)?;
                let waiting = Waiting { future: future.clone().unbind(), poll, waker };
                self.waiting.borrow_mut().insert(key, waiting);
                Ok(future)
            }
        }
    }

    /// Drops a waiting future that will not be waited for again, such as one that its waiter cancelled.
    pub fn forget(&self, key: u64) {
        let waiting = self.waiting.borrow_mut().remove(&key);
        drop(waiting);
    }

    /// Drops a waiting future if it is done, such as one that its waiter cancelled. Tells whether it still waits.
    ///
    /// # Errors
    /// asyncio's own.
    pub fn forget_done(&self, py: Python<'_>, key: u64) -> PyResult<bool> {
        let future = self.waiting.borrow().get(&key).map(|waiting| waiting.future.clone_ref(py));
        let Some(future) = future else { return Ok(false) };
        if future.bind(py).call_method0(name!(py, "done"))?.is_truthy()? {
            self.forget(key);
            return Ok(false);
        }
        Ok(true)
    }

    /// The key of the latest future that [`HomeLoop::wait`] gave.
    pub fn last_key(&self) -> u64 {
        self.next_key.get().wrapping_sub(1)
    }

    /// Polls `poll` after each wake, without a future, until it is ready. For watches that Rust itself needs.
    pub fn watch(&self, py: Python<'_>, poll: PollFn) -> PyResult<()> {
        self.wait(py, poll).map(drop)
    }

    fn resume(&self, py: Python<'_>, key: u64) -> PyResult<()> {
        let Some(mut waiting) = self.waiting.borrow_mut().remove(&key) else {
            return Ok(());
        };
        // A future that its waiter cancelled takes nothing out of the exchange.
        if waiting.future.bind(py).call_method0(name!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        let waker = waiting.waker.clone();
        match (waiting.poll)(py, &mut Context::from_waker(&waker)) {
            Poll::Pending => {
                self.waiting.borrow_mut().insert(key, waiting);
                Ok(())
            }
            Poll::Ready(Ok(value)) => {
                waiting.future.bind(py).call_method1(name!(py, "set_result"), (value,)).map(drop)
            }
            Poll::Ready(Err(fault)) => {
                waiting.future.bind(py).call_method1(name!(py, "set_exception"), (fault,)).map(drop)
            }
        }
    }

    fn take_mail(self: &Rc<Self>, py: Python<'_>) {
        let Some(Mail { jobs, woken, outcomes }) = self.handle.mailbox.take() else { return };
        for outcome in outcomes {
            if let Err(fault) = outcome.settle(py) {
                log::error!("the result of a function could not be told: {fault}");
            }
        }
        for key in woken {
            if let Err(fault) = self.resume(py, key) {
                log::error!("a waiting future could not be resumed: {fault}");
            }
        }
        for job in jobs {
            job(py, self);
        }
    }

    fn step_attached(self: &Rc<Self>, py: Python<'_>, is_readable: bool) -> PyResult<NextStep> {
        self.take_mail(py);
        // Asked now and then in any case: a descriptor that was missed is a delay, and no hang.
        let count = self.steps.get().wrapping_add(1);
        self.steps.set(count);
        let asks = is_readable || count % STEPS_PER_LOOK == 0;
        let native = self.agenda.as_ref().map(Py::get).filter(|agenda| !agenda.is_debugged());
        let next: Option<f64> = self.with_running(py, || match native {
            Some(agenda) => agenda.step(py, asks),
            None => self.step.bind(py).call1((asks,))?.extract(),
        })?;
        self.planned_timers.set(self.count_timers(py));
        if self.handle.mailbox.has_mail() {
            return Ok(NextStep::Now);
        }
        let when = match next {
            None => return Ok(NextStep::Idle),
            Some(0.0) => return Ok(NextStep::Now),
            Some(when) => when,
        };
        if let Some(agenda) = native {
            return Ok(NextStep::At(agenda.instant(when)));
        }
        let now: f64 = self.event_loop.bind(py).call_method0(name!(py, "time"))?.extract()?;
        Ok(NextStep::At(agenda::in_seconds(when - now)))
    }

    /// Cancels what still runs and closes the loop. The last call on it.
    pub fn close(&self, py: Python<'_>) {
        CURRENT.with_borrow_mut(|current| *current = None);
        driven::forget();
        Claim::note_own(false);
        let disowned = py
            .import("turboapi_rs.handoff")
            .and_then(|handoff| handoff.getattr("disown"))
            .and_then(|disown| disown.call1((self.event_loop.bind(py),)));
        if let Err(fault) = disowned {
            log::error!("the event loop's thread was not let go of: {fault}");
        }
        let left = self.handle.mailbox.close();
        drop(left);
        self.waiting.borrow_mut().clear();
        let closed = py
            .import("turboapi_rs.guest_loop")
            .and_then(|guest| guest.getattr("close_loop"))
            .and_then(|close| close.call1((self.event_loop.bind(py),)));
        if let Err(fault) = closed {
            log::error!("the event loop did not close cleanly: {fault}");
        }
    }
}

/// Steps the calling thread's own loop, within a call that waits for it. Gives the seconds until the next step.
#[pyfunction(name = "_step_here")]
pub(super) fn step_here(py: Python<'_>) -> PyResult<f64> {
    let Some(home) = HomeLoop::current() else {
        return Err(PyRuntimeError::new_err("no event loop is stepped by this thread"));
    };
    Ok(match home.step_attached(py, true)? {
        NextStep::Now => 0.0,
        NextStep::At(when) => when.saturating_duration_since(Instant::now()).as_secs_f64(),
        NextStep::Idle => f64::INFINITY,
    })
}

/// The steps of a [`HomeLoop`], for the worker.
pub struct Stepper(pub Rc<HomeLoop>);

impl GuestLoop for Stepper {
    fn fd(&self) -> RawFd {
        self.0.fd
    }

    fn set_waker(&self, waker: Waker) {
        self.0.handle.mailbox.set_waker(waker);
    }

    fn step(&self, is_readable: bool) -> NextStep {
        interp::attach(|py| match self.0.step_attached(py, is_readable) {
            Ok(next) => next,
            Err(fault) => {
                // What a callback raises is handled inside asyncio; KeyboardInterrupt and SystemExit come out here.
                log::error!("a callback ended the step of the event loop: {fault}");
                NextStep::Now
            }
        })
    }
}
