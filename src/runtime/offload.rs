//! Threads for work that may block.
//!
//! Owns: a bounded pool that grows when all are busy and shrinks when idle. Does not own: the work.
//! Rule: the queue is bounded, a refused job goes back; each thread lives inside the factory's `enter_thread`.
//! Threads: one mutex around the queue and the counts, never held while a job runs.

use crate::service::{BlockingJob, OffloadLoad, OffloadPool};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// An idle thread ends after this. tokio: 10 s.
const IDLE: Duration = Duration::from_secs(10);

type Enter = dyn Fn(&mut dyn FnMut()) + Send + Sync;

/// The pool.
pub struct Pool {
    max_threads: usize,
    max_queued: usize,
    enter: Box<Enter>,
    state: Mutex<State>,
    has_work: Condvar,
    changed: Condvar,
    me: std::sync::Weak<Pool>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("load", &self.load()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<BlockingJob>,
    threads: usize,
    idle: usize,
    has_ended: bool,
}

impl Pool {
    /// A pool without threads yet.
    pub fn new(
        max_threads: usize,
        max_queued: usize,
        enter: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Pool {
            max_threads: max_threads.max(1),
            max_queued,
            enter: Box::new(enter),
            state: Mutex::default(),
            has_work: Condvar::new(),
            changed: Condvar::new(),
            me: me.clone(),
        })
    }

    /// Takes no more jobs, finishes those queued, and waits for every thread to end.
    pub fn end(&self) {
        let mut state = self.state.lock();
        state.has_ended = true;
        self.has_work.notify_all();
        while state.threads > 0 {
            self.changed.wait(&mut state);
        }
    }

    fn live(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    log::error!("a job of the offload pool panicked; please report it");
                }
                state = self.state.lock();
                continue;
            }
            if state.has_ended {
                return;
            }
            state.idle += 1;
            let late = self.has_work.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if late && state.queue.is_empty() {
                return;
            }
        }
    }

    fn leave(&self) {
        self.state.lock().threads -= 1;
        self.changed.notify_all();
    }
}

impl OffloadPool for Pool {
    fn submit(&self, job: BlockingJob) -> Result<(), BlockingJob> {
        let mut state = self.state.lock();
        if state.has_ended || state.queue.len() >= self.max_queued {
            return Err(job);
        }
        state.queue.push_back(job);
        if state.queue.len() <= state.idle || state.threads == self.max_threads {
            self.has_work.notify_one();
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let Some(pool) = self.me.upgrade() else { return Ok(()) };
        let spawned = std::thread::Builder::new().name("turboapi-offload".to_owned()).spawn(move || {
            (pool.enter)(&mut || pool.live());
            pool.leave();
        });
        if let Err(error) = spawned {
            log::error!("a thread of the offload pool could not be started: {error}");
            self.leave();
            let mut state = self.state.lock();
            if state.threads == 0 {
                return match state.queue.pop_back() {
                    Some(job) => Err(job),
                    None => Ok(()),
                };
            }
        }
        Ok(())
    }

    fn load(&self) -> OffloadLoad {
        let state = self.state.lock();
        OffloadLoad { queued: state.queue.len(), busy: state.threads - state.idle, threads: state.threads }
    }
}
