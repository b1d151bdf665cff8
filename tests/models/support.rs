//! What the models share: exploring, and a task that waits.

use loom::sync::Notify;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// How often a thread is cut off where it could go on, if `LOOM_MAX_PREEMPTIONS` does not say.
const PREEMPTIONS: usize = 2;

/// Runs `model` in every order of its threads, up to the bound.
pub fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// As [`explore`], for each plan of which timed waits pass their time: of the first `waits` ones.
pub fn explore_times(waits: u32, model: impl Fn() + Sync + Send + Clone + 'static) {
    for plan in 0..1_u32 << waits {
        let model = model.clone();
        explore(move || {
            turboapi::sync::pass_times(plan);
            model();
        });
    }
}

struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify();
    }
}

/// A task of one thread: it is polled when it was woken, and only then. A wake that is lost is a deadlock, which loom finds.
pub struct Task(Arc<Bell>, Waker);

impl Task {
    pub fn new() -> Self {
        let bell = Arc::new(Bell(Notify::new()));
        Task(bell.clone(), Waker::from(bell))
    }

    pub fn waker(&self) -> &Waker {
        &self.1
    }

    /// Polls until ready, asleep in between.
    pub fn wait<R>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
        let mut context = Context::from_waker(&self.1);
        loop {
            match poll(&mut context) {
                Poll::Ready(value) => return value,
                Poll::Pending => self.0 .0.wait(),
            }
        }
    }
}

/// Waits for a future, on the calling thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    Task::new().wait(|cx| future.as_mut().poll(cx))
}
